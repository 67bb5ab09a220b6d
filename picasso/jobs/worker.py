"""The computations of the worker process, the only process that imports TensorFlow and holds the models.

An engine only has to call :func:`run_task`. It takes the path of a job, can be called again after any interruption, and
writes all output to the folder of the job.
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
from picasso.errors import (
    BadRequest,
    Cancelled,
    ModelCodeError,
    PicassoError,
    RunError,
    StorageFull,
    document_of,
    reason,
)
from picasso.evaluation import model_check
from picasso.explanation import comparison, cost_model, preprocessing_trial, questions
from picasso.explanation.inputs import NamedImage, Other, image_from, stored
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.inside import questions as inside_questions
from picasso.inside.concepts import concepts
from picasso.jobs import predictor, repeatable, reuse
from picasso.jobs.audit_job import Audit
from picasso.jobs.base import Job
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.prediction_job import Predictions
from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.run import Run, Spec, StoredImage
from picasso.jobs.tasks import TaskKind
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.loading import load_configured

log = logging.getLogger(__name__)

# The time until the first preview of an image, and between previews.
PREVIEW_SECONDS = 1.0
# The number of models to compare with that stay in memory, those used last; a folder may have many checkpoints.
MODELS_IN_MEMORY = 4


def reference(settings: Settings) -> dict[str, Any]:
    """Return a reference with which a worker, perhaps on another machine, loads the same settings."""
    # This is written to the folder of each run, which must not contain a password.
    overrides = {key: value for key, value in settings.overrides.items() if key != "PASSWORD"}
    source = str(settings.source) if settings.source else None
    return {"file": source, "overrides": overrides, "interface": settings.interface}


def settings_of(where: dict[str, Any]) -> Settings:
    """Return the settings of a :func:`reference`."""
    interface = where.get("interface", "settings")
    if where["file"]:
        return config.load(where["file"], where["overrides"], interface)
    return config.build({}, None, where["overrides"], interface)


@functools.lru_cache(maxsize=1)
def visualizations(key: str) -> Registry:
    """Return the visualizations of a :func:`reference`, given as JSON; cached per process."""
    registry = Registry(settings_of(json.loads(key)).plugin_dirs())
    # Now, because the files may change later.
    repeatable.own_code()
    for entry in registry.entries():
        if entry.cls:
            repeatable.code_of(entry.cls)
    return registry


def model_of(key: str, name: str = "") -> Model:
    """Return the model of a :func:`reference`, given as JSON, or a model to compare with.

    The model itself is loaded once. Of those to compare with, :data:`MODELS_IN_MEMORY` are kept.
    """
    return compared_model(key, name) if name else main_model(key)


@functools.lru_cache(maxsize=8)
def main_model(key: str) -> Model:
    """Load the model of :func:`model_of`."""
    return loaded(settings_of(json.loads(key)))


@functools.lru_cache(maxsize=MODELS_IN_MEMORY)
def compared_model(key: str, name: str) -> Model:
    """Load a model to compare with for :func:`model_of`."""
    return loaded(settings_of(json.loads(key)).compared(name))


def loaded(settings: Settings) -> Model:
    """Load the model of some settings, and identify the code of its class now, because its file may change later."""
    model = load_configured(settings)
    repeatable.code_of(type(model))
    return model


def run_task(kind: TaskKind, folder: str, shard: int, checkpoint: Callable[[], None]) -> None:
    """Compute a :class:`picasso.jobs.tasks.Task`.

    Args:
        kind: its kind.
        folder: the folder of its job.
        shard: its number.
        checkpoint: called between two chunks of work.
    """
    if kind == "audit":
        run_audit(folder, checkpoint)
    elif kind == "pair":
        run_audit(folder, checkpoint, shard)
    elif kind == "predictions":
        run_predictions(folder, checkpoint)
    elif kind == "concepts":
        run_concepts(folder, checkpoint)
    elif kind == "ranking":
        run_ranking(folder, checkpoint)
    else:
        run_shard(folder, shard, checkpoint)


def run_shard(folder: str, shard: int, checkpoint: Callable[[], None] = lambda: None) -> None:
    """Compute one shard of a run; skip existing results.

    Errors are not raised but written to the folder of the run, where the server reads them.

    Args:
        folder: the folder of the run.
        shard: the number of the shard.
        checkpoint: called between two chunks of work.
    """
    run = Run(Path(folder))
    if run.is_stopped() or run.finished(shard):
        return
    started = time.perf_counter()
    with report_errors(run, "run"):
        compute(run, shard, started, checkpoint)
        run.finish(shard, time.perf_counter() - started)


def run_audit(folder: str, checkpoint: Callable[[], None] = lambda: None, pair: int | None = None) -> None:
    """Run or continue an audit; errors are written to its folder.

    Args:
        folder: the folder of the audit.
        checkpoint: called between two chunks of work.
        pair: the position of the only pair of classes to test, whose trials a later call for the whole audit finds;
            None for the whole audit.
    """
    audit = Audit(Path(folder))
    if audit.is_stopped() or audit.state() == "finished":
        return
    with report_errors(audit, "audit"), audit.unless_deleted(Cancelled()):
        # Imported here, because it imports SciPy, and the web server, which also imports this module, does not need it.
        from picasso.jobs import auditor

        where = audit.order().configuration
        load = functools.partial(model_of, json.dumps(where, sort_keys=True))
        if pair is None:
            auditor.run_audit(audit, settings_of(where), load, checkpoint)
        else:
            auditor.run_pair(audit, pair, settings_of(where), load, checkpoint)


def run_predictions(folder: str, checkpoint: Callable[[], None] = lambda: None) -> None:
    """Compute predictions for about a second; errors are written to their folder.

    Args:
        folder: the folder of the predictions.
        checkpoint: called between two chunks of work.
    """
    job = Predictions(Path(folder))
    if job.is_stopped() or job.state() == "finished":
        return
    with report_errors(job, "prediction of the images"), job.unless_deleted(Cancelled()):
        load = functools.partial(model_of, json.dumps(job.order().configuration, sort_keys=True))
        predictor.predict_part(job, load, checkpoint)


def run_concepts(folder: str, checkpoint: Callable[[], None] = lambda: None) -> None:
    """Search for concepts; errors are written to the folder of the search.

    Args:
        folder: the folder of the search.
        checkpoint: called between two chunks of work.
    """
    search = ConceptSearch(Path(folder))
    if search.is_stopped() or search.is_done():
        return
    with report_errors(search, "search for concepts"), search.unless_deleted(Cancelled()):
        order = search.order()
        model = model_of(json.dumps(order.configuration, sort_keys=True))
        report = search.reporter(checkpoint)
        report(0.0)
        found = concepts(
            model,
            order.layer,
            [Path(image["path"]) for image in order.images],
            target=order.target,
            count=order.count,
            audit=order.audit or None,
            names=[image["name"] for image in order.images],
            progress=report,
        )
        search.finish(found)


def run_ranking(folder: str, checkpoint: Callable[[], None] = lambda: None) -> None:
    """Grade maps for a ranking for some seconds; errors are written to its folder.

    Args:
        folder: the folder of the ranking.
        checkpoint: called between two chunks of work.
    """
    ranking = MethodRanking(Path(folder))
    if ranking.is_stopped() or ranking.is_done():
        return
    with report_errors(ranking, "ranking"), ranking.unless_deleted(Cancelled()):
        # Imported here, because it imports SciPy, and the web server, which also imports this module, does not need it.
        from picasso.jobs import ranker

        key = json.dumps(ranking.order().configuration, sort_keys=True)
        ranker.rank_part(ranking, model_of(key), visualizations(key), checkpoint)


@contextmanager
def report_errors(work: Job, what: str) -> Iterator[None]:
    """Write errors to the folder of a job."""
    try:
        yield
    except Cancelled:
        log.info("%s %s was cancelled", what, work.id)
    except PicassoError as error:
        # Such as of an image that was removed, and its run with it.
        if work.is_stopped():
            log.info("%s %s was stopped: %s", what, work.id, error)
            return
        log.exception("%s %s failed", what, work.id)
        work.fail(error)
    except OSError as error:
        log.exception("%s %s failed", what, work.id)
        full = StorageFull("The server's disk is full. Delete runs that you do not need, then try again.")
        work.fail(full if fileio.is_full(error) else RunError(f"The {what} failed: {reason(error)}."))
    # Plugins may raise anything, including exceptions that do not derive from Exception.
    except BaseException as error:
        log.exception("%s %s failed", what, work.id)
        work.fail(RunError(f"The {what} failed: {reason(error)}."))


def compute(run: Run, shard: int, started: float, checkpoint: Callable[[], None]) -> None:
    """Save the results of a shard, each as soon as it is computed."""
    spec = run.spec()
    run.report(shard, 0.0, 0.0)
    key = json.dumps(spec.configuration, sort_keys=True)
    # The model of another name is explained alone, so that only two models are in memory.
    models = {name: model_of(key, name) for name in ("", *(spec.models or filter(None, [spec.model])))}
    visualization = visualizations(key).get(spec.visualization).require()
    pace = cost_model.Pace(sum(cost_model.compiling(model, visualization) for model in models.values()))
    run.report(shard, 0.0, 0.0, pace.expected)
    todo = unfinished(run, spec, shard)
    unnamed = reuse.Unnamed.of(spec, models[""])
    found = reuse.lookup(run, spec, todo, models, visualization, unnamed)
    if found and found.restore():
        return
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
            run.preview(todo[index][0], unnamed.named(make()))
            shown = time.monotonic()

    chosen: dict[str, Any] = {"targets": unnamed.targets, "other": functools.partial(outputs_of, unnamed.references)}
    if spec.model:
        first, second = models.values()
        results = comparison.run_second(first, second, visualization, spec.settings, images, report, **chosen)
    else:
        results = comparison.run(models, visualization, spec.settings, images, report, preview, **chosen)
    for (position, _), result in zip(todo, results, strict=True):
        unnamed.named(result).save(run.result_folder(position))
        run.forget_previews(position)
        if found:
            found.computed(result)
    for model in models.values():
        cost_model.compiled(model, visualization)


def unfinished(run: Run, spec: Spec, shard: int) -> list[tuple[int, StoredImage]]:
    """Return the images of a shard without a result, with their positions; delete what dead processes left of them."""
    todo = [(position, image) for position, image in spec.shard(shard) if not run.result_folder(position).exists()]
    for position, _ in todo:
        run.forget_drafts(position)
    return todo


def outputs_of(references: Mapping[str, StoredImage], model: Model) -> Other:
    """Return a function from the name of one of the images that targets refer to, to the output of a model for it."""

    @functools.cache
    def other(name: str) -> Array:
        if name not in references:
            raise BadRequest(f"There is no image {name[:60]!r} in this session.", field="target")
        output: Array = model.predict(model.inputs_of([load_image(references[name], model).image]))[0]
        return output

    return other


def load_image(image: StoredImage, model: Model) -> NamedImage:
    """Read a stored image, which was validated when it was uploaded, or a file of the user of a command."""
    if image.get("unread"):
        return image_from(image["path"], 0, image["name"], model)
    try:
        return NamedImage(image["name"], stored(image["path"], model), tuple(image.get("notes", ())))
    except FileNotFoundError:
        raise RunError(f"The image {image['name']} was removed before it was processed.") from None


def reply(key: str, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a question of :mod:`picasso.explanation.questions`, or the cost of an audit.

    Raises:
        PicassoError: it can't be answered.
    """
    try:
        if question["kind"] == "audit":
            from picasso.jobs import auditor

            # JSON does not allow numbers as keys.
            counts = {int(target): count for target, count in question["counts"].items()}
            return auditor.cost(model_of(key), settings_of(json.loads(key)), counts, question["pairs"])
        if question["kind"] == "grade":
            # Imported here, because it imports SciPy, and the web server, which also imports this module, does not.
            from picasso.grading import questions as grade_questions

            return grade_questions.answer(model_of(key), visualizations(key), question)
        if question["kind"] in inside_questions.KINDS:
            return inside_questions.answer(model_of(key), question)
        return questions.answer(model_of(key), visualizations(key), question)
    except PicassoError:
        raise
    # Plugins are involved in answers and may raise anything.
    except BaseException as error:
        log.exception("a question failed")
        raise RunError(f"The request failed: {reason(error)}.") from error


