"""Doing an audit that somebody watches: it says what it tries and finds, gives way to questions, and can be stopped.

What an audit is, :mod:`picasso.audit` knows; here it is tied to the folder of :class:`picasso.jobs.audit_job.Audit`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np

from picasso.audit import audit as auditing
from picasso.audit import dataset
from picasso.audit.catalogue import catalogue
from picasso.audit.checkpoint import record_of
from picasso.audit.findings import Finding, verdict
from picasso.audit.interventions import Intervention
from picasso.audit.reporting import report
from picasso.audit.trial import Pair, Trial, TrialContext
from picasso.config import Settings
from picasso.errors import Cancelled, ConfigurationError
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.explanation.cost_model import PACES
from picasso.jobs.audit_documents import Direction, FindingDocument, Progress
from picasso.jobs.audit_job import Audit
from picasso.models.arrays import Array, Classes
from picasso.models.base import Model

log = logging.getLogger(__name__)

# No pair is begun after this share of the time that an audit may compute; the rest is for the one at work.
SHARE = 0.7
# Seconds that changing an image takes, and making it the model's input, besides what the model takes: for each image
# and for each of its values, on the average of all interventions, measured on one core.
EACH, EACH_VALUE = 4e-4, 8e-8
# Where they lie and what is wrong with them, only the operator is told.
UNUSABLE = "The INTERVENTIONS of this server can't be used; its log says why."


class ProgressReporter:
    """Notes in the folder of an audit what is being done, and gives way where that is wanted.

    Args:
        audit: the audit.
        checkpoint: called at every note.
    """

    def __init__(self, audit: Audit, checkpoint: Callable[[], None]) -> None:
        self._audit, self._checkpoint = audit, checkpoint
        self._began = time.perf_counter() - audit.computed()
        self._now = Progress()

    @property
    def seconds(self) -> float:
        """How long the audit took so far, before it was interrupted too."""
        return round(time.perf_counter() - self._began, 3)

    def note(self, **changed: Any) -> None:
        """Write down what has changed."""
        self._now = replace(self._now, **changed, seconds=self.seconds)
        if not self._audit.is_stopped():
            self._audit.report(self._now)
        self.yield_control()

    def yield_control(self) -> None:
        """Let others have their answers; raise Cancelled where the audit is not wanted any more."""
        if self._audit.is_stopped():
            raise Cancelled
        self._checkpoint()


class CancellableModel:
    """A model that gives way before each batch, though it is asked about hundreds of images at once.

    Args:
        model: the model.
        give_way: called before each batch.
    """

    def __init__(self, model: Model, yield_control: Callable[[], None]) -> None:
        self._model, self._yield_control = model, yield_control

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, inputs: Array) -> Array:
        """Answer with probabilities."""
        return self._patiently(self._model.predict, inputs)

    def logits(self, inputs: Array) -> Array:
        """Answer with logits."""
        return self._patiently(self._model.logits, inputs)

    def input_gradients(self, inputs: Array, classes: Sequence[int] | Classes) -> Array:
        """Answer with gradients."""
        return self._patiently(self._model.input_gradients, inputs, np.asarray(classes, np.int64))

    def _patiently(self, answer: Callable[..., Array], *arrays: Any) -> Array:
        size, parts = self._model.batch_size, []
        for start in range(0, max(1, len(arrays[0])), size):
            self._yield_control()
            parts.append(answer(*(array[start : start + size] for array in arrays)))
        return np.concatenate(parts)


@lru_cache(maxsize=1)
def catalogued(files: tuple[Path, ...]) -> tuple[Intervention, ...] | None:
    """Return what audits try, with what the files of ``INTERVENTIONS`` add, or None where one of them is wrong.

    They are executed once per process, and the log says at once what is wrong with them.
    """
    try:
        return catalogue(files)
    except ConfigurationError as error:
        log.error("No audit can be done: %s", error.message, exc_info=error.__cause__)
        return None


def interventions(settings: Settings) -> tuple[Intervention, ...]:
    """Return what audits try.

    Raises:
        ConfigurationError: a file of ``INTERVENTIONS`` is wrong; visitors are not told where it lies.
    """
    found = catalogued(tuple(settings.intervention_files()))
    if found is None:
        raise ConfigurationError(UNUSABLE)
    return found


def run_audit(audit: Audit, settings: Settings, load: Callable[[], Model], checkpoint: Callable[[], None]) -> None:
    """Do an audit, or go on with one that was interrupted.

    Args:
        audit: with its images.
        settings: say what is tried, how large an image may be, and how long it may compute.
        load: gives the model.
        checkpoint: called between two chunks of work.

    Raises:
        Cancelled: it was cancelled or deleted.
        PicassoError: the images or the model do not fit.
    """
    reporter, order = ProgressReporter(audit, checkpoint), audit.order()
    reporter.note()
    model, tried = cast(Model, CancellableModel(load(), reporter.yield_control)), interventions(settings)
    names = [str(name) for name in model.class_names()]
    stored = [LabeledImage(file, target) for target, file in audit.images()]
    images = dataset.read(
        model,
        stored,
        lambda fraction: reporter.note(fraction=round(fraction, 4)),
        limit=settings.MAX_MEGAPIXELS,
        called=audit.name_of,
    )
    context = TrialContext(model, images, order.seed, tried)
    plan = auditing.plan(context, order.pairs)
    begun = {"state": "running", "fraction": 0.0, "began": reporter.seconds}
    reporter.note(**begun, cost=plan.sentence(), total=len(plan.pairs))
    found: dict[Pair, list[Trial]] = {}
    budget = min(order.budget, SHARE * 60 * settings.RUN_MINUTES - reporter.seconds)
    for step in auditing.steps(context, plan, record_of(audit.trials, context), budget):
        if step.trials:
            audit.find(documents(verdict({**found, step.pair: step.trials}).findings, names))
        if step.whole:
            found[step.pair] = step.trials
            reporter.note(fraction=round(step.fraction, 4), done=len(found))
        else:
            pair, trying = [names[one] for one in step.pair], context.interventions[step.tried].name
            reporter.note(fraction=round(step.fraction, 4), pair=pair, trying=trying)
    reporter.note(fraction=1.0, pair=[], trying="")
    audited = auditing.finished(context, plan, found)
    report.write(audited, audit.out)
    reporter.note()
    # From here on it gives way to nobody: one that says what it found is finished.
    audit.find(documents(audited.verdict.findings, names), audited.verdict.sentence())
    audit.finish()


def documents(findings: Sequence[Finding], names: Sequence[str]) -> list[FindingDocument]:
    """Return findings as JSON-ready values."""
    return [
        FindingDocument(
            name=one.there.intervention,
            kind=one.there.kind,
            alarm=one.alarm,
            sentence=one.sentence(names),
            directions=[direction(one.there, names), direction(one.back, names)],
        )
        for one in findings
    ]


def direction(trial: Trial, names: Sequence[str]) -> Direction:
    """Return one direction of a finding as JSON-ready values."""
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


def cost(model: Model, settings: Settings, counts: Mapping[int, int], pairs: int) -> dict[str, Any]:
    """Return what an audit will cost, before it has any images.

    Args:
        model: the model.
        settings: say what is tried.
        counts: how many images there will be, by class.
        pairs: how many pairs of classes will be looked at; 0 for all.

    Returns:
        The ``sentence`` of :class:`picasso.audit.audit.Plan` and about how many ``seconds`` that takes, or None
        while the model's pace is not known. Which pairs are finding is seen later, so those count that cost most.
    """
    every = sorted(combinations(sorted(counts), 2), key=lambda pair: -counts[pair[0]] - counts[pair[1]])
    plan = auditing.planned(every, counts, pairs, auditing.passes(model, len(interventions(settings))))
    pace, answers = PACES.get(model), sum(plan.passes.values()) + sum(counts.values())
    seconds = None if pace is None else answers * (pace + EACH + EACH_VALUE * prod(model.input_shape))
    return {"sentence": plan.sentence(), "seconds": seconds}
