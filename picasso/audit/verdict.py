"""From trials to suspects: what raises an alarm, how it is said, and how small an effect would have been seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from picasso.audit.interventions import KINDS
from picasso.audit.statistics import holm, smallest_visible
from picasso.audit.trials import Trial

# An alarm needs both: a test that is not chance in either direction, and an effect that matters in either.
LEVEL, FLOOR = 0.01, 0.10


@dataclass(frozen=True)
class Suspect:
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
class Verdict:
    """What an audit found.

    Attributes:
        suspects: the most specific kind first, the largest effect first; those without alarm last.
        silent: the names of the interventions that found nothing.
        smallest: the smallest effect that this folder could have shown, as a fraction of the way.
    """

    suspects: tuple[Suspect, ...]
    silent: tuple[str, ...]
    smallest: float

    @property
    def alarms(self) -> list[Suspect]:
        """The suspects that raise an alarm."""
        return [one for one in self.suspects if one.alarm]

    def sentence(self) -> str:
        """Say it in one sentence; silence is never called robustness."""
        if self.alarms:
            several = f"{len(self.alarms)} suspects" if len(self.alarms) > 1 else "one suspect"
            return f"There is reason to think that the model goes by something else than the thing: {several}."
        return (
            "No reliance on anything that was tried was found. The smallest effect that this folder could have shown "
            f"is about {self.smallest:.0%} of the way between two classes."
        )


def verdict(trials: Mapping[tuple[int, int], Sequence[Trial]]) -> Verdict:
    """Judge the trials of all pairs together: p-values are corrected for how many there are."""
    every = [one for made in trials.values() for one in made]
    corrected = dict(zip(map(key, every), holm([one.effect.p for one in every]), strict=True))
    by_name: dict[tuple[str, int, int], dict[tuple[int, int], Trial]] = defaultdict(dict)
    for one in every:
        first, second = sorted((one.ours, one.theirs))
        by_name[one.intervention, first, second][one.ours, one.theirs] = one
    suspects, silent = [], dict.fromkeys(one.intervention for one in every)
    for directions in by_name.values():
        there, back = sorted(directions.values(), key=lambda one: -one.effect.fraction)
        p = max(corrected[key(there)], corrected[key(back)])
        if p < LEVEL and back.effect.fraction >= FLOOR:
            suspects.append(Suspect(there, back, p, alarm=not there.informative))
            silent.pop(there.intervention, None)
    suspects.sort(key=lambda one: (not one.alarm, KINDS.index(one.there.kind), -one.size))
    visible = smallest_visible([one.effect for one in every if not one.informative], LEVEL)
    return Verdict(tuple(suspects), tuple(silent), max(FLOOR, visible))


def key(one: Trial) -> tuple[str, int, int]:
    """Return what tells a trial from all others."""
    return one.intervention, one.ours, one.theirs