def initialize(configured: dict[str, Any]) -> dict[str, Any]:
    """Load the model and return its status: ready, with its card and report, or failed, with the error."""
    try:
        key = json.dumps(configured, sort_keys=True)
        model = model_of(key)
        settings = settings_of(configured)
        # This finds invalid plugins now rather than in the first run or audit.
        visualizations(key)
        # Imported here, because the web process imports this module and needs no audits.
        from picasso.audit import dataset

        no_audits = dataset.unsuitable(model)
        if not no_audits and (own := tuple(settings.intervention_files())):
            from picasso.jobs import auditor

            no_audits = "" if auditor.catalogued(own) else auditor.UNUSABLE
        samples, problems = model_check.read(settings.sample_files(10), model)
        for problem in problems:
            log.warning("A sample was skipped. %s", problem)
        report = model_check.check(model, samples)
        unsuitable = visualizations(key).unsuitable(model)
        return {
            "state": "ready",
            "card": model.card().as_dict(),
            "report": report.as_dict(),
            "unsuitable": unsuitable,
            "no_audits": no_audits,
            "trial": preprocessing_trial.offer(model),
        }
    except PicassoError as error:
        # The server shows the message; the author of a model class also needs the traceback.
        if isinstance(error, ModelCodeError):
            log.error("%s", error.message, exc_info=error.__cause__)
        return {"state": "failed", "error": document_of(error)["message"]}
    except Exception as error:
        log.exception("the model could not be loaded")
        return {"state": "failed", "error": f"The model could not be loaded: {reason(error)}."}
