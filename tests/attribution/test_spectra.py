"""Images as spectra: gradients against finite differences, and the statistics that an image has."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.attribution import spectra
from picasso.attribution.spectra import Parametrization, Phases, Spectrum, Waves, sigmoid

SHAPES = [(8, 8, 1), (9, 7, 3), (6, 11, 3), (1, 5, 1)]


def photograph(shape: tuple[int, int, int]) -> np.ndarray:
    """Smooth noise in correlated colours, 0.2..0.8."""
    random = np.random.default_rng(5)
    noise = np.cumsum(np.cumsum(random.normal(size=shape), axis=0), axis=1)
    noise += 2 * noise.mean(axis=2, keepdims=True)
    low, high = noise.min(), noise.max()
    return np.asarray(0.2 + 0.6 * (noise - low) / (high - low))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [Phases, Waves])
@pytest.mark.parametrize("natural", [True, False])
def test_gradients_are_finite_differences(
    shape: tuple[int, int, int], kind: type[Parametrization], natural: bool
) -> None:
    image = kind(Spectrum.natural(shape) if natural else Spectrum.of(photograph(shape)))
    random = np.random.default_rng(0)
    parameters, uphill = image.start(random), random.normal(size=shape)
    gradient = image.gradient(parameters, image.pixels(parameters), uphill)
    for _ in range(5):
        direction = random.normal(size=parameters.shape)
        step = 1e-5 * direction
        difference = (uphill * (image.pixels(parameters + step) - image.pixels(parameters - step))).sum() / 2e-5
        assert (gradient * direction).sum() == pytest.approx(difference, rel=1e-6, abs=1e-9)


def test_photographs_have_strengths_that_fall_with_the_frequency() -> None:
    spectrum = Spectrum.natural((32, 32, 3))
    frequencies = spectra.frequencies(32, 32)
    inner = frequencies > 0
    products = spectrum.strengths[:, inner] * frequencies[inner]
    np.testing.assert_allclose(products, products[0, 0])
    assert (spectrum.strengths[:, 0, 0] == 0).all()
    images = np.stack([np.fft.irfft2(Phases(spectrum).coefficients(start), (32, 32)) for start in starts(spectrum)])
    # In the first and the last column two coefficients are one wave; with random phases they partly cancel out.
    assert images.std() == pytest.approx(spectra.CONTRAST, rel=0.05)
    assert np.abs(images.mean(axis=(2, 3))).max() < 1e-12


def starts(spectrum: Spectrum, count: int = 20) -> list[np.ndarray]:
    return [Phases(spectrum).start(np.random.default_rng(seed)) for seed in range(count)]


def test_phases_do_not_change_the_strengths_of_waves() -> None:
    spectrum = Spectrum.natural((8, 10, 1))
    images = (np.fft.irfft2(Phases(spectrum).coefficients(start), (8, 10)) for start in starts(spectrum, 2))
    one, other = (np.abs(np.fft.rfft2(image)) for image in images)
    # In the first and the last column two coefficients are one wave, whose phases must be opposite.
    np.testing.assert_allclose(one[:, :, 1:-1], spectrum.strengths[:, :, 1:-1], atol=1e-12)
    np.testing.assert_allclose(other[:, :, 1:-1], spectrum.strengths[:, :, 1:-1], atol=1e-12)


def test_the_statistics_of_an_image_are_kept() -> None:
    pixels = photograph((32, 48, 3))
    before = np.log(pixels / (1 - pixels)).reshape(-1, 3)
    spectrum = Spectrum.of(pixels)
    np.testing.assert_allclose(spectrum.mean, before.mean(axis=0))
    np.testing.assert_allclose(spectrum.colours @ spectrum.colours.T, np.cov(before.T, bias=True), atol=1e-9)
    rows = [np.log(made / (1 - made)).reshape(-1, 3) for made in map(Phases(spectrum).pixels, starts(spectrum, 40))]
    np.testing.assert_allclose(np.mean([row.mean(axis=0) for row in rows], axis=0), spectrum.mean, atol=1e-6)
    covariance = np.cov(before.T, bias=True)
    np.testing.assert_allclose(
        np.mean([np.cov(row.T, bias=True) for row in rows], axis=0), covariance, atol=0.15 * covariance.max()
    )


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_plain_images_have_a_spectrum(value: float) -> None:
    spectrum = Spectrum.of(np.full((6, 7, 3), value))
    assert np.isfinite(spectrum.strengths).all()
    made = Phases(spectrum).pixels(starts(spectrum, 1)[0])
    np.testing.assert_allclose(made, np.clip(value, spectra.MARGIN, 1 - spectra.MARGIN), atol=1e-6)


def test_the_sigmoid_does_not_overflow() -> None:
    with np.errstate(all="raise"):
        np.testing.assert_allclose(sigmoid(np.array([-1e4, 0.0, 1e4, np.log(3)])), [0, 0.5, 1, 0.75])
