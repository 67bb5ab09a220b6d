"""The stored results of the benchmark: what each audit found, and whether it was right."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.audit.audits import file_of, trials_of
from benchmarks.audit.entries import Entry, entries
from benchmarks.audit.proxies import PROXIES, Half
from benchmarks.audit.worlds import WORLDS
from picasso.audit.findings import Finding
from picasso.audit.outcome import AuditOutcome
from picasso.audit.rule import verdict
from picasso.audit.trial import Pair, Trial

# A model relies on its proxy from the first reliance on, and does not below the second; in between is neither.
STRONG, WEAK, NONE = 0.30, 0.10, 0.05


@dataclass(frozen=True)
class Audited:
    """An entry, the measured reliance of its model on its proxy, and the trials of its audit.

    Attributes:
        entry: the entry.
        reliance: from -1 to 1; 0 without a proxy.
        trials: the trials of each pair of classes that was compared.
        seconds: the CPU time for two classes, per hundred images.
        causes: the names of the alarms in the order that putting one back gave, where it was stored.
    """

    entry: Entry
    reliance: float
    trials: Mapping[Pair, Sequence[Trial]]
    seconds: float
    causes: tuple[str, ...] = ()

    @cached_property
    def verdict(self) -> AuditOutcome:
        """The outcome of all trials together."""
        return verdict(self.trials)

    @property
    def alarms(self) -> list[Finding]:
        """The alarms, without those about what the classes of the world are made of."""
        own = WORLDS[self.entry.world].own if self.entry.world in WORLDS else frozenset()
        found = [one for one in self.verdict.alarms if one.there.intervention not in own]
        order = {name: place for place, name in enumerate(self.causes)}
        return sorted(found, key=lambda one: order.get(one.there.intervention, len(order)))

    @property
    def accused(self) -> bool:
        """Whether an alarm was raised."""
        return bool(self.alarms)

    @property
    def named(self) -> bool:
        """Whether the first alarm names the proxy."""
        return bool(self.alarms) and right(self.entry, self.alarms[0].there.intervention)

    @property
    def leaning(self) -> bool:
        """Whether there is no alarm, but a finding in one direction only."""
        return not self.accused and bool(self.verdict.one_direction)

    @property
    def control(self) -> bool:
        """Whether the model must raise no alarm."""
        return self.entry.kind != "planted" and self.reliance < NONE

    def with_floor(self, floor: float) -> Audited:
        """Return the same trials with another smallest effect of an alarm."""
        trials = {pair: [dataclasses.replace(one, floor=floor) for one in made] for pair, made in self.trials.items()}
        return dataclasses.replace(self, trials=trials)


def right(entry: Entry, name: str) -> bool:
    """Tell whether the name of an intervention is right for the planted proxy of an entry."""
    return entry.kind == "planted" and name in PROXIES[entry.proxy].names


def audited(folder: Path, half: Half, each: int) -> list[Audited]:
    """Return the stored results of the entries of a half, audited with ``each`` images of a class."""
    found = []
    for entry in entries(half):
        file = file_of(entry, folder, each)
        if not file.exists():
            continue
        written = json.loads(file.read_text())
        trials = trials_of(written)
        seconds = sum(written["seconds"].values()) / len(trials) / (2 * each) * 100
        found.append(Audited(entry, reliance_of(entry, folder), trials, seconds, tuple(written["causes"])))
    return found


def reliance_of(entry: Entry, folder: Path) -> float:
    """Return the measured reliance of an entry's model on its proxy."""
    return float(json.loads((folder / f"{entry.name}.json").read_text())["reliance"])
