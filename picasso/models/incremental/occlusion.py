"""The door: probabilities for many windows of one picture."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from picasso.models.arrays import Array
from picasso.models.backend import tf
from picasso.models.incremental.execution import Executor, whole
from picasso.models.incremental.plan import Plan, Planner
from picasso.models.incremental.reading import Evaluate, read
from picasso.models.incremental.tables import Tables
from picasso.models.occlusion import Box, Part, batches, covered

# Below this gain, what planning and gathering cost is not worth it.
ENOUGH = 1.2

# For so many windows at once the head is computed: its large matrices are read only once.
HEAD = 256

Fetch = Callable[[Array, Sequence[str]], Sequence[Any]]


class Incremental:
    """Occlusion of one network.

    Args:
        source: the input tensor of its graph.
        target: the output tensor: probabilities ``(N, K)``.
        evaluate: gives the values of tensors that do not depend on the input.
        fetch: gives the values of named tensors for one input ``(1, H, W, C)``.

    Raises:
        Unsupported: the network can't be taken apart.
    """

    def __init__(self, source: Any, target: Any, evaluate: Evaluate, fetch: Fetch) -> None:
        self._network = read(source, target, evaluate)
        self._fetch = fetch
        self._classes = int(target.shape[-1])
        self._executor: Executor | None = None
        self._whole = whole(self._network)
        # Two threads must not compile the same.
        self._lock = threading.Lock()

    @property
    def macs(self) -> int:
        """Return how many multiply-adds the convolutions of one whole picture take."""
        return sum(step.macs * step.shape[0] * step.shape[1] for step in self._network.steps if step.macs)

    def plan(self, boxes: Sequence[Box], memory: int) -> Plan:
        """Plan the computation of windows with about ``memory`` bytes at once."""
        return Planner(self._network, boxes, memory).plan()

    def run_whole(self, picture: Array, fill: Array, boxes: Sequence[Box], size: int) -> Iterator[Part]:
        """Yield the same as :meth:`run`, from whole pictures in batches of ``size``; normalizations cost nothing."""
        for members in batches(len(boxes), size):
            inputs = covered(picture, fill, [boxes[index] for index in members])
            yield members, self._whole(tf.constant(inputs)).numpy()

    def run(self, picture: Array, fill: Array, boxes: Sequence[Box], planned: Plan) -> Iterator[Part]:
        """Yield the indices of some windows and their probabilities ``(n, K)``, chunk by chunk.

        The head waits for several chunks; meanwhile parts without windows are yielded, so that whoever asked can
        report, stop, or answer somebody else.

        Args:
            picture: the clean input ``(H, W, C)``.
            fill: what is seen in a window, ``(H, W, C)``.
            boxes: the windows as (left, top, right, bottom).
            planned: what :meth:`plan` gave for them.
        """
        windows, tensors = np.array(boxes), (tf.constant(picture), tf.constant(fill))
        clean = None
        waiting: list[Part] = []
        for number, chunk in enumerate(planned.chunks, 1):
            tables = Tables(self._network, chunk, windows[chunk.members]).all
            with self._lock:
                self._executor = self._executor or Executor(self._network, tables)
            clean = clean or [maps[0] for maps in self._fetch(picture[None], self._executor.clean)]
            waiting.append((chunk.members, self._executor(*tensors, clean, tables)))
            # The first chunk does not wait: it is there to be checked, and to be seen.
            if number in (1, len(planned.chunks)) or sum(len(members) for members, _ in waiting) >= HEAD:
                members, features = (np.concatenate(side) for side in zip(*waiting, strict=True))
                waiting = []
                yield members, self._executor.finish(features)
            else:
                yield np.zeros(0, np.int64), np.zeros((0, self._classes), np.float32)
