"""Running means, variances and standard errors of random samples, in constant memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array

__all__ = ["Samples"]


class Samples:
    """The running mean and variance of arrays of one shape, added in batches.

    Chan, Golub & LeVeque, *Updating formulae and a pairwise algorithm for computing sample variances* (1979),
    equation 1.5: sums of squared deviations from the mean are merged, which avoids cancellation if the mean is large.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.samples import Samples
        >>> samples = Samples()
        >>> samples.add(np.array([1, 2], np.float32))
        >>> samples.add(np.array([6], np.float32))
        >>> samples.count, float(samples.mean), float(samples.variance)
        (3, 3.0, 7.0)
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: NDArray[np.float64] = np.zeros(())
        self._squares: NDArray[np.float64] = np.zeros(())

    def add(self, batch: Array) -> None:
        """Add n samples, ``(n, ...)``."""
        values = np.asarray(batch, np.float64)
        new, mean = len(values), values.mean(axis=0)
        total, shift = self.count + new, mean - self._mean
        weight = self.count * new / total
        self._squares = self._squares + ((values - mean) ** 2).sum(axis=0) + shift**2 * weight
        self._mean = self._mean + shift * (new / total)
        self.count = total

    @property
    def mean(self) -> Array:
        """The mean of the samples, float32, in their shape."""
        return np.asarray(self._mean, np.float32)

    @property
    def variance(self) -> Array:
        """The unbiased variance of the samples (divided by ``n - 1``), float32; 0 for a single sample."""
        return np.asarray(self._squares / max(1, self.count - 1), np.float32)

    @property
    def standard_error(self) -> Array:
        """The standard error of the mean: ``sqrt(variance / n)``."""
        return np.sqrt(self.variance / max(1, self.count))
