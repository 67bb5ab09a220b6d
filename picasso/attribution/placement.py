"""The position of a layer's cells on the image, from the strides, padding and cropping before the layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.info import Layer, Place

#: The maximum displacement of a cell, as a fraction of a cell, at which a map is simply stretched over the image.
TOLERANCE = 0.5
# The maximum number of parts that a cell is divided into, so that a whole number of parts fits the image.
FINEST = 8
UNKNOWN = "Where in the image the layer's cells lie is not known; the map is stretched over all of it."


@dataclass(frozen=True)
class Side:
    """The cells along one side of an image.

    Attributes:
        count: the number of cells.
        start: the centre of the first cell, in pixels from the edge of the image.
        step: the distance between neighbouring centres in pixels; negative if the image is flipped.
        length: the length of the side, in pixels.
    """

    count: int
    start: float
    step: float
    length: int

    @property
    def covers(self) -> bool:
        """Tell whether stretching the cells over the side displaces none of them by more than ``TOLERANCE``."""
        size = self.length / self.count
        centres = self.start + np.arange(self.count) * self.step
        off = np.abs(centres - (np.arange(self.count) + 0.5) * size).max()
        return bool(off <= TOLERANCE * abs(self.step) + 1e-6)

    @property
    def span(self) -> tuple[float, float]:
        """Return the ends of the part of the side that the cells cover, as fractions of its length, 0..1."""
        ends = self.start - self.step / 2, self.start + (self.count - 0.5) * self.step
        low, high = (min(max(end / self.length, 0.0), 1.0) for end in sorted(ends))
        return low, high

    def cells(self) -> NDArray[np.int64]:
        """Return the index of the cell at each position of a canvas over the whole side, -1 for none.

        The canvas has 1 to ``FINEST`` positions per cell if a whole number of them fits the side; otherwise one
        position per pixel, or per cell if cells are smaller than pixels.
        """
        size = abs(self.step)
        edge = self.start - size / 2
        for parts in range(1, FINEST + 1):
            part = size / parts
            if is_whole(self.length / part) and is_whole(edge / part):
                places = round(self.length / part)
                break
        else:
            places = max(self.length, int(np.ceil(self.length / size)))
        centres = (np.arange(places) + 0.5) * self.length / places
        found = np.floor((centres - self.start) / self.step + 0.5 + 1e-9).astype(np.int64)
        return np.where((found >= 0) & (found < self.count), found, -1)

    def weights(self) -> NDArray[np.float32]:
        """Return the linear interpolation weights ``(length, count)`` from cells to pixels; 0 beyond the cells."""
        found = (np.arange(self.length) + 0.5 - self.start) / self.step
        held = np.clip(found, 0, self.count - 1)
        weights = np.maximum(0, 1 - np.abs(held[:, None] - np.arange(self.count)))
        inside = (found > -0.5 - 1e-9) & (found < self.count - 0.5 + 1e-9)
        return np.asarray(weights * inside[:, None], np.float32)


def is_whole(number: float) -> bool:
    """Tell whether a number is an integer within 1e-4."""
    return abs(number - round(number)) < 1e-4


class Canvas:
    """The area of the image on which the maps of a layer are drawn.

    Args:
        layer: the layer.
        size: the height and width of the image as the model sees it.
    """

    def __init__(self, layer: Layer, size: tuple[int, int]) -> None:
        self._place, self._size = layer.place, size
        height, width = layer.shape[:2]
        place = layer.place or Place((0.5, 0.5), (1.0, 1.0))
        self._transposed = place.transposed
        counts = (width, height) if place.transposed else (height, width)
        self._sides = [Side(*one) for one in zip(counts, place.start, place.step, size, strict=True)]
        #: True if the maps are simply stretched over the whole image: that is accurate, or the position is unknown.
        self.stretched = layer.place is None or (not place.transposed and all(side.covers for side in self._sides))

    @property
    def note(self) -> str:
        """A sentence for the user on the position of the map; "" if it covers the image."""
        if self._place is None:
            return UNKNOWN
        if self.stretched:
            return ""
        (top, bottom), (left, right) = (side.span for side in self._sides)
        if (top, left) == (0, 0) and (bottom, right) == (1, 1):
            return "The map is drawn where its values come from."
        return (
            f"The layer's cells lie on the part of the image from {left:.0%} to {right:.0%} across and {top:.0%} to "
            f"{bottom:.0%} down; the rest of the map is 0."
        )

    def draw(self, evidence: Array) -> Array:
        """Return a map ``(h, w)`` of the layer as a map over the whole image, float32, with 0 where it has no cells."""
        if self.stretched:
            return evidence
        rows, columns = (side.cells() for side in self._sides)
        known = (rows >= 0)[:, None] & (columns >= 0)
        found = (evidence.T if self._transposed else evidence)[np.ix_(rows, columns)]
        return np.asarray(np.where(known, found, 0), np.float32)

    def enlarge(self, evidence: Array) -> Array | None:
        """Return a map interpolated to pixels ``(H, W)``, 0 where it has no cells; None if stretching is enough."""
        if self.stretched:
            return None
        down, across = (side.weights() for side in self._sides)
        return np.asarray(down @ (evidence.T if self._transposed else evidence) @ across.T, np.float32)
