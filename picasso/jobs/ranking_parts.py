"""Submits rankings of methods, one part after the other."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

from picasso.jobs import outcomes
from picasso.jobs.active_jobs import ActiveJobs
from picasso.jobs.engine import Engine
from picasso.jobs.ranking_job import MethodRanking

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
            outcomes.fail(ranking, future)
        if not future.cancelled() and ranking.at_work() and (passed or ranking.progress() != before):
            self.submit(ranking)
        else:
            self._jobs.end(ranking, cancelled=future.cancelled())
