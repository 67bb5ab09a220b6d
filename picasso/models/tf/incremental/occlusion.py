"""The entry point: the outputs of a network for many windows of one image."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from picasso.models.arrays import Array
from picasso.models.occlusion import Box, Part
from picasso.models.tf.bfloat16 import bfloat16
from picasso.models.tf.incremental import winograd
from picasso.models.tf.incremental.costs import Costs
from picasso.models.tf.incremental.execution import CleanMaps, Executor, clean_names
from picasso.models.tf.incremental.plan import Chunk, Plan, Planner
from picasso.models.tf.incremental.reading import Evaluate, read
from picasso.models.tf.incremental.tables import Table, Tables
from picasso.models.tf.runtime import tf

# The minimum number of windows for which the head is computed at once, because reading its large matrices takes time;
# and the maximum size of their inputs of the head, in bytes.
HEAD, WAITING = 256, 50_000_000


class Incremental:
    """Incremental occlusion of one network.

    Args:
        source: the input tensor of its graph.
        target: the output tensor ``(N, D)``.
        evaluate: returns the values of tensors that do not depend on the input.
        fast: if True, products are computed with bfloat16.

    Raises:
        Unsupported: the network has a structure or an operation that is not supported.
    """

    def __init__(self, source: Any, target: Any, evaluate: Evaluate, *, fast: bool = False) -> None:
        self._network = read(source, target, evaluate, winograd.FAST_TILES if fast else winograd.TILES)
        self._fast = fast
        self._classes = int(target.shape[-1])
        self._executor: Executor | None = None
        self._clean = CleanMaps(self._network, clean_names(self._network))
        self._costs = Costs(self._network, self._clean.shapes)
        # Prevents two threads from compiling at the same time.
        self._lock = threading.Lock()

    def plan(self, boxes: Sequence[Box], memory: int) -> Plan:
        """Return a plan for the computation of windows with about ``memory`` bytes."""
        return Planner(self._network, self._costs, boxes, memory).plan()

    def run(self, image: Array, fill: Array, boxes: Sequence[Box], planned: Plan) -> Iterator[Part]:
        """Yield the indices of n windows and the outputs ``(n, D)`` for them, chunk by chunk.

        The first part is the first chunk, and the second part is the last chunk: the windows that change least and
        most. After them, the head is computed for several chunks at once. For the other chunks, parts without windows
        are yielded, so that the caller can report progress, cancel, or do other work.

        Args:
            image: the clean input ``(H, W, C)``.
            fill: the input ``(H, W, C)`` whose values replace those in a window.
            boxes: the windows as (left, top, right, bottom).
            planned: the result of :meth:`plan` for them.
        """
        kind = self._network.types[self._network.source]
        windows, view, paint = np.array(boxes), tf.cast(image, kind), tf.cast(fill, kind)
        clean: Sequence[Any] | None = None
        waiting: list[Part] = []
        # The head is computed immediately for the first two chunks, which are checked and previewed.
        chunks, first = [*planned.chunks[:1], *planned.chunks[:0:-1]], 2
        for number, chunk in enumerate(chunks, 1):
            tables = Tables(self._network, chunk, windows[chunk.members]).all
            executor = self._compiled(tables)
            with bfloat16(self._fast):
                clean = clean or self._clean(view)
                features = executor(view, paint, clean, tables)
            if self._network.ends_in_map:
                yield chunk.members, self._placed(chunk, features, clean)
                continue
            waiting.append((chunk.members, features))
            enough = sum(len(members) for members, _ in waiting) >= HEAD
            enough |= sum(features.nbytes for _, features in waiting) >= WAITING
            if number <= first or number == len(chunks) or enough:
                members, features = (np.concatenate(side) for side in zip(*waiting, strict=True))
                waiting = []
                # Always by exact arithmetic: probabilities have small steps and sum to 1.
                yield members, executor.finish(features)
            else:
                yield np.zeros(0, np.int64), np.zeros((0, self._classes), np.float32)

    def _placed(self, chunk: Chunk, rectangles: Array, clean: Sequence[Any]) -> Array:
        """Return the output maps of a chunk, flattened, ``(P, H * W * C)``: the clean one with each rectangle in it."""
        target, network = self._network.target, self._network
        whole = clean[clean_names(network).index(target)].numpy()
        maps = np.repeat(whole[None], len(rectangles), axis=0)
        tops, height = chunk.rows[network.places[target]]
        lefts, width = chunk.columns[network.places[target]]
        for own, rectangle, top, left in zip(maps, rectangles, tops, lefts, strict=True):
            own[top : top + height, left : left + width] = rectangle
        return maps.reshape(len(maps), -1)

    def _compiled(self, tables: Sequence[Sequence[Table]]) -> Executor:
        """Return the compiled computation of chunks; the types of the tables determine its signature."""
        with self._lock:
            if self._executor is None:
                self._executor = Executor(self._network, tables)
            return self._executor
