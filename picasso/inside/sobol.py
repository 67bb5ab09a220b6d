"""Total Sobol indices: the share of a function's variance that depends on one of its variables."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array

# The number of pairs of points, a power of 2; with this many, the error of an index is about 0.02 at most for a linear
# function and for a product, whose total indices are known.
DESIGNS = 128


def masks(count: int, seed: int, designs: int = DESIGNS) -> Array:
    """Return the points at which a function of several variables from 0 to 1 is evaluated.

    They are pairs (A, B) of points of a quasi-random sequence, that of Sobol, scrambled.

    Args:
        count: the number of variables, r.
        seed: the random seed.
        designs: the number of pairs, a power of 2.

    Returns:
        the points ``(designs, 2 + r, r)``: A, B, and for each variable A with the value of B for it, float32.
    """
    from scipy.stats import qmc

    pairs = qmc.Sobol(2 * count, seed=seed).random(designs)
    first, second = pairs[:, :count], pairs[:, count:]
    exchanged = np.where(np.eye(count, dtype=bool), second[:, None], first[:, None])
    return np.concatenate([first[:, None], second[:, None], exchanged], axis=1).astype(np.float32)


def total_variances(values: Iterable[NDArray[np.float64]], count: int) -> tuple[NDArray[np.float64], float]:
    """Return the total variance of each variable, ``(r,)``, and the variance, both summed over several functions.

    Their ratio is the total Sobol index: the mean variance of a function over this variable, for fixed others, as a
    share of its variance. Jansen's estimator: Jansen, *Analysis of variance designs for model output*, Computer Physics
    Communications 117, 1999; equation (f) in table 2 of Saltelli et al., *Variance based sensitivity analysis of model
    output*, Computer Physics Communications 181, 2010. For several functions, variances are summed before they are
    divided, as by Gamboa et al., arXiv 1303.5271.

    Args:
        values: the values ``(F,)`` of F functions at each of the points of :func:`masks`, in their order; they should
            be differences from a typical value, because their squares are summed. Only a few are in memory at a time.
        count: the number of variables, r.

    Examples:
        The variance of 3 x + y is 9 / 12 + 1 / 12:

        >>> from picasso.inside.sobol import masks, total_variances
        >>> points = masks(2, seed=0, designs=4096).reshape(-1, 2)
        >>> parts, whole = total_variances(points @ [[3.0], [1.0]], 2)
        >>> (parts / whole).round(3).tolist()
        [0.9, 0.1]
    """
    parts: NDArray[np.float64] = np.zeros(count)
    pairs, sums, squares = 0, np.zeros(()), np.zeros(())
    first = sums
    for number, one in enumerate(values):
        which = number % (2 + count)
        if which < 2:
            sums, squares = sums + one, squares + one**2
            first, pairs = (one, pairs + 1) if which == 0 else (first, pairs)
        else:
            parts[which - 2] += ((first - one) ** 2).sum() / 2
    return parts / pairs, float((squares / (2 * pairs) - (sums / (2 * pairs)) ** 2).sum())
