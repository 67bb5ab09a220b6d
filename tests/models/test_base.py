"""The interface itself: batches, checks, decoding and preprocessing, on models in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from picasso.errors import ConfigurationError, ModelError
from picasso.models.arrays import Array
from picasso.models.framework import Framework
from picasso.models.info import Capability, ModelInfo
from picasso.models.loading import prepare
from picasso.models.preprocessing import Preprocessing
from picasso.targets import Classification, MultiLabel
from tests.conftest import noise_image
from tests.fakes import CLASSES, BlackBoxModel, GreyModel, GuessModel, LinearModel


def loaded(cls: type[LinearModel]) -> LinearModel:
    model = cls()
    model.load()
    return model


def test_preprocess_resizes_and_scales(linear: LinearModel) -> None:
    inputs = linear.preprocess([noise_image(1), noise_image(2, (90, 60)), noise_image(3, (30, 30), "L")])
    assert inputs.shape == (3, 6, 9, 3)
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs[0], np.asarray(noise_image(1), np.float32) / np.float32(255))
    assert inputs.min() >= 0
    assert inputs.max() <= 1


def test_grey_models_see_grey_images() -> None:
    model = loaded(GreyModel)
    assert model.view(noise_image()).mode == "L"
    assert model.preprocess([noise_image()]).shape == (1, 6, 9, 1)


def test_other_channel_counts_must_be_preprocessed_by_the_user() -> None:
    model = LinearModel()
    model.load(shape=(6, 9, 4))
    with pytest.raises(ModelError, match="takes 4 channels; override view"):
        model.preprocess([noise_image()])


def test_an_overridden_preprocess_encodes_views_too() -> None:
    class Mine(LinearModel):
        def preprocess(self, raw_inputs: Sequence[Image.Image]) -> Array:
            return np.stack([np.asarray(image.resize((9, 6)), np.float32) - 100 for image in raw_inputs])

    model = loaded(Mine)
    np.testing.assert_array_equal(model.encode([noise_image()]), np.asarray([noise_image()], np.float32) - 100)


def test_batches_give_the_same_as_one_by_one(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = np.random.default_rng(0).random((7, 6, 9, 3), np.float32)
    expected = linear.predict(inputs)
    sizes: list[int] = []
    original = LinearModel.batch_probabilities

    def spy(self: LinearModel, part: Array) -> Array:
        sizes.append(len(part))
        return original(self, part)

    monkeypatch.setattr(LinearModel, "batch_probabilities", spy)
    monkeypatch.setattr(LinearModel, "batch_size", 3)
    np.testing.assert_allclose(linear.predict(inputs), expected, atol=1e-7)
    assert sizes == [3, 3, 1]
    classes = [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(linear.input_gradients(inputs, classes), linear.weights[classes])
    pairs = np.stack([classes, np.roll(classes, 1)], axis=1)
    np.testing.assert_array_equal(linear.input_gradients(inputs, pairs), linear.weights[pairs])
    np.testing.assert_array_equal(linear.feature_gradients(inputs, classes), linear.weights[classes])
    np.testing.assert_array_equal(linear.feature_maps(inputs), inputs)


def test_batch_size_is_bounded() -> None:
    model = LinearModel()
    for shape, expected in [((28, 28, 1), 256), ((224, 224, 3), 16), ((4000, 4000, 3), 16), ((64, 64, 3), 203)]:
        model.input_shape = shape
        assert model.batch_size == expected


def test_decoding_names_the_best_classes_first(linear: LinearModel) -> None:
    probabilities = np.array([[0.1, 0.4, 0.1, 0.2, 0.05, 0.1, 0.05]])
    best = linear.decode_prob(probabilities)[0]
    expected = [(1, "bee"), (3, "dog"), (0, "ant"), (2, "cat <b>"), (5, "fox")]
    assert [(one["index"], one["name"]) for one in best] == expected
    assert best[0]["prob"] == 0.4


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\) instead of \(2, 7\)"),
        (np.full((2, 7), np.nan), "not finite"),
        (np.full((2, 7), 3.0), "from 3 to 3, which are not probabilities"),
        (np.full((2, 7), -1.0), "not probabilities"),
    ],
)
def test_answers_that_are_no_classification(answer: Any, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(LinearModel)
    monkeypatch.setattr(model, "batch_probabilities", lambda inputs: answer)
    with pytest.raises(ModelError, match=f"LinearModel .linear.npz. returned .*{expected}"):
        model.predict(np.zeros((2, 6, 9, 3), np.float32))


def test_inputs_of_the_wrong_shape(linear: LinearModel) -> None:
    with pytest.raises(ModelError, match=r"takes inputs \(N, 6, 9, 3\), not \(1, 9, 6, 3\)"):
        linear.predict(np.zeros((1, 9, 6, 3), np.float32))


def test_what_a_model_cannot_give(linear: LinearModel) -> None:
    class Minimal(BlackBoxModel):
        batch_input_gradients = Framework.batch_input_gradients

    model = loaded(Minimal)
    with pytest.raises(ModelError, match="can't give gradients"):
        model.input_gradients(np.zeros((1, 6, 9, 3), np.float32), [0])
    assert model.card().missing(frozenset({Capability.GRADIENTS, Capability.PREDICTIONS})) == ["gradients"]
    assert linear.card().missing(frozenset(Capability)) == []


def test_layers_by_name(linear: LinearModel) -> None:
    assert linear.layer(None) == linear.layer("input") == "input"
    with pytest.raises(ModelError, match="no layer 'conv'; the layers are input"):
        linear.layer("conv")


def test_the_card_survives_json(linear: LinearModel) -> None:
    import json

    card = linear.card()
    assert ModelInfo.from_dict(json.loads(json.dumps(card.as_dict()))) == card


def test_warming_up_counts_the_class_names(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(LinearModel)
    model.warm_up()
    monkeypatch.setattr(model, "class_names", lambda: ["only one"])
    with pytest.raises(ModelError, match="There are 1 class names for the 7 classes"):
        model.warm_up()


def test_decode_prob_of_the_users_own_is_checked() -> None:
    class Mine(LinearModel):
        answer: Any = None

        def decode_prob(self, class_probabilities: Any) -> Any:
            return self.answer

    model = loaded(Mine)
    assert isinstance(model, Mine)
    probabilities = np.zeros((2, 7), np.float32)
    # The original's decoders wrote probabilities as strings.
    model.answer = [[{"index": 3, "name": "dog", "prob": "0.171"}]] * 2
    assert model.best_classes(probabilities) == [({"index": 3, "name": "dog", "prob": 0.171},)] * 2
    cases: list[tuple[Any, str]] = [
        ([[{"index": 3, "name": "dog"}]] * 2, "a list of index, name and prob for each image: KeyError: prob"),
        (None, "for each image: TypeError"),
        ([[{"index": 3, "name": "dog", "prob": "x"}]] * 2, "ValueError"),
        ([[{"index": 3, "name": "dog", "prob": 1}]], "returned 1 lists for 2 images"),
        ([[], []], "returned 2 lists for 2 images"),
    ]
    for wrong, message in cases:
        model.answer = wrong
        with pytest.raises(ModelError, match=message):
            model.best_classes(probabilities)


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 0), (16, 16, 2.5), 16, "224", (1, 16, 16, 3)])
def test_a_shape_that_is_none_is_refused(shape: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"input_shape is \(height, width, channels\)"):
        prepare(LinearModel(), {"input_shape": shape}, (), "")


def test_preprocessing_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"must be keywords such as .*, not 3\."):
        prepare(LinearModel(), {}, (), cast(Any, 3))


def test_what_was_guessed_is_in_the_card() -> None:
    model = GuessModel()
    model.load()
    assert model.guessed().keys() == {"value range"}
    assert model.card().guessed["value range"] in model.card().notes
    model.preprocessing = Preprocessing("-1..1")
    assert model.guessed() == {}
    # Of a class that sets its specification itself, nothing is a guess.
    model.spec = Classification((CLASSES,), note="The values are assumed to be logits.")
    assert model.guessed() == {}
    model.reads_task = True
    assert model.guessed() == {"meaning of the output": model.spec.note}
    model.spec = MultiLabel((CLASSES,), note="The task is assumed to be multi-label.")
    assert model.guessed() == {"task": model.spec.note}
    model.task = "multi-label"
    assert model.guessed() == {"meaning of the output": model.spec.note}
    assert ModelInfo.from_dict(model.card().as_dict()) == model.card()
