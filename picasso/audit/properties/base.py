"""Properties of images that a model may take for the thing: each is measured, and edited to a wanted value.

Images are arrays ``(N, H, W, C)`` of float32 from 0 to 1, C being 1 or 3. An edit changes an image by one strength,
which is found by bisection, so that measuring the result gives the value that was wanted as nearly as it can be had
without leaving 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Images = NDArray[np.float32]
Values = NDArray[np.float64]
# Where a model looks, (N, H, W); each sums to 1.
Maps = NDArray[np.float32]
Change = Callable[[Values], Images]

# The weights of red, green and blue in the light that people see (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# How often the range of an edit's strength is halved: to less than a ten-thousandth of it.
HALVINGS = 14
# So many values are edited at once, to bound the memory: an edit holds several copies of them.
BATCH_VALUES = 4_000_000
# A change of a property by less than this part of its range is none.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Property:
    """A property of an image.

    Attributes:
        name: what it is called.
        more, less: how an image with more, or less, of it is called.
        measure: returns its value for each image, ``(N,)``.
        change: returns, for images, what changes them by a strength each, ``(N,)``, from -1 to 1; 0 changes nothing,
            and the value grows with the strength.
        coloured: whether it is one of colours, which grey images do not have.
    """

    name: str
    more: str
    less: str
    measure: Callable[[Images], Values]
    change: Callable[[Images], Change]
    coloured: bool = False

    def edit(self, images: Images, wanted: Values) -> Images:
        """Return the images with values as near to the wanted ones, ``(N,)``, as they can have."""
        own = self.measure(images)
        wanted = np.where(np.abs(wanted - own) <= TOLERANCE * max(1e-9, float(np.ptp(own))), own, wanted)
        size = max(1, BATCH_VALUES // images[0].size)
        parts = [slice(start, start + size) for start in range(0, len(images), size)]
        return np.concatenate([self._edit(images[part], own[part], wanted[part]) for part in parts])

    def _edit(self, images: Images, own: Values, wanted: Values) -> Images:
        changed, up = self.change(images), wanted > own
        low, high = np.where(up, 0.0, -1.0), np.where(up, 1.0, 0.0)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self.measure(changed(middle)) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        strength = np.where(wanted == own, 0.0, (low + high) / 2)
        return np.where((strength == 0)[:, None, None, None], images, changed(strength)).astype(np.float32)


def per_image(values: Values) -> Images:
    """Return one number for each image in a shape that multiplies images."""
    return np.asarray(values, np.float32)[:, None, None, None]


def light(images: Images) -> Images:
    """Return how light each pixel is, ``(N, H, W)``."""
    return np.asarray(images @ LUMA if images.shape[-1] == 3 else images[..., 0])


def clipped(images: Images) -> Images:
    """Return images whose values lie in 0..1."""
    return np.clip(images, 0, 1)


def blurred(images: Images, sigma: float) -> Images:
    """Return images blurred by a Gaussian of some pixels."""
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest"))


def gain(strength: Values) -> Images:
    """Return a factor from 0 to 5, that is 1 where the strength is 0."""
    return per_image(np.where(strength > 0, 1 + 4 * strength, 1 + strength))
