"""Passes that are kept: they give the same answers without being computed again, and their memory is limited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError, NotFound
from picasso.inside import passes
from picasso.inside.passes import Passes, edited
from picasso.models import Edit
from picasso.models.arrays import Array
from tests.conftest import noise_image
from tests.explanation.test_questions import store
from tests.fakes import LinearModel, RegressorModel


class Counting(LinearModel):
    """Counts the images that it passes to the layer and differentiates."""

    batch_size = 4

    def __init__(self) -> None:
        super().__init__()
        self.load()
        self.passed = 0

    def batch_feature_gradients(self, inputs: Array, classes: Any, layer: str) -> Array:
        self.passed += len(inputs)
        return super().batch_feature_gradients(inputs, classes, layer)


def answers_to(model: LinearModel, paths: list[str], channel: int) -> list[Any]:
    layer = model.layers()[0]
    found = edited(model, layer, Edit(layer.name, [channel], scale=0.0), paths)
    return [(one.image, one.maps, one.gradients, one.outputs, one.scores, *after) for one, after in found]


def same(some: list[Any], others: list[Any]) -> None:
    for (_, *one), (_, *other) in zip(some, others, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)


def test_another_channel_needs_no_further_pass(tmp_path: Path) -> None:
    model, paths = Counting(), store(tmp_path, *(noise_image(seed) for seed in range(4)))
    answers_to(model, paths[:3], 0)
    assert model.passed == 3
    again = answers_to(model, paths[:3], 1)
    assert model.passed == 3
    # Those that are known and those that are new come in the order of the paths.
    mixed = answers_to(model, [paths[3], paths[1], paths[0]], 1)
    assert model.passed == 4
    fresh = Counting()
    same(again, answers_to(fresh, paths[:3], 1))
    same(mixed, answers_to(Counting(), [paths[3], paths[1], paths[0]], 1))


def test_the_answers_are_those_of_the_edit(tmp_path: Path) -> None:
    model, paths = Counting(), store(tmp_path, noise_image(1), noise_image(2))
    inputs = model.inputs_of([noise_image(1), noise_image(2)])
    layer = model.layers()[0]
    edit = Edit(layer.name, [2], value=0.25)
    (expected,) = model.edits(inputs, [edit])
    for _ in range(2):
        found = edited(model, layer, edit, paths)
        np.testing.assert_allclose(np.concatenate([after.outputs for _, after in found]), expected.outputs, atol=1e-6)
        np.testing.assert_allclose(np.stack([one.maps for one, _ in found]), model.feature_maps(inputs), atol=1e-6)


def test_those_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, paths = Counting(), store(tmp_path, *(noise_image(seed) for seed in range(3)))
    layer = model.layers()[0]
    (size,) = {one.size for one, _ in edited(model, layer, Edit(layer.name, [0], scale=0.0), paths)}
    kept = Passes(2 * size)
    monkeypatch.setitem(passes._of_models, model, kept)
    for path in (paths[0], paths[1], paths[0], paths[2]):
        answers_to(model, [path], 0)
    assert [bool(kept.find(layer.name, path)) for path in paths] == [True, False, True]
    # One that is too large is computed each time.
    monkeypatch.setitem(passes._of_models, model, Passes(size - 1))
    before = model.passed
    answers_to(model, paths[:1], 0)
    answers_to(model, paths[:1], 0)
    assert model.passed == before + 2


def test_models_without_classes_have_no_gradients(tmp_path: Path) -> None:
    model = RegressorModel()
    model.load()
    layer = model.layers()[0]
    ((passed, _),) = edited(model, layer, Edit(layer.name, [0], scale=0.0), store(tmp_path, noise_image(1)))
    assert passed.gradients is None


def test_a_removed_image_and_wrong_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (path,) = Counting(), store(tmp_path, noise_image(1))
    with pytest.raises(NotFound, match="removed in the meantime"):
        answers_to(model, [str(tmp_path / "gone.png")], 0)
    gradients = Counting.batch_feature_gradients
    monkeypatch.setattr(Counting, "batch_feature_gradients", lambda *given: gradients(*given) * np.float32(np.nan))
    with pytest.raises(ModelError, match="gradient of layer .* is not a finite number"):
        answers_to(model, [path], 0)
