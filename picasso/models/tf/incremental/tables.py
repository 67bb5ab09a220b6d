"""The index tables by which each step gathers its inputs, in NumPy.

The indices refer to the rows of a matrix. For a tensor that is stored as rectangles, it consists of one row for all
places outside the map, the ``H * W`` places of the clean map, and the ``h * w`` places of each window's rectangle. For
a tensor that is stored completely, there is no clean map in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.tf.incremental.intervals import Ints
from picasso.models.tf.incremental.plan import Chunk
from picasso.models.tf.incremental.resampling import Samples
from picasso.models.tf.incremental.steps import BY_PLACE, Kind, Network, Slide, Step

Table = NDArray[Any]

#: A placeholder for the table of an input that is used as stored.
EMPTY: Table = np.zeros((0, 0, 0), np.int32)


class Tables:
    """The tables of one chunk.

    Args:
        network: the steps.
        chunk: the windows and their rectangles.
        boxes: the windows as (left, top, right, bottom), ``(P, 4)``.
    """

    def __init__(self, network: Network, chunk: Chunk, boxes: Ints) -> None:
        self._network, self._chunk = network, chunk
        self.all = [[self._covered(boxes)], *(list(self._needed(step)) for step in network.steps)]

    def _needed(self, step: Step) -> Iterator[Table]:
        """Yield the tables of a step in the order of their use."""
        held = self._network.places
        if step.kind in (Kind.COUNT, Kind.PAD) and step.inputs[0] in held:
            return
        if step.tile:
            yield from self._tiles(step, step.tile)
        elif step.kind is Kind.MEAN and step.inputs[0] in held:
            width = self._network.shapes[step.inputs[0]][1]
            y, x = self._places(step.inputs[0])
            yield both(y * width, x)
        elif step.output in held and step.samples:
            yield from self._sampled(step, step.samples)
        elif step.output in held and step.slides and step.slides != BY_PLACE:
            (rows, columns), (down, across) = self._places(step.output), step.slides
            yield self._index(step.inputs[0], under(rows, down), under(columns, across))
            if step.partial:
                heights, widths, _ = self._network.shapes[step.inputs[0]]
                high, wide = inside(rows, down, heights), inside(columns, across, widths)
                yield (high[:, :, None, None] * wide[:, None, :, None]).astype(np.float32)
        else:
            for name in step.inputs:
                if not self._network.aligned(step, name):
                    there = self._places(step.output) if step.output in held else self._everywhere(name)
                    yield EMPTY if self._is_held(name, *there) else self._index(name, *there)

    def _sampled(self, step: Step, samples: tuple[Samples, Samples]) -> Iterator[Table]:
        """Yield the indices that a resize reads, ``(P, h * t, w * u)``, and the weights of rows and of columns."""
        rows, columns = self._places(step.output)
        y, x = samples[0].places[rows], samples[1].places[columns]
        yield self._index(step.inputs[0], y.reshape(len(y), -1), x.reshape(len(x), -1))
        if not (samples[0].copies and samples[1].copies):
            yield samples[0].weights[rows]
            yield samples[1].weights[columns]

    def _covered(self, boxes: Ints) -> Table:
        """Return the table of the input, ``(P, h, w)``: indices of the image's places, then of the fill's."""
        name = self._network.source
        height, width, _ = self._network.shapes[name]
        y, x = self._places(name)
        left, top, right, bottom = (side[:, None] for side in boxes.astype(np.int32).T)
        index = both(y * width, x)
        covered = (y >= top) & (y < bottom), (x >= left) & (x < right)
        index[covered[0][:, :, None] & covered[1][:, None, :]] += height * width
        return index

    def _tiles(self, step: Step, tile: int) -> Iterator[Table]:
        """Yield the indices of the tiles' values, ``((tile + 2)², T)``, and the sizes of the output, ``(5,)``."""
        held, (down, across) = step.output in self._network.places, step.slides or BY_PLACE
        rows, columns = self._places(step.output) if held else self._everywhere(step.output)
        count, high, wide = len(rows), -(-rows.shape[1] // tile), -(-columns.shape[1] // tile)
        y, x = (
            tiled(under(places, slide), tiles, tile)
            for places, slide, tiles in ((rows, down, high), (columns, across, wide))
        )
        index = self._index(step.inputs[0], y, x).reshape(count, tile + 2, high, tile + 2, wide)
        yield np.ascontiguousarray(index.transpose(1, 3, 0, 2, 4)).reshape((tile + 2) ** 2, -1)
        yield np.array([count, high, wide, rows.shape[1], columns.shape[1]], np.int32)

    def _places(self, name: str) -> tuple[Table, Table]:
        """Return the rows ``(P, h)`` and columns ``(P, w)`` of the rectangles of a map."""
        place = self._network.places[name]
        (top, height), (left, width) = self._chunk.rows[place], self._chunk.columns[place]
        top, left = top.astype(np.int32), left.astype(np.int32)
        return top[:, None] + np.arange(height, dtype=np.int32), left[:, None] + np.arange(width, dtype=np.int32)

    def _everywhere(self, name: str) -> tuple[Table, Table]:
        """Return all rows and columns of a map for each window."""
        count = len(self._chunk.members)
        height, width = (np.arange(side, dtype=np.int32) for side in self._network.shapes[name][:2])
        return np.broadcast_to(height, (count, len(height))), np.broadcast_to(width, (count, len(width)))

    def _is_held(self, name: str, y: Table, x: Table) -> bool:
        """Tell whether rows ``(P, a)`` and columns ``(P, b)`` are exactly the stored ones of a map."""
        place = self._network.places.get(name)
        held = self._places(place) if place else self._everywhere(name)
        return np.array_equal(y, held[0]) and np.array_equal(x, held[1])

    def _index(self, name: str, y: Table, x: Table) -> Table:
        """Return the indices ``(P, a, b)`` of rows ``(P, a)`` and columns ``(P, b)`` of a map for each window."""
        height, width, _ = self._network.shapes[name]
        window = np.arange(len(y), dtype=np.int32)[:, None]
        place = self._network.places.get(name)
        if place:
            (top, rows), (left, columns) = self._chunk.rows[place], self._chunk.columns[place]
            down, across = y - top.astype(np.int32)[:, None], x - left.astype(np.int32)[:, None]
            own = both((window * rows + down) * columns + (1 + height * width), across)
            changed = both((down >= 0) & (down < rows), (across >= 0) & (across < columns), np.logical_and)
            index: Table = np.where(changed, own, both(y * width + 1, x))
        else:
            index = both((window * height + y) * width + 1, x)
        known = (y >= 0) & (y < height), (x >= 0) & (x < width)
        if not (known[0].all() and known[1].all()):
            index[~both(*known, np.logical_and)] = 0
        return index


def both(down: Table, across: Table, join: Any = np.add) -> Table:
    """Return the outer combination ``(P, a, b)`` of row values ``(P, a)`` and column values ``(P, b)``."""
    joined: Table = join(down[:, :, None], across[:, None, :])
    return joined


def under(places: Table, slide: Slide) -> Table:
    """Return the places of the input that a sliding window needs for consecutive places of the output."""
    first, count = places[:, :1] * slide.stride - slide.before, places.shape[1]
    return np.asarray(first + np.arange((count - 1) * slide.stride + slide.reach, dtype=np.int32))


def tiled(places: Table, tiles: int, tile: int) -> Table:
    """Return the places of all values of the overlapping tiles, ``(P, (tile + 2) * tiles)``."""
    offsets = np.arange(tile + 2)[:, None] + np.arange(tiles) * tile
    # The last tile may extend beyond the output, which is cropped later.
    return places[:, np.minimum(offsets, places.shape[1] - 1).ravel()]


def inside(places: Table, slide: Slide, length: int) -> Table:
    """Return the factors that convert averages including the padding to averages excluding it."""
    start = places * slide.stride - slide.before
    return np.asarray(slide.reach / (np.minimum(start + slide.reach, length) - np.maximum(start, 0)))
