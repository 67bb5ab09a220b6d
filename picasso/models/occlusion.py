"""Occlusion of windows of an input: the types of its results, and the direct computation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array

#: A window as (left, top, right, bottom), in pixels.
Box = tuple[int, int, int, int]
#: The indices of n windows, and the outputs ``(n, ...)`` of the model for the image with each of them covered.
Part = tuple[NDArray[np.int64], Array]


@dataclass
class Occlusion:
    """The predictions for covered inputs, computed lazily.

    Attributes:
        parts: the predictions in parts of several windows. Each is computed when it is requested, so a caller cancels
            by stopping the iteration.
        method: a description of the computation and the reason for it. It may change during the iteration, so read it
            at the end.
    """

    parts: Iterable[Part]
    method: str


def covered(image: Array, fill: Array, boxes: Sequence[Box]) -> Array:
    """Return n copies ``(n, H, W, C)`` of an input ``(H, W, C)``, each with one window replaced by that of ``fill``."""
    inputs = np.repeat(image[None], len(boxes), axis=0)
    for one, (left, top, right, bottom) in zip(inputs, boxes, strict=True):
        one[top:bottom, left:right] = fill[top:bottom, left:right]
    return inputs


def batches(count: int, size: int) -> Iterable[NDArray[np.int64]]:
    """Return the indices of windows in batches of ``size``, each spread evenly over all windows for coarse previews."""
    parts = -(-count // size)
    order = np.concatenate([np.arange(part, count, max(1, parts)) for part in range(max(1, parts))])
    return [order[start : start + size] for start in range(0, count, size)]
