"""The thing itself, in ways that should not matter: where it is, how large, and of which colour.

Where the thing is, is not known; it is taken to be where the model looks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions.background import covers
from picasso.audit.interventions.base import (
    Generator,
    ImagePair,
    Intervention,
    InterventionResult,
    another,
    any_of,
    quantile_match,
    quantile_match_within,
)
from picasso.audit.properties import Images, Maps, Values, light

# The farthest that an image is moved, as a fraction of its side.
FARTHEST = 0.4
# How far apart the places must be, beside how widely the model looks: it may look at this or that part of one thing.
APART = 0.8
# How much of an image, of what the model looks at most, is coloured: it should be the thing and nothing else.
CORE = 0.25
# By how much images are enlarged, and the control made smaller, or the other way round.
ZOOM = 1.25


class Place(Intervention):
    """Move images so that what the model looks at lies where it does in images of the other class.

    Args:
        axis: 0 to move up and down, 1 to move to the sides.
    """

    kind = "thing"

    def __init__(self, axis: int) -> None:
        self.axis, self.name = axis, ("the place down", "the place across")[axis]

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Match the ranks of the middles; None where they hardly differ."""
        ours, theirs = (centres(maps, self.axis) for maps in case.attention())
        wide = max(float(spreads(maps).mean()) for maps in case.attention())
        if abs(float(theirs.mean() - ours.mean())) < APART * wide:
            return None
        most = FARTHEST * case.size[self.axis]
        ways = quantile_match(ours, theirs) - ours, quantile_match_within(ours, generator) - ours
        towards, control = (moved(case.ours, np.clip(way, -most, most), self.axis) for way in ways)
        return InterventionResult(towards, control)

    def words(self, case: ImagePair) -> str:
        """Say where they are moved to on average."""
        ours, theirs = (float(centres(maps, self.axis).mean()) for maps in case.attention())
        where = (("up", "down"), ("left", "right"))[self.axis][theirs > ours]
        return f"moving {{a}} images {where}, to where the model looks in {{b}} images,"


class Size(Intervention):
    """Enlarge images, or make them smaller, in the direction in which those of the other class differ.

    The control is the opposite: enlarging loses what lies at the borders, and making smaller loses detail, so neither
    is compared with an image that is left alone.
    """

    kind, name, floor = "thing", "the size of the thing", 0.20

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Enlarge where what is looked at is wider in the images of the other class."""
        mine, _ = case.attention()
        factor = ZOOM if self.larger(case) else 1 / ZOOM
        middles = np.stack([centres(mine, axis) for axis in (0, 1)], axis=1)
        return InterventionResult(zoomed(case.ours, factor, middles), zoomed(case.ours, 1 / factor, middles))

    def larger(self, case: ImagePair) -> bool:
        """Tell whether theirs is the larger."""
        ours, theirs = (spreads(maps).mean() for maps in case.attention())
        return bool(theirs > ours)

    def words(self, case: ImagePair) -> str:
        """Say in which direction."""
        return f"making {{a}} images {'larger' if self.larger(case) else 'smaller'}, rather than the opposite,"


class ThingColour(Intervention):
    """Give what the model looks at the colour that it has in another image, and leave its light and the rest."""

    kind, name = "thing", "the colour of the thing"

    def fits(self, images: Images) -> bool:
        """Tell whether there are colours."""
        return bool(np.ptp(images, axis=-1).max() > 0)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Take the colour from an image of the other class; for the control, from another one of their own."""
        mine, other = (covers(maps, CORE) for maps in case.attention())
        own, theirs = colours(case.ours, mine), colours(case.theirs, other)
        wanted = theirs[any_of(len(theirs), len(own), generator)], own[another(len(own), generator)]
        towards, control = (coloured(case.ours, mine, one / own) for one in wanted)
        return InterventionResult(towards, control)

    def words(self, case: ImagePair) -> str:
        """Say what is coloured."""
        return "giving what the model looks at in {a} images the colour that it has in {b} images"


def centres(maps: Maps, axis: int) -> Values:
    """Return the mean place of what is looked at, in pixels, ``(n,)``; squared, so that the strongest counts most."""
    along = (maps.astype(np.float64) ** 2).sum(axis=2 - axis)
    return np.asarray((along * np.arange(along.shape[1])).sum(axis=1) / along.sum(axis=1))


def spreads(maps: Maps) -> Values:
    """Return how far from its middle the model looks, in pixels, ``(n,)``."""
    weights = maps.astype(np.float64) ** 2
    weights /= weights.sum(axis=(1, 2), keepdims=True)
    rows, columns = np.mgrid[: maps.shape[1], : maps.shape[2]]
    off = (rows - centres(maps, 0)[:, None, None]) ** 2 + (columns - centres(maps, 1)[:, None, None]) ** 2
    return np.asarray(np.sqrt((weights * off).sum(axis=(1, 2))))


def moved(images: Images, ways: Values, axis: int) -> Images:
    """Return images moved by whole pixels along an axis; what leaves on one side comes in on the other.

    Mirroring at the border would show a thing near it twice.
    """
    length = images.shape[1 + axis]
    places = (np.arange(length)[None] - np.round(ways).astype(np.intp)[:, None]) % length
    shape = [len(images), 1, 1, 1]
    shape[1 + axis] = length
    return np.take_along_axis(images, places.reshape(shape), axis=1 + axis)


def zoomed(images: Images, factor: float, middles: NDArray[np.float64]) -> Images:
    """Return images enlarged about a point each, ``(n, 2)``; what comes in from outside is mirrored."""
    found = np.empty_like(images)
    for image, middle, place in zip(images, middles, found, strict=True):
        for channel in range(image.shape[2]):
            place[..., channel] = ndimage.affine_transform(
                image[..., channel], [1 / factor] * 2, middle - middle / factor, order=1, mode="mirror"
            )
    return found


def colours(images: Images, cover: Images) -> Images:
    """Return the mean colour under a cover, as factors of the light, ``(n, 3)``."""
    mean = (images * cover).sum(axis=(1, 2)) / cover.sum(axis=(1, 2)) + 0.05
    return np.asarray(mean / light(mean[:, None, None])[:, 0])


def coloured(images: Images, cover: Images, factors: Images) -> Images:
    """Return images whose channels are multiplied under a cover."""
    return np.clip(images * (1 + cover * (factors[:, None, None] - 1)), 0, 1)
