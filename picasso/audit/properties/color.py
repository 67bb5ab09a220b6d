"""Colour properties: warmth, greenness and saturation."""

from __future__ import annotations

import numpy as np

from picasso.audit.properties.base import Change, Images, Values, clipped, gain, light


def warmth(images: Images) -> Values:
    """Return the mean of red minus blue, relative to the mean of all channels."""
    red, _, blue = np.moveaxis(images.mean(axis=(1, 2), dtype=np.float64), -1, 0)
    return np.asarray((red - blue) / (0.05 + images.mean(axis=(1, 2, 3), dtype=np.float64)))


def warm(images: Images) -> Change:
    """Multiply red and divide blue."""
    return lambda strength: clipped(images * gains(strength, [1, 0, -1]))


def gains(strength: Values, channels: list[float]) -> Images:
    """Return a factor for each channel, from a quarter to four."""
    return np.asarray(np.power(4.0, np.outer(strength, channels)), np.float32)[:, None, None, :]


def greenness(images: Images) -> Values:
    """Return the mean of green minus half of red and blue, relative to the mean of all channels."""
    red, green, blue = np.moveaxis(images.mean(axis=(1, 2), dtype=np.float64), -1, 0)
    return np.asarray((green - (red + blue) / 2) / (0.05 + images.mean(axis=(1, 2, 3), dtype=np.float64)))


def make_green(images: Images) -> Change:
    """Multiply green and divide red and blue."""
    return lambda strength: clipped(images * gains(strength, [-0.5, 1, -0.5]))


def saturation(images: Images) -> Values:
    """Return the mean difference between the largest and the smallest channel."""
    # Ten times as fast as a reduction over the last axis.
    red, green, blue = np.moveaxis(images, -1, 0)
    between = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return np.asarray(between.mean(axis=(1, 2)), np.float64)


def saturate(images: Images) -> Change:
    """Move colours away from grey, by up to five times, or towards it."""
    grey = light(images)[..., None]
    return lambda strength: clipped(grey + (images - grey) * gain(strength))
