"""How light a picture is, and of how much contrast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from picasso.audit.properties.base import Change, Pictures, Values, clipped, gain, light, per_picture


def brightness(pictures: Pictures) -> Values:
    """Return the mean light."""
    return np.asarray(light(pictures).mean(axis=(1, 2)), np.float64)


def brighten(pictures: Pictures) -> Change:
    """Multiply all light by up to sixteen, or divide it, as more or less of it would: black stays black.

    Adding the same light everywhere veils a picture, and a model that knows all weathers may not see through a veil.
    """
    return lambda strength: clipped(pictures * per_picture(np.power(16.0, strength)))


def contrast(pictures: Pictures) -> Values:
    """Return the standard deviation of the light."""
    return np.asarray(light(pictures).std(axis=(1, 2)), np.float64)


def spread(pictures: Pictures) -> Change:
    """Stretch the light about its mean, by up to five times, or press it together."""
    mean = per_picture(brightness(pictures))
    return lambda strength: clipped(mean + (pictures - mean) * gain(strength))


def from_side(axis: int) -> Callable[[Pictures], Values]:
    """Return what measures from which side light falls, along an axis (1: from below, 2: from the right)."""

    def slope(pictures: Pictures) -> Values:
        """Return the slope of the light beside its mean: 1 where it rises from nothing, -1 where it falls."""
        profile = light(pictures).mean(axis=3 - axis, dtype=np.float64)
        ramp = np.linspace(-1, 1, profile.shape[1])
        return np.asarray((profile @ ramp) / (ramp @ ramp) / (0.02 + profile.mean(axis=1)))

    return slope


def lit_from(axis: int) -> Callable[[Pictures], Change]:
    """Return what multiplies light by a ramp along an axis, of up to four at one end and a quarter at the other."""

    def change(pictures: Pictures) -> Change:
        ramp = np.linspace(-1, 1, pictures.shape[axis])
        ramp = ramp.reshape([-1 if one == axis else 1 for one in range(4)])
        return lambda strength: clipped(
            np.asarray(pictures * np.power(4.0, np.asarray(strength)[:, None, None, None] * ramp), np.float32)
        )

    return change
