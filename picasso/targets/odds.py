"""Log-odds of classes from probabilities, without loss of precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Floats = NDArray[np.float64]

# If probabilities sum to 1 within this tolerance, the classes are mutually exclusive.
EXCLUSIVE = 1e-4
# Smaller float32 numbers are subnormal and lose precision.
TINY = 1e-37
# ``1 - p`` in float32 has an absolute error of 6e-8; if it exceeds this bound, the relative error is below 1 %.
COARSE = 6e-6


def log_odds(probabilities: Array, classes: Sequence[int]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return ``ln(p / (1 - p))`` of k classes, and a mask that is True where it is precise, both ``(n, k)``.

    Near ``p = 1``, ``1 - p`` loses all precision in float32. For mutually exclusive classes it equals the sum of the
    other probabilities, which is precise down to 1e-37.

    Args:
        probabilities: the probabilities of all K classes, ``(n, K)``.
        classes: the indices of k of them.
    """
    exact = probabilities.astype(np.float64)
    shares = exact[:, list(classes)]
    if np.abs(exact.sum(axis=1) - 1).max(initial=0) < EXCLUSIVE:
        others = [np.delete(exact, index, axis=1).sum(axis=1) for index in classes]
        return of_shares(shares, np.stack(others, axis=1))
    return of_shares(shares, 1 - shares)


def of_shares(one: Floats, other: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return ``ln(one / other)``, and a mask that is True where both are precise enough.

    Args:
        one: probabilities.
        other: the probabilities of the complementary events, of the same shape.
    """
    smaller = np.minimum(one, other)
    # The smaller one was computed as ``1 - p``, as for the two classes of a single sigmoid.
    rest = smaller == 1 - np.maximum(one, other)
    known = (smaller > TINY) & ~(rest & (smaller < COARSE))
    return np.log(np.maximum(one, TINY)) - np.log(np.maximum(other, TINY)), known
