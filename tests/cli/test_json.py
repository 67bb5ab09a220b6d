"""``--json``: standard output is one JSON value, and the status is the same as without it."""

from __future__ import annotations

import errno
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


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.summaries.existing.write_existing", lambda *arguments: "1 result")
    found = value_of(run("tensorboard", tmp_path, "--logdir", tmp_path / "logs", "--json"))
    assert found == {"written": "1 result", "logdir": str(tmp_path / "logs")}


@pytest.mark.parametrize("as_json", [False, True])
def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path, as_json: bool) -> None:
    (tmp_path / "taken").write_text("a file")
    words = ["new-visualization", "FunViz", "--dir", str(tmp_path / "taken"), *(["--json"] if as_json else [])]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"picasso: The output folder {tmp_path / 'taken'} can't be created: File exists.\n"


def test_an_audit_without_a_place_for_its_report_says_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    done = audit(tmp_path, 0.9, "--json", "--sarif", tmp_path / "audit.sarif")
    assert (done.exit_code, done.stdout) == (2, "")
    said = f"The output folder {tmp_path / 'out'} can't be created: File exists."
    assert done.stderr.splitlines()[-1] == f"picasso: {said}"
    (alert,) = json.loads((tmp_path / "audit.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]
    assert alert["message"]["text"] == said


@pytest.mark.parametrize("words", [["explain", "a.png"], ["audit", "images"]])
def test_a_full_disk_is_one_line(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(png(noise_image(0)))
    monkeypatch.setattr(f"picasso.cli.commands.{words[0]}.loading_in_time", full)
    done = CliRunner().invoke(main, [*words, "--model", str(ONNX)])
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "picasso: The disk is full, so not everything could be written. Make room or choose another output folder."
    ]


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
