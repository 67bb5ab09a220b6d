"""Leave tokens out of a transformer instead of painting over parts of the image, so that no fill is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.occlusion import Box
from picasso.models.tokens import TokenGrid

#: The fill that stands for no fill: the tokens of hidden parts are left out.
DROPPED = "dropped"
# A token is left out if at least this fraction of its patch is hidden.
HIDDEN = 0.5
# Shares that differ less are equal.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Dropping:
    """The tokens of a model, which can be left out where parts of an image are hidden.

    Attributes:
        model: the model.
        grid: the grid of its tokens.

    Raises:
        ModelError: tokens can't be left out of this model.
    """

    model: Model
    grid: TokenGrid

    @classmethod
    def of(cls, model: Model) -> Dropping:
        """Return the tokens of a model."""
        return cls(model, model.dropping_grid())

    def by_windows(self, boxes: Sequence[Box]) -> NDArray[np.bool_]:
        """Return which tokens n windows hide, ``(n, h, w)``: those half covered, or else those that are covered most.

        A window that lies where there are no patches, at the edge of an image that they do not fill, hides none.

        Args:
            boxes: the windows as (left, top, right, bottom) in pixels.
        """
        height, width, _ = self.model.input_shape
        left, top, right, bottom = np.asarray(boxes, np.int64).reshape(-1, 4).T[:, :, None]
        down, across = np.arange(height), np.arange(width)
        shares = self._shares((top <= down) & (down < bottom), (left <= across) & (across < right))
        most = shares.max(axis=(1, 2), keepdims=True)
        return self._some_left(shares, (shares > 0) & (shares >= np.minimum(most, HIDDEN) - ROUNDING))

    def by_masks(self, shown: Array) -> NDArray[np.bool_]:
        """Return which tokens n masks hide, ``(n, h, w)``: those of which less than half is shown.

        Args:
            shown: the share of each pixel that is visible, ``(n, H, W)``, in 0..1.
        """
        hidden = 1 - self._shares_of(shown)
        return self._some_left(hidden, hidden > HIDDEN)

    def _some_left(self, shares: Array, hidden: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return hidden tokens, but show the one that is hidden least where a model would be given no token at all."""
        if not self.grid.first:
            for index in np.flatnonzero(hidden.all(axis=(1, 2))):
                hidden[index].flat[shares[index].argmin()] = False
        return hidden

    def _shares(self, down: NDArray[np.bool_], across: NDArray[np.bool_]) -> Array:
        """Return the share of each patch in windows of rows ``(n, H)`` and columns ``(n, W)``, ``(n, h, w)``."""
        rows, columns = self._overlaps
        return self._on_grid(np.einsum("iy,ny,jx,nx->nij", rows, down, columns, across, optimize=True))

    def _shares_of(self, shown: Array) -> Array:
        """Return the mean of masks ``(n, H, W)`` in each patch, ``(n, h, w)``."""
        rows, columns = self._overlaps
        return self._on_grid(np.einsum("iy,nyx,jx->nij", rows, shown, columns, optimize=True))

    def _on_grid(self, shares: NDArray[np.floating]) -> Array:
        """Return shares by rows and columns of the image as those of the rows and columns of the grid."""
        return np.asarray(shares.swapaxes(1, 2) if self._transposed else shares, np.float32)

    @property
    def _transposed(self) -> bool:
        return bool(self.grid.place and self.grid.place.transposed)

    @cached_property
    def _overlaps(self) -> tuple[Array, Array]:
        """The share of each pixel in the patches, by rows ``(rows of patches, H)`` and by columns ``(..., W)``."""
        grid, (height, width, _) = self.grid, self.model.input_shape
        rows, columns = (grid.width, grid.height) if self._transposed else (grid.height, grid.width)
        down = [grid.cell(0, index)[0] if self._transposed else grid.cell(index, 0)[0] for index in range(rows)]
        across = [grid.cell(index, 0)[1] if self._transposed else grid.cell(0, index)[1] for index in range(columns)]
        return overlaps(down, height), overlaps(across, width)


def dropping_passes(hidden: NDArray[np.bool_]) -> float:
    """Return the cost of choices of hidden tokens ``(n, h, w)``, as a number of predictions of whole images."""
    return float((1 - np.unique(hidden, axis=0).mean(axis=(1, 2))).sum())


def overlaps(edges: Sequence[tuple[float, float]], pixels: int) -> Array:
    """Return the share of each pixel in intervals of a side, ``(intervals, pixels)``; each row has the sum 1.

    Args:
        edges: the ends of the intervals, in pixels.
        pixels: the length of the side.

    Examples:
        >>> from picasso.attribution.dropping import overlaps
        >>> overlaps([(0, 2), (2, 4)], pixels=4).tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    first, last = (np.asarray(side)[:, None] for side in zip(*edges, strict=True))
    start = np.arange(pixels)
    inside = np.clip(np.minimum(last, start + 1) - np.maximum(first, start), 0, 1)
    return np.asarray(inside / np.maximum(inside.sum(axis=1, keepdims=True), 1e-12), np.float32)
