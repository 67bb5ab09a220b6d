"""Gradient ascent: crops against SciPy's interpolation, steps against the formulas of Adam, and known best images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from picasso.attribution.ascent import Ascent, Crops, interpolation
from picasso.attribution.spectra import Parametrization, Phases, Spectrum, Waves


def stripes(side: int = 16) -> np.ndarray:
    """Stripes at 45 degrees of 1 and -1, each 3 pixels wide, with mean 0, ``(side, side, 1)``."""
    rows, columns = np.mgrid[:side, :side]
    found = np.sign(np.sin(2 * np.pi * (rows + columns + 0.5) / 6))[..., None]
    return np.asarray(found - found.mean())


def test_crops_are_bilinear() -> None:
    image = np.random.default_rng(1).random((12, 9, 3))
    crops = Crops.draw(np.random.default_rng(0), 5, (12, 9), smallest=0.3)
    random = np.random.default_rng(0)
    sides = random.uniform(0.3, 1.0, 5)
    starts = random.uniform(0.0, 1.0, (5, 2)) * (1 - sides)[:, None]
    for made, side, (top, left) in zip(crops.of(image), sides, starts, strict=True):
        rows = (top + side * (np.arange(12) + 0.5) / 12) * 12 - 0.5
        columns = (left + side * (np.arange(9) + 0.5) / 9) * 9 - 0.5
        places = np.meshgrid(rows, columns, indexing="ij")
        for channel in range(3):
            expected = ndimage.map_coordinates(image[..., channel], places, order=1, mode="nearest")
            np.testing.assert_allclose(made[..., channel], expected, atol=1e-12)


def test_crops_of_the_whole_image_are_the_image() -> None:
    image = np.random.default_rng(1).random((7, 8, 3))
    crops = Crops.draw(np.random.default_rng(0), 2, (7, 8), smallest=1.0)
    np.testing.assert_allclose(crops.of(image), np.stack([image, image]), atol=1e-12)
    np.testing.assert_array_equal(interpolation(1, 0.0, 1.0), [[1.0]])


def test_the_gradient_of_crops_is_exact() -> None:
    random = np.random.default_rng(2)
    crops = Crops.draw(random, 3, (6, 10), smallest=0.2)
    image, gradients = random.random((6, 10, 2)), random.random((3, 6, 10, 2))
    assert (crops.of(image) * gradients).sum() == pytest.approx((image * crops.backward(gradients)).sum(), rel=1e-12)


def test_steps_are_those_of_adam() -> None:
    uphill = np.random.default_rng(0).normal(size=(6, 6, 1))
    ascent = Ascent(Waves(Spectrum.natural((6, 6, 1))), lambda images: uphill[None], crops=1, smallest=1.0, seed=4)
    image = ascent.image
    parameters = image.start(np.random.default_rng(4))
    np.testing.assert_array_equal(ascent.pixels, image.pixels(parameters))
    mean, square = np.zeros_like(parameters), np.zeros_like(parameters)
    for step in range(1, 8):
        gradient = image.gradient(parameters, image.pixels(parameters), uphill)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        scaled = np.sqrt(square / (1 - 0.999**step))
        parameters = parameters + image.RATE * mean / (1 - 0.9**step) / (scaled + 1e-8 * scaled.max())
        ascent.step()
        np.testing.assert_allclose(ascent.pixels, image.pixels(parameters), atol=1e-12)
    assert ascent.steps == 7
    np.testing.assert_allclose(ascent.attention, 7 * np.abs(uphill[..., 0]))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(
    ("kind", "own", "least"),
    # With fixed strengths, an image has other waves than those of the filter, too.
    [(Waves, True, 0.93), (Waves, False, 0.75), (Phases, True, 0.7), (Phases, False, 0.5)],
)
def test_the_best_image_of_a_filter_is_the_filter(
    kind: type[Parametrization], own: bool, least: float, scale: float
) -> None:
    filter_ = stripes()
    spectrum = Spectrum.of(0.5 + 0.4 * filter_) if own else Spectrum.natural(filter_.shape)
    ascent = Ascent(kind(spectrum), lambda images: np.broadcast_to(scale * filter_, images.shape), 1, 1.0)
    assert abs(np.corrcoef(ascent.pixels.ravel(), filter_.ravel())[0, 1]) < 0.2
    for _ in range(100):
        ascent.step()
    assert np.corrcoef(ascent.pixels.ravel(), filter_.ravel())[0, 1] > least


def test_a_score_that_depends_on_nothing_moves_nothing() -> None:
    ascent = Ascent(Phases(Spectrum.natural((6, 6, 1))), np.zeros_like)
    before = ascent.pixels
    with np.errstate(divide="raise", invalid="raise"):
        ascent.step()
    np.testing.assert_array_equal(ascent.pixels, before)


def test_noise_stays_within_the_pixel_values() -> None:
    seen: list[Any] = []

    def slope(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.zeros_like(images)

    ascent = Ascent(Phases(Spectrum.natural((16, 16, 1))), slope, crops=3, smallest=1.0, noise=0.5)
    ascent.step()
    assert seen[0].shape == (3, 16, 16, 1)
    assert 0 <= seen[0].min() < seen[0].max() <= 1
    assert np.abs(seen[0] - ascent.pixels).mean() > 0.1
