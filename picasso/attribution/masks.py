"""The random masks of RISE, which show parts of an image, and the mean score at each pixel that they show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array

__all__ = ["MaskedMeans", "RandomMasks"]

Floats = NDArray[np.float64]

# Masks that are drawn together, and the values of masks that are in memory at once.
BLOCK, VALUES, MIN_AT_ONCE = 64, 4_000_000, 16
# The control variate: the rows and columns of areas of the image, the penalty of the regression, and the number of
# folds. With fewer pairs of masks, the regression would explain little.
AREAS, PENALTY, FOLDS, MIN_PAIRS = 7, 5.0, 5, 20


@dataclass(frozen=True)
class RandomMasks:
    """A sequence of random masks ``(H, W)``, float32, from 0 (hidden) to 1 (shown).

    Petsiuk, Das & Saenko, *RISE*, arXiv 1806.07421, section 3.2: a coarse grid of cells, each shown with the given
    probability, is enlarged bilinearly to one cell more than the image and cropped at a random offset. Masks come in
    antithetic pairs: they have the same offset, and cells are drawn from the numbers u and 1 - u, so that with a
    probability of 0.5, the second mask shows what the first one hides.

    Attributes:
        seed: the seed of the sequence.
        size: ``(H, W)`` in pixels.
        cells: the number of cells along each side.
        probability: the probability that a cell is shown, above 0 and at most 1.

    Examples:
        >>> from picasso.attribution.masks import RandomMasks
        >>> first, second = RandomMasks(seed=0, size=(32, 48), cells=4, probability=0.5).draw(0, 2)
        >>> first.shape, bool(0 <= first.min() <= first.max() <= 1)
        ((32, 48), True)
        >>> bool(abs(first + second - 1).max() < 1e-6)
        True
    """

    seed: int
    size: tuple[int, int]
    cells: int
    probability: float

    def draw(self, start: int, stop: int, step: int = 1) -> Array:
        """Return the masks ``start`` to ``stop - 1`` at every ``step``-th row and column, ``(n, h, w)``, float32.

        A mask depends on the seed and its number, not on which masks are drawn with it.
        """
        return self._seen(start, stop, *(table[:, ::step] for table in self._weights))

    def areas(self, start: int, stop: int) -> Array:
        """Return the mean of each mask in 7 x 7 areas of the image, ``(n, 49)``, float32."""
        return self._seen(start, stop, *self._area_weights).reshape(stop - start, -1)

    def covariances(self, factors: NDArray[np.floating], step: int = 1) -> Floats:
        """Return the covariances of linear functions of :meth:`areas` with each pixel, over all masks, ``(k, h, w)``.

        Args:
            factors: the factors of the areas in k functions, ``(49, k)``.
            step: the step between rows and columns, as in :meth:`draw`.
        """
        # Cells are independent, and so are the two offsets: the covariance is a product of one of rows and one of
        # columns, each a mean over the offsets.
        rows, columns = (
            np.einsum("tac,thc->ah", some, table[:, ::step], dtype=np.float64) / len(table)
            for some, table in zip(self._area_weights, self._weights, strict=True)
        )
        variance = self.probability * (1 - self.probability)
        by_area = factors.reshape(AREAS, AREAS, -1)
        return np.asarray(variance * np.einsum("abk,ah,bw->khw", by_area, rows, columns, optimize=True))

    @cached_property
    def _weights(self) -> tuple[Array, Array]:
        """The weight of each cell in each row, for each offset, ``(offsets, H, cells)``; and for the columns."""
        rows, columns = (
            np.stack([enlarged[offset : offset + side] for offset in range(pixels)])
            for side, pixels in zip(self.size, self._cell, strict=True)
            for enlarged in [enlarging(self.cells, (self.cells + 1) * pixels)]
        )
        return rows, columns

    @cached_property
    def _area_weights(self) -> tuple[Array, Array]:
        """As :attr:`_weights`, for rows and columns of areas, ``(offsets, areas, cells)``."""
        rows, columns = (averaging(side) @ table for side, table in zip(self.size, self._weights, strict=True))
        return rows, columns

    @property
    def _cell(self) -> tuple[int, int]:
        """The height and width of a cell in pixels."""
        height, width = (-(-side // self.cells) for side in self.size)
        return height, width

    def _seen(self, start: int, stop: int, rows: Array, columns: Array) -> Array:
        """Return masks with the given weights of cells in rows and in columns."""
        blocks = [self._block(number) for number in range(start // BLOCK, -(-stop // BLOCK))]
        first = start // BLOCK * BLOCK
        shown, offsets = (np.concatenate(some)[start - first : stop - first] for some in zip(*blocks, strict=True))
        across = np.ascontiguousarray(columns[offsets[:, 1]].swapaxes(1, 2))
        # As a product of matrices this would be faster alone, but the threads of NumPy's BLAS then wait for more work
        # in a loop, at the expense of TensorFlow's.
        return np.asarray(np.einsum("nhc,ncw->nhw", rows[offsets[:, 0]] @ shown, across))

    def _block(self, number: int) -> tuple[Array, NDArray[np.int64]]:
        """Return the cells ``(BLOCK, cells, cells)`` of consecutive masks, 0 or 1, and their offsets ``(BLOCK, 2)``."""
        generator = np.random.default_rng([self.seed, number])
        drawn = generator.random((BLOCK // 2, 1, self.cells, self.cells))
        pairs = np.concatenate([drawn, 1 - drawn], axis=1).reshape(BLOCK, self.cells, self.cells)
        offsets = generator.integers(0, self._cell, (BLOCK // 2, 2)).repeat(2, axis=0)
        return (pairs < self.probability).astype(np.float32), offsets


@lru_cache(maxsize=8)
def enlarging(cells: int, pixels: int) -> Array:
    """Return the matrix ``(pixels, cells)`` of a bilinear enlargement, float32: the weight of each cell in each pixel.

    Pixels beyond the centres of the outer cells have the values of these, as in Pillow.
    """
    centres = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(cells)))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def averaging(side: int) -> Array:
    """Return the matrix ``(AREAS, side)`` that averages the pixels of a side in areas of equal length, float32."""
    edges = np.arange(AREAS + 1) * side / AREAS
    pixels = np.arange(side)
    overlaps = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(overlaps, 0) * AREAS / side, np.float32)


class Estimate(NamedTuple):
    """The maps of k targets, and their errors.

    Attributes:
        means: the mean score while a pixel is shown, ``(k, h, w)``, float32.
        errors: the standard errors of the differences between a mean and the mean over all masks, ``(k, h, w)``.
    """

    means: Array
    errors: Array


class MaskedMeans:
    """The mean scores of images of which random masks show parts, for each pixel.

    RISE, equations 4 to 6: the expected score given that a pixel is shown, where a mask weighs as much as it shows of
    the pixel. The authors divide the sum of scores times masks by that of the masks. This estimate has the same
    expectation and a smaller variance: a linear function of the parts that are shown is a control variate (Owen,
    *Monte Carlo theory, methods and examples*, section 8.9), whose mean product with a mask is known. Its
    coefficients are fitted by ridge regression to masks other than those that they are applied to, so that the
    estimate remains unbiased (cross-fitting).

    Memory grows by a few bytes per mask: masks are drawn again for the estimate.

    Args:
        masks: the masks.

    Examples:
        >>> from picasso.attribution.masks import MaskedMeans, RandomMasks
        >>> masks = RandomMasks(seed=0, size=(2, 2), cells=2, probability=0.5)
        >>> means = MaskedMeans(masks)
        >>> means.add(masks.draw(0, 2000)[:, 0, :1])  # a model that looks at the first pixel
        >>> estimate = means.estimate()
        >>> int(estimate.means[0].argmax())
        0
    """

    def __init__(self, masks: RandomMasks) -> None:
        self.masks = masks
        self._scores: list[Floats] = []

    @property
    def count(self) -> int:
        """The number of masks so far."""
        return sum(map(len, self._scores))

    def add(self, scores: NDArray[np.floating]) -> None:
        """Add the scores ``(n, k)`` of k targets for the images with the next n masks."""
        self._scores.append(np.asarray(scores, np.float64))

    def estimate(self, step: int = 1) -> Estimate:
        """Return the maps at every ``step``-th row and column.

        Each call draws all masks so far, so that a preview should have a large step.
        """
        masks, scores, count = self.masks, np.concatenate(self._scores), self.count
        residuals, slopes = self._left(scores)
        pixels = -(-masks.size[0] // step) * -(-masks.size[1] // step)
        size = max(MIN_AT_ONCE, VALUES // pixels // 2 * 2)
        sums, squares = np.zeros(()), np.zeros(())
        for start in range(0, count, size):
            stop = min(start + size, count)
            shown = masks.draw(start, stop, step)
            shown -= np.float32(masks.probability)
            given = residuals[start:stop].T.astype(np.float32)
            added = np.tensordot(given, shown, 1), pair_squares(given, shown)
            if start:
                sums += added[0]
                squares += added[1]
            else:
                sums, squares = added[0].astype(np.float64), added[1].astype(np.float64)
        pairs = -(-count // 2)
        spread = np.maximum(squares - np.square(sums) / pairs, 0) * pairs / max(1, pairs - 1)
        covariances = sums / count + masks.covariances(slopes, step)
        means = scores.mean(axis=0)[:, None, None] + covariances / masks.probability
        errors = np.sqrt(spread) / count / masks.probability
        return Estimate(np.asarray(means, np.float32), np.asarray(errors, np.float32))

    def _left(self, scores: Floats) -> tuple[Floats, Floats]:
        """Return what the control variate leaves of the scores, ``(n, k)``, and its mean coefficients ``(49, k)``."""
        count = len(scores)
        slopes = np.zeros((AREAS**2, scores.shape[1]))
        if count < 2 * MIN_PAIRS:
            return scores - scores.mean(axis=0), slopes
        areas = self.masks.areas(0, count).astype(np.float64) - self.masks.probability
        folds, residuals = np.arange(count) // 2 % FOLDS, np.empty_like(scores)
        for fold in range(FOLDS):
            inside, others = folds == fold, folds != fold
            given, centre = areas[others], scores[others].mean(axis=0)
            normal = given.T @ given + PENALTY * np.eye(AREAS**2)
            fitted = np.linalg.solve(normal, given.T @ (scores[others] - centre))
            residuals[inside] = scores[inside] - centre - areas[inside] @ fitted
            slopes += fitted * inside.mean()
        return residuals, slopes


def pair_squares(given: Array, shown: Array) -> Floats:
    """Return the sum over pairs of masks of the squared sum of ``given * shown`` in a pair, ``(k, h, w)``.

    Args:
        given: one number for each mask and target, ``(k, n)``.
        shown: the masks, ``(n, h, w)``; if n is odd, the last has no partner.
    """
    if len(shown) % 2:
        given, shown = np.pad(given, ((0, 0), (0, 1))), np.pad(shown, ((0, 1), (0, 0), (0, 0)))
    (one, other), (first, second) = (given[:, ::2], given[:, 1::2]), (shown[::2], shown[1::2])
    terms = ((one**2, first**2), (2 * one * other, first * second), (other**2, second**2))
    return np.asarray(sum(np.tensordot(factors, products, 1) for factors, products in terms), np.float64)
