"""Submits rankings of methods, one part after the other."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from picasso.errors import NotFound, WorkerDied
from picasso.jobs import outcomes
from picasso.jobs.active_jobs import ActiveJobs
from picasso.jobs.engine import Engine
from picasso.jobs.ranking_job import MethodRanking

log = logging.getLogger(__name__)

CRASHED = "The worker process died while this map was graded."


class RankingParts:
    """Submits rankings in parts, so that the jobs of others come in between.

    Args:
        engine: computes the parts.
        jobs: the unfinished jobs.
    """

    def __init__(self, engine: Engine, jobs: ActiveJobs) -> None:
        self._engine, self._jobs = engine, jobs

    def submit(self, ranking: MethodRanking) -> None:
        """Submit a part of a ranking to the engine; when it is done, the next."""
        settle = partial(self._settle, before=ranking.progress())
        self._jobs.promise(ranking, self._engine.rank(ranking.folder), settle)

    def _settle(self, ranking: MethodRanking, future: Future[None], before: tuple[float, float]) -> None:
        """Continue a ranking, or count it as done."""
        # A map that a worker process does not survive is left out, and the ranking continues with the next.
        passed = outcomes.crashed(future) and not ranking.is_stopped() and ranking.pass_over(CRASHED)
        if not passed:
            self._fail_by_name(ranking, future)
            outcomes.fail(ranking, future)
        if not future.cancelled() and ranking.at_work() and (passed or ranking.progress() != before):
            self.submit(ranking)
        else:
            self._jobs.end(ranking, cancelled=future.cancelled())

    @staticmethod
    def _fail_by_name(ranking: MethodRanking, future: Future[None]) -> None:
        """Fail a ranking whose worker process had to be stopped, and say at which map: its method may hang."""
        error = None if future.cancelled() else future.exception()
        with suppress(NotFound):
            found = ranking.begun()
            if isinstance(error, WorkerDied) and found and not ranking.is_stopped():
                order, (image, method) = ranking.order(), found
                log.error("%s %s: %s (%s)", ranking.kind, ranking.id, error, method)
                ranking.fail(
                    WorkerDied(
                        f"{error.message} It was grading the map of {order.images[image]['name']} by "
                        f"{order.methods[method]}. If that happens again, rank the other methods without it."
                    )
                )
