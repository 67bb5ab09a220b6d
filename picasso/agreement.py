"""How far two maps agree on where a model looks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def rank_correlation(one: NDArray[Any], two: NDArray[Any]) -> float | None:
    """Return Spearman's rank correlation of two maps of the same picture, -1..1, or None if one of them is flat.

    A finer map is averaged over the cells of the coarser one first. Equal values share the mean of their ranks.
    """
    height, width = (min(sides) for sides in zip(one.shape, two.shape, strict=True))
    first, second = (ranks(resized(each, width, height).ravel()) for each in (one, two))
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return None if norm == 0 else round(float(first @ second) / norm, 6)


def resized(array: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """Return a map ``(height, width)`` whose values are means over the areas of its cells."""
    image = Image.fromarray(np.asarray(array, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rank of each value, the smallest 0; equal ones share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[place], np.float64)
