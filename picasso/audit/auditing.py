"""The audit of one model with a folder of labelled pictures, from beginning to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from picasso.audit.folder import Folder
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.pairs import PAIRS, ordered
from picasso.audit.records import Record, key_of
from picasso.audit.trials import Bench, Pair, Trial
from picasso.audit.verdict import Verdict, verdict
from picasso.models.base import Model

Progress = Callable[[float], None]


def silently(fraction: float) -> None:
    """Tell nobody how far it is."""


@dataclass(frozen=True)
class Audit:
    """What was tried, and what came of it.

    Attributes:
        model: that was asked.
        folder: the pictures.
        trials: of each pair of classes that was looked at.
        left: the pairs that were not.
        seed: of what was drawn at random.
    """

    model: Model
    folder: Folder
    trials: Mapping[Pair, Sequence[Trial]]
    left: tuple[Pair, ...]
    seed: int

    @cached_property
    def verdict(self) -> Verdict:
        """What follows from all trials together."""
        return verdict(self.trials)


@dataclass(frozen=True)
class Plan:
    """What an audit is going to do.

    Attributes:
        pairs: the pairs of classes to look at, the most suspect first.
        left: those that are left out.
        passes: how many pictures go through the model for each pair, at most.
    """

    pairs: tuple[Pair, ...]
    left: tuple[Pair, ...]
    passes: Mapping[Pair, int]

    def sentence(self) -> str:
        """Say what it costs, before it starts."""
        several = f"{len(self.pairs)} pairs of classes" if len(self.pairs) > 1 else "one pair of classes"
        left = f" Not looked at: {len(self.left)} less suspect pairs." if self.left else ""
        cost = sum(self.passes.values())
        return f"{several[0].upper()}{several[1:]}, up to {cost:,} changed pictures for the model to answer.{left}"


def plan(folder: Folder, most: int = PAIRS) -> Plan:
    """Choose at most so many pairs of classes; 0 takes all."""
    every = ordered(folder)
    chosen = every[:most] if most else every
    counts = {target: len(views) for target, views in folder.views.items()}
    passes = {pair: 2 * len(INTERVENTIONS) * (counts[pair[0]] + counts[pair[1]]) for pair in chosen}
    return Plan(tuple(chosen), tuple(every[len(chosen) :]), passes)


def steps(
    bench: Bench,
    planned: Plan,
    record: Record | None = None,
    progress: Progress = silently,
    budget: float = float("inf"),
) -> Iterator[tuple[Pair, list[Trial]]]:
    """Yield the trials of each planned pair as they are made, or found in the record.

    Args:
        bench: the model and the pictures.
        planned: what to do.
        record: where trials are kept, and found if this audit was begun before; None keeps none.
        progress: called with the fraction done; it may raise an error to stop.
        budget: seconds after which no further pair is begun; the first is always done, and what was kept is taken.
    """
    started, begun = time.monotonic(), 0
    for done, pair in enumerate(planned.pairs):
        made = record.read(pair) if record else None
        if made is None:
            if begun and time.monotonic() - started > budget:
                continue
            begun, made = begun + 1, []
            for index, trial in enumerate(bench.trials(pair)):
                made += [trial] if trial else []
                progress((done + (index + 1) / (2 * len(INTERVENTIONS))) / len(planned.pairs))
            if record:
                record.write(pair, made)
        progress((done + 1) / len(planned.pairs))
        yield pair, made


def run(
    model: Model,
    folder: Folder,
    *,
    keep: Path | None = None,
    pairs: int = PAIRS,
    budget: float = float("inf"),
    seed: int = 0,
    progress: Progress = silently,
) -> Audit:
    """Audit a model with pictures that were read.

    Args:
        model: the model.
        folder: the pictures.
        keep: a folder where trials are kept, and found if this audit was begun before.
        pairs: how many pairs of classes are looked at, the most suspect first; 0 for all.
        budget: seconds after which no further pair is begun; the first is always done.
        seed: for whatever is drawn at random.
        progress: called with the fraction done.
    """
    planned = plan(folder, pairs)
    record = Record(keep, key_of(model, folder, seed)) if keep else None
    found = dict(steps(Bench(model, folder, seed), planned, record, progress, budget))
    left = (*(pair for pair in planned.pairs if pair not in found), *planned.left)
    return Audit(model, folder, found, left, seed)
