"""Which findings of an audit fail a build: those that raise an alarm, above the reliance that one chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# The JSON of a finding, or of the whole audit; see document.py.
Document = Mapping[str, Any]


class Reliance(NamedTuple):
    """How much a model relies on something, as a fraction of the way between the margins of two classes.

    Attributes:
        value: the smaller of the effects in both directions; the larger one where the other is below the smallest
            effect of an alarm, so that only changed answers or nothing show it.
        low, high: the 95% confidence interval of this effect.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the value and the interval as percentages."""
        return f"{self.value:.0%} (95% interval {self.low:.0%} to {self.high:.0%})"


def reliance(finding: Document) -> Reliance:
    """Return the reliance of a finding of ``audit.json``.

    Examples:
        >>> from picasso.audit.reporting.failures import reliance
        >>> larger, smaller = {"fraction": 0.9, "low": 0.8, "high": 1.0}, {"fraction": 0.4, "low": 0.3, "high": 0.5}
        >>> print(reliance({"floor": 0.1, "directions": [larger, smaller]}))
        40% (95% interval 30% to 50%)
    """
    larger, smaller = finding["directions"]
    shown = smaller if smaller["fraction"] >= finding["floor"] else larger
    return Reliance(shown["fraction"], shown["low"], shown["high"])


def about(finding: Document) -> str:
    """Return what a finding is about: the intervention and the pair of classes."""
    one, other = (way["of"] for way in finding["directions"])
    return f"{finding['name']} (“{one}” and “{other}”)"


@dataclass(frozen=True)
class JudgedAlarm:
    """A finding that raises an alarm, and whether it fails the build.

    Attributes:
        index: its place in ``findings`` of ``audit.json``.
        about: the intervention and the pair of classes.
        reliance: how much the model relies on it.
        fails: whether it fails the build.
        why: why it fails or not, such as "Below 50%"; "" where no option says so.
    """

    index: int
    about: str
    reliance: Reliance
    fails: bool
    why: str

    def sentence(self) -> str:
        """Say how large the reliance is and why it fails or does not."""
        outcome = "fails" if self.fails else "does not fail"
        return f"{self.about[0].upper()}{self.about[1:]}: reliance {self.reliance}. {self.why}, so it {outcome}."


@dataclass(frozen=True)
class FailureRule:
    """Decides which of the findings that raise an alarm fail a build. By default, all do.

    Attributes:
        least: the smallest reliance that fails, 0..1.
    """

    least: float = 0.0

    @property
    def chosen(self) -> bool:
        """Whether the rule differs from the default."""
        return self.least > 0

    def judge(self, written: Document) -> list[JudgedAlarm]:
        """Return the findings of an audit that raise an alarm, in their order.

        Args:
            written: the content of ``audit.json``.
        """
        return [self._judged(index, one) for index, one in enumerate(written["findings"]) if one["alarm"]]

    def _judged(self, index: int, finding: Document) -> JudgedAlarm:
        found = reliance(finding)
        fails = found.value >= self.least
        why = f"{'At least' if fails else 'Below'} {100 * self.least:.3g}%" if self.chosen else ""
        return JudgedAlarm(index, about(finding), found, fails, why)


def lines(judged: Sequence[JudgedAlarm]) -> list[str]:
    """Return a sentence for each finding that raises an alarm, if there is a reason to give."""
    return [one.sentence() for one in judged if one.why]
