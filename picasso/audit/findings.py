"""From trials to findings: what raises an alarm, how it is said, and how small an effect would have been seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.audit.interventions import KINDS
from picasso.audit.interventions.base import FLOOR
from picasso.audit.statistics import LEVEL, bidirectional_p_values, minimal_detectable_effect
from picasso.audit.trial import Pair, Trial

# What is named first is the most specific of those that have at least this part of the largest effect.
COMPARABLE = 0.5


@dataclass(frozen=True)
class Finding:
    """Something that the model seems to go by.

    Attributes:
        there, back: the trials in both directions; the effect is at least :data:`FLOOR` in each.
        p: the larger of both p-values, corrected.
        alarm: False for what is only told.
    """

    there: Trial
    back: Trial
    p: float
    alarm: bool

    @property
    def size(self) -> float:
        """The smaller of both effects."""
        return min(self.there.effect.fraction, self.back.effect.fraction)

    def sentence(self, names: Sequence[str]) -> str:
        """Say it in words."""
        one, two = self.there, self.back
        a, b = names[one.ours], names[one.theirs]
        what = one.words.format(a=a, b=b).rstrip(",")
        flips = max(one.effect.flips, two.effect.flips)
        control = max(one.effect.control_flips, two.effect.control_flips)
        return (
            f"{one.intervention[0].upper()}{one.intervention[1:]}: {what} moves them {one.effect.fraction:.0%} of the "
            f"way to {b}, and back again {two.effect.fraction:.0%}; up to {flips:.0%} change their class, "
            f"{control:.0%} after an equal change within their own class."
        )


@dataclass(frozen=True)
class AuditOutcome:
    """What an audit found.

    Attributes:
        findings: in the order of :func:`ranked`.
        silent: the names of the interventions that found nothing.
        smallest: the smallest effect that this folder could have shown, as a fraction of the way.
        alike: the pairs of classes that the model does not tell apart, of which nothing can be said.
        compared: how many pairs it does tell apart.
        tests: for how many alarms that could have been p-values are corrected.
    """

    findings: tuple[Finding, ...]
    silent: tuple[str, ...]
    smallest: float
    alike: tuple[Pair, ...]
    compared: int
    tests: int

    @property
    def alarms(self) -> list[Finding]:
        """The findings that raise an alarm."""
        return [one for one in self.findings if one.alarm]

    def sentence(self) -> str:
        """Say it in one sentence; silence is never called robustness."""
        if self.alarms:
            first, more = self.alarms[0].there.intervention, len(self.alarms) - 1
            others = f", and {more} more finding{'s' if more > 1 else ''}" if more else ""
            return f"There is reason to think that the model goes by something else than the thing: {first}{others}."
        if not self.compared:
            return "The model does not tell these classes apart, so that nothing can be said of what it goes by."
        alike = f" It does not tell {len(self.alike)} of the pairs of classes apart." if self.alike else ""
        if not np.isfinite(self.smallest):
            return f"No reliance was found; this folder is too small to say which effect it would have shown.{alike}"
        return (
            "No reliance on anything that was tried was found. The smallest effect that this folder could have shown "
            f"is about {self.smallest:.0%} of the way between two classes.{alike}"
        )


def verdict(trials: Mapping[Pair, Sequence[Trial]]) -> AuditOutcome:
    """Judge the trials of all pairs together: p-values are corrected for how many of them could raise an alarm.

    Args:
        trials: by pair; none where the model does not tell the classes apart.
    """
    both = [two for made in trials.values() for two in directions(made)]
    both.sort(key=lambda two: two[0].informative)
    alarming = [two for two in both if not two[0].informative]
    corrected = [
        p
        for some in (alarming, both[len(alarming) :])
        for p in bidirectional_p_values([(there.effect.p, back.effect.p) for there, back in some], LEVEL)
    ]
    findings, silent = [], dict.fromkeys(there.intervention for there, _ in both)
    for (there, back), p in zip(both, corrected, strict=True):
        if p < LEVEL and back.effect.fraction >= there.floor:
            findings.append(Finding(there, back, p, alarm=not there.informative))
            silent.pop(there.intervention, None)
    visible = minimal_detectable_effect([one.effect for two in alarming for one in two], LEVEL / max(1, len(alarming)))
    alike = tuple(pair for pair, made in trials.items() if not made)
    return AuditOutcome(
        findings=tuple(ranked(findings)),
        silent=tuple(silent),
        smallest=max(FLOOR, visible),
        alike=alike,
        compared=len(trials) - len(alike),
        tests=len(alarming),
    )


def directions(made: Sequence[Trial]) -> list[tuple[Trial, Trial]]:
    """Return the two trials of each intervention on a pair of classes, that of the larger effect first."""
    by_name: dict[str, list[Trial]] = defaultdict(list)
    for one in made:
        by_name[one.intervention].append(one)
    sorted_ = (sorted(two, key=lambda one: -one.effect.fraction) for two in by_name.values() if len(two) == 2)
    return [(there, back) for there, back in sorted_]


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings as they are named: alarms first, the most specific of comparable effect first among them."""
    largest = max((one.size for one in findings if one.alarm), default=0.0)
    return sorted(
        findings,
        key=lambda one: (not one.alarm, one.size < COMPARABLE * largest, KINDS.index(one.there.kind), -one.size),
    )
