"""The similarity of feature maps, and its gradient against differences."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.attribution.diversity import Diverse, similarity
from picasso.attribution.objectives import MapSum, TargetScore
from picasso.examples.brightness import BrightnessModel
from picasso.targets import ClassLogit


def plain(maps: np.ndarray) -> float:
    """The mean cosine of all pairs of Gram matrices, as it is defined."""
    grams = [np.sum([np.outer(cell, cell) for cell in one.reshape(-1, maps.shape[-1])], axis=0) for one in maps]
    cosines = [
        float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))
        for index, one in enumerate(grams)
        for other in grams[:index]
    ]
    return float(np.mean(cosines))


@pytest.mark.parametrize("shape", [(2, 1, 3, 2, 4), (3, 2, 2, 2, 5), (4, 1, 1, 1, 2)])
def test_it_is_the_mean_cosine_of_gram_matrices(shape: tuple[int, ...]) -> None:
    maps = np.random.default_rng(0).normal(size=shape)
    found, gradient = similarity(maps)
    assert found == pytest.approx(plain(maps), abs=1e-12)
    assert gradient.shape == shape
    expected = np.zeros(shape)
    for place in np.ndindex(*shape):
        step = np.zeros(shape)
        step[place] = 1e-6
        expected[place] = (plain(maps + step) - plain(maps - step)) / 2e-6
    np.testing.assert_allclose(gradient, expected, atol=1e-8)


def test_known_similarities() -> None:
    maps = np.zeros((2, 1, 2, 2, 2))
    maps[0, ..., 0] = 3
    maps[1, ..., 1] = 0.5
    assert similarity(maps)[0] == 0
    # Neither the strength nor the place counts.
    maps[1] = 0
    maps[1, 0, 1, 1, 0] = 7
    found, gradient = similarity(maps)
    assert found == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(gradient, 0, atol=1e-12)
    assert similarity(np.zeros((2, 1, 2, 2, 2)))[0] == 0
    assert np.isfinite(similarity(np.zeros((2, 1, 2, 2, 2)))[1]).all()


@pytest.mark.parametrize("of_channel", [True, False])
def test_the_gradient_of_diverse_images(of_channel: bool) -> None:
    model = BrightnessModel()
    model.load(channels=3)
    layer = model.layers()[0]
    objective = MapSum(model, layer, {0: 2.0}) if of_channel else TargetScore(model, ClassLogit("1", "bright", 1))
    diverse = Diverse(model, objective, layer.name, strength=0.7, count=2)
    inputs = np.random.default_rng(1).random((4, 8, 8, 3)).astype(np.float32)
    # Two parts of each of two images.
    scale = abs(float(objective.values(inputs).mean()))
    _, slopes = similarity(inputs.reshape(2, 2, 8, 8, 3))
    expected = objective.gradients(inputs) - 0.7 * scale * 4 * slopes.reshape(inputs.shape)
    np.testing.assert_allclose(diverse.gradients(inputs), expected, atol=1e-6)
    np.testing.assert_array_equal(diverse.values(inputs), objective.values(inputs))
    alone = Diverse(model, objective, layer.name, strength=0, count=2)
    np.testing.assert_array_equal(alone.gradients(inputs), objective.gradients(inputs))
