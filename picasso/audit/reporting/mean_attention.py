"""The average attention of a model, compared with uniform attention over the whole image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from picasso.audit.properties import Maps

# The number of cells along each side in which maps are compared; the border is the outermost cells.
GRID = 8
# An excess over uniform attention below this is rounding.
ROUNDING = 1e-4


@dataclass(frozen=True)
class MeanAttention:
    """The average attention of a model for a class.

    Attributes:
        images: the number of images.
        mean: the attention on each pixel as a multiple of uniform attention, ``(H, W)``; its mean is 1.
        cells: the same in cells, ``(GRID, GRID)``.
        more: the cells with more than uniform attention: a one-sided t-test at 5% for all cells together (Bonferroni).
        border: the share of the attention on the outermost cells, from 0 to 1.
        border_low, border_high: its 95% confidence interval over images (Student's t).
        border_even: the same share for uniform attention.
    """

    images: int
    mean: NDArray[np.float64]
    cells: NDArray[np.float64]
    more: NDArray[np.bool_]
    border: float
    border_low: float
    border_high: float
    border_even: float


def cells(maps: Maps, grid: int = GRID) -> NDArray[np.float64]:
    """Return the means of maps ``(n, H, W)`` in cells, ``(n, grid, grid)``; fewer if a side has fewer pixels."""
    found = maps.astype(np.float64)
    for axis in (1, 2):
        length = found.shape[axis]
        edges = np.linspace(0, length, min(grid, length) + 1).round().astype(int)
        sums = np.add.reduceat(found, edges[:-1], axis=axis)
        shape = [1, 1, 1]
        shape[axis] = -1
        found = sums / np.diff(edges).reshape(shape)
    return np.asarray(found)


def mean_attention(maps: Maps) -> MeanAttention:
    """Compare the maps of a class, ``(n, H, W)``, each of which sums to 1, with uniform attention."""
    count, height, width = maps.shape
    coarse = cells(maps) * height * width
    low, _ = t_interval(coarse, 2 * 0.05 / coarse[0].size)
    rim = border(height, width)
    shares = (maps.astype(np.float64) * rim).sum(axis=(1, 2))
    border_low, border_high = t_interval(shares, 0.05)
    return MeanAttention(
        images=count,
        mean=maps.mean(axis=0, dtype=np.float64) * height * width,
        cells=coarse.mean(axis=0),
        more=np.asarray(low > 1 + ROUNDING),
        border=float(shares.mean()),
        border_low=max(0.0, float(border_low)),
        border_high=min(1.0, float(border_high)),
        border_even=float(rim.mean()),
    )


def border(height: int, width: int) -> NDArray[np.bool_]:
    """Return which pixels are in the outermost of :data:`GRID` cells along each side, ``(H, W)``."""
    found = np.ones((height, width), np.bool_)
    down, across = max(1, round(height / GRID)), max(1, round(width / GRID))
    found[down : height - down, across : width - across] = False
    return found


def t_interval(values: NDArray[np.float64], level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the confidence interval, of confidence ``1 - level``, of the mean over the first axis."""
    count, mean = len(values), values.mean(axis=0)
    if count < 2:
        return np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    margin = stats.t.isf(level / 2, count - 1) * values.std(axis=0, ddof=1) / count**0.5
    return mean - margin, mean + margin
