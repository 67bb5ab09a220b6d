"""How well a measured value separates two classes: interventions skip what does not differ, from the data alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from picasso.audit.interventions.matching import Generator
from picasso.audit.properties import Values

Features = NDArray[np.floating[Any]]

# The least separation of classes that differ, and the level at which it must be significant. A trial costs four model
# evaluations for each pair of images, so most folders must not need one.
LEAST, LEVEL = 0.6, 0.01


def separation(ours: Values, theirs: Values) -> float:
    """Return the probability that a value of theirs is larger than one of ours, from 0 to 1 (Mann & Whitney, 1947)."""
    ordered = np.sort(ours)
    below, upto = (np.searchsorted(ordered, theirs, side) for side in ("left", "right"))
    return float((below + upto).mean()) / (2 * len(ours))


def differ(ours: Values, theirs: Values, tests: int = 1) -> bool:
    """Tell whether two classes differ in a value.

    Args:
        ours: the value of each image, ``(n,)``.
        theirs: the same of the other class, ``(m,)``.
        tests: the number of values of which the one that differs most is chosen (Bonferroni correction).
    """
    share = separation(ours, theirs)
    if max(share, 1 - share) < LEAST:
        return False
    return bool(stats.mannwhitneyu(ours, theirs).pvalue * tests < LEVEL)


def most_different(values: Sequence[tuple[Values, Values]]) -> int | None:
    """Return the index of the value in which two classes differ most; None if they differ in none.

    Args:
        values: of ours and of theirs, for each measured value.
    """
    sizes = [(round(abs(separation(*two) - 0.5), 2), standardized(*two)) for two in values]
    best = max(range(len(values)), key=sizes.__getitem__)
    return best if differ(*values[best], tests=len(values)) else None


def standardized(ours: Values, theirs: Values) -> float:
    """Return the difference of the means in standard deviations, which tells apart values that separate completely."""
    spread = float(np.sqrt((ours.var() + theirs.var()) / 2))
    return abs(float(theirs.mean() - ours.mean())) / max(spread, 1e-9)


def cross_fitted(ours: Features, theirs: Features, generator: Generator) -> tuple[Values, Values]:
    """Return scores along the difference of the means of the classes, which one half of the images estimates.

    The scores are of the other half. Without a difference of the classes, they don't differ either, however many
    features there are. Scores of the first half along the difference of the second would not be independent of these.

    Args:
        ours: the features of each image, ``(n, d)``.
        theirs: the same of the other class, ``(m, d)``.
        generator: draws the halves.

    Returns:
        The scores, ``(n // 2,)`` and ``(m // 2,)``.
    """
    halves = [np.array_split(generator.permutation(len(some)), 2) for some in (ours, theirs)]
    way = theirs[halves[1][0]].mean(axis=0) - ours[halves[0][0]].mean(axis=0)
    first, second = (
        np.asarray(some[half[1]] @ way, np.float64) for some, half in zip((ours, theirs), halves, strict=True)
    )
    return first, second


def steps_apart(ours: Values, theirs: Values) -> float:
    """Return the step from the median of ours to the median of theirs, which a few exceptional images don't change."""
    return float(np.median(theirs) - np.median(ours))
