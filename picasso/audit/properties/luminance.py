"""Luminance properties: brightness, contrast and the direction of light."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from picasso.audit.properties.base import Change, Images, Values, clipped, gain, light, per_image


def brightness(images: Images) -> Values:
    """Return the mean luminance."""
    return np.asarray(light(images).mean(axis=(1, 2)), np.float64)


def brighten(images: Images) -> Change:
    """Multiply or divide all values by up to sixteen, as more or less light would: black stays black.

    Adding a constant would veil the image, and a model that is robust to weather need not be robust to a veil.
    """
    return lambda strength: clipped(images * per_image(np.power(16.0, strength)))


def contrast(images: Images) -> Values:
    """Return the standard deviation of the luminance."""
    return np.asarray(light(images).std(axis=(1, 2)), np.float64)


def spread(images: Images) -> Change:
    """Stretch the luminance about its mean, by up to five times, or compress it."""
    mean = per_image(brightness(images))
    return lambda strength: clipped(mean + (images - mean) * gain(strength))


def from_side(axis: int) -> Callable[[Images], Values]:
    """Return a measure of the direction of light along an axis (1: from below, 2: from the right)."""

    def slope(images: Images) -> Values:
        """Return the slope of the luminance relative to its mean: 1 if it rises from zero, -1 if it falls to zero."""
        profile = light(images).mean(axis=3 - axis, dtype=np.float64)
        ramp = np.linspace(-1, 1, profile.shape[1])
        return np.asarray((profile @ ramp) / (ramp @ ramp) / (0.02 + profile.mean(axis=1)))

    return slope


def lit_from(axis: int) -> Callable[[Images], Change]:
    """Return a change that multiplies values by a ramp along an axis, from up to 4 at one end to 1/4 at the other."""

    def change(images: Images) -> Change:
        ramp = np.linspace(-1, 1, images.shape[axis])
        ramp = ramp.reshape([-1 if one == axis else 1 for one in range(4)])
        return lambda strength: clipped(
            np.asarray(images * np.power(4.0, np.asarray(strength)[:, None, None, None] * ramp), np.float32)
        )

    return change
