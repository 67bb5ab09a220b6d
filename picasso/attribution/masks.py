"""The random masks of RISE, which show parts of an image."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array

__all__ = ["MaskedMeans", "random_mask"]


def random_mask(seed: int, index: int, size: tuple[int, int], cells: int, probability: float) -> Array:
    """Return one mask ``(H, W)``, float32, from 0 (hidden) to 1 (shown).

    Petsiuk, Das & Saenko, *RISE*, arXiv 1806.07421, section 3.2: a coarse grid of cells, each shown with the given
    probability, is enlarged bilinearly to one cell more than the image and cropped at a random offset.

    Args:
        seed: the seed of the sequence of masks.
        index: the index of the mask in the sequence; a mask does not depend on the others.
        size: ``(H, W)`` in pixels.
        cells: the number of cells along each side.
        probability: the probability that a cell is shown, 0..1.

    Examples:
        >>> from picasso.attribution.masks import random_mask
        >>> mask = random_mask(seed=0, index=0, size=(32, 48), cells=4, probability=0.5)
        >>> mask.shape, bool(0 <= mask.min() <= mask.max() <= 1)
        ((32, 48), True)
    """
    generator = np.random.default_rng([seed, index])
    shown = (generator.random((cells, cells)) < probability).astype(np.float32)
    height, width = (-(-side // cells) for side in size)
    top, left = int(generator.integers(height)), int(generator.integers(width))
    rows = enlarging(cells, (cells + 1) * height)[top : top + size[0]]
    columns = enlarging(cells, (cells + 1) * width)[left : left + size[1]]
    return np.asarray(rows @ shown @ columns.T)


@lru_cache(maxsize=8)
def enlarging(cells: int, pixels: int) -> Array:
    """Return the matrix ``(pixels, cells)`` of a bilinear enlargement, float32: the weight of each cell in each pixel.

    Pixels beyond the centres of the outer cells have the values of these, as in Pillow.
    """
    centres = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(cells)))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


class MaskedMeans:
    """Running weighted means of the scores of masked images, for each pixel, in constant memory.

    RISE, equations 4 to 6: the expected score given that a pixel is shown. The weight of a mask is its value at the
    pixel. The weighted sum is divided by the sum of the weights, not by its expected value. Both converge to the same
    value; this estimate has less noise, because the random part of the weights affects numerator and denominator
    alike.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.masks import MaskedMeans
        >>> means = MaskedMeans()
        >>> means.add(np.array([[[1, 0]], [[1, 1]]], np.float32), np.array([[0.2], [0.6]], np.float32))
        >>> means.means.round(3).tolist()  # the second place is shown by the second mask only
        [[[0.4000000059604645, 0.6000000238418579]]]
    """

    def __init__(self) -> None:
        self.count = 0
        self._shown: NDArray[np.float64] = np.zeros(())
        self._scores: NDArray[np.float64] = np.zeros(())
        # Sums of squared masks, and of these times the score and the squared score, for the standard error.
        self._squared: NDArray[np.float64] = np.zeros(())
        self._squares: list[NDArray[np.float64]] = [np.zeros(())] * 2

    def add(self, masks: Array, scores: NDArray[np.floating]) -> None:
        """Add n masks ``(n, H, W)`` and the values ``(n, k)`` of k targets for the masked images."""
        shown, values = np.asarray(masks, np.float64), np.asarray(scores, np.float64)
        squared = shown**2
        self._shown = self._shown + shown.sum(axis=0)
        self._scores = self._scores + np.tensordot(values, shown, (0, 0))
        self._squared = self._squared + squared.sum(axis=0)
        self._squares = [
            total + np.tensordot(power, squared, (0, 0))
            for total, power in zip(self._squares, (values, values**2), strict=True)
        ]
        self.count += len(masks)

    @property
    def means(self) -> Array:
        """The means ``(k, H, W)``, float32, in the unit of the scores; 0 at pixels that no mask has shown."""
        return np.asarray(self._ratio(self._scores), np.float32)

    @property
    def standard_errors(self) -> Array:
        """The standard errors of the means, ``(k, H, W)``, float32.

        The first-order standard deviation of a ratio of sums (Cochran, *Sampling techniques*, 1977, section 2.11).
        """
        mean = self._ratio(self._scores)
        score, square = self._squares
        spread = np.maximum(square - 2 * mean * score + mean**2 * self._squared, 0)
        return np.asarray(self._ratio(np.sqrt(spread)), np.float32)

    def _ratio(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        shown = np.broadcast_to(self._shown, sums.shape)
        return np.divide(sums, shown, out=np.zeros_like(sums), where=shown > 0)
