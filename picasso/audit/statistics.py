"""The size and significance of effects on predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from picasso.audit.sequences import Moments, majority_p, mean_p, mean_sequence, share_sequence

Margins = NDArray[np.float64]
Mask = NDArray[np.bool_]

# The significance level of all tests.
LEVEL = 0.01
# That of each sequence of the 95% interval of an effect for repeated looks: one of the shift, and two of the way.
REPEATED = 0.05 / 3
# Ends of the interval of an effect are at most this, as a fraction of the way, where the way itself may be almost zero.
FARTHEST = 10.0


@dataclass(frozen=True)
class Effect:
    """The effect of a change on the images of one class.

    Attributes:
        fraction: the shift of the mean margin as a fraction of the way between the mean margins of the classes: beyond
            the unchanged images or beyond the control, whichever is less.
        low, high: its 95% confidence interval. If one looks repeatedly, it holds at all looks, and the way counts as
            measured, too; otherwise, the way is taken as it is.
        p: the larger p-value of two one-sided paired t-tests, against the unchanged images and against the control; of
            two confidence sequences if one looks repeatedly.
        flips: the share of images that the change moves from their own to any other class.
        control_flips: the same share for the control.
        images: the number of images.
        flips_p: the p-value of a one-sided test that the change moves more images than the control (McNemar, 1947), or
            of its counterpart for repeated looks (:func:`picasso.audit.sequences.majority_p`).
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


@dataclass(frozen=True)
class Tally:
    """What was measured of a change of the images of one class, in sums, so that those of several blocks can be added.

    Attributes:
        control: by how much the change moves the margins beyond the control.
        unchanged: by how much it moves them beyond those of the unchanged images.
        ours: the margins of the unchanged images.
        theirs: the same margins of the images of the other class.
        both: the number of images that leave their class by the change and by the control.
        changed_only: the number of those that leave it by the change only.
        control_only: the number of those that leave it by the control only.
        size: how much the change alters an image, on average.
        control_size: how much the control does.
    """

    control: Moments
    unchanged: Moments
    ours: Moments
    theirs: Moments
    both: int
    changed_only: int
    control_only: int
    size: float = 0.0
    control_size: float = 0.0

    @property
    def images(self) -> int:
        """The number of images."""
        return self.control.count

    @property
    def way(self) -> float:
        """The mean margin of the images of the other class less that of these."""
        return self.theirs.mean - self.ours.mean

    @property
    def _compared(self) -> tuple[Moments, Moments]:
        return self.control, self.unchanged

    def __add__(self, other: Tally) -> Tally:
        """Return the tally of the images of both."""
        mine, theirs = self.images / (self.images + other.images), other.images / (self.images + other.images)
        return Tally(
            self.control + other.control,
            self.unchanged + other.unchanged,
            self.ours + other.ours,
            self.theirs + other.theirs,
            self.both + other.both,
            self.changed_only + other.changed_only,
            self.control_only + other.control_only,
            mine * self.size + theirs * other.size,
            mine * self.control_size + theirs * other.control_size,
        )

    @classmethod
    def nothing(cls, before: Margins, others: Margins) -> Tally:
        """Return the tally of images that are left as they are, with these margins and those of the other class."""
        still = Moments(len(before), 0.0, 0.0)
        return cls(still, still, Moments.of(before), Moments.of(others), 0, 0, 0)

    @property
    def scale(self) -> float:
        """The way between the classes, which effects are fractions of; infinite if the classes are not apart."""
        return self.way if self.way > 0 else np.inf

    def effect(self, repeatedly: bool = False) -> Effect:
        """Return the effect: that of the comparison with the smaller mean.

        The change must move the margin beyond both that of the unchanged images and that of the control, so both tests
        have to reject (intersection-union test, Berger, 1982).

        Args:
            repeatedly: whether one looks after each block of images. Then p-values and interval hold at all looks.
        """
        shifts = [_shift(one) for one in self._compared]
        ps = [mean_p(one, abs(self.way)) for one in self._compared] if repeatedly else [one.p for one in shifts]
        # The smaller mean first.
        compared = sorted(shifts, key=lambda one: one.mean)
        more, less = self.changed_only, self.control_only
        low, high = ((compared[0].mean + one * compared[0].margin) / self.scale for one in (-1, 1))
        if repeatedly:
            low, high = np.clip(self.fractions(REPEATED), -FARTHEST, FARTHEST).tolist()
        return Effect(
            fraction=compared[0].mean / self.scale,
            low=low,
            high=high,
            p=max(ps),
            flips=(self.both + more) / self.images,
            control_flips=(self.both + less) / self.images,
            images=self.images,
            flips_p=(majority_p if repeatedly else _mcnemar)(more, less),
            size=self.size,
            control_size=self.control_size,
        )

    def fractions(self, level: float) -> tuple[float, float]:
        """Return the confidence sequence of the effect, the quotient of those of the shift and of the way.

        Each of four sequences errs at the level: those of two comparisons, and those of the margins of both classes,
        which are the same in both directions. It is infinite while the way may be zero.
        """
        shifts, (ours, theirs) = (
            [mean_sequence(one, level, abs(self.way)) for one in some]
            for some in (self._compared, (self.ours, self.theirs))
        )
        shortest, longest = theirs[0] - ours[1], theirs[1] - ours[0]
        if shortest <= 0:
            return -np.inf, np.inf
        low, high = min(low for low, _ in shifts), min(high for _, high in shifts)
        return low / (longest if low > 0 else shortest), high / (shortest if high > 0 else longest)

    def excess_flips(self, level: float) -> tuple[float, float]:
        """Return that of the share of images that change class beyond the control; each of its two shares errs."""
        more, less = (share_sequence(one, self.images, level) for one in (self.changed_only, self.control_only))
        return more[0] - less[1], more[1] - less[0]


