"""Properties of images that a model may rely on: each can be measured, and edited to a target value.

Images are arrays ``(N, H, W, C)`` of float32 from 0 to 1, C being 1 or 3. An edit has a single strength per
image, which is found by interpolation: the measured value of the result is as close to the target as is possible
within 0..1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
# The largest number of steps to find a strength. It is found when the value is within this fraction of the range of the
# values and targets.
STEPS, PRECISION = 14, 1e-4
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
        (edited,) = self.edits(images, [wanted])
        return edited

    def edits(self, images: Images, wanted: Sequence[Values]) -> list[Images]:
        """Return the images once for each of several arrays of targets."""
        own, size = self.measure(images), max(1, BATCH_VALUES // images[0].size)
        least = TOLERANCE * max(1e-9, float(np.ptp(own)))
        targets = [np.where(np.abs(one - own) <= least, own, one) for one in wanted]
        made: list[list[Images]] = [[] for _ in targets]
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            changed = self.change(images[part])
            for edited, one in zip(made, targets, strict=True):
                strength = found(lambda some, of=changed: self.measure(of(some)), own[part], one[part])  # type: ignore[misc]
                unchanged = (strength == 0)[:, None, None, None]
                edited.append(np.where(unchanged, images[part], changed(strength)).astype(np.float32))
        return [np.concatenate(edited) for edited in made]


def found(measured: Callable[[Values], Values], own: Values, wanted: Values) -> Values:
    """Return the strengths from -1 to 1 at which a measure has the targets; -1 or 1 where it stays short of them.

    False position with the weights of Illinois (Dowell & Jarratt, 1971), for all images at once.

    Args:
        measured: returns the value of each image for its strength, ``(N,)``; it grows with the strength.
        own: the values at strength 0.
        wanted: the targets.
    """
    near, far = np.zeros(len(own)), np.where(wanted > own, 1.0, -1.0)
    # What the values at both ends of the interval lack, halved for an end that stays, so that the next step moves it.
    before, beyond = own - wanted, measured(far) - wanted
    enough = PRECISION * float(np.ptp(np.concatenate([own, wanted])))
    best, side = np.where(before == 0, 0.0, far), np.zeros(len(own))
    within = (np.sign(beyond) == -np.sign(before)) & (np.abs(beyond) > enough)
    for _ in range(STEPS):
        if not within.any():
            break
        middle = (near * beyond - far * before) / np.where(within, beyond - before, 1)
        best = np.where(within, middle, best)
        lacking = measured(best) - wanted
        within &= np.abs(lacking) > enough
        short, last = np.sign(lacking) == np.sign(before), side
        side = np.where(short, 1.0, -1.0)
        stays = np.where(side == last, 0.5, 1.0)
        near, before = np.where(short, middle, near), np.where(short, lacking, before * stays)
        far, beyond = np.where(short, far, middle), np.where(short, beyond * stays, lacking)
    return best


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
