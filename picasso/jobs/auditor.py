"""Run an audit in the worker process: report its progress, yield to interactive requests, and stop when cancelled.

The audit itself is in :mod:`picasso.audit`; this module connects it to :class:`picasso.jobs.audit_job.Audit`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, zip_longest
from math import comb
from pathlib import Path
from typing import Any, cast

import numpy as np

from picasso.audit import audit, reading
from picasso.audit.audit import Step
from picasso.audit.catalogue import catalogue
from picasso.audit.checkpoint import TrialCheckpoint, record_of
from picasso.audit.interventions import Intervention
from picasso.audit.outcome import AuditOutcome
from picasso.audit.reporting import report
from picasso.audit.rule import verdict
from picasso.audit.selection import considered
from picasso.audit.trial import Pair, Trial, TrialContext
from picasso.config import Settings
from picasso.errors import Cancelled, ConfigurationError
from picasso.evaluation import labeled_folder
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.explanation.cost_model import PACES
from picasso.jobs.audit_documents import AuditRequest, Direction, Example, FindingDocument, Progress
from picasso.jobs.audit_job import Audit
from picasso.jobs.mender import mend_model
from picasso.models.arrays import Array, Classes
from picasso.models.base import Model

log = logging.getLogger(__name__)

# No pair is started after this share of the computing time limit; the rest is reserved for the current pair.
SHARE = 0.7
# If others wait, a test of a pair is paused after this time, and after several times what it took to begin.
PART_SECONDS, PREPARATIONS = 2.0, 4
# Seconds to change an image and to encode it, without the model: per image and per value, averaged over all
# interventions, measured on one core.
EACH, EACH_VALUE = 4e-4, 8e-8
# The log tells the operator which file is wrong and why; visitors must not see paths.
UNUSABLE = "The INTERVENTIONS of this server can't be used. The server log has the details."


class ProgressReporter:
    """Stores the progress of an audit in its folder, and yields to other work.

    Args:
        job: the audit.
        checkpoint: called whenever the progress is stored.
        pair: the position of the only pair of classes that is tested; None for the whole audit.
    """

    def __init__(self, job: Audit, checkpoint: Callable[[], None], pair: int | None = None) -> None:
        self._job, self._checkpoint, self._pair = job, checkpoint, pair
        self._began = time.perf_counter() - (job.computed() if pair is None else job.computed_of(pair))
        self._now = Progress()

    @property
    def seconds(self) -> float:
        """The computing time so far, including that before interruptions."""
        return round(time.perf_counter() - self._began, 3)

    def note(self, **changed: Any) -> None:
        """Store changed values of the progress."""
        self._now = replace(self._now, **changed, seconds=self.seconds)
        if not self._job.is_stopped():
            self._job.report(self._now, self._pair)
        self.yield_control()

    def yield_control(self) -> None:
        """Yield to other work; raise Cancelled if the audit was stopped."""
        if self._job.is_stopped():
            raise Cancelled
        self._checkpoint()


class CancellableModel:
    """A model that yields to other work before each batch.

    Args:
        model: the model.
        yield_control: called before each batch.
    """

    def __init__(self, model: Model, yield_control: Callable[[], None]) -> None:
        self._model, self.yield_control = model, yield_control

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, inputs: Array) -> Array:
        """Return probabilities."""
        return self._patiently(self._model.predict, inputs)

    def logits(self, inputs: Array) -> Array:
        """Return logits."""
        return self._patiently(self._model.logits, inputs)

    def input_gradients(self, inputs: Array, classes: Sequence[int] | Classes) -> Array:
        """Return gradients."""
        return self._patiently(self._model.input_gradients, inputs, np.asarray(classes, np.int64))

    def _patiently(self, answer: Callable[..., Array], *arrays: Any) -> Array:
        size, parts = self._model.batch_size, []
        for start in range(0, max(1, len(arrays[0])), size):
            self.yield_control()
            parts.append(answer(*(array[start : start + size] for array in arrays)))
        return np.concatenate(parts)


@lru_cache(maxsize=1)
def catalogued(files: tuple[Path, ...]) -> tuple[Intervention, ...] | None:
    """Return the interventions, including those of the ``INTERVENTIONS`` files; None if a file is invalid.

    The files are executed once per process. Errors are logged immediately.
    """
    try:
        return catalogue(files)
    except ConfigurationError as error:
        log.error("Audits are not available: %s", error.message, exc_info=error.__cause__)
        return None


def interventions(settings: Settings) -> tuple[Intervention, ...]:
    """Return the interventions of audits.

    Raises:
        ConfigurationError: an ``INTERVENTIONS`` file is invalid; the message does not contain its path.
    """
    found = catalogued(tuple(settings.intervention_files()))
    if found is None:
        raise ConfigurationError(UNUSABLE)
    return found


@dataclass(frozen=True)
class Prepared:
    """An audit with its images, ready to test pairs of classes.

    Attributes:
        model: the model, which yields to other work.
        context: the model, the images and the interventions.
        plan: the pairs to test.
        record: the stored trials.
    """

    model: CancellableModel
    context: TrialContext
    plan: audit.Plan
    record: TrialCheckpoint


# The audit whose pair was tested last, with its options: reading its images again takes longer than testing some pairs.
KEPT: dict[Path, tuple[AuditRequest, Prepared]] = {}


def prepare(job: Audit, settings: Settings, load: Callable[[], Model], reporter: ProgressReporter) -> Prepared:
    """Load the model and read the images of an audit.

    Args:
        job: the audit.
        settings: provide the interventions and the largest image.
        load: returns the model.
        reporter: reports the progress.

    Raises:
        Cancelled: the audit was cancelled or deleted.
        PicassoError: the images or the model are not suitable.
    """
    order = job.order()
    known, prepared = KEPT.get(job.folder, (None, None))
    if prepared and known == order:
        prepared.model.yield_control = reporter.yield_control
        return prepared
    KEPT.clear()
    reporter.note()
    model, tried = CancellableModel(load(), reporter.yield_control), interventions(settings)
    linked = job.linked()
    stored: Sequence[LabeledImage] = (
        labeled_folder.find(cast(Model, model), linked)
        if linked
        else [LabeledImage(file, target) for target, file in job.images()]
    )
    images = reading.read(
        cast(Model, model),
        stored,
        lambda fraction: reporter.note(fraction=round(fraction, 4)),
        masks=None if order.masks is None else Path(order.masks),
        limit=settings.MAX_MEGAPIXELS,
        called=job.name_of,
        seed=order.seed,
        pairs=order.pairs,
    )
    context = TrialContext(cast(Model, model), images, order.seed, tried)
    plan = audit.plan(context, order.pairs)
    return Prepared(model, context, plan, record_of(job.trials, context, plan.level(len(tried))))


def run_pair(
    job: Audit, number: int, settings: Settings, load: Callable[[], Model], checkpoint: Callable[[], None]
) -> None:
    """Test one pair of classes of an audit and store the trials, unless the time limit of the audit is reached.

    If others wait, the test is paused after some seconds, and another call continues it.

    Args:
        job: the audit, with its images.
        number: the position of the pair in the plan of the audit.
        settings: provide the interventions, the largest image and the time limit.
        load: returns the model.
        checkpoint: called between chunks of work.

    Raises:
        Cancelled: the audit was cancelled or deleted.
        PicassoError: the images or the model are not suitable.
    """
    order = job.order()
    limit = SHARE * 60 * settings.RUN_MINUTES if order.limited else math.inf
    budget = min(order.budget, limit) - job.computed()
    job.pause(number, paused=False)
    if budget <= 0:
        return
    reporter = ProgressReporter(job, checkpoint, number)
    started = time.perf_counter()
    prepared = prepare(job, settings, load, reporter)
    KEPT[job.folder] = order, prepared
    context, plan = prepared.context, prepared.plan
    # Images that can't be read may leave fewer pairs than there seemed to be.
    if number >= len(plan.pairs):
        return
    names, pair = [str(name) for name in context.model.class_names()], plan.pairs[number]
    began = {"state": "running", "fraction": 0.0, "began": reporter.seconds}
    reporter.note(**began, cost=plan.sentence(), total=len(plan.pairs), pair=[names[one] for one in pair])
    until = math.inf
    for count, step in enumerate(audit.steps(context, plan.only(pair), prepared.record, budget)):
        trying = "" if step.whole else context.interventions[step.tried].name
        reporter.note(fraction=round(step.fraction, 4), done=int(step.whole), trying=trying)
        now = time.perf_counter()
        # The first step is what was stored. Whoever continues may have to prepare all this again.
        until = started + max(PART_SECONDS, PREPARATIONS * (now - started)) if count == 1 else until
        if now > until and step.fraction < 1 and job.yields():
            job.pause(number, paused=True)
            return
    trials = {one: made for one in plan.pairs if (made := prepared.record.read(one)[0])}
    job.find(documents(verdict(trials), names, context.folder.classes))


def run_audit(job: Audit, settings: Settings, load: Callable[[], Model], checkpoint: Callable[[], None]) -> None:
    """Run an audit, or continue an interrupted one, or one whose pairs were tested by :func:`run_pair`.

    Args:
        job: the audit, with its images.
        settings: provide the interventions, the largest image and the time limit.
        load: returns the model.
        checkpoint: called between chunks of work.

    Raises:
        Cancelled: the audit was cancelled or deleted.
        PicassoError: the images or the model are not suitable.
    """
    reporter, order = ProgressReporter(job, checkpoint), job.order()
    prepared = prepare(job, settings, load, reporter)
    # No images of visitors are kept longer than necessary.
    KEPT.clear()
    context, plan, images = prepared.context, prepared.plan, prepared.context.folder
    names = [str(name) for name in context.model.class_names()]
    begun = {"state": "running", "fraction": 0.0, "began": reporter.seconds}
    reporter.note(**begun, cost=plan.sentence(), total=len(plan.pairs))
    found: dict[Pair, Step] = {}
    budget = min(order.budget - job.computed_of(), SHARE * 60 * settings.RUN_MINUTES - reporter.seconds)
    for step in audit.steps(context, plan, prepared.record, budget):
        if step.trials:
            trials = {pair: one.trials for pair, one in found.items()} | {step.pair: step.trials}
            job.find(documents(verdict(trials), names, images.classes))
        found[step.pair] = step
        if step.whole:
            reporter.note(fraction=round(step.fraction, 4), done=len(found))
        else:
            pair, trying = [names[one] for one in step.pair], context.interventions[step.tried].name
            reporter.note(fraction=round(step.fraction, 4), pair=pair, trying=trying)
    reporter.note(fraction=1.0, pair=[], trying="")
    audited = audit.finished(context, plan, found)
    written = report.write(audited, job.out)
    reporter.note()
    # Don't yield from here on, unless the model is to be mended: an audit with a verdict is finished.
    examples = [one["example"] for one in written["findings"]]
    complete = documents(audited.verdict, names, images.classes, examples)
    job.find(complete, written["verdict"], written["example"])
    if order.mend and not job.mending():
        reporter.note(fraction=0.0, began=reporter.seconds)
        mend_model(job, audited, reporter.note, lambda one: cast(Model, CancellableModel(one, reporter.yield_control)))
    job.finish()


def documents(
    outcome: AuditOutcome, names: Sequence[str], classes: int, examples: Sequence[Example] = ()
) -> list[FindingDocument]:
    """Return findings as JSON-ready values, with their examples once there are any.

    Args:
        outcome: the outcome of the trials so far.
        names: the names of all classes.
        classes: the number of classes in the audit.
        examples: an example for each finding.
    """
    groups = outcome.groups
    group_of = {id(one): index for index, group in enumerate(groups) for one in group.findings}
    return [
        FindingDocument(
            name=one.there.intervention,
            kind=one.there.kind,
            alarm=one.alarm,
            tier=one.tier,
            caveat=one.caveat(names),
            sentence=one.sentence(names),
            between=groups[group_of[id(one)]].between(names, classes),
            group=group_of[id(one)],
            directions=[direction(one.there, names), direction(one.back, names)],
            example=example,
        )
        for one, example in zip_longest(outcome.findings, examples)
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
    """Return the estimated cost of an audit before its images are uploaded.

    Args:
        model: the model.
        settings: provide the interventions.
        counts: the number of images by class.
        pairs: the number of pairs of classes to compare; 0 for all.

    Returns:
        The ``sentence`` of :class:`picasso.audit.audit.Plan` and the estimated ``seconds``, or None while the speed of
        the model is unknown. The priority of the pairs is not known yet, so the estimate uses the most expensive pairs.
    """
    # The pairs that take longest are among the largest classes.
    largest = sorted(counts, key=lambda one: -counts[one])[: pairs + 1 if pairs else None]
    every = sorted(combinations(sorted(largest), 2), key=lambda pair: -counts[pair[0]] - counts[pair[1]])
    plan = audit.planned(
        every, counts, pairs or considered(len(counts)), audit.passes(model, len(interventions(settings)))
    )
    plan = replace(plan, unlisted=comb(len(counts), 2) - len(every))
    pace, answers = PACES.get(model), sum(plan.passes.values()) + sum(counts.values())
    seconds = None if pace is None else answers * (pace + EACH + EACH_VALUE * math.prod(model.input_shape))
    return {"sentence": plan.sentence(), "seconds": seconds}
