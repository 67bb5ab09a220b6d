"""Which findings of an audit fail a build: those that raise an alarm, are new or have grown, and are large enough."""

from __future__ import annotations

from dataclasses import dataclass

from picasso.audit.reporting.baseline import Baseline
from picasso.audit.reporting.reliance import Document, Reliance, Subject, described, reliance, subject


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
    about: Subject
    reliance: Reliance
    fails: bool
    why: str

    def sentence(self) -> str:
        """Say how large the reliance is and why it fails or does not."""
        outcome = "fails" if self.fails else "does not fail"
        return f"{described(self.about)}: reliance {self.reliance}. {self.why}, so it {outcome}."


@dataclass(frozen=True)
class FailureRule:
    """Decides which of the findings that raise an alarm fail a build. By default, all do.

    Attributes:
        least: the smallest reliance that fails, 0..1.
        baseline: findings that are known, which fail only if they have grown by more than their uncertainty.
    """

    least: float = 0.0
    baseline: Baseline | None = None

    def judge(self, written: Document) -> list[JudgedAlarm]:
        """Return the findings of an audit that raise an alarm, in their order.

        Args:
            written: the content of ``audit.json``.
        """
        return [self._judged(index, one) for index, one in enumerate(written["findings"]) if one["alarm"]]

    def _judged(self, index: int, finding: Document) -> JudgedAlarm:
        about, found = subject(finding), reliance(finding)
        fails, why = found.value >= self.least, []
        if self.baseline:
            then = self.baseline.known.get(about)
            if then is None:
                why.append("new")
            elif found.exceeds(then):
                why.append(f"grown from {then} in the baseline")
            else:
                fails = False
                why.append(f"known, with {then} in the baseline")
        if self.least > 0:
            why.append(f"{'at least' if found.value >= self.least else 'below'} {100 * self.least:.3g}%")
        text = ", ".join(why)
        return JudgedAlarm(index, about, found, fails, text[:1].upper() + text[1:])
