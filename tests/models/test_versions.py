"""The oldest versions that are allowed are those of ``pyproject.toml``, and older ones are refused by name."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

from picasso.errors import ModelError
from picasso.models.environment import OLDEST, numbers, require_versions
from tests.floors import floors


def test_the_bounds_are_those_of_the_project() -> None:
    assert {name: oldest for name, oldest in floors().items() if name in OLDEST} == OLDEST


def test_the_packages_of_integrations_are_tested_with_the_bounds_of_their_extras() -> None:
    """`make test-integration-floors` installs those of the extra `integrations`, which users don't install."""
    tested = floors("integrations")
    assert {name: tested[name] for name in ("mcp", "mlflow", "wandb")} == floors("mcp", "mlflow", "wandb")


@pytest.mark.parametrize("package", OLDEST)
def test_older_versions_are_refused_by_name(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.0.99" if name == package else OLDEST[name])
    with pytest.raises(ModelError) as caught:
        require_versions(*OLDEST)
    assert caught.value.message == (
        f"{package} 1.0.99 is too old to read model files with: install {OLDEST[package]} or newer, with "
        f"pip install --upgrade '{package}>={OLDEST[package]}'."
    )


def test_those_that_are_allowed_or_missing_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    require_versions(*OLDEST)
    monkeypatch.setattr(metadata, "version", lambda name: f"{OLDEST[name]}.0rc1")
    require_versions(*OLDEST)

    def missing(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    require_versions(*OLDEST)


@pytest.mark.parametrize(
    ("version", "expected"), [("3.12.0rc1", (3, 12, 0)), ("1.24.1", (1, 24, 1)), ("2.18.0+cpu", (2, 18, 0)), ("x", ())]
)
def test_numbers_of_versions(version: str, expected: tuple[int, ...]) -> None:
    assert numbers(version) == expected


def test_the_runtime_is_asked_for_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    from picasso.models.onnx import ONNXModel
    from tests.zoo.make_files import FOLDER

    monkeypatch.setattr(metadata, "version", lambda name: "1.0")
    with pytest.raises(ModelError, match=r"onnx 1.0 is too old"):
        ONNXModel().load(path=str(FOLDER / "logits.onnx"))
