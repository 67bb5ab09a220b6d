"""Incremental occlusion of networks that enlarge their maps: segmentation networks and heads of detectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso import load_model
from picasso.models.occlusion import covered
from picasso.models.tf.incremental.resampling import Samples
from picasso.models.tf.incremental.steps import Kind

HEIGHT, WIDTH = 20, 28


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def unet(keras: Any, enlarge: Any) -> Any:
    """Return a network that halves its maps, enlarges them by a layer, and joins both."""
    keras.utils.set_random_seed(3)
    image = keras.Input((HEIGHT, WIDTH, 3))
    wide = keras.layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    x = keras.layers.MaxPooling2D()(wide)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = enlarge(keras)(x)
    x = keras.layers.Concatenate()([x, wide])
    x = keras.layers.Conv2D(5, 3, padding="same")(x)
    return keras.Model(image, keras.layers.Softmax()(x))


ENLARGE = {
    "nearest": lambda k: k.layers.UpSampling2D(2),
    "bilinear": lambda k: k.layers.UpSampling2D(2, interpolation="bilinear"),
    "bicubic": lambda k: k.layers.UpSampling2D(2, interpolation="bicubic"),
    "resizing": lambda k: k.layers.Resizing(HEIGHT, WIDTH, interpolation="nearest"),
    "transposed 2": lambda k: k.layers.Conv2DTranspose(7, 2, strides=2),
    "transposed 3": lambda k: k.layers.Conv2DTranspose(7, 3, strides=2, padding="same", activation="relu"),
    "transposed 4": lambda k: k.layers.Conv2DTranspose(7, 4, strides=2, padding="same"),
    "transposed 1": lambda k: k.Sequential([k.layers.UpSampling2D(2), k.layers.Conv2DTranspose(7, 3, padding="same")]),
}


@pytest.mark.parametrize("name", ENLARGE)
def test_enlarged_maps_are_recomputed_only_where_they_change(name: str, keras: Any) -> None:
    model = load_model(unet(keras, ENLARGE[name]))
    generator = np.random.default_rng(7)
    image, fill = generator.random((2, *model.input_shape), np.float32)
    boxes = [(x, y, x + 5, y + 4) for y in range(0, HEIGHT - 3, 3) for x in range(0, WIDTH - 4, 3)]
    boxes += [(0, 0, WIDTH, 1), (WIDTH - 1, HEIGHT - 1, WIDTH, HEIGHT), (3, 0, 4, HEIGHT)]
    engine = model._graph.incremental()  # type: ignore[attr-defined]
    network = engine._network
    assert Kind.RESAMPLE in {step.kind for step in network.steps}
    assert network.ends_in_map
    assert not [step.output for step in network.steps if step.kind is Kind.WHOLE and len(step.shape) == 3]
    expected = model.predict(covered(image, fill, boxes)).reshape(len(boxes), -1)
    for memory in (10**8, 10**6):
        for members, part in engine.run(image, fill, boxes, engine.plan(boxes, memory)):
            np.testing.assert_allclose(part, expected[members], atol=1e-5)


def test_samples_are_the_nonzero_entries_of_a_matrix() -> None:
    matrix = np.array([[0.75, 0.25, 0], [0, 0, 0], [0, 0.5, 0.5], [0, 0, 1]])
    samples = Samples.of(matrix)
    rebuilt = np.zeros_like(matrix)
    np.add.at(rebuilt, (np.arange(4)[:, None], samples.places), samples.weights)
    np.testing.assert_array_equal(rebuilt, matrix)
    assert (np.diff(samples.places, axis=0) >= 0).all()
    assert not samples.copies
    assert Samples.of(np.eye(3)[[0, 0, 1, 2]]).copies
