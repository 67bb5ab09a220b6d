"""Which windows are computed together, and how much that saves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.models.occlusion import Box
from picasso.models.tf.incremental.costs import Costs
from picasso.models.tf.incremental.intervals import Interval, Ints, Rectangles, changed, common
from picasso.models.tf.incremental.steps import BY_PLACE, Network

# How many windows are computed together: with fewer, moving clean maps and starting operations takes longer than the
# products; with more, rectangles fit less tightly around what changed.
MIN_WINDOWS, MAX_WINDOWS = 16, 256
# How many multiply-adds are done at once, a fraction of a second on a few cores: somebody may wait for an answer.
BATCH_WORK = 5e9
FLOAT = 4


@dataclass(frozen=True)
class Chunk:
    """Windows that are computed together: all rectangles of one map have one size.

    Attributes:
        members: the indices of the windows.
        rows: for each map the first row of the rectangle of each window, and the number of rows.
        columns: the same for columns.
    """

    members: Ints
    rows: Rectangles
    columns: Rectangles


@dataclass(frozen=True)
class Plan:
    """How some windows of one network are computed.

    Attributes:
        chunks: in the order in which they are computed.
        gain: how many times less work this takes than whole images, everything counted.
        macs: the multiply-adds of convolutions that are left, for all windows.
    """

    chunks: Sequence[Chunk]
    gain: float
    macs: float = 0.0


class Planner:
    """Plans the computation of some windows.

    Args:
        network: the steps.
        costs: what they cost.
        boxes: the windows, none of them empty.
        memory: how many bytes the tensors of one chunk may take, about.
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
        """Return chunks of windows that change about as much, and what they save."""
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
        """Return the windows along an axis in groups of those that change about as much."""
        weight = np.zeros(len(intervals[self._network.source][0]))
        for step in self._network.steps:
            if step.macs and step.output in self._network.places:
                start, stop = intervals[self._network.places[step.output]]
                weight += step.macs * step.shape[1 - axis] * (stop - start)
        order = np.argsort(weight, kind="stable")
        return [np.sort(group) for group in np.array_split(order, min(parts, len(order)))]

    def _size(self, chunk: Chunk) -> int:
        """Return how many windows like those of a chunk are computed together."""
        most = 1
        for step in self._network.steps:
            tensors = sum(self._area(chunk, name) for name in (*step.inputs, step.output))
            # A window gathers what it needs; a product by tiles holds them twice as large, before and after.
            copies = 1 if step.slides in (None, BY_PLACE) else 4 if step.tile else 2
            most = max(most, FLOAT * tensors * copies)
        return int(
            np.clip(min(self._memory // most, BATCH_WORK // max(1.0, self._work(chunk))), MIN_WINDOWS, MAX_WINDOWS)
        )

    def _work(self, chunk: Chunk) -> float:
        """Return how many multiply-adds one window of a chunk takes."""
        return sum(
            step.macs * self._area(chunk, step.output) / step.shape[-1] for step in self._network.steps if step.macs
        )

    def _area(self, chunk: Chunk, name: str) -> int:
        """Return how many numbers one window of a chunk holds of a tensor."""
        shape = self._network.shapes[name]
        place = self._network.places.get(name)
        return chunk.rows[place][1] * chunk.columns[place][1] * shape[2] if place else int(np.prod(shape))


def split(chunk: Chunk, size: int) -> Iterator[Chunk]:
    """Yield a chunk in parts of at most ``size`` windows, each spread over all of it: coarse before fine."""
    parts = -(-len(chunk.members) // size)
    for part in range(parts):
        rows, columns = (
            {name: (start[part::parts], length) for name, (start, length) in side.items()}
            for side in (chunk.rows, chunk.columns)
        )
        yield Chunk(chunk.members[part::parts], rows, columns)