def tally(
    before: Margins,
    changed: Margins,
    control: Margins,
    others: Margins,
    left: tuple[Mask, Mask] | None = None,
    sizes: tuple[float, float] = (0.0, 0.0),
) -> Tally:
    """Compare margins ``logit of the other class - logit of their own`` of the same images after two changes.

    Args:
        before: margins of the unchanged images, ``(n,)``.
        changed: margins after the change towards the other class, ``(n,)``.
        control: margins after an equal change of the same kind that is not towards the other class, ``(n,)``.
        others: margins of the images of the other class, ``(m,)``.
        left: which images leave their class by the change and by the control, for any other class, ``(n,)`` each; by
            default for the other class of the margins.
        sizes: how much the change and the control alter an image.
    """
    by_change, by_control = left or ((before <= 0) & (changed > 0), (before <= 0) & (control > 0))
    both, changed_only, control_only = (
        int(some.sum()) for some in (by_change & by_control, by_change & ~by_control, by_control & ~by_change)
    )
    beyond_control, beyond_unchanged = (Moments.of(changed - other) for other in (control, before))
    ours, theirs = Moments.of(before), Moments.of(others)
    return Tally(beyond_control, beyond_unchanged, ours, theirs, both, changed_only, control_only, *sizes)


def effect(before: Margins, changed: Margins, control: Margins, others: Margins) -> Effect:
    """Return the effect of a change on margins of the same images, as :func:`tally` compares them."""
    return tally(before, changed, control, others).effect()


def _mcnemar(more: int, less: int) -> float:
    """Return the one-sided p-value that more images change class only by a change than only by its control."""
    return float(stats.binom.sf(more - 1, more + less, 0.5)) if more + less else 1.0


@dataclass(frozen=True)
class _Shift:
    mean: float
    margin: float
    p: float


def _shift(values: Moments) -> _Shift:
    """Return the mean of paired differences, half the width of its 95% interval, and the p-value of a t-test."""
    count, mean = values.count, values.mean
    error = values.deviation / count**0.5
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
