"""The size and significance of effects on predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Margins = NDArray[np.float64]
Mask = NDArray[np.bool_]

# The significance level of all tests.
LEVEL = 0.01


@dataclass(frozen=True)
class Effect:
    """The effect of a change on the images of one class.

    Attributes:
        fraction: the shift of the mean margin as a fraction of the way between the mean margins of the classes: beyond
            the unchanged images or beyond the control, whichever is less.
        low, high: its 95% confidence interval.
        p: the larger p-value of two one-sided paired t-tests, against the unchanged images and against the control.
        flips: the share of images that the change moves from their own to any other class.
        control_flips: the same share for the control.
        images: the number of images.
        flips_p: the p-value of a one-sided test that the change moves more images than the control (McNemar, 1947).
        size: how much the change alters an image, as the root mean square over its values, 0..1, on average.
        control_size: the same for the control.
    """

    fraction: float
    low: float
    high: float
    p: float
    flips: float
    control_flips: float
    images: int
    flips_p: float = 1.0
    size: float = 0.0
    control_size: float = 0.0

    @property
    def excess_flips(self) -> float:
        """The share of images that change class beyond that of the control."""
        return self.flips - self.control_flips


def effect(
    before: Margins,
    changed: Margins,
    control: Margins,
    way: float,
    left: tuple[Mask, Mask] | None = None,
    sizes: tuple[float, float] = (0.0, 0.0),
) -> Effect:
    """Compare margins ``logit of the other class - logit of their own`` of the same images after two changes.

    The change must move the margin beyond both that of the unchanged images and that of the control, so both tests have
    to reject (intersection-union test, Berger, 1982). The effect is that of the comparison with the smaller mean.

    Args:
        before: margins of the unchanged images, ``(n,)``.
        changed: margins after the change towards the other class, ``(n,)``.
        control: margins after an equal change of the same kind that is not towards the other class, ``(n,)``.
        way: the mean margin of the images of the other class less that of these.
        left: which images leave their class by the change and by the control, for any other class, ``(n,)`` each; by
            default for the other class of the margins.
        sizes: how much the change and the control alter an image.
    """
    left = left or ((before <= 0) & (changed > 0), (before <= 0) & (control > 0))
    # The smaller mean first.
    compared = sorted((_shift(changed - other) for other in (control, before)), key=lambda one: one.mean)
    scale = way if way > 0 else np.inf
    return Effect(
        fraction=compared[0].mean / scale,
        low=(compared[0].mean - compared[0].margin) / scale,
        high=(compared[0].mean + compared[0].margin) / scale,
        p=max(one.p for one in compared),
        flips=float(left[0].mean()),
        control_flips=float(left[1].mean()),
        images=len(changed),
        flips_p=_mcnemar(*left),
        size=sizes[0],
        control_size=sizes[1],
    )


def _mcnemar(changed: Mask, control: Mask) -> float:
    """Return the one-sided p-value that more images change class by a change than by its control."""
    more, less = int((changed & ~control).sum()), int((control & ~changed).sum())
    return float(stats.binom.sf(more - 1, more + less, 0.5)) if more + less else 1.0


@dataclass(frozen=True)
class _Shift:
    mean: float
    margin: float
    p: float


def _shift(difference: Margins) -> _Shift:
    """Return the mean of paired differences, half the width of its 95% interval, and the p-value of a t-test."""
    count, mean = len(difference), float(difference.mean())
    error = float(difference.std(ddof=1)) / count**0.5 if count > 1 else np.inf
    if error == 0:
        return _Shift(mean, 0.0, 0.0 if mean > 0 else 1.0)
    if not np.isfinite(error):
        return _Shift(mean, np.inf, 1.0)
    return _Shift(mean, float(stats.t.ppf(0.975, count - 1)) * error, float(stats.t.sf(mean / error, count - 1)))


def apart(ours: Margins, theirs: Margins, level: float) -> bool:
    """Tell whether a model separates two classes: their margins differ significantly (Welch, 1947)."""
    if np.ptp(ours) == 0 and np.ptp(theirs) == 0:
        return bool(theirs[0] > ours[0])
    return bool(stats.ttest_ind(theirs, ours, equal_var=False, alternative="greater").pvalue < level)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple tests by the method of Holm (1979)."""
    order = np.argsort(ps, kind="stable")
    corrected, largest = np.ones(len(ps)), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, ps[index] * (len(ps) - rank)))
        corrected[index] = largest
    return corrected.tolist()


def bidirectional_p_values(ps: Sequence[tuple[float, float]], level: float) -> list[float]:
    """Return corrected p-values of claims that an effect exists in both directions.

    First, the smaller p of each claim is corrected for the number of claims. Only claims that pass at the level are
    tested in the other direction, so the larger p is corrected for their number alone. The two directions use different
    images, so the first selection does not bias the second test (hierarchical testing). The p of a claim is the larger
    of the two (intersection-union test, Berger, 1982).
    """
    first = holm([min(two) for two in ps])
    passed = [index for index, p in enumerate(first) if p < level]
    second = dict(zip(passed, holm([max(ps[index]) for index in passed]), strict=True))
    return [max(p, second.get(index, max(ps[index]))) for index, p in enumerate(first)]


def minimal_detectable_effect(effects: Sequence[Effect], level: float) -> float:
    """Return the smallest effect that every test would have detected.

    A test detects an effect of at least the one-sided t-value of ``level``, the corrected level of a single test, times
    its standard error. The result is the largest of these effects.
    """
    needed: list[float] = []
    for one in effects:
        if one.images < 2 or not np.isfinite(one.high):
            continue
        error = (one.high - one.low) / 2 / stats.t.ppf(0.975, one.images - 1)
        needed.append(float(stats.t.isf(level, one.images - 1) * error))
    return max(needed, default=float("inf"))
