"""The door: probabilities for many windows of one image."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from picasso.models.arrays import Array
from picasso.models.occlusion import Box, Part
from picasso.models.tf.incremental.costs import Costs
from picasso.models.tf.incremental.execution import CleanMaps, Executor, clean_names
from picasso.models.tf.incremental.plan import Plan, Planner
from picasso.models.tf.incremental.reading import Evaluate, read
from picasso.models.tf.incremental.tables import Table, Tables
from picasso.models.tf.runtime import tf

# For so many windows at once the head is computed: its large matrices are read only once.
HEAD = 256


class Incremental:
    """Occlusion of one network.

    Args:
        source: the input tensor of its graph.
        target: the output tensor: probabilities ``(N, K)``.
        evaluate: gives the values of tensors that do not depend on the input.

    Raises:
        Unsupported: the network can't be taken apart.
    """

    def __init__(self, source: Any, target: Any, evaluate: Evaluate) -> None:
        self._network = read(source, target, evaluate)
        self._classes = int(target.shape[-1])
        self._executor: Executor | None = None
        self._clean = CleanMaps(self._network, clean_names(self._network))
        self._costs = Costs(self._network, self._clean.shapes)
        # Two threads must not compile the same.
        self._lock = threading.Lock()

    def plan(self, boxes: Sequence[Box], memory: int) -> Plan:
        """Plan the computation of windows with about ``memory`` bytes at once."""
        return Planner(self._network, self._costs, boxes, memory).plan()

    def run(self, image: Array, fill: Array, boxes: Sequence[Box], planned: Plan) -> Iterator[Part]:
        """Yield the indices of some windows and their probabilities ``(n, K)``, chunk by chunk.

        The first part is the first chunk and the second the last one: the windows that change least and most. After
        them the head waits for several chunks; meanwhile parts without windows are yielded, so that whoever asked can
        report, stop, or answer somebody else.

        Args:
            image: the clean input ``(H, W, C)``.
            fill: what is seen in a window, ``(H, W, C)``.
            boxes: the windows as (left, top, right, bottom).
            planned: what :meth:`plan` gave for them.
        """
        kind = self._network.types[self._network.source]
        windows, view, paint = np.array(boxes), tf.cast(image, kind), tf.cast(fill, kind)
        clean: Sequence[Any] | None = None
        waiting: list[Part] = []
        # The first chunks do not wait: they are there to be checked, and to be seen.
        chunks, first = [*planned.chunks[:1], *planned.chunks[:0:-1]], 2
        for number, chunk in enumerate(chunks, 1):
            tables = Tables(self._network, chunk, windows[chunk.members]).all
            executor = self._compiled(tables)
            clean = clean or self._clean(view)
            waiting.append((chunk.members, executor(view, paint, clean, tables)))
            if number <= first or number == len(chunks) or sum(len(members) for members, _ in waiting) >= HEAD:
                members, features = (np.concatenate(side) for side in zip(*waiting, strict=True))
                waiting = []
                yield members, executor.finish(features)
            else:
                yield np.zeros(0, np.int64), np.zeros((0, self._classes), np.float32)

    def _compiled(self, tables: Sequence[Sequence[Table]]) -> Executor:
        """Return the compiled computation of chunks; their tables say which types it takes."""
        with self._lock:
            if self._executor is None:
                self._executor = Executor(self._network, tables)
            return self._executor
