"""Rank methods in the worker process, one part at a time, so that runs come in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from picasso.errors import Cancelled, NotFound, PicassoError, reason
from picasso.explanation.inputs import NamedImage, stored
from picasso.explanation.registry import Registry
from picasso.grading.maps import Subject
from picasso.grading.methods import controls_of, forget, graded
from picasso.grading.ranking import MapScore, preference
from picasso.jobs.ranking_job import MethodRanking, RankingOrder
from picasso.jobs.run import StoredImage
from picasso.models.base import Model

log = logging.getLogger(__name__)

# After this time, other jobs get their turn.
PART_SECONDS = 2.0


def rank_part(job: MethodRanking, model: Model, registry: Registry, checkpoint: Callable[[], None]) -> None:
    """Grade maps that are not graded yet, for about :data:`PART_SECONDS`, at least one.

    All methods are graded on the first image, then on the second. The job is finished when there is nothing left;
    otherwise it must be called again.

    Args:
        job: the ranking.
        model: the model.
        registry: the visualizations.
        checkpoint: called between two chunks of work.

    Raises:
        Cancelled: the ranking was cancelled or deleted.
        PicassoError: the model fails.
    """
    order = job.order()
    places = [(image, method) for image in range(len(order.images)) for method in order.methods]
    todo = [place for place in places if job.score(*place) is None]
    before, began, done = job.computed(), time.perf_counter(), 0
    of_all = job.reporter(checkpoint)

    def report(fraction: float) -> None:
        of_all((len(places) - len(todo) + done + fraction) / len(places))

    report(0.0)
    try:
        while done < len(todo) and (not done or time.perf_counter() - began < PART_SECONDS):
            job.begin(*todo[done])
            job.keep(*todo[done], score_of(job, order, *todo[done], model, registry, report))
            done += 1
        job.report((len(places) - len(todo) + done) / len(places), before + time.perf_counter() - began)
        if done == len(todo):
            job.finish(preference(job.standings(), order.default, order.methods))
    finally:
        if done == len(todo) or job.is_stopped():
            forget()


def score_of(
    job: MethodRanking,
    order: RankingOrder,
    position: int,
    method: str,
    model: Model,
    registry: Registry,
    report: Callable[[float], None],
) -> MapScore:
    """Return what is found for one map; what fails is stated in it.

    Args:
        job: the ranking, which keeps the curves of the controls.
        order: what to rank.
        position: the position of the image.
        method: the name of the visualization.
        model: the model.
        registry: the visualizations.
        report: called with the finished fraction of the map.
    """
    image = order.images[position]
    try:
        subject = Subject.of(model, registry.get(method).require(), {}, opened(image, model))
        controls = job.controls(position)
        if controls is None:
            controls = list(controls_of(subject, lambda _: report(0.0)))
            job.keep_controls(position, controls)
        return MapScore.of(graded(subject, controls, report))
    # The second one is of a file of the ranking: the disk is full, or it was deleted.
    except (Cancelled, OSError):
        raise
    except PicassoError as error:
        return MapScore(untested=(f"{image['name']}: {error.message}",))
    # Plugins may raise anything, such as SystemExit; the other methods do not suffer from that.
    except BaseException as error:
        log.exception("ranking %s: %s failed on %s", job.id, method, image["name"])
        return MapScore(untested=(f"{image['name']}: {method} failed: {reason(error)}.",))


def opened(image: StoredImage, model: Model) -> NamedImage:
    """Read an image.

    Raises:
        NotFound: it was removed in the meantime.
    """
    try:
        return NamedImage(image["name"], stored(image["path"], model))
    except FileNotFoundError:
        raise NotFound("It was removed before it was graded.") from None
