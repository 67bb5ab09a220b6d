"""Plan which windows are computed together, and estimate the gain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.models.occlusion import Box
from picasso.models.tf.incremental.costs import Costs
from picasso.models.tf.incremental.intervals import Interval, Ints, Rectangles, changed, common
from picasso.models.tf.incremental.steps import BY_PLACE, Network

# The number of windows per chunk. With fewer, copying clean maps and starting operations takes longer than the
# products; with more, the common size of the rectangles exceeds the changed parts more.
MIN_WINDOWS, MAX_WINDOWS = 16, 256
# The maximum number of multiply-adds per chunk, a fraction of a second on a few cores, to stay responsive.
BATCH_WORK = 5e9
FLOAT = 4
# The maximum size of the output maps of a chunk, in bytes: larger arrays are allocated anew each time.
OUTPUT = 24_000_000


@dataclass(frozen=True)
class Chunk:
    """Windows that are computed together; all rectangles of a map have the same size.

    Attributes:
        members: the indices of the windows.
        rows: for each map, the first row of each window's rectangle, and the number of rows.
        columns: the same for columns.
    """

    members: Ints
    rows: Rectangles
    columns: Rectangles


@dataclass(frozen=True)
class Plan:
    """A plan for the computation of windows.

    Attributes:
        chunks: the chunks.
        gain: the estimated cost of whole images divided by that of the plan.
        macs: the remaining multiply-adds of convolutions, for all windows.
    """

    chunks: Sequence[Chunk]
    gain: float
    macs: float = 0.0


class Planner:
    """Plans the computation of some windows.

    Args:
        network: the steps.
        costs: their costs.
        boxes: the windows, none of them empty.
        memory: the approximate maximum memory of one chunk's tensors, in bytes.
    """

    def __init__(self, network: Network, costs: Costs, boxes: Sequence[Box], memory: int) -> None:
        self._network, self._costs, self._memory = network, costs, memory
        spans = np.array(boxes, np.int64).reshape(-1, 4)
        rows, self._row = np.unique(spans[:, [1, 3]], axis=0, return_inverse=True)
        columns, self._column = np.unique(spans[:, [0, 2]], axis=0, return_inverse=True)
        self._row, self._column = self._row.ravel(), self._column.ravel()
        self._down = changed(network, (rows[:, 0], rows[:, 1]), 0)
        self._across = changed(network, (columns[:, 0], columns[:, 1]), 1)

    def plan(self) -> Plan:
        """Return a plan whose chunks contain windows that change similar amounts."""
        count = len(self._row)
        size = self._size(self._chunk(np.arange(count)))
        parts = max(1, round((count / size) ** 0.5))
        chunks: list[Chunk] = []
        for rows in self._similar(self._down, 0, parts):
            for columns in self._similar(self._across, 1, parts):
                members = np.flatnonzero(np.isin(self._row, rows) & np.isin(self._column, columns))
                if len(members):
                    whole = self._chunk(members)
                    chunks += split(whole, self._size(whole))
        costs, work = self._costs, 0.0
        for chunk in chunks:
            work += costs.window(chunk.rows, chunk.columns) * len(chunk.members) + costs.shared()
        macs = sum(self._work(chunk) * len(chunk.members) for chunk in chunks)
        return Plan(chunks, costs.whole * count / work if work else 1.0, macs)

    def _chunk(self, members: Ints) -> Chunk:
        rows = common(self._network, self._down, self._row[members], 0)
        return Chunk(members, rows, common(self._network, self._across, self._column[members], 1))

    def _similar(self, intervals: dict[str, Interval], axis: int, parts: int) -> list[Ints]:
        """Return the window positions along an axis in groups that change similar amounts."""
        weight = np.zeros(len(intervals[self._network.source][0]))
        for step in self._network.steps:
            if step.macs and step.output in self._network.places:
                start, stop = intervals[self._network.places[step.output]]
                weight += step.macs * step.shape[1 - axis] * (stop - start)
        order = np.argsort(weight, kind="stable")
        return [np.sort(group) for group in np.array_split(order, min(parts, len(order)))]

    def _size(self, chunk: Chunk) -> int:
        """Return the number of windows per chunk, for windows like those of ``chunk``."""
        most = 1
        for step in self._network.steps:
            tensors = sum(self._area(chunk, name) for name in (*step.inputs, step.output))
            # Gathering copies the inputs. Winograd's tiles are twice as large, before and after the product.
            copies = 1 if step.slides in (None, BY_PLACE) else 4 if step.tile else 2
            most = max(most, FLOAT * tensors * copies)
        limits = [self._memory // most, BATCH_WORK // max(1.0, self._work(chunk))]
        if self._network.ends_in_map:
            limits.append(OUTPUT // (FLOAT * int(np.prod(self._network.shapes[self._network.target]))))
        return int(np.clip(min(limits), MIN_WINDOWS, MAX_WINDOWS))

    def _work(self, chunk: Chunk) -> float:
        """Return the number of multiply-adds for one window of a chunk."""
        return sum(
            step.macs * self._area(chunk, step.output) / step.shape[-1] for step in self._network.steps if step.macs
        )

    def _area(self, chunk: Chunk, name: str) -> int:
        """Return the number of elements of a tensor that are stored for one window of a chunk."""
        shape = self._network.shapes[name]
        place = self._network.places.get(name)
        return chunk.rows[place][1] * chunk.columns[place][1] * shape[2] if place else int(np.prod(shape))


def split(chunk: Chunk, size: int) -> Iterator[Chunk]:
    """Yield a chunk in parts of at most ``size`` windows, each spread evenly over the chunk for coarse previews."""
    parts = -(-len(chunk.members) // size)
    for part in range(parts):
        rows, columns = (
            {name: (start[part::parts], length) for name, (start, length) in side.items()}
            for side in (chunk.rows, chunk.columns)
        )
        yield Chunk(chunk.members[part::parts], rows, columns)
