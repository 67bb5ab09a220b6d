"""What looking inside a network costs: every piece of work runs, with a small model."""

from __future__ import annotations

import pytest

from benchmarks import channels
from picasso.examples.brightness import BrightnessModel


def test_the_images_are_different_parts() -> None:
    images = list(channels.parts(9))
    assert {one.size for one in images} == {(224, 224)}
    assert len({one.tobytes() for one in images}) == 9


def test_the_table_has_the_ratio_to_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    model = BrightnessModel()
    model.load(channels=3)
    done: list[int] = []
    monkeypatch.setattr(channels, "load_model", lambda file: model)
    monkeypatch.setattr(channels, "IMAGES", 2)
    monkeypatch.setattr(channels, "parts", lambda count: (one.resize((8, 8)) for one in PARTS[:count]))
    monkeypatch.setattr(channels, "tasks", lambda model, images, paths: iter([("nothing", 2, lambda: done.append(1))]))
    head, _, row = channels.costs()
    assert head.count("|") == row.count("|")
    assert row.startswith("| nothing | 2 | 0.00 | ")
    assert len(done) == channels.ROUNDS + 1


PARTS = list(channels.parts(2))
