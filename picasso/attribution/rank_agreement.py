"""Agreement of two attribution maps: Spearman's rank correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["rank_correlation"]

#: Half the spacing of float32 numbers from 1 to 2: their maximum rounding error.
ROUNDING = 2.0**-24


def rank_correlation(one: NDArray[Any], two: NDArray[Any], noise: tuple[float, float] = (0.0, 0.0)) -> float | None:
    """Return Spearman's rank correlation of two maps of the same image, -1..1, or None if either map is flat.

    Both maps are first averaged to the smaller height and width. Equal values share the mean of their ranks, and so
    do values that are equal after rounding to multiples of ``noise``.

    Args:
        one: a map ``(h, w)``.
        two: another map, of any height and width.
        noise: the rounding error of each map's values; see :attr:`picasso.visualizations.panel.Panel.noise`.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.rank_agreement import rank_correlation
        >>> values = np.arange(9, dtype=np.float32).reshape(3, 3)
        >>> rank_correlation(values, values**2), rank_correlation(values, -values)
        (1.0, -1.0)
        >>> rank_correlation(values, np.ones((3, 3))) is None  # a flat map has no order
        True
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
    """Return values in units of their rounding error, rounded to integers; unchanged if ``noise`` is 0."""
    return np.round(values.astype(np.float64) / noise) if noise > 0 else values


def resized(array: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """Return the map resized to ``(height, width)`` by averaging over the area of each new cell, float32."""
    image = Image.fromarray(np.asarray(array, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rank of each value from 0, the smallest; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[place], np.float64)


def is_flat(array: NDArray[Any], noise: float) -> bool:
    """Tell whether the values of a map differ by no more than their rounding error.

    Args:
        array: the values, of any shape.
        noise: the rounding error of a value.
    """
    # Differences of up to two float32 steps at the largest value are rounding, whatever ``noise`` is.
    spacing = 4 * ROUNDING * float(np.abs(array).max())
    return float(np.ptp(array)) <= max(noise, spacing)
