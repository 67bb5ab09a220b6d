"""The odds of classes from their probabilities, with all the digits that the probabilities have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array

Floats = NDArray[np.float64]

# Probabilities whose sum is that close to 1 are those of classes that exclude each other.
EXCLUSIVE = 1e-4
# Numbers of float32 below this one lose digits.
TINY = 1e-37
# A difference of float32 from 1 is off by 6e-8; above this, that is less than 1 %.
COARSE = 6e-6


def log_odds(probabilities: Array, classes: Sequence[int]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return ``ln(p / (1 - p))`` of some classes, and where the probabilities have the digits for it, both ``(n, k)``.

    Next to a probability of 1 nothing is left of ``1 - p`` in float32. Where classes exclude each other that is the sum
    of the others' probabilities, which is exact down to 1e-37.

    Args:
        probabilities: of all classes, ``(n, K)``.
        classes: the numbers of k of them.
    """
    exact = probabilities.astype(np.float64)
    shares = exact[:, list(classes)]
    if np.abs(exact.sum(axis=1) - 1).max(initial=0) < EXCLUSIVE:
        others = [np.delete(exact, index, axis=1).sum(axis=1) for index in classes]
        return of_shares(shares, np.stack(others, axis=1))
    return of_shares(shares, 1 - shares)


def of_shares(one: Floats, other: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return ``ln(one / other)``, and where both have the digits for it.

    Args:
        one: probabilities.
        other: those of the opposite.
    """
    smaller = np.minimum(one, other)
    # Such as the two classes of a single sigmoid, of which one is computed as the rest.
    rest = smaller == 1 - np.maximum(one, other)
    known = (smaller > TINY) & ~(rest & (smaller < COARSE))
    return np.log(np.maximum(one, TINY)) - np.log(np.maximum(other, TINY)), known
