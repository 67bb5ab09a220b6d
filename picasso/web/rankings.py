"""Rankings of methods, for the pages and the REST API: starting one, and its methods in their order."""

from __future__ import annotations

from collections.abc import Sequence

from picasso.grading.ranking import Standing, ranked
from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.run import StoredImage
from picasso.storage.session import Session
from picasso.web.context import find_session, services, session_images
from picasso.web.predicted import model_identity

# The number of images that a ranking is about, if nobody chooses them.
IMAGES = 10


def begin(session: Session, images: Sequence[int | str] | None, names: Sequence[str] | None) -> MethodRanking:
    """Queue a ranking, and delete the oldest ones of the session beyond the maximum number.

    Args:
        session: the session.
        images: the numbers of the images; None for some of the session, at equal distances.
        names: the names of the visualizations; None for all that make maps and can be used.

    Raises:
        PicassoError: see :meth:`picasso.jobs.job_queue.JobQueue.start_ranking`.
    """
    session.check_room()
    chosen = session_images(session, images)
    if images is None:
        chosen = spread(chosen, IMAGES)
    ranking = services().runner.start_ranking(session.rankings_folder, chosen, names, model_identity())
    session.keep_latest_rankings()
    return ranking


def spread(images: Sequence[StoredImage], count: int) -> list[StoredImage]:
    """Return some images at equal distances, with the first and the last: classes often follow one another.

    Args:
        images: the images.
        count: how many to return, at least two; all if there are fewer.
    """
    if len(images) <= count:
        return list(images)
    return [images[round(place * (len(images) - 1) / (count - 1))] for place in range(count)]


def in_order(ranking: MethodRanking) -> list[Standing]:
    """Return the methods of a ranking, the best first."""
    return ranked(ranking.standings())


def preferred() -> str:
    """Return the name of the visualization that the visitor's newest ranking of this model prefers, or ""."""
    session = find_session()
    if session is None or services().model.status()["state"] != "ready":
        return ""
    return session.preferred_method(model_identity())
