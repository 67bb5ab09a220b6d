"""The audit of one model with a folder of labelled images, from beginning to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from picasso.audit.attention import looks
from picasso.audit.checkpoint import TrialCheckpoint, record_of
from picasso.audit.class_pairs import ordered
from picasso.audit.dataset import Folder
from picasso.audit.findings import AuditOutcome, verdict
from picasso.audit.selection import PAIRS
from picasso.audit.trial import Pair, Trial, TrialContext
from picasso.models.base import Model


def silently(fraction: float) -> None:
    """Tell nobody how far it is."""


@dataclass(frozen=True)
class Audit:
    """What was tried, and what came of it.

    Attributes:
        context: the model, the images, and what was tried on them.
        trials: of each pair of classes that was looked at.
        left: the pairs that were not.
    """

    context: TrialContext
    trials: Mapping[Pair, Sequence[Trial]]
    left: tuple[Pair, ...]

    @property
    def model(self) -> Model:
        """The model."""
        return self.context.model

    @property
    def folder(self) -> Folder:
        """The images."""
        return self.context.folder

    @cached_property
    def verdict(self) -> AuditOutcome:
        """What follows from all trials together."""
        return verdict(self.trials)


@dataclass(frozen=True)
class Plan:
    """What an audit is going to do.

    Attributes:
        pairs: the pairs of classes to look at, the most finding first.
        left: those that are left out.
        passes: how many images go through the model for each pair, at most.
    """

    pairs: tuple[Pair, ...]
    left: tuple[Pair, ...]
    passes: Mapping[Pair, int]

    def sentence(self) -> str:
        """Say what it costs, before it starts."""
        several = f"{len(self.pairs)} pairs of classes" if len(self.pairs) > 1 else "one pair of classes"
        left = f" Not looked at: {len(self.left)} less finding pairs." if self.left else ""
        cost = sum(self.passes.values())
        return f"{several[0].upper()}{several[1:]}, up to {cost:,} changed images for the model to answer.{left}"


def plan(context: TrialContext, most: int = PAIRS) -> Plan:
    """Choose at most so many pairs of classes, the most finding; 0 takes all."""
    counts = {target: len(views) for target, views in context.folder.views.items()}
    return planned(ordered(context.folder), counts, most, passes(context.model, len(context.interventions)))


def passes(model: Model, interventions: int) -> int:
    """Return how often an image goes through the model: changed, as a control, and to see where it looks."""
    return 2 * interventions + looks(model)


def planned(every: Sequence[Pair], counts: Mapping[int, int], most: int, times: int) -> Plan:
    """Return the plan for the first pairs of some, where each image goes through the model so many times."""
    chosen = every[:most] if most else every
    needed = {pair: times * (counts[pair[0]] + counts[pair[1]]) for pair in chosen}
    return Plan(tuple(chosen), tuple(every[len(chosen) :]), needed)


@dataclass(frozen=True)
class Step:
    """How far an audit is.

    Attributes:
        pair: the classes that are looked at.
        trials: what was tried on them so far.
        tried: how many of the interventions that were.
        whole: whether these are all.
        fraction: of the whole audit that is done.
    """

    pair: Pair
    trials: list[Trial]
    tried: int
    whole: bool
    fraction: float


def steps(
    context: TrialContext, plan: Plan, record: TrialCheckpoint | None = None, budget: float = float("inf")
) -> Iterator[Step]:
    """Yield how far it is, when a pair is begun and after each intervention.

    Args:
        context: the model and the images.
        plan: what to do.
        record: where trials are kept, and found if this audit was begun before; None keeps none.
        budget: seconds after which no further pair is begun; the first is always done, and what was kept is taken.
    """
    started, begun, all_ = time.monotonic(), False, len(context.interventions)
    for done, pair in enumerate(plan.pairs):
        made, tried = record.read(pair) if record else ([], 0)
        if tried < all_:
            if begun and time.monotonic() - started > budget:
                continue
            begun = True
        if not context.is_separable(pair):
            yield Step(pair, [], all_, True, (done + 1) / len(plan.pairs))
            continue
        yield Step(pair, made, tried, tried == all_, (done + tried / all_) / len(plan.pairs))
        for intervention in context.interventions[tried:]:
            made, tried = made + context.both(intervention, pair), tried + 1
            if record:
                record.write(pair, made, tried)
            yield Step(pair, made, tried, tried == all_, (done + tried / all_) / len(plan.pairs))


def run(
    context: TrialContext,
    todo: Plan | None = None,
    *,
    keep: Path | None = None,
    budget: float = float("inf"),
    progress: Callable[[float], None] = silently,
) -> Audit:
    """Audit a model.

    Args:
        context: the model and the images.
        todo: what to do; by default the plan for as many pairs as usual.
        keep: where trials are kept, and found if this audit was begun before; its parent exists.
        budget: seconds after which no further pair is begun; the first is always done.
        progress: called with the fraction done.
    """
    todo = todo or plan(context)
    found: dict[Pair, list[Trial]] = {}
    for step in steps(context, todo, record_of(keep, context) if keep else None, budget):
        progress(step.fraction)
        if step.whole:
            found[step.pair] = step.trials
    return finished(context, todo, found)


def finished(context: TrialContext, plan: Plan, found: Mapping[Pair, Sequence[Trial]]) -> Audit:
    """Return the audit of the pairs that were looked at."""
    return Audit(context, found, (*(pair for pair in plan.pairs if pair not in found), *plan.left))
