"""Submits the shards of runs and the searches for concepts, which may be computed in any order."""

from __future__ import annotations

import logging
from concurrent.futures import Future

from picasso.jobs import outcomes
from picasso.jobs.active_jobs import ActiveJobs
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.engine import Engine
from picasso.jobs.run import Run

log = logging.getLogger(__name__)


class IndependentTasks:
    """Submits tasks of jobs that end with the last of their tasks.

    Args:
        engine: computes the tasks.
        jobs: the unfinished jobs.
    """

    def __init__(self, engine: Engine, jobs: ActiveJobs) -> None:
        self._engine, self._jobs = engine, jobs

    def submit_shard(self, run: Run, shard: int, priority: int, *, again: bool) -> None:
        """Submit a shard of a run to the engine.

        Args:
            run: the run.
            shard: the number of the shard.
            priority: above 0 if a user waits for the map on the first page.
            again: whether to submit it again if its worker process crashes.
        """

        def settle(run: Run, future: Future[None]) -> None:
            if again and outcomes.crashed(future) and not run.is_stopped():
                log.warning("shard %d of run %s is computed again: %s", shard, run.id, future.exception())
                self.submit_shard(run, shard, priority, again=False)
            else:
                self._settle(run, future)

        self._jobs.promise(run, self._engine.submit(run.folder, shard, priority), settle)

    def submit_search(self, search: ConceptSearch, *, again: bool) -> None:
        """Submit a search for concepts to the engine, and again if its worker process crashes and ``again`` is set."""

        def settle(search: ConceptSearch, future: Future[None]) -> None:
            if again and outcomes.crashed(future) and not search.is_stopped():
                log.warning("the search for concepts %s starts again: %s", search.id, future.exception())
                self.submit_search(search, again=False)
            else:
                self._settle(search, future)

        self._jobs.promise(search, self._engine.search_concepts(search.folder), settle)

    def _settle(self, job: Run | ConceptSearch, future: Future[None]) -> None:
        """Count a shard or a search as done; failures of the engine become failures of the job."""
        outcomes.fail(job, future)
        with self._jobs.lock:
            active = self._jobs.of(job)
            active.left -= 1
        if active.left <= 0:
            self._jobs.end(job, cancelled=future.cancelled())
