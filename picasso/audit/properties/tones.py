"""How light a picture is, and of how much contrast."""

from __future__ import annotations

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
