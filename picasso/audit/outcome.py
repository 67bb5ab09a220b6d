"""The outcome of an audit: its findings in their order, grouped over many classes, and in a sentence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.audit.findings import Finding, Tier
from picasso.audit.interventions import KINDS
from picasso.audit.trial import Pair

# The most specific finding is named first, among those with at least this fraction of the largest effect.
COMPARABLE = 0.5
# "Most" effects are this share of the interventions; those that need more than this factor of their effect are named,
# at most as many.
USUAL_SHARE, EXCEPTION, NAMED = 0.75, 1.5, 3


@dataclass(frozen=True)
class FindingGroup:
    """Findings about the same intervention that share a class, such as a tag that distinguishes it from all others.

    Attributes:
        findings: one for each pair of classes, in the order of the outcome.
        owner: the index of the class that they share; None for a single finding.
    """

    findings: tuple[Finding, ...]
    owner: int | None

    @property
    def name(self) -> str:
        """The name of the intervention."""
        return self.findings[0].there.intervention

    @property
    def alarm(self) -> bool:
        """Whether the findings raise an alarm."""
        return self.findings[0].alarm

    @property
    def tier(self) -> Tier:
        """What the findings say."""
        return self.findings[0].tier

    @property
    def others(self) -> list[int]:
        """The indices of the classes that the owner is distinguished from; both classes of a single finding."""
        return [target for one in self.findings for target in sorted(one.pair) if target != self.owner]

    def between(self, names: Sequence[str], classes: int) -> str:
        """Describe the classes, such as “zero” against all 9 other classes.

        Args:
            names: the names of all classes.
            classes: the number of classes in the audit.
        """
        others = self.others
        if self.owner is None:
            return " and ".join(f"“{names[target]}”" for target in others)
        every = "both other classes" if len(others) == 2 else f"all {len(others)} other classes"
        several = every if len(others) == classes - 1 else quoted(names, others)
        return f"“{names[self.owner]}” against {several}"

    def sentence(self, names: Sequence[str], classes: int) -> str:
        """Describe the first finding, with its caveat; with more than two classes, also which the group is about."""
        first = self.findings[0]
        which = f"{self.between(names, classes)}. " if classes > 2 else ""
        return f"{which}{first.sentence(names)} {first.caveat(names)}".rstrip()


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

    @property
    def one_direction(self) -> list[Finding]:
        """The findings of an effect in one direction only."""
        return [one for one in self.findings if one.tier == "one direction"]

    @property
    def few_answers(self) -> list[Finding]:
        """The findings of an effect that hardly changes any answer."""
        return [one for one in self.findings if one.reason == "few answers"]

    @property
    def groups(self) -> list[FindingGroup]:
        """The findings, grouped by what they are about."""
        return grouped(self.findings)

    def sentence(self, scope: str = "", names: Sequence[str] = (), classes: int = 2) -> str:
        """Summarise the result; the absence of findings is never called robustness.

        Args:
            scope: what the result is about if it is not about all pairs of classes, such as " (2 of 10 pairs)".
            names: the names of all classes, to name those of the first finding if there are more than two.
            classes: the number of classes in the audit.
        """
        alarms = [one for one in self.groups if one.alarm]
        if alarms:
            first, more = alarms[0], len(alarms) - 1
            which = f", for {first.between(names, classes)}" if classes > 2 and names else ""
            others = f" There {'is 1 more finding' if more == 1 else f'are {more} more findings'}." if more else ""
            return f"The model appears to rely on {first.name} rather than on the object{which}{scope}.{others}"
        if not self.compared:
            return "The model does not separate these classes, so the audit cannot tell what it relies on."
        alike = f" The model does not separate {len(self.alike)} of the pairs of classes." if self.alike else ""
        if self.one_direction:
            what = listed(list(dict.fromkeys(one.there.intervention for one in self.one_direction)))
            return (
                f"The model may rely on {what}{scope}: the effect is strong in one direction only, which is no proof. "
                f"{self.sensitivity()}{alike}"
            )
        if self.few_answers:
            what = listed(list(dict.fromkeys(one.there.intervention for one in self.few_answers)))
            return (
                f"No reliance was found that changes answers{scope}, but the margin depends on {what}. "
                f"{self.sensitivity()}{alike}"
            )
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


def listed(texts: Sequence[str]) -> str:
    """Join texts, at most :data:`NAMED` of them."""
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def quoted(names: Sequence[str], targets: Sequence[int]) -> str:
    """Join the names of classes, at most :data:`NAMED` of them."""
    return listed([f"“{names[target]}”" for target in targets])


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Sort findings: alarms first, then effects in one direction, and the most specific of comparable effect first."""
    largest = max((one.size for one in findings if one.alarm), default=0.0)
    return sorted(
        findings,
        key=lambda one: (
            not one.alarm,
            one.tier != "one direction",
            one.size < COMPARABLE * largest,
            KINDS.index(one.there.kind),
            -one.size,
        ),
    )


def grouped(findings: Sequence[Finding]) -> list[FindingGroup]:
    """Group findings of the same intervention and tier that share a class, in the order of their first findings.

    The class that is in most of the pairs owns the group; what is left is grouped in the same way.
    """
    groups: list[FindingGroup] = []
    left = list(findings)
    while left:
        about = (left[0].there.intervention, left[0].tier)
        alike = [one for one in left if (one.there.intervention, one.tier) == about]
        counts = Counter(target for one in alike for target in one.pair)
        owner, count = max(counts.items(), key=lambda one: (one[1], -one[0]))
        members = [one for one in alike if owner in one.pair] if count > 1 else [left[0]]
        groups.append(FindingGroup(tuple(members), owner if count > 1 else None))
        left = [one for one in left if one not in members]
    order = {id(one): place for place, one in enumerate(findings)}
    return sorted(groups, key=lambda group: order[id(group.findings[0])])
