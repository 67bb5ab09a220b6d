"""Models that do not answer the same image alike: found when they are loaded, said, and kept out of maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.evaluation.model_check import check
from picasso.models import load_model
from picasso.models.arrays import Array
from tests.conftest import noise_image
from tests.fakes import BlackBoxModel, LinearModel, PatchModel, softmax


class Dropout(LinearModel):
    """Draws anew for every answer, as a dropout that is left on."""

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        self.generator = np.random.default_rng(4)

    def batch_logits(self, inputs: Array) -> Array:
        logits = super().batch_logits(inputs) / 10
        return np.asarray(logits + self.generator.uniform(-0.2, 0.2, logits.shape), np.float32)


class Statistics(LinearModel):
    """Subtracts the mean of the batch, as a normalization that is left in training."""

    def batch_logits(self, inputs: Array) -> Array:
        return super().batch_logits(inputs - inputs.mean(axis=0))


class Place(LinearModel):
    """Answers by the place in the batch, as a dropout whose seed never changes."""

    def batch_logits(self, inputs: Array) -> Array:
        noise = np.random.default_rng(1).uniform(-0.2, 0.2, (self.batch_size, self.num_classes))
        return np.asarray(super().batch_logits(inputs) / 10 + noise[: len(inputs)], np.float32)


class Sure(Dropout):
    """Is so sure of one class that chance is seen in its logits only."""

    def batch_logits(self, inputs: Array) -> Array:
        logits = super().batch_logits(inputs)
        logits[:, 0] += 100
        return logits


class Blind(Dropout):
    """Sees nothing, and answers by chance."""

    def batch_logits(self, inputs: Array) -> Array:
        return super().batch_logits(np.zeros_like(inputs))


def ready(cls: type[LinearModel]) -> Any:
    model = cls()
    model.load()
    model.warm_up()
    return model


@pytest.mark.parametrize("cls", [LinearModel, PatchModel, BlackBoxModel])
def test_models_that_answer_alike_are_not_noisy(cls: type[LinearModel]) -> None:
    model = ready(cls)
    assert (model.noise, model.logit_noise) == (0.0, 0.0)
    assert not any("same image vary" in note for note in model.card().notes)


def test_batches_of_a_fixed_size_are_no_reason() -> None:
    class Fixed(LinearModel):
        fixed_batch = 1

    assert ready(Fixed).noise == 0.0


@pytest.mark.parametrize("cls", [Dropout, Statistics, Place])
def test_chance_and_other_images_are_found_and_said(cls: type[LinearModel]) -> None:
    model = ready(cls)
    assert 0.01 < model.noise <= 1
    (note,) = [note for note in check(model, []).warnings if "same image vary" in note]
    assert f"its probabilities by up to {model.noise:.2g}" in note
    (result,) = explain(model, noise_image(), "ClassProbabilities")
    assert note in result.model.notes


def test_chance_behind_a_saturated_softmax_is_found_in_the_logits() -> None:
    model = ready(Sure)
    assert model.noise < 1e-4
    assert 0.1 < model.logit_noise < 0.5
    assert any("its logits by up to" in note for note in model.notes)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("PartialOcclusion", {"Window": 0.3, "Strides": 10, "Show": "drop"}),
        ("PartialOcclusion", {"Window": 0.3, "Strides": 10, "Show": "probability"}),
        ("LIME", {"Samples": 100, "Regions": 8}),
        ("KernelSHAP", {"Samples": 100, "Regions": 8}),
    ],
)
def test_maps_show_no_chance(name: str, settings: dict[str, Any]) -> None:
    model = ready(Blind)
    # With eight answers chance does not show all that it can do.
    model.noise *= 2
    (result,) = explain(model, noise_image(size=(36, 24)), name, **settings)
    maps = [panel for panel in result.panels if panel.kind == "map" and panel.class_index is not None]
    assert maps
    for panel in maps:
        assert panel.flat
        assert panel.noise_level == model.noise
        assert f"vary at random by up to {model.noise:.2g}; smaller differences are treated as 0" in panel.note


def test_an_effect_larger_than_chance_stays() -> None:
    class Patch(PatchModel):
        def batch_probabilities(self, inputs: Array) -> Array:
            noise = np.random.default_rng(len(inputs)).uniform(-0.05, 0.05, (len(inputs), self.num_classes))
            return softmax(np.asarray(self.batch_logits(inputs) + noise, np.float32))

    model = ready(Patch)
    assert 0.001 < model.noise < 0.1
    image = noise_image(size=(9, 6)).point(lambda value: 255)
    settings: dict[str, Any] = {"Window": 0.3, "Strides": 5, "Show": "drop", "Occlusion": "black"}
    (result,) = explain(model, image, "PartialOcclusion", classes=6, **settings)
    map_ = next(panel.array for panel in result.panels if panel.class_index == 6)
    # The patch lies to the right, in rows 2 and 3 of 6.
    assert map_[:, 0].max() == 0
    assert map_[2, 3:].max() > 2 * model.noise


@pytest.mark.filterwarnings("ignore")
def test_a_dropout_of_keras_that_is_left_on(tmp_path: Path) -> None:
    from picasso.models.tf.runtime import keras

    layers = keras.layers

    class Always(layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.dropout = layers.Dropout(0.5)

        def call(self, inputs: Any) -> Any:
            return self.dropout(inputs, training=True)

    inputs = keras.Input((12, 16, 3))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(Always()(inputs)))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(features))
    model.save(tmp_path / "always.keras")
    model.export(tmp_path / "always", verbose=False)
    loaded = load_model(tmp_path / "always.keras", custom_objects={"Always": Always})
    assert loaded.noise > 1e-3
    # Its seed is constant there, but every place of a batch has noise of its own.
    assert load_model(tmp_path / "always").noise > 1e-3
