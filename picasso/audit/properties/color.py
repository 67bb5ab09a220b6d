"""Which colours a picture has, and how much of them."""

from __future__ import annotations

import numpy as np

from picasso.audit.properties.base import Change, Pictures, Values, clipped, gain, light


def warmth(pictures: Pictures) -> Values:
    """Return how much more red than blue there is, beside all light."""
    red, _, blue = np.moveaxis(pictures.mean(axis=(1, 2), dtype=np.float64), -1, 0)
    return np.asarray((red - blue) / (0.05 + pictures.mean(axis=(1, 2, 3), dtype=np.float64)))


def warm(pictures: Pictures) -> Change:
    """Multiply red and divide blue."""
    return lambda strength: clipped(pictures * gains(strength, [1, 0, -1]))


def gains(strength: Values, channels: list[float]) -> Pictures:
    """Return a factor for each channel, from a quarter to four."""
    return np.asarray(np.power(4.0, np.outer(strength, channels)), np.float32)[:, None, None, :]


def greenness(pictures: Pictures) -> Values:
    """Return how much more green than red and blue there is, beside all light."""
    red, green, blue = np.moveaxis(pictures.mean(axis=(1, 2), dtype=np.float64), -1, 0)
    return np.asarray((green - (red + blue) / 2) / (0.05 + pictures.mean(axis=(1, 2, 3), dtype=np.float64)))


def make_green(pictures: Pictures) -> Change:
    """Multiply green and divide red and blue."""
    return lambda strength: clipped(pictures * gains(strength, [-0.5, 1, -0.5]))


def saturation(pictures: Pictures) -> Values:
    """Return the mean difference of the largest and the smallest channel."""
    return np.asarray(np.ptp(pictures, axis=-1).mean(axis=(1, 2)), np.float64)


def saturate(pictures: Pictures) -> Change:
    """Take colours away from grey, by up to five times, or towards it."""
    grey = light(pictures)[..., None]
    return lambda strength: clipped(grey + (pictures - grey) * gain(strength))
