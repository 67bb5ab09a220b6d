"""Interventions on the object that should not matter: its position, size and colour.

The position of the object is unknown; it is assumed to be where the model looks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.extent import CORE
from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator, any_of, quantile_match
from picasso.audit.properties import Images, Maps, Values, light

# The largest shift of an image, as a fraction of its side.
FARTHEST = 0.4
# The smallest distance of the positions, relative to the spread of attention, which may cover parts of one object.
APART = 0.8
# The factor by which images are enlarged and the control is shrunk, or the reverse.
ZOOM = 1.25


class Position(Intervention):
    """Shift images so that the model's attention lies where it does in images of the other class.

    Args:
        axis: 0 to shift vertically, 1 to shift horizontally.
    """

    kind = "object"

    def __init__(self, axis: int) -> None:
        self.axis, self.name = axis, ("vertical position", "horizontal position")[axis]

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Match the ranks of the centres of attention; return None if they hardly differ.

        The control is an equal shift along the other axis: as pixels that leave on one side enter on the other, an
        equal shift the other way could end in the same place.
        """
        ours, theirs = (centres(maps, self.axis) for maps in case.attention())
        wide = max(float(spreads(maps).mean()) for maps in case.attention())
        if abs(float(theirs.mean() - ours.mean())) < APART * wide:
            return None
        most = FARTHEST * case.size[self.axis]
        there = np.clip(quantile_match(ours, theirs) - ours, -most, most)
        core, _ = case.objects(CORE)
        return InterventionResult(
            moved(case.ours, there, self.axis),
            moved(case.ours, there * case.size[1 - self.axis] / case.size[self.axis], 1 - self.axis),
            region=core[..., 0] >= 0.5,
            region_after=moved(core, there, self.axis)[..., 0] >= 0.5,
        )

    def words(self, case: ImagePair) -> str:
        """Describe the average shift."""
        ours, theirs = (float(centres(maps, self.axis).mean()) for maps in case.attention())
        where = (("up", "down"), ("left", "right"))[self.axis][theirs > ours]
        return f"shifting {{a}} images {where} to match the attention in {{b}} images"


class Size(Intervention):
    """Enlarge or shrink images, in the direction in which those of the other class differ.

    The control is the opposite: enlarging loses the borders and shrinking loses detail, so neither is compared with an
    unchanged image.
    """

    kind, name, floor = "object", "object size", 0.20

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Enlarge images if attention is wider in the images of the other class; else shrink them."""
        mine, _ = case.attention()
        factor = ZOOM if self.larger(case) else 1 / ZOOM
        middles = np.stack([centres(mine, axis) for axis in (0, 1)], axis=1)
        core, _ = case.objects(CORE)
        return InterventionResult(
            zoomed(case.ours, factor, middles),
            zoomed(case.ours, 1 / factor, middles),
            region=core[..., 0] >= 0.5,
            region_after=zoomed(core, factor, middles)[..., 0] >= 0.5,
        )

    def larger(self, case: ImagePair) -> bool:
        """Tell whether attention is wider in the images of the other class."""
        ours, theirs = (spreads(maps).mean() for maps in case.attention())
        return bool(theirs > ours)

    def words(self, case: ImagePair) -> str:
        """Describe the direction."""
        enlarging = "enlarging {a} images (control: shrinking them)"
        return enlarging if self.larger(case) else "shrinking {a} images (control: enlarging them)"


class ObjectColour(Intervention):
    """Give the most attended region its colour in another image; its luminance and the rest stay."""

    kind, name = "object", "object colour"

    def fits(self, images: Images) -> bool:
        """Tell whether the images have colours."""
        return bool(np.ptp(images, axis=-1).max() > 0)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Take the colour from an image of the other class; for the control, change it as much the other way."""
        mine, other = case.objects(CORE)
        own, theirs = colours(case.ours, mine), colours(case.theirs, other)
        ratio = np.asarray(theirs[any_of(len(theirs), len(own), generator)] / own, np.float32)
        towards, control = (coloured(case.ours, mine, factors) for factors in (ratio, np.float32(1) / ratio))
        return InterventionResult(towards, control, region=mine[..., 0] >= 0.5)

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        return "giving the most attended region of {a} images its colour in {b} images"


def centres(maps: Maps, axis: int) -> Values:
    """Return the centre of attention in pixels, ``(n,)``; weights are squared, so that peaks dominate."""
    along = (maps.astype(np.float64) ** 2).sum(axis=2 - axis)
    return np.asarray((along * np.arange(along.shape[1])).sum(axis=1) / along.sum(axis=1))


def spreads(maps: Maps) -> Values:
    """Return the spread of attention around its centre in pixels, ``(n,)``."""
    weights = maps.astype(np.float64) ** 2
    weights /= weights.sum(axis=(1, 2), keepdims=True)
    rows, columns = np.mgrid[: maps.shape[1], : maps.shape[2]]
    off = (rows - centres(maps, 0)[:, None, None]) ** 2 + (columns - centres(maps, 1)[:, None, None]) ** 2
    return np.asarray(np.sqrt((weights * off).sum(axis=(1, 2))))


def moved(images: Images, ways: Values, axis: int) -> Images:
    """Return images shifted by whole pixels along an axis, with wrap-around.

    Mirroring at the border would show an object near it twice.
    """
    length = images.shape[1 + axis]
    places = (np.arange(length)[None] - np.round(ways).astype(np.intp)[:, None]) % length
    shape = [len(images), 1, 1, 1]
    shape[1 + axis] = length
    return np.take_along_axis(images, places.reshape(shape), axis=1 + axis)


def zoomed(images: Images, factor: float, middles: NDArray[np.float64]) -> Images:
    """Return each image enlarged about its own point, ``(n, 2)``; pixels from outside are mirrored."""
    found = np.empty_like(images)
    for image, middle, place in zip(images, middles, found, strict=True):
        for channel in range(image.shape[2]):
            place[..., channel] = ndimage.affine_transform(
                image[..., channel], [1 / factor] * 2, middle - middle / factor, order=1, mode="mirror"
            )
    return found


def colours(images: Images, cover: Images) -> Images:
    """Return the mean colour within a mask, as factors of its luminance, ``(n, 3)``."""
    mean = (images * cover).sum(axis=(1, 2)) / cover.sum(axis=(1, 2)) + 0.05
    return np.asarray(mean / light(mean[:, None, None])[:, 0])


def coloured(images: Images, cover: Images, factors: Images) -> Images:
    """Return images whose channels are multiplied within a mask."""
    return np.clip(images * (1 + cover * (factors[:, None, None] - 1)), 0, 1)
