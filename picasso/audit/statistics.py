"""Whether a change moves predictions, how far, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Margins = NDArray[np.float64]

# How probable by chance that may be which is taken for more than chance.
LEVEL = 0.01


@dataclass(frozen=True)
class Effect:
    """How far a change moves images of one class towards another.

    Attributes:
        fraction: how much of the way between the classes' mean margins, where 1 is all of it.
        low, high: its 95% confidence interval.
        p: the probability of so large an effect by chance: a paired t-test, one-sided.
        flips: the share of images that are then taken for the other class rather than their own, and were not before.
        control_flips: the same after an equal change that leads nowhere.
        images: how many there are.
    """

    fraction: float
    low: float
    high: float
    p: float
    flips: float
    control_flips: float
    images: int


def effect(before: Margins, changed: Margins, control: Margins, way: float) -> Effect:
    """Compare margins ``logit of the other class - logit of their own`` of the same images after two changes.

    Args:
        before: of the images as they are, ``(n,)``.
        changed: after the change towards the other class, ``(n,)``.
        control: after a change of the same kind towards values of their own class, ``(n,)``.
        way: the mean margin of the other class's images less that of these.
    """
    difference = changed - control
    count, mean = len(difference), float(difference.mean())
    error = float(difference.std(ddof=1)) / count**0.5 if count > 1 else np.inf
    if error == 0:
        p, margin = (0.0 if mean > 0 else 1.0), 0.0
    else:
        p = float(stats.t.sf(mean / error, count - 1)) if np.isfinite(error) else 1.0
        margin = float(stats.t.ppf(0.975, count - 1)) * error if np.isfinite(error) else np.inf
    scale = way if way > 0 else np.inf
    return Effect(
        fraction=mean / scale,
        low=(mean - margin) / scale,
        high=(mean + margin) / scale,
        p=p,
        flips=float(((before <= 0) & (changed > 0)).mean()),
        control_flips=float(((before <= 0) & (control > 0)).mean()),
        images=count,
    )


def apart(ours: Margins, theirs: Margins, level: float) -> bool:
    """Tell whether a model tells two classes apart: their margins differ by more than chance (Welch, 1947)."""
    if np.ptp(ours) == 0 and np.ptp(theirs) == 0:
        return bool(theirs[0] > ours[0])
    return bool(stats.ttest_ind(theirs, ours, equal_var=False, alternative="greater").pvalue < level)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are, by the method of Holm (1979)."""
    order = np.argsort(ps, kind="stable")
    corrected, largest = np.ones(len(ps)), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, ps[index] * (len(ps) - rank)))
        corrected[index] = largest
    return corrected.tolist()


def bidirectional_p_values(ps: Sequence[tuple[float, float]], level: float) -> list[float]:
    """Return corrected p-values of claims that an effect exists in both of two directions.

    First the smaller p of each claim is corrected for the number of claims. Only those that pass at the level are asked
    for the other direction, so its p is corrected for their number alone: the two are of different images, and the
    first choice tells nothing about the second (hierarchical testing). The claim's p is the larger of the two
    (intersection-union test, Berger, 1982).
    """
    first = holm([min(two) for two in ps])
    passed = [index for index, p in enumerate(first) if p < level]
    second = dict(zip(passed, holm([max(ps[index]) for index in passed]), strict=True))
    return [max(p, second.get(index, max(ps[index]))) for index, p in enumerate(first)]


def minimal_detectable_effect(effects: Sequence[Effect], level: float) -> float:
    """Return the effect that every one of some tests would have seen, whatever it is an effect of.

    A test needs the one-sided t-value of ``level``, which is that of one test after correction, times its standard
    error; this is the largest of these.
    """
    needed: list[float] = []
    for one in effects:
        if one.images < 2 or not np.isfinite(one.high):
            continue
        error = (one.high - one.low) / 2 / stats.t.ppf(0.975, one.images - 1)
        needed.append(float(stats.t.isf(level, one.images - 1) * error))
    return max(needed, default=float("inf"))


def interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95% interval of Wilson (1927) for a share of ``right`` among ``count``."""
    if not count:
        return 0.0, 1.0
    z = 1.959964
    share = right / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    width = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return float(middle - width), float(middle + width)
