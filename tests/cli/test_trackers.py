"""What is logged to experiment trackers, and what is said if they are not installed."""

from __future__ import annotations

import importlib
import json
import math
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from picasso.audit.reporting.numbers import numbers
from picasso.cli import trackers
from picasso.errors import BadRequest
from tests.audit.test_audit import audit
from tests.audit.test_failures import document, finding
from tests.cli.test_command import config, run
from tests.conftest import noise_image, png

__all__ = ["config"]

SHARE = {"accuracy": {"images": 20, "right": 18, "low": 0.8, "high": 0.95}}


def test_the_numbers_of_an_audit() -> None:
    found = {**document(
        finding("light", 0.9, 0.4), finding("light", 0.9, 0.6, classes=("a", "c")), finding("noise", 0.5, 0.3),
        finding("tilt", 0.9, 0.9, alarm=False),
    ), **SHARE}  # fmt: skip
    assert numbers(found) == {
        "accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "alarms": 3, "reliance": 0.6, "compared_pairs": 1,
        "judged": 1, "reliance/light": 0.6, "reliance/noise": 0.3,
    }  # fmt: skip
    assert numbers({**document(), **SHARE})["reliance"] == 0


def test_names_are_those_that_all_trackers_accept() -> None:
    long = "a" * 300
    found = trackers.permitted("explain", {long: 1.0, f"{long}b": 2.0, "value/../a\nb": 3.0, "c": math.nan})
    assert [*found.values()] == [1.0, 2.0, 3.0]
    assert all(len(name) <= 250 and posixpath.normpath(name) == name for name in found)
    assert [*found][2] == "explain/value/_/a_b"


class Refusing:
    """A tracker whose server can't be reached."""

    def start_run(self, **options: Any) -> None:
        raise TimeoutError("no answer")


def test_a_tracker_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.cli.trackers.importlib.import_module", lambda name: Refusing())
    with pytest.raises(BadRequest, match=r"could not be logged to mlflow: TimeoutError: no answer\. The files"):
        trackers.log(["mlflow"], "audit", {}, {}, [])


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_missing_is_said_before_the_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(wanted: str, *rest: Any, **options: Any) -> Any:
        if wanted.partition(".")[0] == name:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return original(wanted, *rest, **options)

    original = importlib.import_module
    monkeypatch.setattr("picasso.cli.trackers.importlib.import_module", missing)
    (tmp_path / "a.png").write_bytes(png())
    explained = run("explain", tmp_path / "a.png", "--out", tmp_path / "out", "--log-to", name)
    for done in (audit(tmp_path, 0.9, "--log-to", name), explained):
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"pip install 'picasso-viz[{name}]'" in done.stderr
        assert not (tmp_path / "out").exists()


class Recording:
    """A tracker that keeps what is logged in memory."""

    def __init__(self) -> None:
        self.numbers: dict[str, float] = {}
        self.tags: dict[str, str] = {}
        self.files: dict[str, str] = {}

    @contextmanager
    def start_run(self, run_name: str) -> Iterator[None]:
        assert run_name == "picasso explain"
        yield

    def log_metrics(self, numbers: dict[str, float]) -> None:
        assert len(numbers) <= 1000
        self.numbers |= numbers

    def set_tags(self, tags: dict[str, str]) -> None:
        self.tags |= tags

    def log_artifact(self, file: str, place: str) -> None:
        self.files[f"{place}/{Path(file).name}"] = Path(file).read_text(encoding="utf-8")

    def log_artifacts(self, folder: str, place: str) -> None:
        self.files |= {f"{place}/{one.name}": "" for one in Path(folder).iterdir()}


def recorded(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """Let a tracker in memory take the place of MLflow."""
    tracker, original = Recording(), importlib.import_module
    monkeypatch.setattr(
        importlib, "import_module", lambda name, *rest: tracker if name == "mlflow" else original(name, *rest)
    )
    return tracker


def test_results_and_their_grades(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = recorded(monkeypatch)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png(noise_image(ord(name[0]))))
    out = tmp_path / "out"
    words = ["-v", "SaliencyMaps", "--class", "gnu", "--out", out, "--grade", "--log-to", "mlflow", "--json"]
    done = run("explain", tmp_path / "a.png", tmp_path / "b.png", "--config", config, *words)
    assert done.exit_code == 0, done.output
    grade = json.loads((out / "SaliencyMaps-grade.json").read_text())
    expected = {"explain/results": 2, "explain/grade/SaliencyMaps/score": grade["score"]}
    for one in json.loads(done.stdout):
        (panel,) = one["panels"]
        expected[f"explain/value/{one['image']}/SaliencyMaps/gnu"] = panel["probability"]
        expected[f"explain/probability/{one['image']}"] = one["predictions"][0]["prob"]
    grades = {"beats_edges", "beats_random", "weights"}
    assert set(tracker.numbers) - set(expected) == {f"explain/grade/SaliencyMaps/{name}" for name in grades}
    assert {name: tracker.numbers[name] for name in expected} == pytest.approx(expected)
    assert tracker.tags["picasso.grade.SaliencyMaps"] == grade["sentence"]
    assert tracker.tags["picasso.model"] == "linear.npz"
    report = tracker.files.pop("picasso-explain/report.html")
    assert report.count("<b>SaliencyMaps</b>") == 2
    assert json.loads(tracker.files.pop("picasso-explain/SaliencyMaps-grade.json")) == grade
    folders = (one for one in out.iterdir() if one.is_dir())
    assert set(tracker.files) == {
        f"picasso-explain/{one.name}/{file.name}" for one in folders for file in one.iterdir()
    }


def test_the_report_shows_only_the_first_results(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = recorded(monkeypatch)
    monkeypatch.setattr("picasso.cli.tracked_results.SHOWN", 1)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png())
    words = ["-v", "ClassProbabilities", "--out", tmp_path / "out", "--log-to", "mlflow"]
    done = run("explain", tmp_path / "a.png", tmp_path / "b.png", "--config", config, *words)
    assert done.exit_code == 0, done.output
    report = tracker.files["picasso-explain/report.html"]
    assert report.count("<b>ClassProbabilities</b>") == 1
    assert "<p>and 1 more in their folders</p>" in report
