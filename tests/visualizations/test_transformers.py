"""Maps of a transformer that is known to read one patch; and the rules of the attribution by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.attribution.attention import by_cell, gradient_attention, rollout, standing_out
from picasso.models.base import Model
from picasso.models.info import Place
from picasso.models.keras import KerasModel
from picasso.models.preprocessing import Preprocessing
from picasso.models.tf.runtime import keras
from picasso.models.tokens import TokenGrid
from tests.models import vision_transformers as made

pytestmark = pytest.mark.filterwarnings("ignore")

SIDE, PATCH, GRID = 16, 4, 4
COUNT = GRID * GRID + 1
# The channels of the tokens: how red a patch is, if it is the class token, the evidence, and if it is a decoy.
RED, CLASS, EVIDENCE, DECOY = range(4)
DECOY_AT = (0, 3)
METHODS = ["GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "ScoreCAM", "TransformerAttribution", "AttnLRP"]
PATCHES = [(0, 0), (1, 2), (3, 1)]


def attention(tokens: Any, looks: list[tuple[int, float]], reads: list[float]) -> Any:
    """Return an attention of one channel per head by hand, added to the tokens.

    Args:
        tokens: the tokens.
        looks: the channel that the class token looks for, and how strongly, of each head.
        reads: what each head writes into the evidence for each red that it reads.
    """
    layer = keras.layers.MultiHeadAttention(len(looks), 1, use_bias=False)
    added = keras.layers.Add()([tokens, layer(tokens, tokens)])
    query, key, value = (np.zeros((4, len(looks), 1), np.float32) for _ in range(3))
    output = np.zeros((len(looks), 1, 4), np.float32)
    for head, (channel, strength) in enumerate(looks):
        query[CLASS, head], key[channel, head], value[RED, head] = strength, 1, 1
        output[head, 0, EVIDENCE] = reads[head]
    layer.set_weights([query, key, value, output])
    return added


def planted(*heads: tuple[int, float, float]) -> Model:
    """Return a transformer whose class token reads how red the patch is that it looks at; the first block adds 0.

    Args:
        heads: the channel that each head looks for, how strongly, and what it adds for each red.
    """
    layers = keras.layers
    images = keras.Input((SIDE, SIDE, 3))
    patches, positions = (
        layers.Conv2D(4, PATCH, PATCH, use_bias=False),
        layers.EinsumDense("ntd,de->nte", (COUNT, 4), bias_axes="te"),
    )
    tokens = positions(layers.ZeroPadding1D((1, 0))(layers.Reshape((-1, 4))(patches(images))))
    kernel, biases = np.zeros((PATCH, PATCH, 3, 4), np.float32), np.zeros((COUNT, 4), np.float32)
    kernel[:, :, :, RED] = np.array([1, -0.5, -0.5]) / PATCH**2
    biases[0, CLASS], biases[1 + DECOY_AT[0] * GRID + DECOY_AT[1], DECOY] = 1, 1
    patches.set_weights([kernel])
    positions.set_weights([np.eye(4, dtype=np.float32), biases])
    tokens = attention(tokens, [(RED, 1.0)] * len(heads), [0.0] * len(heads))
    tokens = attention(tokens, [head[:2] for head in heads], [head[2] for head in heads])
    scores = layers.Dense(2, activation="softmax")
    network = keras.Model(images, scores(tokens[:, 0]))
    scores.set_weights([np.eye(4, 2, -EVIDENCE, dtype=np.float32) * 8, np.zeros(2, np.float32)])
    model = KerasModel()
    model.model, model.preprocessing, model.labels = network, Preprocessing("0..1"), ("red", "other")
    model.use(Path(__file__), input_shape=(SIDE, SIDE, 3))
    return model


@pytest.fixture(scope="module")
def reading() -> Iterator[Model]:
    """A transformer that looks at what is red."""
    yield planted((RED, 5.0, 1.0))
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def distracted() -> Iterator[Model]:
    """The same with a second head, which looks hard at one place and reads nothing there."""
    yield planted((RED, 3.0, 1.0), (DECOY, 9.0, 0.0))
    keras.backend.clear_session()


def with_patch(row: int, column: int) -> Image.Image:
    pixels = np.full((SIDE, SIDE, 3), 128, np.uint8)
    pixels[row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH] = (255, 0, 0)
    return Image.fromarray(pixels)


def peak(model: Model, name: str, patch: tuple[int, int], **settings: Any) -> tuple[int, int]:
    (result,) = explain(model, with_patch(*patch), name, **settings)
    assert result.predictions[0]["name"] == "red"
    array = result.panels[0].array
    row, column = np.unravel_index(array.argmax(), array.shape)
    return int(row) * GRID // array.shape[0], int(column) * GRID // array.shape[1]


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("name", [*METHODS, "AttentionRollout"])
def test_every_method_peaks_at_the_patch_that_is_read(reading: Model, name: str, patch: tuple[int, int]) -> None:
    assert peak(reading, name, patch) == patch


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("name", METHODS)
def test_attention_that_reads_nothing_is_no_evidence(distracted: Model, name: str, patch: tuple[int, int]) -> None:
    assert peak(distracted, name, patch) == patch


@pytest.mark.parametrize("patch", PATCHES)
def test_rollout_shows_what_is_attended_to_even_if_nothing_is_read_there(
    distracted: Model, patch: tuple[int, int]
) -> None:
    """Its known failure: the model gives the same answers with and without what happens at that place."""
    assert peak(distracted, "AttentionRollout", patch) == DECOY_AT
    changed = np.array(with_patch(*patch))
    changed[: 1 * PATCH, 3 * PATCH :] = 0
    inputs = distracted.preprocess([with_patch(*patch), Image.fromarray(changed)])
    assert np.ptp(distracted.predict(inputs), axis=0).max() < 1e-6


def test_pixels_of_relevance(reading: Model) -> None:
    (result,) = explain(reading, with_patch(1, 2), "AttnLRP", Cells="pixels")
    (cells,) = explain(reading, with_patch(1, 2), "AttnLRP")
    pixels = result.panels[0].array
    assert pixels.shape == (SIDE, SIDE)
    assert peak(reading, "AttnLRP", (1, 2), Cells="pixels") == (1, 2)
    sums = pixels.reshape(GRID, PATCH, GRID, PATCH).sum(axis=(1, 3))
    np.testing.assert_allclose(cells.panels[0].array, sums, atol=1e-6)
    assert result.panels[0].signed
    assert "of a score of" in result.panels[0].note


def test_attention_within_windows_has_no_rollout() -> None:
    model = made.adopted(made.windowed())
    image = Image.fromarray(np.zeros((made.SIDE, made.SIDE, 3), np.uint8) + 90)
    for name in ("AttentionRollout", "TransformerAttribution"):
        with pytest.raises(Exception, match="needs attention between all tokens"):
            explain(model, image, name)
    (result,) = explain(model, image, "AttnLRP")
    assert result.panels[0].array.shape == (made.SIDE, made.SIDE)


def test_rollout_by_hand() -> None:
    first, second = np.array([[0.2, 0.8], [1, 0]]), np.array([[[0.5, 0.5], [0, 1]], [[0.1, 0.9], [0.4, 0.6]]])
    mixed = [(block + np.eye(2)) / 2 for block in (first, second.mean(axis=0))]
    expected = mixed[1] @ mixed[0]
    weights = [first[None].astype(np.float32), second.astype(np.float32)]
    np.testing.assert_allclose(rollout(weights, [0]), expected[0], atol=1e-7)
    np.testing.assert_allclose(rollout(weights, [0, 1]), expected.mean(axis=0), atol=1e-7)
    pooling = np.array([[[0.3, 0.7]]], np.float32)
    np.testing.assert_allclose(rollout([*weights, pooling], [0, 1]), np.array([0.3, 0.7]) @ expected, atol=1e-7)


def test_gradient_attention_by_hand() -> None:
    drawn = np.random.default_rng(0)
    weights = [drawn.random((2, 3, 3), np.float32) for _ in range(2)]
    gradients = [drawn.normal(size=(2, 3, 3)).astype(np.float32) for _ in range(2)]
    parts = [np.maximum(w * g, 0).mean(axis=0) for w, g in zip(weights, gradients, strict=True)]
    whole = (np.eye(3) + parts[1]) @ (np.eye(3) + parts[0])
    np.testing.assert_allclose(gradient_attention(weights, gradients, [1]), (whole - np.eye(3))[1], atol=1e-6)
    pooling, there = np.array([[[0.3, 0.6, 0.1]]], np.float32), np.array([[[1, -1, 2]]], np.float32)
    found = gradient_attention([*weights, pooling], [*gradients, there], [0, 1, 2])
    np.testing.assert_allclose(found, np.array([0.3, 0, 0.2]) @ whole, atol=1e-6)


def test_tokens_that_stand_out() -> None:
    maps = np.random.default_rng(0).normal(size=(7, 7, 32)).astype(np.float32)
    assert standing_out(maps) == 0
    maps[2, 3] *= 6
    maps[5, 5] *= 6
    assert standing_out(maps) == 2
    # Seven more are not a few.
    maps[0] *= 6
    assert standing_out(maps) == 0


def test_tokens_that_stand_out_are_told(reading: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def notes(name: str) -> str:
        (result,) = explain(reading, with_patch(*DECOY_AT), name)
        return result.panels[0].note

    # One patch is red, and all others are grey: its token has by far the largest norm.
    for name in ("GradCAM", "ScoreCAM", "AttentionRollout", "TransformerAttribution"):
        assert "One token has a norm of more than 3 times the median" in notes(name)
    monkeypatch.setattr("picasso.attribution.attention.FEW", 0)
    assert "norm" not in notes("GradCAM")


def test_sums_over_cells() -> None:
    pixels = np.arange(24, dtype=np.float32).reshape(4, 6)
    grid = TokenGrid(6, 0, 2, 3, Place((1.0, 1.0), (2.0, 2.0)))
    expected = pixels.reshape(2, 2, 3, 2).sum(axis=(1, 3))
    np.testing.assert_array_equal(by_cell(pixels, grid), expected)
    turned = TokenGrid(6, 0, 3, 2, Place((1.0, 1.0), (2.0, 2.0), transposed=True))
    np.testing.assert_array_equal(by_cell(pixels, turned), expected.T)
    flipped = replace(grid, place=Place((3.0, 1.0), (-2.0, 2.0)))
    np.testing.assert_array_equal(by_cell(pixels, flipped), expected[::-1])
    with pytest.raises(ValueError, match="not known"):
        by_cell(pixels, replace(grid, place=None))
