"""What the process computes that alone imports TensorFlow and holds the models.

:func:`run_shard` and :func:`run_audit` are all that an engine has to call. They take a path, may be called again after
any interruption, and leave everything they have to say in the folder of the run or the audit.
"""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picasso import config, fileio
from picasso.config import Settings
from picasso.errors import Cancelled, ModelCodeError, PicassoError, RunError, StorageFull, document_of, reason
from picasso.evaluation import model_check
from picasso.explanation import comparison, cost_model, questions
from picasso.explanation.inputs import NamedImage, stored
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.jobs.audit_job import Audit
from picasso.jobs.base import Job
from picasso.jobs.run import Run, StoredImage
from picasso.models.base import Model
from picasso.models.loading import load_configured

log = logging.getLogger(__name__)

# How long an image must be at work before what is known of it is shown, and then again.
PREVIEW_SECONDS = 1.0


def reference(settings: Settings) -> dict[str, Any]:
    """Return where a worker, perhaps on another machine, finds the same settings again."""
    # This is written into each run's folder, where a password has no business.
    overrides = {key: value for key, value in settings.overrides.items() if key != "PASSWORD"}
    source = str(settings.source) if settings.source else None
    return {"file": source, "overrides": overrides, "door": settings.door}


def settings_of(where: dict[str, Any]) -> Settings:
    """Return the settings that a :func:`reference` stands for."""
    door = where.get("door", "settings")
    if where["file"]:
        return config.load(where["file"], where["overrides"], door)
    return config.build({}, None, where["overrides"], door)


@functools.lru_cache(maxsize=1)
def visualizations(key: str) -> Registry:
    """Return the visualizations of a :func:`reference`, as JSON; found once per process."""
    return Registry(settings_of(json.loads(key)).plugin_dirs())


def model_of(key: str, name: str = "") -> Model:
    """Return the model of a :func:`reference`, as JSON, or one of those it is compared with; loaded once."""
    return loaded(key, name)


# Behind a function that fills in the default: for the cache, a name that is left out is another one than "".
@functools.lru_cache(maxsize=8)
def loaded(key: str, name: str) -> Model:
    """Load the model of :func:`model_of`."""
    return load_configured(settings_of(json.loads(key)).compared(name))


def run_shard(folder: str, shard: int, checkpoint: Callable[[], None] = lambda: None) -> None:
    """Compute one shard of a run; skip what is already there.

    Errors are written into the run's folder rather than raised: whoever waits for the run looks there.

    Args:
        folder: the run's.
        shard: its number.
        checkpoint: called between two chunks of work.
    """
    run = Run(Path(folder))
    if run.is_stopped() or run.finished(shard):
        return
    started = time.perf_counter()
    with report_errors(run, "run"):
        compute(run, shard, started, checkpoint)
        run.finish(shard, time.perf_counter() - started)


def run_audit(folder: str, checkpoint: Callable[[], None] = lambda: None) -> None:
    """Do an audit, or go on with one; errors are written into its folder.

    Args:
        folder: the audit's.
        checkpoint: called between two chunks of work.
    """
    audit = Audit(Path(folder))
    if audit.is_stopped() or audit.state() == "finished":
        return
    with report_errors(audit, "audit"), audit.unless_deleted(Cancelled()):
        # Only here, because it brings SciPy, of which the web server, which imports this file too, makes no use.
        from picasso.jobs import auditor

        where = audit.order().configuration
        load = functools.partial(model_of, json.dumps(where, sort_keys=True))
        auditor.run_audit(audit, settings_of(where), load, checkpoint)


@contextmanager
def report_errors(work: Job, what: str) -> Iterator[None]:
    """Write what goes wrong into the folder of a run or an audit."""
    try:
        yield
    except Cancelled:
        log.info("%s %s was cancelled", what, work.id)
    except PicassoError as error:
        log.exception("%s %s failed", what, work.id)
        work.fail(error)
    except OSError as error:
        log.exception("%s %s failed", what, work.id)
        full = StorageFull("The server's disk is full; delete runs that you do not need, and try again.")
        work.fail(full if fileio.is_full(error) else RunError(f"The {what} failed: {reason(error)}."))
    # Plugins may raise anything, also what is no Exception.
    except BaseException as error:
        log.exception("%s %s failed", what, work.id)
        work.fail(RunError(f"The {what} failed: {reason(error)}."))


