"""Maps of real Keras graphs, against what NumPy makes of their weights; and one map, however a model is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from picasso import explain
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.preprocessing import Preprocessing
from tests.conftest import noise_image

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE, CLASSES = (12, 16, 3), 4
IMAGE = noise_image(6, (16, 12))
INPUT = np.asarray(np.asarray(IMAGE, np.float32) / 255, np.float32)


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from picasso.models.tf.runtime import keras

    keras.utils.set_random_seed(6)
    yield keras
    keras.backend.clear_session()


def adopted(network: Any) -> Model:
    """Return a network as Picasso takes it, and fed with numbers from 0 to 1."""
    from picasso.models.keras import KerasModel

    model = KerasModel()
    model.model, model.preprocessing = network, Preprocessing("0..1")
    model.use(Path(__file__), input_shape=SHAPE)
    model.warm_up()
    return model


def randomized(network: Any) -> Any:
    """Return a network whose weights, the biases too, are random."""
    generator = np.random.default_rng(8)
    network.set_weights([generator.normal(size=one.shape).astype("float32") / 2 for one in network.get_weights()])
    return network


def flat(keras: Any) -> Any:
    layers = keras.layers
    head = [layers.Flatten(), layers.Dense(CLASSES, activation="softmax")]
    return randomized(keras.Sequential([keras.Input(SHAPE), layers.Conv2D(5, 3, activation="relu"), *head]))


def convolved(maps: Array, kernel: Array, bias: Array) -> Array:
    """Return the convolution of maps ``(H, W, C)`` without padding."""
    windows = sliding_window_view(maps, kernel.shape[:2], axis=(0, 1))
    return np.asarray(np.einsum("hwcij,ijcd->hwd", windows, kernel) + bias)


def framed(array: Array) -> Array:
    """Return a map of a convolution of three by three without padding where its values lie on the image."""
    return np.pad(array, 1)


def convolved_back(gradients: Array, kernel: Array) -> Array:
    """Return the gradient before a convolution for the one ``(h, w, d)`` behind it."""
    (height, width, _), (tall, wide, channels, _) = gradients.shape, kernel.shape
    found = np.zeros((height + tall - 1, width + wide - 1, channels), np.float32)
    for row in range(tall):
        for column in range(wide):
            found[row : row + height, column : column + width] += gradients @ kernel[row, column].T
    return found


def test_grad_cam_and_its_relatives(keras: Any) -> None:
    network = flat(keras)
    kernel, bias, dense, _ = network.get_weights()
    model, maps = adopted(network), np.maximum(convolved(INPUT, kernel, bias), 0)
    found = {
        name: {one.class_index: one.array for one in explain(model, IMAGE, name)[0].panels}
        for name in ("GradCAM", "HiResCAM", "LayerCAM")
    }
    for index in range(CLASSES):
        gradients = dense[:, index].reshape(maps.shape)
        for name, expected in (
            ("GradCAM", maps @ gradients.mean(axis=(0, 1))),
            ("HiResCAM", (maps * gradients).sum(axis=-1)),
            ("LayerCAM", (maps * np.maximum(gradients, 0)).sum(axis=-1)),
        ):
            np.testing.assert_allclose(found[name][index], framed(np.maximum(expected, 0)), atol=1e-5)


def test_cam_is_the_maps_times_the_weights(keras: Any) -> None:
    layers = keras.layers
    pieces = [layers.Conv2D(5, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    head = layers.Dense(CLASSES, activation="softmax")
    network = randomized(keras.Sequential([keras.Input(SHAPE), *pieces, head]))
    kernel, bias, dense, _ = network.get_weights()
    maps = np.maximum(convolved(INPUT, kernel, bias), 0)
    (result,) = explain(adopted(network), IMAGE, "CAM", Rectified=False)
    for panel in result.panels:
        np.testing.assert_allclose(panel.array, framed(maps @ dense[:, panel.class_index]), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("cap", [None, 6])
def test_guided_backpropagation(cap: int | None, keras: Any) -> None:
    layers = keras.layers
    pieces = [layers.Conv2D(5, 3), layers.ReLU(cap), layers.Conv2D(4, 3), layers.ReLU(cap), layers.Flatten()]
    network = keras.Sequential([keras.Input(SHAPE), *pieces, layers.Dense(CLASSES, activation="softmax")])
    first, offset, second, shift, dense, _ = randomized(network).get_weights()
    # So strong that the cap matters.
    network.set_weights([first * 4, offset, second * 2, shift, dense, np.zeros(CLASSES)])
    first, second = first * 4, second * 2
    before = convolved(INPUT, first, offset)
    behind = convolved(np.clip(before, 0, cap), second, shift)
    (result,) = explain(adopted(network), IMAGE, "SaliencyMaps", Method="guided backpropagation")
    limit = np.inf if cap is None else cap
    assert all((values > 6).any() and (values < 0).any() for values in (before, behind))
    for panel in result.panels:
        gradients = dense[:, panel.class_index].reshape(behind.shape)
        gradients = np.maximum(gradients, 0) * ((behind > 0) & (behind < limit))
        gradients = np.maximum(convolved_back(gradients, second), 0) * ((before > 0) & (before < limit))
        expected = np.abs(convolved_back(gradients, first)).max(axis=-1)
        np.testing.assert_allclose(panel.array, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_integrated_gradients_of_a_linear_model_are_weights_times_pixels(keras: Any) -> None:
    layers = keras.layers
    head = [layers.Flatten(), layers.Dense(CLASSES, activation="softmax")]
    network = randomized(keras.Sequential([keras.Input(SHAPE), *head]))
    weights = network.get_weights()[0].reshape(*SHAPE, CLASSES)
    (result,) = explain(adopted(network), IMAGE, "IntegratedGradients", Steps=8)
    for panel in result.panels:
        expected = (weights[..., panel.class_index] * INPUT).sum(axis=-1)
        np.testing.assert_allclose(panel.array, expected, atol=1e-5)


@pytest.mark.slow
def test_one_map_however_a_model_is_written(keras: Any) -> None:
    layers = keras.layers

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = layers.Conv2D(5, 3, activation="relu"), layers.Conv2D(6, 3, activation="relu")
            self.pool, self.scores = layers.GlobalMaxPooling2D(), layers.Dense(CLASSES)

        def call(self, images: Any, training: bool = False) -> Any:
            return keras.ops.softmax(self.scores(self.pool(self.last(self.first(images)))))

    def body(tensor: Any) -> Any:
        return layers.Conv2D(6, 3, activation="relu")(layers.Conv2D(5, 3, activation="relu")(tensor))

    inputs, inner = keras.Input(SHAPE), keras.Input(SHAPE)
    functional = keras.Model(
        inputs, layers.Dense(CLASSES, activation="softmax")(layers.GlobalMaxPooling2D()(body(inputs)))
    )
    backbone = keras.Model(inner, body(inner))
    head = keras.Sequential([layers.GlobalMaxPooling2D(), layers.Dense(CLASSES, activation="softmax")])
    nested, own = keras.Sequential([keras.Input(SHAPE), backbone, head]), Own()
    own(INPUT[None])
    randomized(functional)
    for name in ("GradCAM", "GradCAMPlusPlus", "HiResCAM", "ScoreCAM"):
        (expected,) = explain(adopted(functional), IMAGE, name, Rectified=False)
        for other in (nested, own):
            other.set_weights(functional.get_weights())
            (found,) = explain(adopted(other), IMAGE, name, Rectified=False)
            for one, two in zip(found.panels, expected.panels, strict=True):
                assert one.title == two.title
                np.testing.assert_allclose(one.array, two.array, atol=1e-6, rtol=1e-5)
