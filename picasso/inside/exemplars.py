"""Exemplars of a channel: the places in images where its values, or their relevance, are largest."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from picasso.attribution.placement import Canvas
from picasso.models.arrays import Array
from picasso.models.info import Layer, Place

# Of the image, this much is left where the value is less than half of the largest one.
DIMMED = 0.35


@dataclass(frozen=True)
class Exemplar:
    """The place in one image where a channel has its largest value.

    Attributes:
        index: the position of the image in the folder.
        value: the value of the channel there, or its relevance.
        cell: the row and column of the cell on the feature map.
        values: all values of the channel, or their relevance, ``(h, w)``.
    """

    index: int
    value: float
    cell: tuple[int, int]
    values: Array

    def box(self, layer: Layer, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return the part of the image that the cell depends on: left, top, right, bottom in pixels.

        It is the receptive field, as far as it is in the image, but at least the nearest pixel, for a cell in the
        padding; the whole image if the field is not known.

        Args:
            layer: the layer.
            size: the width and height of the image as the model sees it.
        """
        return field_of(layer, self.cell, size)

    def crop(self, layer: Layer, view: Image.Image) -> Image.Image:
        """Return that part of an image; where the values are less than half of the largest, it is dimmed."""
        size = view.height, view.width
        values = Canvas(layer, size).enlarge(self.values)
        if values is None:
            stretched = Image.fromarray(np.asarray(self.values, np.float32)).resize(
                view.size, Image.Resampling.BILINEAR
            )
            values = np.asarray(stretched, np.float32)
        strong = values >= max(0.5 * float(values.max()), float(np.finfo(np.float32).tiny))
        pixels = np.asarray(view.convert("RGB"), np.float32)
        dimmed = np.where(strong[..., None], pixels, 255 - DIMMED * (255 - pixels))
        return Image.fromarray(np.rint(dimmed).astype(np.uint8)).crop(self.box(layer, view.size))


def field_of(layer: Layer, cell: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the receptive field of a cell in an image: left, top, right, bottom; see :meth:`Exemplar.box`."""
    width, height = size
    if layer.receptive_field is None or layer.place is None:
        return 0, 0, width, height
    down, across = centre(layer.place, cell)
    tall, wide = layer.receptive_field
    top, left = round(down - tall / 2), round(across - wide / 2)
    left, right = clipped(left, left + wide, width)
    top, bottom = clipped(top, top + tall, height)
    return left, top, right, bottom


def centre(place: Place, cell: tuple[int, int]) -> tuple[float, float]:
    """Return the centre of a cell in pixels from the top and from the left."""
    first, second = reversed(cell) if place.transposed else cell
    return place.start[0] + first * place.step[0], place.start[1] + second * place.step[1]


def clipped(start: int, end: int, length: int) -> tuple[int, int]:
    """Return the part of a range of pixels that is in the image, or the nearest pixel if none is."""
    start = min(max(start, 0), length - 1)
    return start, max(min(end, length), start + 1)


@dataclass
class Largest:
    """The images with the largest values among those that were added, in memory for these alone.

    Attributes:
        count: how many images to keep.

    Examples:
        >>> import numpy as np
        >>> from picasso.inside.exemplars import Largest
        >>> largest = Largest(2)
        >>> for index, value in enumerate([3.0, 1.0, 2.0]):
        ...     largest.add(index, np.full((1, 1), value))
        >>> [(one.index, one.value) for one in largest.found()]
        [(0, 3.0), (2, 2.0)]
    """

    count: int
    _heap: list[tuple[float, float, int, Exemplar]] = field(default_factory=list)

    def add(self, index: int, values: Array) -> None:
        """Add an image.

        Args:
            index: its position.
            values: the numbers to compare, ``(h, w)``; an image whose values are all 0 or less is left out.
        """
        row, column = np.unravel_index(int(values.argmax()), values.shape)
        value = float(values[row, column])
        if value <= 0:
            return
        # An activation may have a maximum, such as 6, that many images reach. Of these, those with the largest mean are
        # kept, and then the first ones.
        mean, found = (
            float(values.mean(dtype=np.float64)),
            Exemplar(index, value, (int(row), int(column)), values.copy()),
        )
        entry = value, mean, -index, found
        if len(self._heap) < self.count:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def found(self) -> list[Exemplar]:
        """Return the exemplars, the largest value first."""
        return [one for *_, one in sorted(self._heap, key=lambda entry: entry[:3], reverse=True)]
