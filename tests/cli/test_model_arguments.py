"""Several models on a command line: files, names and folders of checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from picasso.config import PACKAGE, Settings
from picasso.web import server
from tests.cli.test_command import config, run  # noqa: F401 - a fixture
from tests.conftest import png

TANKS = PACKAGE / "examples" / "tanks" / "data"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """The settings with which a server would have started; the current folder has no settings file."""
    found: list[Settings] = []
    monkeypatch.setattr(server, "serve", lambda settings, _: found.append(settings))
    monkeypatch.chdir(tmp_path)
    return found


def models(settings: Settings) -> dict[str, str]:
    """The file names of the model itself and of those to compare with."""
    files = {name: Path(settings.compared(name).MODEL).name for name in settings.COMPARE}
    return {"": Path(settings.MODEL).name, **files}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("a.keras", "b.keras", "runs/1/m.keras", "runs/2/m.keras", *(f"ck/e{e}.keras" for e in (2, 10, 1))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


TWO = {"": "a.keras", "1/m.keras": "m.keras", "2/m.keras": "m.keras"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["a.keras"], {"": "a.keras"}),
        (["a.keras", "b.keras"], {"": "a.keras", "b.keras": "b.keras"}),
        (["a.keras", "--compare", "b.keras"], {"": "a.keras", "b.keras": "b.keras"}),
        (["--model", "a.keras", "--compare", "new=b.keras"], {"": "a.keras", "new": "b.keras"}),
        (["a.keras", "b.keras", "--compare", "b.keras"], {"": "a.keras", "b.keras": "b.keras"}),
        (["ck"], {"": "e10.keras", "e1.keras": "e1.keras", "e2.keras": "e2.keras"}),
        (["ck", "a.keras"], {"": "e10.keras", "e1.keras": "e1.keras", "e2.keras": "e2.keras", "a.keras": "a.keras"}),
        (["a.keras", "--compare", "ck"], {"": "a.keras", **{f"e{e}.keras": f"e{e}.keras" for e in (1, 2, 10)}}),
        (["a.keras", "--compare", "x=ck"], {"": "a.keras", **{f"x/e{e}.keras": f"e{e}.keras" for e in (1, 2, 10)}}),
        (["a.keras", "runs/1/m.keras", "runs/2/m.keras"], TWO),
    ],
)  # fmt: skip
def test_models_and_their_names(
    options: list[str], expected: dict[str, str], files: Path, served: list[Settings]
) -> None:
    done = run("serve", *options)
    assert done.exit_code == 0, done.output
    assert models(served[0]) == expected
    assert list(served[0].COMPARE) == list(expected)[1:]
    assert served[0].compared(list(expected)[-1]).interface == "command line"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["missing.keras"], "There is no model file missing.keras."),
        (["a.keras", "missing.keras"], "There is no model file missing.keras."),
        (["a.keras", "--compare", "x=missing.keras"], "There is no model file missing.keras."),
        (["a.keras", "--compare", "missing.keras"], "There is no model missing.keras: no file or folder has this path"),
        (["a.keras", "--compare", "notes.txt"], "Picasso can't load notes.txt."),
        (["a.keras", "--model", "b.keras"], "Specify the model once: either a.keras or --model b.keras."),
        (["a.keras", "--compare", "x=a.keras", "--compare", "x=b.keras"], "Two models are called x."),
    ],
)
def test_errors_name_the_file(options: list[str], words: str, files: Path, served: list[Settings]) -> None:
    (files / "notes.txt").touch()
    done = run("serve", *options)
    assert (done.exit_code, served) == (2, [])
    assert words in done.output


def test_arguments_for_loading_are_for_all_models(files: Path, served: list[Settings]) -> None:
    run("serve", "a.keras", "b.keras", "--load-arg", "output=1")
    assert served[0].MODEL_LOAD_ARGS == served[0].compared("b.keras").MODEL_LOAD_ARGS == {"output": 1}


def test_models_of_the_settings_file_stay(files: Path, served: list[Settings]) -> None:
    (files / "config.py").write_text('MODEL = "a.keras"\nCOMPARE = {"old": {"MODEL": "b.keras"}}\n')
    run("serve", "--compare", "ck/e2.keras", "--compare", "old")
    assert models(served[0]) == {"": "a.keras", "old": "b.keras", "e2.keras": "e2.keras"}


@pytest.mark.slow
def test_explain_compares_with_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    options: list[Any] = ["--model", TANKS / "cloudy.keras", "--compare", f"right one={TANKS / 'right.keras'}"]
    done = run("explain", tmp_path / "a.png", *options, "-v", "SaliencyMaps", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "out" / "a-SaliencyMaps" / "result.json").read_text())
    assert list(document["compared"]) == ["right one"]
    groups = list(dict.fromkeys(panel["group"] for panel in document["panels"]))
    assert groups == ["cloudy.keras", "right one", "right one minus cloudy.keras"]
