"""The rule of an audit: which effects are findings, and which findings raise an alarm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from picasso.audit.findings import Finding, Reason
from picasso.audit.outcome import AuditOutcome, ranked
from picasso.audit.statistics import LEVEL, bidirectional_p_values, holm, minimal_detectable_effect
from picasso.audit.trial import Pair, Trial

# An alarm needs at least this share of images, in one direction, that change class beyond the control.
FLIPS = 0.05
# An effect of this size in one direction is reported if what is changed separates the classes of the folder this well:
# the probability that an image of one has a larger value than one of the other.
ONE_WAY, SEPARATED = 0.35, 0.75
# With an effect of this size in one direction, the other may also be shown by changed answers: this share of images
# beyond the control.
REVERSED_FLIPS = 0.10


class Both(NamedTuple):
    """The trials of an intervention on a pair of classes, the larger effect first."""

    there: Trial
    back: Trial

    @property
    def reversed_by_answers(self) -> bool:
        """Whether the reverse is to be shown by changed answers, as its margins hardly move.

        Not of changes of the object: mirrored or turned, it may no longer be what it is, which changes answers, too.
        """
        there, back = self.there.effect, self.back.effect
        large = there.fraction >= max(ONE_WAY, self.there.floor) and self.there.kind != "object"
        return large and back.fraction < self.there.floor and back.excess_flips >= REVERSED_FLIPS

    @property
    def ps(self) -> tuple[float, float]:
        """The p-values in both directions. Where two tests could show the reverse, its p-value is doubled."""
        there, back = self.there.effect, self.back.effect
        return there.p, min(1.0, 2 * back.flips_p) if self.reversed_by_answers else back.p

    @property
    def excess_flips(self) -> float:
        """The larger share of images that change class beyond the control."""
        return max(self.there.effect.excess_flips, self.back.effect.excess_flips)

    def finding(self, p: float, p_there: float) -> Finding | None:
        """Return the finding, if there is one.

        Args:
            p: the corrected p-value of an effect in both directions.
            p_there: that of an effect in the first direction.
        """
        effect = self.there.effect
        large = self.back.effect.fraction >= self.there.floor or self.reversed_by_answers
        if p < LEVEL and large:
            return Finding(self.there, self.back, p, self.reason())
        apart = max(self.there.separation, 1 - self.there.separation) >= SEPARATED
        one_way = effect.fraction >= ONE_WAY and apart and effect.excess_flips >= FLIPS
        if p_there < LEVEL and one_way and not self.there.informative:
            return Finding(self.there, self.back, p_there, "one direction")
        return None

    def reason(self) -> Reason:
        """Return why an effect in both directions raises no alarm, or ""."""
        if self.there.informative or self.back.informative:
            return "object"
        return "few answers" if self.excess_flips < FLIPS else ""


def verdict(trials: Mapping[Pair, Sequence[Trial]]) -> AuditOutcome:
    """Evaluate the trials of all pairs together; p-values are corrected for the number of tests.

    Args:
        trials: by pair; empty where the model does not separate the classes.
    """
    both = [two for made in trials.values() for two in directions(made)]
    alarming = [two for two in both if not two.there.informative]
    findings: list[Finding] = []
    for some in (alarming, [two for two in both if two.there.informative]):
        corrected = bidirectional_p_values([two.ps for two in some], LEVEL)
        there = holm([two.there.effect.p for two in some])
        made = [two.finding(p, first) for two, p, first in zip(some, corrected, there, strict=True)]
        findings += [one for one in made if one]
    found = {one.there.intervention for one in findings}
    level = LEVEL / max(1, len(alarming))
    detectable: dict[str, float] = {}
    for two in alarming:
        # A test that stopped early would have gone on for any effect that is not surely below the floor.
        doubtful = [one.effect for one in two if not one.early]
        name, least = two.there.intervention, minimal_detectable_effect(doubtful, level) if doubtful else 0.0
        detectable[name] = max(two.there.floor, least, detectable.get(name, 0.0))
    alike = tuple(pair for pair, made in trials.items() if not made)
    return AuditOutcome(
        findings=tuple(ranked(findings)),
        silent=tuple(dict.fromkeys(two.there.intervention for two in both if two.there.intervention not in found)),
        smallest=max(detectable.values(), default=float("inf")),
        detectable=detectable,
        alike=alike,
        compared=len(trials) - len(alike),
        tests=len(alarming),
    )


def directions(made: Sequence[Trial]) -> list[Both]:
    """Return the two trials of each intervention on a pair of classes, the larger effect first."""
    by_name: dict[str, list[Trial]] = defaultdict(list)
    for one in made:
        by_name[one.intervention].append(one)
    sorted_ = (sorted(two, key=lambda one: -one.effect.fraction) for two in by_name.values() if len(two) == 2)
    return [Both(there, back) for there, back in sorted_]
