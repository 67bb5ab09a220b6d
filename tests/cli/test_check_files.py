"""The pre-commit hook: several model files are checked with the same options, and share a SARIF file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from picasso.cli.check_files import check_files
from picasso.evaluation import model_check
from tests.cli.test_command import ONNX
from tests.cli.test_sarif import results, uri


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, which is the current one, with two models and two files that are none."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        shutil.copy(ONNX, tmp_path / f"{name}.onnx")
        (tmp_path / f"bad-{name}.onnx").write_bytes(b"no model")
    return tmp_path


def test_all_models_are_in_one_sarif_file(models: Path) -> None:
    words = ["--fail-on", "warning", "--sarif", "all.sarif"]
    assert check_files([*words, "a.onnx", "bad-a.onnx", "b.onnx", "bad-b.onnx"]) == 2
    found = results(models / "all.sarif")
    by_file = {name: {one["level"] for one in found if uri(one) == name} for name in map(uri, found)}
    assert by_file == {"a.onnx": {"warning"}, "b.onnx": {"warning"}, "bad-a.onnx": {"error"}, "bad-b.onnx": {"error"}}
    assert [one["level"] for one in found[:2]] == ["error"] * 2
    # Those of a single model are the same as of picasso check.
    assert check_files([*words, "a.onnx"]) == 1
    alone = [one["message"] for one in results(models / "all.sarif")]
    assert alone == [one["message"] for one in found if uri(one) == "a.onnx"]


def test_images_are_reported_once(models: Path) -> None:
    (models / "image.png").write_bytes(b"no image")
    assert check_files(["image.png", "--sarif=all.sarif", "a.onnx", "b.onnx"]) == 2
    (unreadable,) = (one for one in results(models / "all.sarif") if one["ruleId"] == "unreadable-image")
    assert uri(unreadable) == "image.png"


def test_no_file_after_an_unexpected_error(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service would take the alerts of the model that is missing for solved."""
    original, calls = model_check.check, []

    def check(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            raise ZeroDivisionError
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(model_check, "check", check)
    assert check_files(["--sarif", "all.sarif", "a.onnx", "b.onnx"]) == 2
    assert len(calls) == 2
    assert not (models / "all.sarif").exists()


def test_a_file_that_can_not_be_written(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_files(["--sarif", "none/all.sarif", "a.onnx", "b.onnx"]) == 2
    assert capsys.readouterr().err.count("--sarif must be a file in a folder that exists") == 2


def test_json_is_all_of_the_standard_output(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_files(["--json", "a.onnx", "b.onnx"]) == 0
    said = capsys.readouterr()
    first, end = json.JSONDecoder().raw_decode(said.out)
    second = json.loads(said.out[end:])
    assert [one["model"]["checkpoint"] for one in (first, second)] == ["a.onnx", "b.onnx"]
    assert [line for line in said.err.splitlines() if line.endswith(".onnx")] == ["a.onnx", "b.onnx"]
