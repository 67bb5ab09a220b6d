"""Random masks that show parts of an image, as RISE draws them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.models.arrays import Array


def random_mask(seed: int, index: int, size: tuple[int, int], cells: int, probability: float) -> Array:
    """Return one mask ``(H, W)`` from 0 (hidden) to 1 (shown).

    Petsiuk, Das & Saenko, *RISE*, arXiv 1806.07421, section 3.2: a coarse grid of cells, each shown with a
    probability, is enlarged smoothly to one cell more than the image, and cut out at a random place.

    Args:
        seed: which sequence of masks.
        index: which mask of it; a mask does not depend on the others.
        size: ``(H, W)``.
        cells: the cells along each side.
        probability: that a cell is shown, 0..1.
    """
    generator = np.random.default_rng([seed, index])
    shown = (generator.random((cells, cells)) < probability).astype(np.float32)
    height, width = (-(-side // cells) for side in size)
    top, left = int(generator.integers(height)), int(generator.integers(width))
    enlarged = Image.fromarray(shown).resize(((cells + 1) * width, (cells + 1) * height), Image.Resampling.BILINEAR)
    return np.asarray(enlarged, np.float32)[top : top + size[0], left : left + size[1]]


class MaskedMeans:
    """The mean score behind masks at each place, over the masks that show it, in memory that does not grow.

    RISE, equations 4 to 6: the score expected where a place is shown. Each mask counts by how much it shows of the
    place. The sum is divided by how much was shown there, not by how much one expects to be: both lead to the same
    value, and this is less noisy, for what shows more raises both.
    """

    def __init__(self) -> None:
        self.count = 0
        self._shown: NDArray[np.float64] = np.zeros(())
        self._scores: NDArray[np.float64] = np.zeros(())
        # Sums over the squared masks, of 1, the score and its square: what the error is made of.
        self._squares: list[NDArray[np.float64]] = [np.zeros(())] * 3

    def add(self, masks: Array, scores: Array) -> None:
        """Take in some masks ``(n, H, W)`` and the scores of k classes behind them, ``(n, k)``."""
        shown, values = np.asarray(masks, np.float64), np.asarray(scores, np.float64)
        squared = shown**2
        self._shown = self._shown + shown.sum(axis=0)
        self._scores = self._scores + np.tensordot(values, shown, (0, 0))
        powers = (np.ones_like(values), values, values**2)
        self._squares = [
            total + np.tensordot(power, squared, (0, 0)) for total, power in zip(self._squares, powers, strict=True)
        ]
        self.count += len(masks)

    @property
    def means(self) -> Array:
        """The means, ``(k, H, W)``; 0 at places that no mask has shown."""
        return np.asarray(self._ratio(self._scores), np.float32)

    @property
    def standard_errors(self) -> Array:
        """How far the means are expected to be from those of infinitely many masks, ``(k, H, W)``.

        The standard deviation of a ratio of sums, to first order (Cochran, *Sampling techniques*, 1977, section 2.11).
        """
        mean = self._ratio(self._scores)
        one, score, square = self._squares
        spread = np.maximum(square - 2 * mean * score + mean**2 * one, 0)
        return np.asarray(self._ratio(np.sqrt(spread)), np.float32)

    def _ratio(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        shown = np.broadcast_to(self._shown, sums.shape)
        return np.divide(sums, shown, out=np.zeros_like(sums), where=shown > 0)
