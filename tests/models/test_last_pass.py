"""A prediction and the gradients at a layer share the forward pass of one image, and only if it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.models.keras import KerasModel
from picasso.models.tf.backward import Backward
from picasso.models.tf.runtime import keras, tf
from picasso.targets import as_target
from tests.models.test_backward import IMAGES, small_network

pytestmark = pytest.mark.filterwarnings("ignore")

TARGETS = [as_target(index) for index in (4, 0, 2)]


def loaded(folder: Path, *middle: Any) -> KerasModel:
    model, file = KerasModel(), folder / "model.keras"
    small_network(*middle).save(file)
    model.load(path=str(file), trust_model=bool(middle))
    return model


def evidence(model: KerasModel, image: Any, name: str = "last") -> list[Any]:
    """Return the prediction, the maps and the gradients of an image."""
    prediction = model.predict(image)
    maps, gradients = model.features(image, TARGETS, name)
    return [prediction, maps, np.stack(list(gradients))]


def same(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches of forward passes that only gradients needed."""
    found: list[int] = []
    forward = Backward.forward

    def counted(self: Backward, inputs: Any) -> Any:
        found.append(len(inputs))
        return forward(self, inputs)

    monkeypatch.setattr(Backward, "forward", counted)
    return found


def test_the_second_image_has_one_forward_pass(tmp_path: Path, passes: list[int]) -> None:
    model, fresh = loaded(tmp_path), loaded(tmp_path)
    for index in range(2):
        same(evidence(model, IMAGES[index : index + 1]), evidence(fresh, IMAGES[index : index + 1]))
        fresh = loaded(tmp_path)
    # The first image of each of the three models.
    assert passes == [1, 1, 1]
    same(evidence(model, IMAGES[1:]), evidence(model, IMAGES[1:]))
    assert passes == [1, 1, 1]


def test_another_method_needs_no_other_pass(tmp_path: Path, passes: list[int]) -> None:
    model = loaded(tmp_path)
    _, first = model.features(IMAGES[:1], TARGETS, "last")
    _, again = model.features(IMAGES[:1].copy(), TARGETS[1:], "last")
    same(list(again), list(first)[1:])
    assert passes == [1]


def test_another_layer_image_or_batch_needs_its_own(tmp_path: Path, passes: list[int]) -> None:
    model = loaded(tmp_path)
    for image, name in ((IMAGES[:1], "last"), (IMAGES[:1], "first"), (IMAGES[1:], "first"), (IMAGES, "first")):
        maps, gradients = model.features(image, TARGETS, name)
        fresh = loaded(tmp_path)
        same(
            [maps, *gradients],
            [fresh.feature_maps(image, name), *fresh.feature_gradients(image, TARGETS, name).swapaxes(0, 1)],
        )
    assert [one for one in passes if one] == [1, 1, 1, 1, 1, 1, 2, 2]
    model.predict(IMAGES[1:])
    model.features(IMAGES[:1], TARGETS, "first")
    assert passes[-1] == 1
    assert len(passes) == 9


def test_gradients_at_the_input_share_the_pass(tmp_path: Path, passes: list[int]) -> None:
    model, fresh = loaded(tmp_path), loaded(tmp_path)
    for index in range(2):
        image = IMAGES[index : index + 1]
        same(
            [model.predict(image), model.gradients(image, TARGETS)],
            [fresh.predict(image), fresh.gradients(image, TARGETS)],
        )
        fresh = loaded(tmp_path)
    assert passes == [1, 1, 1]


def test_predictions_without_gradients_end_it(tmp_path: Path, passes: list[int]) -> None:
    model = loaded(tmp_path)
    model.features(IMAGES[:1], TARGETS, "last")
    last = model._graph._last
    assert last is not None
    for expected in (True, False, False):
        model.predict(IMAGES[1:])
        assert (last._last is not None) == expected
    model.features(IMAGES[1:], TARGETS, "last")
    assert passes == [1, 1]


def test_large_passes_are_not_kept(tmp_path: Path, passes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.models.tf.last_pass.KEPT", 100)
    model = loaded(tmp_path)
    for _ in range(2):
        evidence(model, IMAGES[:1])
    assert passes == [1, 1]
    last = model._graph._last
    assert last is not None
    assert last._last is None


def test_weights_that_change_are_noticed() -> None:
    source = small_network()
    model = KerasModel()
    model.load(model=source)
    before = evidence(model, IMAGES[:1])
    source.layers[-1].kernel.assign(2 * source.layers[-1].kernel)
    after = evidence(model, IMAGES[:1])
    np.testing.assert_allclose(after[2], 2 * before[2], rtol=1e-5)


def test_random_numbers_are_drawn_in_each_call(tmp_path: Path) -> None:
    class Noise(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs + tf.random.uniform(tf.shape(inputs))

    keras.saving.register_keras_serializable("tests")(Noise)
    model = loaded(tmp_path, Noise())
    assert model._graph._last is None
    one, other = (evidence(model, IMAGES[:1]) for _ in range(2))
    assert (one[1] != other[1]).any()
