"""How far two maps agree on where a model looks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Numbers of float32 near 1 lie twice this far apart: what is smaller can't be told from rounding.
ROUNDING = 2.0**-24


def rank_correlation(one: NDArray[Any], two: NDArray[Any], noise: tuple[float, float] = (0.0, 0.0)) -> float | None:
    """Return Spearman's rank correlation of two maps of the same image, -1..1, or None if one of them is flat.

    A finer map is averaged over the cells of the coarser one first. Equal values share the mean of their ranks, and so
    do values that differ by no more than rounding does.

    Args:
        one: the values of a map ``(h, w)``.
        two: those of another.
        noise: how far the values of each may be off by rounding; see :attr:`picasso.visualizations.panel.Panel.noise`.
    """
    height, width = (min(sides) for sides in zip(one.shape, two.shape, strict=True))
    values = [resized(each, width, height).ravel() for each in (one, two)]
    if any(is_flat(each, off) for each, off in zip(values, noise, strict=True)):
        return None
    first, second = (ranks(rounded(each, off)) for each, off in zip(values, noise, strict=True))
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return None if norm == 0 else round(float(first @ second) / norm, 6)


def rounded(values: NDArray[Any], noise: float) -> NDArray[Any]:
    """Return values as multiples of what rounding may do to them, so that those that are the same are equal."""
    return np.round(values.astype(np.float64) / noise) if noise > 0 else values


def resized(array: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """Return a map ``(height, width)`` whose values are means over the areas of its cells."""
    image = Image.fromarray(np.asarray(array, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rank of each value, the smallest 0; equal ones share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[place], np.float64)


def is_flat(array: NDArray[Any], noise: float) -> bool:
    """Tell whether the values of a map differ by no more than rounding does.

    Args:
        array: the values.
        noise: how far each may be off by rounding.
    """
    # Whatever they are made of, large numbers of float32 are that far apart.
    spacing = 4 * ROUNDING * float(np.abs(array).max())
    return float(np.ptp(array)) <= max(noise, spacing)
