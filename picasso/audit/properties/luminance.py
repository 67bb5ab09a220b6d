"""How light an image is, and of how much contrast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from picasso.audit.properties.base import Change, Images, Values, clipped, gain, light, per_image


def brightness(images: Images) -> Values:
    """Return the mean light."""
    return np.asarray(light(images).mean(axis=(1, 2)), np.float64)


def brighten(images: Images) -> Change:
    """Multiply all light by up to sixteen, or divide it, as more or less of it would: black stays black.

    Adding the same light everywhere veils an image, and a model that knows all weathers may not see through a veil.
    """
    return lambda strength: clipped(images * per_image(np.power(16.0, strength)))


def contrast(images: Images) -> Values:
    """Return the standard deviation of the light."""
    return np.asarray(light(images).std(axis=(1, 2)), np.float64)


def spread(images: Images) -> Change:
    """Stretch the light about its mean, by up to five times, or press it together."""
    mean = per_image(brightness(images))
    return lambda strength: clipped(mean + (images - mean) * gain(strength))


def from_side(axis: int) -> Callable[[Images], Values]:
    """Return what measures from which side light falls, along an axis (1: from below, 2: from the right)."""

    def slope(images: Images) -> Values:
        """Return the slope of the light beside its mean: 1 where it rises from nothing, -1 where it falls."""
        profile = light(images).mean(axis=3 - axis, dtype=np.float64)
        ramp = np.linspace(-1, 1, profile.shape[1])
        return np.asarray((profile @ ramp) / (ramp @ ramp) / (0.02 + profile.mean(axis=1)))

    return slope


def lit_from(axis: int) -> Callable[[Images], Change]:
    """Return what multiplies light by a ramp along an axis, of up to four at one end and a quarter at the other."""

    def change(images: Images) -> Change:
        ramp = np.linspace(-1, 1, images.shape[axis])
        ramp = ramp.reshape([-1 if one == axis else 1 for one in range(4)])
        return lambda strength: clipped(
            np.asarray(images * np.power(4.0, np.asarray(strength)[:, None, None, None] * ramp), np.float32)
        )

    return change
