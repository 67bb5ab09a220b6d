"""Run the audit of one model with a folder of labelled images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from picasso.audit.attention import looks
from picasso.audit.causes import ordered_by_cause
from picasso.audit.checkpoint import TrialCheckpoint, record_of
from picasso.audit.class_pairs import ordered
from picasso.audit.coverage import Coverage, coverage
from picasso.audit.dataset import Folder
from picasso.audit.outcome import AuditOutcome
from picasso.audit.rule import verdict
from picasso.audit.selection import PAIRS
from picasso.audit.stopping import judged, level_of, tested_further, undecided
from picasso.audit.trial import Pair, Trial, TrialContext
from picasso.models.base import Model

# The largest number of skipped pairs of many classes that are listed.
LISTED = 1_000


def silently(fraction: float) -> None:
    """Ignore the progress."""


@dataclass(frozen=True, repr=False)
class Audit:
    """A completed audit.

    Attributes:
        context: the model, the images and the interventions.
        trials: the trials of each pair of classes that was compared.
        left: the pairs that were not compared.
        tried: the number of interventions that were tested on each pair for which the time ran out.
        unlisted: the number of further pairs that were not compared.
    """

    context: TrialContext
    trials: Mapping[Pair, Sequence[Trial]]
    left: tuple[Pair, ...]
    tried: Mapping[Pair, int] = field(default_factory=dict)
    unlisted: int = 0

    def __repr__(self) -> str:
        """Return the model and the summary of the outcome."""
        return f"<Audit of {self.model!r}: {self.sentence()}>"

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
        """The outcome of all trials together; of findings with the same cause, the cause comes first."""
        return ordered_by_cause(self.context, verdict(self.trials))

    @cached_property
    def coverage(self) -> Coverage:
        """What the audit could judge."""
        every = len(self.context.interventions)
        untested = sum(every - tried for tried in self.tried.values())
        left = sum(map(len, self.undecided.values()))
        folder = replace(self.folder, unreadable=self.context.unreadable)
        return coverage(folder, self.verdict.compared, untested, every * len(self.tried), left, self.used)

    @property
    def undecided(self) -> dict[Pair, list[str]]:
        """The names of the interventions whose tests did not end before the time ran out, by pair."""
        return {pair: names for pair, made in self.trials.items() if (names := undecided(made))}

    @property
    def used(self) -> float:
        """The share of the available images that the tests used, on average, 0..1."""
        every = [one for made in self.trials.values() for one in made]
        return sum(one.effect.images for one in every) / max(1, sum(one.pool for one in every)) if every else 1.0

    @property
    def untested(self) -> dict[Pair, list[str]]:
        """The names of the interventions that were not tested on a pair because the time ran out."""
        names = [one.name for one in self.context.interventions]
        return {pair: names[tried:] for pair, tried in self.tried.items()}

    def sentence(self) -> str:
        """Summarise the audit: swapped folders, the findings, the pairs that they are about, and what was left out."""
        names = [str(name) for name in self.model.class_names()]
        seen = self.coverage
        judged = self.verdict.sentence(seen.scope, names, self.folder.classes)
        return " ".join([*seen.warnings(names), judged, *seen.remarks()])


@dataclass(frozen=True)
class Plan:
    """The pairs of classes that an audit compares, and their cost.

    Attributes:
        pairs: the pairs of classes to compare, those most likely to show a shortcut first.
        left: the pairs that are skipped.
        passes: the largest number of model evaluations for each pair.
        stops: whether tests may stop before they have used all images.
        unlisted: the number of further pairs that are skipped.
        looked: the number of images of each class by which the pairs were chosen; 0 if all images were read.
        among: the number of pairs of the audit that this is a part of; 0 for a whole one.
    """

    pairs: tuple[Pair, ...]
    left: tuple[Pair, ...]
    passes: Mapping[Pair, int]
    stops: bool = False
    among: int = 0
    unlisted: int = 0
    looked: int = 0

    def level(self, interventions: int) -> float:
        """Return the level of each confidence sequence of the audit, with this number of interventions."""
        return level_of(interventions * (self.among or len(self.pairs)))

    def only(self, pair: Pair) -> Plan:
        """Return the part of the plan for one of the pairs, which gives the same results there."""
        return replace(self, pairs=(pair,), among=len(self.pairs))

    def sentence(self) -> str:
        """Describe the cost before the audit starts."""
        several = f"{len(self.pairs)} pairs of classes" if len(self.pairs) > 1 else "one pair of classes"
        skipped = len(self.left) + self.unlisted
        left = f" Skipped: {skipped:,} pairs of lower priority." if skipped else ""
        left += f" The pairs were chosen by up to {self.looked} images of each class." if self.looked else ""
        cost = sum(self.passes.values())
        fewer = "; each test stops once its result is clear" if self.stops else ""
        return f"{several[0].upper()}{several[1:]}, up to {cost:,} model evaluations{fewer}.{left}"


def plan(context: TrialContext, most: int = PAIRS) -> Plan:
    """Plan the comparison of at most ``most`` pairs of classes, by priority; 0 takes all."""
    blocks = context.folder.blocks
    sizes = {target: len(views) for target, views in context.folder.views.items()}
    counts = sizes if blocks is None else {target: sum(blocks.sizes[target]) for target in sizes}
    times, look = passes(context.model, len(context.interventions)), context.folder.look
    if look is None:
        return replace(planned(ordered(context.folder), counts, most, times), stops=blocks is not None)
    # What was chosen when the images were read: the other classes are not held.
    held = [pair for pair in look.pairs if counts.keys() >= set(pair)]
    made = planned(held, counts, most, times)
    chosen = set(made.pairs)
    left = tuple(pair for pair in look.pairs if pair not in chosen)[:LISTED]
    unlisted = look.classes * (look.classes - 1) // 2 - len(chosen) - len(left)
    return replace(made, left=left, stops=blocks is not None, unlisted=unlisted, looked=look.images)


def passes(model: Model, interventions: int) -> int:
    """Return the number of model evaluations per image: changed, as a control, and for its attribution map."""
    return 2 * interventions + looks(model)


def planned(every: Sequence[Pair], counts: Mapping[int, int], most: int, times: int) -> Plan:
    """Return the plan for the first ``most`` pairs, with ``times`` model evaluations per image."""
    chosen = every[:most] if most else every
    needed = {pair: times * (counts[pair[0]] + counts[pair[1]]) for pair in chosen}
    return Plan(tuple(chosen), tuple(every[len(chosen) :]), needed)


@dataclass(frozen=True)
class Step:
    """The progress of an audit.

    Attributes:
        pair: the classes that are being compared.
        trials: their trials so far.
        tried: the number of interventions that were tested on them.
        whole: whether these are all interventions.
        fraction: the completed fraction of the whole audit.
    """

    pair: Pair
    trials: list[Trial]
    tried: int
    whole: bool
    fraction: float


def steps(
    context: TrialContext, plan: Plan, record: TrialCheckpoint | None = None, budget: float = float("inf")
) -> Iterator[Step]:
    """Yield the progress at the start of each pair and after each intervention.

    Over a budget, the intervention that is being tested is completed, and nothing else is tested. Of large classes, all
    pairs and interventions are tested on the first block of images, then those that are undecided on the next.

    Args:
        context: the model and the images.
        plan: the pairs to compare.
        record: stores trials, and provides those of an interrupted audit; None stores nothing.
        budget: seconds after which no further intervention is tested. One always is, if only on one further block, and
            stored trials are always used.
    """
    started, begun, all_ = time.monotonic(), False, len(context.interventions)
    level = plan.level(all_)
    # The first block counts as one half of an audit in several blocks.
    share = (1.0 if context.folder.blocks is None else 0.5) / max(1, len(plan.pairs))

    def over() -> bool:
        return begun and time.monotonic() - started > budget

    first: dict[Pair, list[Trial]] = {}
    for done, pair in enumerate(plan.pairs):
        made, tried = record.read(pair) if record else ([], 0)
        if not tried and over():
            continue
        if not context.is_separable(pair):
            first[pair] = []
            yield Step(pair, [], all_, True, share * (done + 1))
            continue
        yield Step(pair, made, tried, tried == all_, share * (done + tried / all_))
        for intervention in context.interventions[tried:]:
            if over():
                break
            begun = True
            both = judged(context.both(intervention, pair), context.blocks_of_pair(pair), level)
            made, tried = made + both, tried + 1
            if record:
                record.write(pair, made, tried)
            yield Step(pair, made, tried, tried == all_, share * (done + tried / all_))
        if tried == all_:
            first[pair] = made
    for step in _further(context, first, level, over, record):
        begun = True
        yield step


def _further(
    context: TrialContext,
    found: Mapping[Pair, list[Trial]],
    level: float,
    over: Callable[[], bool],
    record: TrialCheckpoint | None,
) -> Iterator[Step]:
    """Yield the progress of the tests of what is undecided on further blocks, in the second half of an audit."""
    if context.folder.blocks is None:
        return
    all_, left = len(context.interventions), {pair: len(undecided(made)) for pair, made in found.items()}
    begun = sum(left.values())
    if found and not begun:
        pair = list(found)[-1]
        yield Step(pair, found[pair], all_, True, 1.0)
    for number, messages in (record.read_unreadable() if record else {}).items():
        context.note_unreadable(number, messages)
    for pair, made in tested_further(context, found, level, over):
        if record:
            # Before the trials: blocks that were used are not read again.
            if context.unreadable_later:
                record.write_unreadable(context.unreadable_later)
            record.write(pair, made, all_)
        left[pair] = len(undecided(made))
        yield Step(pair, list(made), all_, True, 1 - 0.5 * sum(left.values()) / begun)


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
        todo: the plan; by default that for the default number of pairs.
        keep: the folder that stores trials and provides those of an interrupted audit; its parent must exist.
        budget: seconds after which no further intervention is tested.
        progress: called with the completed fraction.
    """
    todo = todo or plan(context)
    record = record_of(keep, context, todo.level(len(context.interventions))) if keep else None
    found: dict[Pair, Step] = {}
    for step in steps(context, todo, record, budget):
        progress(step.fraction)
        found[step.pair] = step
    return finished(context, todo, found)


def finished(context: TrialContext, plan: Plan, found: Mapping[Pair, Step]) -> Audit:
    """Return the audit, given the last step of each pair that was begun."""
    # Before its first trial, a pair looks like one that the model does not separate.
    trials = {pair: step.trials for pair, step in found.items() if step.whole or step.trials}
    tried = {pair: found[pair].tried for pair in trials if not found[pair].whole}
    left = (*(pair for pair in plan.pairs if pair not in trials), *plan.left)
    return Audit(context, trials, left, tried, plan.unlisted)
