"""The bundled vision transformer: real weights on real digits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.examples import mnist
from picasso.models import Edit, load_model
from picasso.models.base import Model
from picasso.models.info import Capability

pytestmark = pytest.mark.filterwarnings("ignore")

FOLDER = Path(mnist.__file__).parent / "vit"
SAMPLES = sorted(mnist.SAMPLES.glob("*.png"))


@pytest.fixture(scope="module")
def example() -> Model:
    return load_model(FOLDER / "config.py")


def test_the_samples_are_read(example: Model) -> None:
    results = explain(example, SAMPLES, "ClassProbabilities")
    right = sum(result.predictions[0]["name"] == file.name[0] for result, file in zip(results, SAMPLES, strict=True))
    assert right >= 28
    assert (FOLDER / "data" / "vit.keras").stat().st_size < 2_000_000


def test_it_is_read_as_a_transformer(example: Model) -> None:
    assert example.capabilities == frozenset(Capability)
    assert [layer.name for layer in example.layers() if layer.default] == ["block_4_norm_1"]
    grid = example.token_grid()
    assert (grid.count, grid.first, grid.height, grid.width, grid.readers) == (50, 1, 7, 7, (0,))
    assert not example.notes


@pytest.mark.parametrize("name", ["AttentionRollout", "TransformerAttribution", "AttnLRP", "GradCAM", "HiResCAM"])
def test_methods_of_tokens(example: Model, name: str) -> None:
    (result,) = explain(example, SAMPLES[12], name)
    assert {panel.array.shape for panel in result.panels} == {(7, 7)}
    assert not result.panels[0].flat


def test_gradients_of_token_maps_are_finite_differences(example: Model) -> None:
    random = np.random.default_rng(3)
    inputs = random.random((2, *example.input_shape)).astype(np.float32)
    for layer in example.layers()[-2:]:
        weights = random.normal(size=(2, *layer.shape)).astype(np.float32)
        direction = random.normal(size=inputs.shape).astype(np.float32)
        found = (example.map_gradients(inputs, weights, layer.name).astype(np.float64) * direction).sum(axis=(1, 2, 3))
        step = np.float32(2e-3)
        ahead, behind = (example.feature_maps(inputs + sign * step * direction, layer.name) for sign in (1, -1))
        expected = ((ahead - behind).astype(np.float64) * weights).sum(axis=(1, 2, 3)) / (2 * float(step))
        np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


def test_channels_of_the_class_token_are_edited_too(example: Model) -> None:
    """Behind the last block, only the class token is read: what is edited there has an effect."""
    from picasso.models.tf.runtime import keras

    network = keras.models.load_model(FOLDER / "data" / "vit.keras")
    inputs = example.preprocess([Image.open(file) for file in SAMPLES[:4]])
    # The default layer is a normalization, around which there is a skip connection.
    layer = network.get_layer(example.layer(None))
    before = keras.Model(network.input, [layer.output, layer.input])
    rest = keras.Model([layer.output, layer.input], network.output)
    tokens, around = before(inputs)
    edits = [Edit(None, [3, 7], scale=0), Edit(None, [0], value=2)]
    for edit, found in zip(edits, example.edits(inputs, edits), strict=True):
        truth = rest([edit.changed(tokens.numpy()), around.numpy()]).numpy()
        np.testing.assert_allclose(found.outputs, truth, rtol=0, atol=1e-6)
    last = example.layers()[-1]
    assert last.name != example.layer(None)
    switched_off = example.edited(inputs, Edit(last.name, range(last.shape[2]), scale=0))
    assert np.ptp(switched_off, axis=0).max() < 1e-6
    assert np.ptp(example.predict(inputs), axis=0).max() > 0.1


def test_deleting_the_warmest_patches_matters_more(example: Model) -> None:
    """The eight patches that a method marks most count for more than the eight that it marks least."""
    for name in ("AttentionRollout", "TransformerAttribution", "AttnLRP"):
        falls = []
        for file in SAMPLES[::3]:
            (result,) = explain(example, file, name)
            order = np.argsort(-result.panels[0].array.ravel())
            image = example.preprocess([Image.open(file)])[0]
            index = result.panels[0].class_index
            images = []
            for patches in (order[:8], order[-8:]):
                mask = np.isin(np.arange(49), patches).reshape(7, 7).repeat(4, 0).repeat(4, 1)
                images.append(np.where(mask[..., None], 0, image))
            warm, cold = example.predict(np.asarray(images, np.float32))[:, index]
            falls.append(float(cold - warm))
        assert np.mean(falls) > 0.2, name


@pytest.mark.skipif("PICASSO_MNIST" not in os.environ, reason="PICASSO_MNIST does not name a folder of the MNIST files")
def test_accuracy_on_all_test_digits(example: Model) -> None:
    digits = mnist.load(Path(os.environ["PICASSO_MNIST"]), "t10k")
    guesses = example.predict(example.preprocess([Image.fromarray(image) for image in digits.images])).argmax(axis=1)
    assert np.mean(guesses == digits.labels) >= 0.96