def compute(run: Run, shard: int, started: float, checkpoint: Callable[[], None]) -> None:
    """Save the results of a shard, each as soon as it is there."""
    spec = run.spec()
    run.report(shard, 0.0, 0.0)
    key = json.dumps(spec.configuration, sort_keys=True)
    models = {name: model_of(key, name) for name in ("", *spec.models)}
    visualization = visualizations(key).get(spec.visualization).require()
    pace = cost_model.Pace(sum(cost_model.compiling(model, visualization) for model in models.values()))
    run.report(shard, 0.0, 0.0, pace.expected)
    todo = [(position, image) for position, image in spec.shard(shard) if not run.result_folder(position).exists()]
    for position, _ in todo:
        run.forget_drafts(position)
    images = [load_image(image, models[""]) for _, image in todo]

    def report(fraction: float) -> None:
        if run.is_stopped():
            raise Cancelled
        seconds = time.perf_counter() - started
        run.report(shard, fraction, seconds, pace.compiling(fraction, seconds))
        checkpoint()

    shown = time.monotonic()

    def preview(index: int, make: Callable[[], Result]) -> None:
        nonlocal shown
        if time.monotonic() - shown > PREVIEW_SECONDS:
            run.preview(todo[index][0], make())
            shown = time.monotonic()

    results = comparison.run(models, visualization, spec.settings, images, report, preview, classes=spec.classes)
    for (position, _), result in zip(todo, results, strict=True):
        result.save(run.result_folder(position))
        run.forget_previews(position)
    for model in models.values():
        cost_model.compiled(model, visualization)


def load_image(image: StoredImage, model: Model) -> NamedImage:
    """Read a stored image; it was checked when it was uploaded."""
    try:
        return NamedImage(image["name"], stored(image["path"], model), tuple(image.get("notes", ())))
    except FileNotFoundError:
        raise RunError(f"The image {image['name']} was removed before its turn came.") from None


def reply(key: str, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a question of :mod:`picasso.explanation.questions`, or what an audit costs.

    Raises:
        PicassoError: it can't be answered.
    """
    try:
        if question["kind"] == "audit":
            from picasso.jobs import auditor

            # JSON knows no numbers as names.
            counts = {int(target): count for target, count in question["counts"].items()}
            return auditor.cost(model_of(key), settings_of(json.loads(key)), counts, question["pairs"])
        return questions.answer(model_of(key), visualizations(key), question)
    except PicassoError:
        raise
    # Plugins take part in answers, and may raise anything.
    except BaseException as error:
        log.exception("a question could not be answered")
        raise RunError(f"The question could not be answered: {reason(error)}.") from error


def initialize(configured: dict[str, Any]) -> dict[str, Any]:
    """Load the model and return how it stands: that it is ready, with what is known of it, or why it is not."""
    try:
        key = json.dumps(configured, sort_keys=True)
        model = model_of(key)
        settings = settings_of(configured)
        # Wrong plugins are found now rather than by the first run or audit.
        visualizations(key)
        no_audits = ""
        if own := tuple(settings.intervention_files()):
            from picasso.jobs import auditor

            no_audits = "" if auditor.catalogued(own) else auditor.UNUSABLE
        samples, problems = model_check.read(settings.sample_files(10), model)
        for problem in problems:
            log.warning("A sample is left out. %s", problem)
        report = model_check.check(model, samples)
        unsuitable = visualizations(key).unsuitable(model)
        return {
            "state": "ready",
            "card": model.card().as_dict(),
            "report": report.as_dict(),
            "unsuitable": unsuitable,
            "no_audits": no_audits,
        }
    except PicassoError as error:
        # The server says the sentence; whoever wrote a model class needs the line that failed, too.
        if isinstance(error, ModelCodeError):
            log.error("%s", error.message, exc_info=error.__cause__)
        return {"state": "failed", "error": document_of(error)["message"]}
    except Exception as error:
        log.exception("the model could not be loaded")
        return {"state": "failed", "error": f"The model could not be loaded: {reason(error)}."}
