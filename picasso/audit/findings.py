"""From trials to findings: which effects raise an alarm, their wording, and the smallest detectable effect."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.audit.interventions import KINDS
from picasso.audit.statistics import LEVEL, bidirectional_p_values, minimal_detectable_effect
from picasso.audit.trial import Pair, Trial

# The most specific finding is named first, among those with at least this fraction of the largest effect.
COMPARABLE = 0.5
# "Most" effects are this share of the interventions; those that need more than this factor of their effect are named,
# at most as many.
USUAL_SHARE, EXCEPTION, NAMED = 0.75, 1.5, 3


@dataclass(frozen=True)
class Finding:
    """Something that the model appears to rely on.

    Attributes:
        there, back: the trials in both directions; the effect is at least the floor of the intervention in each.
        p: the larger of the two p-values, corrected.
        alarm: False for an informational finding.
    """

    there: Trial
    back: Trial
    p: float
    alarm: bool

    @property
    def size(self) -> float:
        """The smaller of the two effects."""
        return min(self.there.effect.fraction, self.back.effect.fraction)

    def sentence(self, names: Sequence[str]) -> str:
        """Describe the finding, with the names of the classes."""
        one, two = self.there, self.back
        a, b = (f"“{names[target]}”" for target in (one.ours, one.theirs))
        what = one.words.format(a=a, b=b)
        flips = max(one.effect.flips, two.effect.flips)
        control = max(one.effect.control_flips, two.effect.control_flips)
        return (
            f"{one.intervention[0].upper()}{one.intervention[1:]}: {what} moves the logit margin "
            f"{one.effect.fraction:.0%} of the way to {b} ({two.effect.fraction:.0%} in reverse). "
            f"Up to {flips:.0%} of the images change class ({control:.0%} in the control)."
        )


@dataclass(frozen=True, repr=False)
class AuditOutcome:
    """The result of an audit.

    Attributes:
        findings: in the order of :func:`ranked`.
        silent: the names of the interventions without a finding.
        smallest: the smallest effect that every test would have detected with this folder, as a fraction of the way
            between two classes.
        detectable: the smallest detectable effect of each intervention that can raise an alarm.
        alike: the pairs of classes that the model does not separate, which can't be tested.
        compared: the number of pairs that the model separates.
        tests: the number of tests that the p-values are corrected for.
    """

    findings: tuple[Finding, ...]
    silent: tuple[str, ...]
    smallest: float
    detectable: Mapping[str, float]
    alike: tuple[Pair, ...]
    compared: int
    tests: int

    def __repr__(self) -> str:
        """Return the number of findings and the summary."""
        return f"<AuditOutcome: {len(self.findings)} findings. {self.sentence()}>"

    @property
    def alarms(self) -> list[Finding]:
        """The findings that raise an alarm."""
        return [one for one in self.findings if one.alarm]

    def sentence(self, scope: str = "") -> str:
        """Summarise the result; the absence of findings is never called robustness.

        Args:
            scope: what the result is about if it is not about all pairs of classes, such as " (2 of 10 pairs)".
        """
        if self.alarms:
            first, more = self.alarms[0].there.intervention, len(self.alarms) - 1
            others = f" There {'is 1 more finding' if more == 1 else f'are {more} more findings'}." if more else ""
            return f"The model appears to rely on {first} rather than on the object{scope}.{others}"
        if not self.compared:
            return "The model does not separate these classes, so the audit cannot tell what it relies on."
        alike = f" The model does not separate {len(self.alike)} of the pairs of classes." if self.alike else ""
        if not np.isfinite(self.smallest):
            return (
                f"No reliance was found{scope}, but the folder is too small to estimate the detectable effect.{alike}"
            )
        return f"No reliance on any tested property was found{scope}. {self.sensitivity()}{alike}"

    def sensitivity(self) -> str:
        """Describe the smallest effects that this folder could show: of most interventions, and the exceptions."""
        sizes = sorted(self.detectable.values())
        usual = sizes[math.ceil(USUAL_SHARE * len(sizes)) - 1]
        blind = [name for name, size in self.detectable.items() if size >= 1]
        if usual >= 1:
            return "With this folder, hardly any reliance would be detected: more or clearer images are needed."
        coarse = {name: size for name, size in self.detectable.items() if EXCEPTION * usual < size < 1}
        rare = [f"{name} from {size:.0%}" for name, size in sorted(coarse.items(), key=lambda one: -one[1])]
        text = f"Most effects are detected from about {usual:.0%} of the way between two classes on"
        text += f"; {listed(rare)}." if rare else "."
        return f"{text} With this folder, {listed(blind)} can't be judged." if blind else text


def verdict(trials: Mapping[Pair, Sequence[Trial]]) -> AuditOutcome:
    """Evaluate the trials of all pairs together; p-values are corrected for the number of tests.

    Args:
        trials: by pair; empty where the model does not separate the classes.
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
    level = LEVEL / max(1, len(alarming))
    detectable: dict[str, float] = {}
    for two in alarming:
        name, least = two[0].intervention, minimal_detectable_effect([one.effect for one in two], level)
        detectable[name] = max(two[0].floor, least, detectable.get(name, 0.0))
    alike = tuple(pair for pair, made in trials.items() if not made)
    return AuditOutcome(
        findings=tuple(ranked(findings)),
        silent=tuple(silent),
        smallest=max(detectable.values(), default=float("inf")),
        detectable=detectable,
        alike=alike,
        compared=len(trials) - len(alike),
        tests=len(alarming),
    )


def listed(texts: Sequence[str]) -> str:
    """Join texts, at most :data:`NAMED` of them."""
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def directions(made: Sequence[Trial]) -> list[tuple[Trial, Trial]]:
    """Return the two trials of each intervention on a pair of classes, the larger effect first."""
    by_name: dict[str, list[Trial]] = defaultdict(list)
    for one in made:
        by_name[one.intervention].append(one)
    sorted_ = (sorted(two, key=lambda one: -one.effect.fraction) for two in by_name.values() if len(two) == 2)
    return [(there, back) for there, back in sorted_]


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Sort findings: alarms first, and among those of comparable effect the most specific first."""
    largest = max((one.size for one in findings if one.alarm), default=0.0)
    return sorted(
        findings,
        key=lambda one: (not one.alarm, one.size < COMPARABLE * largest, KINDS.index(one.there.kind), -one.size),
    )
