"""Confidence sequences: intervals that hold at all sample sizes at once, so that one may look after each block.

An ordinary interval holds at one sample size that is fixed beforehand. If one looks repeatedly and stops when it suits,
it errs more often than promised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

# The sequence of a mean is narrowest at about this number of images, for this level.
TUNED_FOR, TUNED_LEVEL = 200, 1e-4
# The variance of the mixture that makes it so, approximately (the same article).
MIXTURE = float(-2 * np.log(TUNED_LEVEL) + np.log(-2 * np.log(TUNED_LEVEL)) + 1) / TUNED_FOR
# The first look needs this many images, as the sequence of a mean is asymptotic.
LEAST = 100
# From this number of blocks on, the spread of their means is compared with that within them.
ENOUGH_BLOCKS = 4
# What moves few images, but these by far, may be missing in the first ones. The variance of a mean is therefore that
# with this many more images at a distance of one unit. With six, errors stay below the level if 10% of the images move
# by a unit; if 5% move by two units, they are eight times the level (0.0008 at 0.0001, in 200,000 simulated runs).
UNSEEN = 6
# The mixing distribution of a share, Beta(1, 20): the shares of interest are small.
PRIOR = (1.0, 20.0)


@dataclass(frozen=True)
class Moments:
    """The mean and spread of values; those of several blocks can be added.

    Attributes:
        count: the number of values.
        mean: their mean.
        squares: the sum of their squared distances from the mean.
        between: the part of this sum that is due to the distances between the means of the blocks.
        blocks: the number of blocks.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.sequences import Moments
        >>> Moments.of(np.array([1.0, 2.0])) + Moments.of(np.array([6.0]))
        Moments(count=3, mean=3.0, squares=14.0, between=13.5, blocks=2)
    """

    count: int
    mean: float
    squares: float
    between: float = 0.0
    blocks: int = 1

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Moments:
        """Return the moments of values ``(n,)``."""
        mean = values.mean()
        return cls(len(values), float(mean), float(((values - mean) ** 2).sum()))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of the values of both (Chan et al., 1979)."""
        count, apart = self.count + other.count, other.mean - self.mean
        fresh = apart**2 * self.count * other.count / count
        return Moments(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + fresh,
            self.between + other.between + fresh,
            self.blocks + other.blocks,
        )

    @property
    def deviation(self) -> float:
        """The standard deviation of the values, with ``n - 1``; infinite for a single value."""
        return float(np.sqrt(self.squares / (self.count - 1))) if self.count > 1 else np.inf


def mean_sequence(values: Moments, level: float, unit: float) -> tuple[float, float]:
    """Return the interval of a mean; the mean is in those of all sample sizes with a probability of ``1 - level``.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), from a mixture of
    normal distributions: ``mean ± deviation * sqrt(2 (n r + 1) / (n² r) * log(sqrt(n r + 1) / level))`` with ``r`` as
    :data:`MIXTURE`. Like a t-test, it needs a first look at enough values for the central limit theorem, but no bounds
    on them, which margins don't have. So its level is approximate, and values that are rare and far away can raise it;
    see :data:`UNSEEN`.

    Args:
        values: the moments of the values.
        level: the probability of an error, 0..1.
        unit: how far a rare value may be from the mean; see :data:`UNSEEN`.
    """
    grown = values.count * MIXTURE + 1
    spread = (_variance(values, unit) * 2 * grown / (values.count**2 * MIXTURE) * np.log(grown**0.5 / level)) ** 0.5
    return float(values.mean - spread), float(values.mean + spread)


def mean_p(values: Moments, unit: float) -> float:
    """Return the p-value of the hypothesis that a mean is not positive; it holds whenever one looks and stops.

    It is the smallest level whose :func:`mean_sequence` lies above 0 (Ville's inequality).
    """
    if values.mean <= 0:
        return 1.0
    grown, variance = values.count * MIXTURE + 1, _variance(values, unit)
    if variance == 0:
        return 0.0
    evidence = (values.count * values.mean) ** 2 / variance * MIXTURE / (2 * grown)
    return float(min(1.0, grown**0.5 * np.exp(-evidence)))


def _variance(values: Moments, unit: float) -> float:
    """Return the variance of a value: that of all, or that by the means of blocks if it is larger.

    Each block has a change of its own, so its values may have more in common than those of different blocks.
    """
    if values.count < 2:
        return np.inf
    of_all = (values.squares + UNSEEN * unit**2) / (values.count - 1)
    return max(of_all, values.between / (values.blocks - 1)) if values.blocks >= ENOUGH_BLOCKS else of_all


@lru_cache(maxsize=4096)
def share_sequence(count: int, images: int, level: float) -> tuple[float, float]:
    """Return the interval of a share; the share is in those of all sample sizes with a probability of ``1 - level``.

    A mixture of likelihood ratios over a beta distribution (Robbins, 1970; Howard, Ramdas, McAuliffe and Sekhon, 2021).
    It is exact for independent images.

    Args:
        count: the number of images that have what is counted.
        images: the number of images.
        level: the probability of an error, 0..1.

    Examples:
        >>> from picasso.audit.sequences import share_sequence
        >>> [round(one, 3) for one in share_sequence(0, 200, 0.01)]
        [0.0, 0.034]
    """
    mixed = special.betaln(PRIOR[0] + count, PRIOR[1] + images - count) - special.betaln(*PRIOR)

    def evidence(share: float) -> float:
        likelihood = special.xlogy(count, share) + special.xlogy(images - count, 1 - share)
        return float(mixed - likelihood + np.log(level))

    middle = count / images
    return (
        _root(evidence, middle, 0.0) if count else 0.0,
        _root(evidence, middle, 1.0) if count < images else 1.0,
    )


def majority_p(more: int, less: int) -> float:
    """Return the p-value of the hypothesis that one kind of events is no more likely than another, at any time.

    It is the inverse of the likelihood ratios of all larger shares, mixed evenly (Robbins, 1970).

    Examples:
        >>> from picasso.audit.sequences import majority_p
        >>> round(majority_p(12, 0), 4), majority_p(5, 5)
        (0.0016, 1.0)
    """
    if more <= less:
        return 1.0
    mixed = special.betaln(more + 1, less + 1) + np.log(special.betainc(less + 1, more + 1, 0.5))
    return float(min(1.0, np.exp(-(mixed + (more + less + 1) * np.log(2)))))


def _root(of: Callable[[float], float], inner: float, outer: float) -> float:
    """Return where the evidence becomes positive; the outer end if it is nowhere among the numbers below 1."""
    ends = [min(max(one, np.finfo(np.float64).tiny), 1 - np.finfo(np.float64).epsneg) for one in (inner, outer)]
    return float(optimize.brentq(of, *sorted(ends))) if of(ends[1]) > 0 else outer
