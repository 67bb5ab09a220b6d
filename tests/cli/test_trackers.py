"""What is logged to experiment trackers, and what is said if they are not installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from picasso.audit.reporting.numbers import numbers
from picasso.cli import trackers
from picasso.errors import BadRequest
from tests.audit.test_audit import audit
from tests.audit.test_failures import document, finding

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
    done = audit(tmp_path, 0.9, "--log-to", name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"pip install 'picasso-viz[{name}]'" in done.stderr
    assert not (tmp_path / "out").exists()
