"""Submits the predictions of sessions, one part after the other."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

from picasso.jobs import outcomes
from picasso.jobs.active_jobs import ActiveJobs
from picasso.jobs.engine import Engine
from picasso.jobs.prediction_job import Predictions, Progress


class PredictionParts:
    """Submits predictions in parts, to which images may be added until the last part is done.

    Args:
        engine: computes the parts.
        jobs: the unfinished jobs.
    """

    def __init__(self, engine: Engine, jobs: ActiveJobs) -> None:
        self._engine, self._jobs = engine, jobs

    def submit(self, job: Predictions) -> None:
        """Submit a part of predictions to the engine; when it is done, the next."""
        settle = partial(self._settle, before=job.progress())
        self._jobs.promise(job, self._engine.predict(job.folder), settle)

    def _settle(self, job: Predictions, future: Future[None], before: Progress) -> None:
        """Continue predictions, or count them as done."""
        outcomes.fail(job, future)
        again = False
        with self._jobs.lock:
            active = self._jobs.of(job)
            try:
                # Images may be added, or cancelled predictions be started again, until the job has left the queue.
                started, active.left = active.left > 1, 1
                again = job.at_work() and (started or (not future.cancelled() and job.progress() != before))
            finally:
                # Even if this fails, no job may occupy its place in the queue forever.
                if not again:
                    self._jobs.remove(job)
        if again:
            self.submit(job)
            return
        if not future.cancelled():
            outcomes.end(job)
        self._jobs.report(active, outcomes.outcome_of(job))
