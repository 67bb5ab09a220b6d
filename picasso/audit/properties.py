"""Properties of pictures that a model may take for the thing: each is measured, and edited to a wanted value.

Pictures are arrays ``(N, H, W, C)`` of float32 from 0 to 1, C being 1 or 3. An edit changes a picture by one strength,
which is found by bisection, so that measuring the result gives the value that was wanted as nearly as it can be had
without leaving 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Pictures = NDArray[np.float32]
Values = NDArray[np.float64]
Change = Callable[[Values], Pictures]

# The weights of red, green and blue in the light that people see (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# How often the range of an edit's strength is halved: to less than a ten-thousandth of it.
HALVINGS = 14
# A change of a property by less than this part of its range is none.
SAME = 1e-3


@dataclass(frozen=True)
class Property:
    """A property of a picture.

    Attributes:
        name: what it is called.
        more, less: how a picture with more, or less, of it is called.
        measure: returns its value for each picture, ``(N,)``.
        change: returns, for pictures, what changes them by a strength each, ``(N,)``, from -1 to 1; 0 changes nothing,
            and the value grows with the strength.
        coloured: whether it is one of colours, which grey pictures do not have.
    """

    name: str
    more: str
    less: str
    measure: Callable[[Pictures], Values]
    change: Callable[[Pictures], Change]
    coloured: bool = False

    def edit(self, pictures: Pictures, wanted: Values) -> Pictures:
        """Return the pictures with values as near to the wanted ones, ``(N,)``, as they can have."""
        own, changed = self.measure(pictures), self.change(pictures)
        up = wanted > own
        low, high = np.where(up, 0.0, -1.0), np.where(up, 1.0, 0.0)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self.measure(changed(middle)) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        strength = np.where(np.abs(wanted - own) <= SAME * max(1e-9, float(np.ptp(own))), 0.0, (low + high) / 2)
        return np.where((strength == 0)[:, None, None, None], pictures, changed(strength)).astype(np.float32)


def per_picture(values: Values) -> Pictures:
    """Return one number for each picture in a shape that multiplies pictures."""
    return np.asarray(values, np.float32)[:, None, None, None]


def light(pictures: Pictures) -> Pictures:
    """Return how light each pixel is, ``(N, H, W)``."""
    return np.asarray(pictures @ LUMA if pictures.shape[-1] == 3 else pictures[..., 0])


def clipped(pictures: Pictures) -> Pictures:
    """Return pictures whose values lie in 0..1."""
    return np.clip(pictures, 0, 1)


# ---- light --------------------------------------------------------------------------------------------------


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


def gain(strength: Values) -> Pictures:
    """Return a factor from 0 to 5, that is 1 where the strength is 0."""
    return per_picture(np.where(strength > 0, 1 + 4 * strength, 1 + strength))


# ---- colour -------------------------------------------------------------------------------------------------


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


# ---- detail -------------------------------------------------------------------------------------------------


def blurred(pictures: Pictures, sigma: float) -> Pictures:
    """Return pictures blurred by a Gaussian of some pixels."""
    return np.asarray(ndimage.gaussian_filter(pictures, (0, sigma, sigma, 0), mode="nearest"))


def sharpness(pictures: Pictures) -> Values:
    """Return how much of the contrast is fine, as a logarithm."""
    seen = light(pictures)
    fine = np.abs(seen - ndimage.gaussian_filter(seen, (0, 1, 1), mode="nearest")).mean(axis=(1, 2), dtype=np.float64)
    return np.asarray(np.log(1e-3 + fine / (1e-2 + seen.std(axis=(1, 2), dtype=np.float64))))


def sharpen(pictures: Pictures) -> Change:
    """Add what a blur takes away, up to four times, or take it away: first of one pixel, then of two."""
    soft, softer = blurred(pictures, 1.0), blurred(pictures, 2.0)

    def changed(strength: Values) -> Pictures:
        weight = per_picture(np.abs(strength))
        sharp = clipped(pictures + 4 * weight * (pictures - soft))
        near = pictures + np.minimum(1, 2 * weight) * (soft - pictures)
        blunt = near + np.maximum(0, 2 * weight - 1) * (softer - soft)
        return np.where(per_picture(strength) > 0, sharp, blunt)

    return changed


def noise(pictures: Pictures) -> Values:
    """Return the noise from pixel to pixel, as a standard deviation.

    The median of second differences, which edges of things hardly change (after Immerkær, 1996).
    """
    seen = pictures.mean(axis=-1)
    twice = seen[:, :-1, :-1] - seen[:, 1:, :-1] - seen[:, :-1, 1:] + seen[:, 1:, 1:]
    return np.asarray(np.median(np.abs(twice).reshape(len(seen), -1), axis=1) / 0.6745 / 2, np.float64)


def roughen(pictures: Pictures) -> Change:
    """Add noise, of up to 0.3, or take it away by a median of nine pixels; the same noise each time."""
    grain = np.random.default_rng(0).standard_normal(pictures.shape, np.float32)
    calm = ndimage.median_filter(pictures, (1, 3, 3, 1), mode="nearest")

    def changed(strength: Values) -> Pictures:
        weight = per_picture(np.abs(strength))
        rough = clipped(pictures + 0.3 * weight * grain)
        return np.where(per_picture(strength) > 0, rough, pictures + weight * (calm - pictures))

    return changed


PROPERTIES = (
    Property("brightness", "brighter", "darker", brightness, brighten),
    Property("contrast", "of more contrast", "of less contrast", contrast, spread),
    Property("warmth", "redder", "bluer", warmth, warm, coloured=True),
    Property("greenness", "greener", "more purple", greenness, make_green, coloured=True),
    Property("saturation", "more colourful", "greyer", saturation, saturate, coloured=True),
    Property("sharpness", "sharper", "more blurred", sharpness, sharpen),
    Property("noise", "noisier", "smoother", noise, roughen),
)
