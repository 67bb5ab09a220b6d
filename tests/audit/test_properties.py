"""Properties: an edit reaches the target value, and the original value changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from picasso.audit.properties import PROPERTIES, Images, Property
from picasso.audit.properties.base import found


def photographs(channels: int = 3, count: int = 6, size: tuple[int, int] = (24, 32)) -> Images:
    """Return smooth images with noise, which differ in brightness, contrast and colour."""
    generator = np.random.default_rng(0)
    rough = generator.random((count, *size, channels))
    smooth = ndimage.gaussian_filter(rough, (0, 3, 3, 0))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    gains = generator.uniform(0.5, 1, (count, 1, 1, channels))
    return np.asarray(np.clip(0.15 + 0.6 * smooth * gains + 0.01 * rough, 0, 1), np.float32)


@pytest.mark.parametrize("of", PROPERTIES, ids=lambda one: one.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_wanted_value_is_what_is_measured_afterwards(of: Property, channels: int) -> None:
    if of.coloured and channels == 1:
        pytest.skip("grey images have no colours")
    images = photographs(channels)
    own = of.measure(images)
    # The values of the other images, from the smallest to the largest.
    wanted = np.sort(own)[::-1] if of.name != "noise" else own + np.linspace(0, 0.05, len(own))
    edited = of.edit(images, wanted)
    assert edited.dtype == np.float32
    assert edited.min() >= 0
    assert edited.max() <= 1
    reached = of.measure(edited)
    np.testing.assert_allclose(reached, wanted, atol=0.02 * max(float(np.ptp(own)), 0.02))


@pytest.mark.parametrize("of", PROPERTIES, ids=lambda one: one.name)
def test_ones_own_value_changes_nothing(of: Property) -> None:
    images = photographs()
    np.testing.assert_array_equal(of.edit(images, of.measure(images)), images)


@pytest.mark.parametrize("of", PROPERTIES, ids=lambda one: one.name)
def test_what_cannot_be_had_ends_at_the_border(of: Property) -> None:
    images = photographs()
    for far in (-1e6, 1e6):
        assert np.isfinite(of.edit(images, np.full(len(images), far))).all()


def test_brightness_is_known() -> None:
    (brightness,) = (one for one in PROPERTIES if one.name == "brightness")
    grey = np.full((1, 4, 4, 3), 0.25, np.float32)
    assert brightness.measure(grey)[0] == pytest.approx(0.25, abs=1e-6)
    np.testing.assert_allclose(brightness.edit(grey, np.array([0.75])), 0.75, atol=1e-4)


def test_strengths_are_found_on_curves_steps_and_up_to_the_border() -> None:
    def measured(strengths: np.ndarray) -> np.ndarray:
        curves = [strengths[0] ** 3, np.exp(4 * strengths[1]), np.floor(5 * strengths[2]), strengths[3], strengths[4]]
        return np.array(curves, np.float64)

    own, wanted = measured(np.zeros(5)), np.array([-0.125, np.exp(3), 2.0, 7.0, 0.0])
    strengths = found(measured, own, wanted)
    np.testing.assert_allclose(strengths[[0, 1, 3, 4]], [-0.5, 0.75, 1, 0], atol=2e-3)
    # Any strength whose value is the target.
    assert 0.4 <= strengths[2] < 0.6
