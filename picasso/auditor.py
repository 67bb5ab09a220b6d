"""Doing an audit that somebody watches: it says what it tries and finds, gives way to questions, and can be stopped.

What an audit is, :mod:`picasso.audit` knows; here it is tied to the folder of :class:`picasso.audits.Audit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import prod
from typing import Any, cast

from picasso.audit import auditing, folder
from picasso.audit.interventions import Intervention
from picasso.audit.records import record_of
from picasso.audit.reporting import report
from picasso.audit.trials import Bench, Pair, Trial
from picasso.audit.verdict import Suspect, verdict
from picasso.audit_documents import Direction, Finding, Progress
from picasso.audits import Audit
from picasso.errors import Cancelled
from picasso.estimating import PACES
from picasso.labelled import Labelled
from picasso.models.arrays import Array
from picasso.models.base import Model

# No pair is begun after this share of the time that an audit may compute; the rest is for the one at work.
SHARE = 0.7
# Seconds that changing a picture takes, and making it the model's input, besides what the model takes: for each picture
# and for each of its values, on the average of all interventions, measured on one core.
EACH, EACH_VALUE = 4e-4, 8e-8


class Diary:
    """Notes in the folder of an audit what is being done, and gives way where that is wanted.

    Args:
        audit: the audit.
        meanwhile: called at every note.
    """

    def __init__(self, audit: Audit, meanwhile: Callable[[], None]) -> None:
        self._audit, self._meanwhile = audit, meanwhile
        self._began = time.perf_counter() - audit.computed()
        self._now = Progress()

    @property
    def seconds(self) -> float:
        """How long the audit took so far, before it was interrupted too."""
        return round(time.perf_counter() - self._began, 3)

    def note(self, **changed: Any) -> None:
        """Write down what has changed."""
        self._now = replace(self._now, **changed, seconds=self.seconds)
        if not self._audit.unwanted():
            self._audit.report(self._now)
        self.give_way()

    def give_way(self) -> None:
        """Let others have their answers; raise Cancelled where the audit is not wanted any more."""
        if self._audit.unwanted():
            raise Cancelled
        self._meanwhile()


class Patient:
    """A model that gives way before each batch: a trial asks it about hundreds of pictures at once.

    Args:
        model: the model.
        give_way: called before each batch.
    """

    def __init__(self, model: Model, give_way: Callable[[], None]) -> None:
        self._model, self._give_way = model, give_way

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, inputs: Array) -> Array:
        """Answer with probabilities."""
        self._give_way()
        return self._model.predict(inputs)

    def logits(self, inputs: Array) -> Array:
        """Answer with logits."""
        self._give_way()
        return self._model.logits(inputs)


def conduct(
    audit: Audit, load: Callable[[], tuple[Model, Sequence[Intervention]]], limit: float, meanwhile: Callable[[], None]
) -> None:
    """Do an audit, or go on with one that was interrupted.

    Args:
        audit: with its pictures.
        load: gives the model, and what is tried.
        limit: how many seconds it may compute.
        meanwhile: called between two chunks of work.

    Raises:
        Cancelled: it was cancelled or deleted.
        PicassoError: the pictures or the model do not fit.
    """
    diary, order = Diary(audit, meanwhile), audit.order()
    diary.note()
    loaded, interventions = load()
    model = cast(Model, Patient(loaded, diary.give_way))
    names = [str(name) for name in model.class_names()]
    pictures = gathered(audit, model, lambda fraction: diary.note(fraction=round(fraction, 4)))
    bench = Bench(model, pictures, order.seed, interventions)
    plan = auditing.plan(bench, order.pairs)
    begun = {"state": "running", "fraction": 0.0, "began": diary.seconds}
    diary.note(**begun, cost=plan.sentence(), total=len(plan.pairs))
    found: dict[Pair, list[Trial]] = {}
    budget = min(order.budget, SHARE * limit - diary.seconds)
    for step in auditing.steps(bench, plan, record_of(audit.trials, bench), budget):
        if step.trials:
            audit.find(findings(verdict({**found, step.pair: step.trials}).suspects, names))
        if step.whole:
            found[step.pair] = step.trials
            diary.note(fraction=round(step.fraction, 4), done=len(found))
        else:
            pair, trying = [names[one] for one in step.pair], bench.interventions[step.tried].name
            diary.note(fraction=round(step.fraction, 4), pair=pair, trying=trying)
    diary.note(fraction=1.0, pair=[], trying="")
    audited = auditing.finished(bench, plan, found)
    report.write(audited, audit.out)
    audit.find(findings(audited.verdict.suspects, names), audited.verdict.sentence())
    diary.note()
    audit.finish()


def gathered(audit: Audit, model: Model, progress: Callable[[float], None]) -> folder.Folder:
    """Return the pictures of an audit as the model sees them, under the names that the visitor gave them."""
    stored = [Labelled(file, target) for target, file in audit.pictures()]
    read = folder.read(model, stored, progress)
    return replace(read, names={target: tuple(map(audit.name_of, names)) for target, names in read.names.items()})


def findings(suspects: Sequence[Suspect], names: Sequence[str]) -> list[Finding]:
    """Return suspects as JSON-ready values."""
    return [
        Finding(
            name=one.there.intervention,
            kind=one.there.kind,
            alarm=one.alarm,
            sentence=one.sentence(names),
            directions=[direction(one.there, names), direction(one.back, names)],
        )
        for one in suspects
    ]


def direction(trial: Trial, names: Sequence[str]) -> Direction:
    """Return one direction of a suspect as JSON-ready values."""
    effect = trial.effect
    return Direction(
        of=names[trial.ours],
        towards=names[trial.theirs],
        fraction=effect.fraction,
        low=effect.low,
        high=effect.high,
        flips=effect.flips,
        control_flips=effect.control_flips,
    )


def cost(model: Model, counts: Mapping[int, int], pairs: int, interventions: int) -> dict[str, Any]:
    """Return what an audit will cost, before it has any pictures.

    Args:
        model: the model.
        counts: how many pictures there will be, by class.
        pairs: how many pairs of classes will be looked at; 0 for all.
        interventions: how many are tried.

    Returns:
        The ``sentence`` of :class:`picasso.audit.auditing.Plan` and about how many ``seconds`` that takes, or None
        while the model's pace is not known. Which pairs are suspect is seen later, so those count that cost most.
    """
    every = sorted(combinations(sorted(counts), 2), key=lambda pair: -counts[pair[0]] - counts[pair[1]])
    plan = auditing.planned(every, counts, pairs, interventions)
    pace, answers = PACES.get(model), sum(plan.passes.values()) + sum(counts.values())
    seconds = None if pace is None else answers * (pace + EACH + EACH_VALUE * prod(model.input_shape))
    return {"sentence": plan.sentence(), "seconds": seconds}
