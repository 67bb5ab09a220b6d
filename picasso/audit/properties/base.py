"""Properties of images that a model may rely on: each can be measured, and edited to a target value.

Images are arrays ``(N, H, W, C)`` of float32 from 0 to 1, C being 1 or 3. An edit has a single strength per
image, which is found by bisection: the measured value of the result is as close to the target as is possible within
0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Images = NDArray[np.float32]
Values = NDArray[np.float64]
# Attribution maps, (N, H, W); each sums to 1.
Maps = NDArray[np.float32]
Change = Callable[[Values], Images]

# The weights of red, green and blue in the luminance (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# The number of bisection steps; they narrow the strength to less than a ten-thousandth of its range.
HALVINGS = 14
# The number of values that are edited at once, to bound the memory: an edit needs several copies of them.
BATCH_VALUES = 4_000_000
# Changes of a property by less than this fraction of its range are ignored.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Property:
    """A property of an image.

    Attributes:
        name: the name of the property.
        more, less: adjectives for images with a larger or a smaller value.
        measure: returns the value of each image, ``(N,)``.
        change: returns, for images, a function of their strengths, ``(N,)``, from -1 to 1, which returns the changed
            images; 0 changes nothing, and the value grows with the strength.
        coloured: whether it is a property of colours, which greyscale images don't have.
        detail: whether it is a property of fine detail; see :class:`picasso.audit.interventions.Intervention`.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.properties import Property
        >>> def mean(images):
        ...     return images.mean(axis=(1, 2, 3), dtype=np.float64)
        >>> def shift(images):
        ...     return lambda strengths: (images + strengths[:, None, None, None]).clip(0, 1).astype(np.float32)
        >>> level = Property("level", "lighter", "darker", mean, shift)
        >>> edited = level.edit(np.zeros((2, 8, 8, 1), np.float32), np.array([0.25, 0.5]))
        >>> level.measure(edited).round(3).tolist()
        [0.25, 0.5]
    """

    name: str
    more: str
    less: str
    measure: Callable[[Images], Values]
    change: Callable[[Images], Change]
    coloured: bool = False
    detail: bool = False

    def edit(self, images: Images, wanted: Values) -> Images:
        """Return the images with values as close to the targets, ``(N,)``, as possible."""
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
    """Return one value per image in a shape that broadcasts to images."""
    return np.asarray(values, np.float32)[:, None, None, None]


def light(images: Images) -> Images:
    """Return the luminance of each pixel, ``(N, H, W)``."""
    return np.asarray(images @ LUMA if images.shape[-1] == 3 else images[..., 0])


def clipped(images: Images) -> Images:
    """Return images with values clipped to 0..1."""
    return np.clip(images, 0, 1)


def blurred(images: Images, sigma: float) -> Images:
    """Return images blurred by a Gaussian; ``sigma`` is in pixels."""
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest"))


def gain(strength: Values) -> Images:
    """Return a factor from 0 to 5 that is 1 at strength 0."""
    return per_image(np.where(strength > 0, 1 + 4 * strength, 1 + strength))
