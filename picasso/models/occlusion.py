"""Covering parts of an input and asking again: what the visualizations ask for, and the plain way to answer it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array

#: A window as (left, top, right, bottom), in pixels.
Box = tuple[int, int, int, int]
#: The indices of some windows and the class probabilities ``(n, K)`` behind them.
Part = tuple[NDArray[np.int64], Array]


@dataclass
class Occlusion:
    """The answers for covered inputs, as they come.

    Attributes:
        parts: some windows after the other; computed while they are asked for, so stop asking to cancel.
        method: in words, how they are computed, and why so. It may change while they are: read it again at the end.
    """

    parts: Iterable[Part]
    method: str


def covered(image: Array, fill: Array, boxes: Sequence[Box]) -> Array:
    """Return an input ``(H, W, C)`` once for each window, with ``fill`` seen in it: ``(n, H, W, C)``."""
    inputs = np.repeat(image[None], len(boxes), axis=0)
    for one, (left, top, right, bottom) in zip(inputs, boxes, strict=True):
        one[top:bottom, left:right] = fill[top:bottom, left:right]
    return inputs


def batches(count: int, size: int) -> Iterable[NDArray[np.int64]]:
    """Return the indices of windows in batches of ``size``, each spread over all of them: coarse before fine."""
    parts = -(-count // size)
    order = np.concatenate([np.arange(part, count, max(1, parts)) for part in range(max(1, parts))])
    return [order[start : start + size] for start in range(0, count, size)]
