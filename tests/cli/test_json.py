"""``--json``: standard output is one JSON value, and the status is the same as without it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from picasso.cli.command import main
from tests.audit.test_audit import audit
from tests.cli.test_command import ONNX, config, run
from tests.conftest import noise_image, png
from tests.docs.blocks import section
from tests.hostile.models.onnx_files import custom, last, model

__all__ = ["config"]

# They run until they are ended.
SERVICES = {"serve", "work", "mcp"}


def value_of(done: Result) -> Any:
    """Return the value that a command printed, and nothing but it."""
    assert not done.exception or isinstance(done.exception, SystemExit), done.exception
    return json.loads(done.stdout)


def test_every_command_has_it_and_is_described() -> None:
    have = {name for name, one in main.commands.items() if any("--json" in found.opts for found in one.params)}
    assert have == set(main.commands) - SERVICES
    rows = re.findall(r"^\| `([\w-]+)` \| (?:A list|An object)", section("command-line.md", "## JSON"), re.MULTILINE)
    assert set(rows) == have


def test_explain(config: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(noise_image(0)))
    done = run("explain", tmp_path / "a.png", "--config", config, "--out", tmp_path / "out", "--json")
    (found,) = value_of(done)
    folder = tmp_path / "out" / "a-PartialOcclusion"
    assert found == {"folder": str(folder), **json.loads((folder / "result.json").read_text(encoding="utf-8"))}
    assert "a.png: " in done.stderr


def test_explain_without_an_image_prints_nothing(config: Path, tmp_path: Path) -> None:
    done = run("explain", tmp_path / "missing.png", "--config", config, "--json")
    assert (done.exit_code, done.stdout) == (2, "")


def test_audit(tmp_path: Path) -> None:
    done = audit(tmp_path, 0.9, "--json", "--annotations", "github")
    found = value_of(done)
    written = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    assert done.exit_code == 1
    assert found == {"folder": str(tmp_path / "out"), "fails": True, **written}
    assert "::error title=Picasso audit::" in done.stderr
    known = ("--baseline", tmp_path / "out" / "audit.json")
    done = audit(tmp_path, 0.9, "--json", *known)
    assert (done.exit_code, value_of(done)["fails"]) == (0, False)


def test_visualizations_and_their_settings(config: Path) -> None:
    found = {one["name"]: one for one in value_of(run("visualizations", "--config", config, "--json"))}
    (window,) = (one for one in found["PartialOcclusion"]["settings"] if one["name"] == "Window")
    assert set(window) == {"name", "default", "help", "allowed"}
    assert all(bool(one["description"]) or bool(one["error"]) for one in found.values())
    assert [name for name, one in found.items() if one["error"]]


def test_a_new_visualization(tmp_path: Path) -> None:
    found = value_of(run("new-visualization", "FunViz", "--dir", tmp_path, "--json"))
    assert all(Path(file).is_file() for file in found["files"])
    assert len(found["files"]) == 2


def test_scan() -> None:
    (found,) = value_of(run("scan", ONNX, "--json"))
    assert (found["path"], found["verdict"]) == (str(ONNX), "data")


# Commands and their statuses; test_interrupted.py has 130.
STATUSES = {
    "nothing fails": (["scan", str(ONNX)], 0),
    "a warning fails": (["check", "--model", str(ONNX), "--fail-on", "warning"], 1),
    "a file would be refused": (["scan", "refused.onnx"], 1),
    "a file is missing": (["scan", "missing.keras"], 2),
    "a model is missing": (["check", "--model", "missing.keras"], 2),
    "an option is wrong": (["check", "--no-such-option"], 2),
    "a value is wrong": (["audit", "images", "--fail-on", "30%"], 2),
    "a command is wrong": (["chek"], 2),
}


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("as_json", [False, True])
def test_statuses(name: str, as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, status = STATUSES[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "refused.onnx").write_bytes(model([custom(), last("inner")]).SerializeToString())
    done = CliRunner().invoke(main, [*words, "--json"] if as_json else words)
    assert done.exit_code == status, done.output


def test_the_documentation_lists_all_statuses() -> None:
    rows = re.findall(r"^\| (\d+) \|", section("command-line.md", "## Exit status"), re.MULTILINE)
    assert {int(row) for row in rows} == {*(status for _, status in STATUSES.values()), 130}
