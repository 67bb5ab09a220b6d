"""When enough random samples were drawn: when the standard error of a map is a small fraction of its range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sampling", "shares"]

# By how much the number of samples grows between two checks.
GROWTH = 1.2

Found = tuple[NDArray[np.floating], NDArray[np.floating]]


def shares(maps: NDArray[np.floating], errors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean standard error of each map as a fraction of its range, ``(k,)``.

    The range includes 0, because the colours of a map start or change there.

    Args:
        maps: the values of k maps, ``(k, ...)``, where 0 is a pixel without effect.
        errors: their standard errors, in the same shape.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.stopping import shares
        >>> shares(np.array([[0.0, 2.0], [0.0, 0.0]]), np.array([[0.1, 0.1], [0.1, 0.1]])).round(3).tolist()
        [0.05, inf]
    """
    flat, spread = (np.reshape(some, (len(some), -1)) for some in (maps, errors))
    ranges = flat.max(axis=1, initial=0.0) - flat.min(axis=1, initial=0.0)
    means = np.asarray(spread.mean(axis=1), np.float64)
    # A map that is flat because nothing varies has no error.
    return np.asarray(np.divide(means, ranges, out=np.where(means > 0, np.inf, 0.0), where=ranges > 0))


class Sampling:
    """Counts samples, and decides after which the error is small enough.

    Args:
        maximum: the maximum number of samples.
        error: the fraction of a map's range at which its mean standard error suffices; 0 to draw all samples.
        minimum: the number of samples before which an estimate of the error is not reliable.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.stopping import Sampling
        >>> sampling = Sampling(maximum=1000, error=0.1, minimum=100)
        >>> sampling.enough(100, lambda: (np.array([[0.0, 1.0]]), np.array([[0.2, 0.2]])))
        False
        >>> sampling.expected  # half of the error needs four times as many
        400
        >>> sampling.enough(400, lambda: (np.array([[0.0, 1.0]]), np.array([[0.1, 0.1]])))
        True
    """

    def __init__(self, maximum: int, error: float, minimum: int) -> None:
        self.maximum, self.error = maximum, error
        self.expected = maximum
        self._next = minimum

    def enough(self, count: int, estimate: Callable[[], Found]) -> bool:
        """Tell whether to stop after ``count`` samples.

        Args:
            count: the number of samples so far.
            estimate: returns the maps and their standard errors, as in :func:`shares`; called only now and then.
        """
        if count >= self.maximum:
            return True
        if not self.error or count < self._next:
            return False
        self._next = int(np.ceil(count * GROWTH))
        largest = float(shares(*estimate()).max())
        # A standard error falls with the square root of the number of samples.
        needed = count * (largest / self.error) ** 2
        self.expected = int(min(self.maximum, max(count, np.ceil(needed)))) if np.isfinite(needed) else self.maximum
        return largest <= self.error
