"""Winograd's minimal filtering: 3 x 3 convolutions as matrix products with fewer multiplications.

S. Winograd, *Arithmetic complexity of computations*, SIAM 1980; A. Lavin and S. Gray, *Fast algorithms for
convolutional neural networks*, CVPR 2016. A tile of ``m x m`` outputs needs ``(m + 2)²`` products instead of ``9 m²``.
The matrices follow from evaluating polynomials at a few points, in exact fractions (Toom and Cook).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import lcm

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

#: The sides of the tiles; larger tiles lose precision.
TILES = (2, 3, 4)
#: Those for bfloat16: with those of 4, the largest difference of VGG16 would be five times as large.
FAST_TILES = (2,)
# The evaluation points. Small numbers keep rounding errors small. The last point of each set is infinity.
POINTS = tuple(Fraction(point) for point in (0, 1, -1, 2, -2))


@cache
def matrices(tile: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return the matrices ``(Aᵀ, G, Bᵀ)`` for ``tile`` outputs of a filter of length 3.

    The correlation of ``d`` with ``g`` is ``Aᵀ @ ((G @ g) * (Bᵀ @ d))``; their shapes are ``(tile, tile + 2)``,
    ``(tile + 2, 3)`` and ``(tile + 2, tile + 2)``.
    """
    side = tile + 2
    points = POINTS[: side - 1]
    outputs, filters = powers(points, tile), powers(points, 3)
    inputs = [list(row) for row in zip(*inverse(powers(points, side)), strict=True)]
    for row, (values, weights) in enumerate(zip(inputs, filters, strict=True)):
        # The denominators are moved to the filter, which is transformed once and in double precision.
        scale = lcm(*(value.denominator for value in values))
        inputs[row] = [value * scale for value in values]
        filters[row] = [weight / scale for weight in weights]
    return as_array(outputs).T, as_array(filters), as_array(inputs)


def powers(points: tuple[Fraction, ...], count: int) -> list[list[Fraction]]:
    """Return the Vandermonde matrix of ``count`` powers at some points, with a last row for infinity."""
    infinity = [Fraction(int(power == count - 1)) for power in range(count)]
    return [[point**power for power in range(count)] for point in points] + [infinity]


def inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Return the inverse of a square matrix, by Gauss-Jordan elimination in exact fractions."""
    size = len(matrix)
    rows = [[*row, *(Fraction(int(row_ == column)) for column in range(size))] for row_, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(row for row in range(column, size) if rows[row][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(size):
            if row != column:
                factor = rows[row][column]
                rows[row] = [value - factor * other for value, other in zip(rows[row], rows[column], strict=True)]
    return [row[size:] for row in rows]


def as_array(rows: list[list[Fraction]]) -> Matrix:
    """Return fractions as float64."""
    return np.array([[float(value) for value in row] for row in rows])


def transformed(kernel: Matrix, tile: int) -> Matrix:
    """Return the transformed filter ``((tile + 2)², C, K)`` of a filter ``(3, 3, C, K)``."""
    _, filters, _ = matrices(tile)
    products = np.einsum("ia,jb,abck->ijck", filters, filters, kernel.astype(np.float64), optimize=True)
    return np.asarray(products.reshape(-1, *kernel.shape[2:]))


def cost(tile: int, height: int, width: int, channels: int, filters: int) -> float:
    """Return the cost of a convolution with ``height x width`` outputs, in operations of a matrix product.

    ``tile`` 0 is the direct convolution. Memory accesses and the efficiency of both are weighted by measured factors.
    """
    if not tile:
        return 2 * 9 * channels * filters * height * width / 0.9
    side = tile + 2
    products = side**2 * (2 * channels * filters + 3 * side**2 * channels)
    back = 3 * side**2 * tile**2 * filters
    moved = side**2 * (150 * channels + 60 * filters)
    return -(-height // tile) * -(-width // tile) * (products + back + moved) / 0.85
