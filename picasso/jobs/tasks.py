"""The tasks that an engine computes: their fair queue, and how long each may take."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from picasso.errors import WorkerDied
from picasso.jobs.audit_job import Audit
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.prediction_job import Predictions
from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.run import Run
from picasso.jobs.shares import Shares

# How long a cancelled task may continue.
GRACE_SECONDS = 30.0
# The priority of a task that is given back: it was its turn.
GIVEN_BACK = 1

TaskKind = Literal["run", "audit", "pair", "predictions", "concepts", "ranking"]
AnyJob = Run | Audit | Predictions | ConceptSearch | MethodRanking
JOBS: Mapping[TaskKind, type[AnyJob]] = {
    "run": Run,
    "audit": Audit,
    "pair": Audit,
    "predictions": Predictions,
    "concepts": ConceptSearch,
    "ranking": MethodRanking,
}
NOUNS: Mapping[TaskKind, str] = {"pair": "audit", "concepts": "search for concepts"}


@dataclass(frozen=True)
class Task:
    """The work for a worker, in the folder of a job.

    Attributes:
        folder: the folder of the job.
        kind: a shard of a run, a whole audit, a pair of classes of an audit, a part of the predictions of a session, a
            search for concepts, or a part of a ranking.
        shard: the number of the shard or of the pair.
    """

    folder: Path
    kind: TaskKind = "run"
    shard: int = 0

    @property
    def owner(self) -> Path:
        """The folder of the session that it belongs to; sessions have equal shares of the workers."""
        return self.folder.parent.parent

    @property
    def noun(self) -> str:
        """What messages call the job."""
        return NOUNS.get(self.kind, self.kind)

    @property
    def job(self) -> AnyJob:
        """The job that it belongs to."""
        return JOBS[self.kind](self.folder)

    def computed(self) -> float:
        """Return the computing time of the job in seconds without this task."""
        job = self.job
        return job.computed(self.shard) if isinstance(job, Run) else job.computed()

    def is_stopped(self) -> bool:
        """Tell whether the job was cancelled, failed, or deleted."""
        return self.job.is_stopped()


class TaskQueue:
    """The waiting tasks of an engine, each with the future of its outcome; sessions share the workers by time."""

    def __init__(self) -> None:
        self._shares: Shares[tuple[Future[None], Task]] = Shares()
        self._closed = threading.Event()

    def add(self, task: Task, priority: int = 0) -> Future[None]:
        """Queue a task; the future of a closed queue is cancelled."""
        future: Future[None] = Future()
        future.add_done_callback(lambda _: self._shares.end((future, task)))
        self._shares.put((future, task), task.owner, priority)
        if self._closed.is_set():
            future.cancel()
        return future

    def take(self, timeout: float, woken: threading.Event | None = None) -> tuple[Future[None], Task] | None:
        """Return the next task, whose future can't be cancelled from now on; None if there is none in time.

        Args:
            timeout: how long to wait for a task, in seconds.
            woken: ends the waiting when it is set before :meth:`wake` is called.
        """
        try:
            future, task = self._shares.get(timeout, woken)
        except queue.Empty:
            return None
        # One that was given back is running already.
        if future.running() or future.set_running_or_notify_cancel():
            return future, task
        self._shares.end((future, task))
        return None

    def restart(self, future: Future[None], task: Task) -> None:
        """Do not count the time of a taken task so far as time of its session."""
        self._shares.restart((future, task))

    def give_back(self, future: Future[None], task: Task) -> None:
        """Queue a task that was taken but not started: it comes next."""
        self._shares.give_back((future, task), GIVEN_BACK)
        if self._closed.is_set():
            self.close()

    def wake(self) -> None:
        """Let all threads that wait in :meth:`take` look at their events."""
        self._shares.wake()

    def close(self) -> None:
        """Cancel all waiting tasks, and those that are added later; those that were given back fail."""
        self._closed.set()
        while not self._shares.empty():
            try:
                future, _ = self._shares.get(timeout=0)
            except queue.Empty:
                return
            if not future.cancel():
                future.set_exception(WorkerDied("The server is shutting down."))


class TaskClock:
    """The computing time of a task.

    Args:
        task: the task, which starts now.
        limit: the time limit of its job, in seconds.
    """

    def __init__(self, task: Task, limit: float) -> None:
        self._task, self._limit = task, limit
        self._before, self._started = task.computed(), time.monotonic()
        self._stopped_since: float | None = None

    def restart(self) -> None:
        """Do not count the time so far."""
        self._started = time.monotonic()

    def overdue(self) -> str:
        """Return why the task has to be ended by force, as a sentence, or ""."""
        now = time.monotonic()
        if self._before + now - self._started > self._limit:
            return f"The {self._task.noun} exceeded the time limit of {self._limit / 60:g} minutes."
        self._stopped_since = (self._stopped_since or now) if self._task.is_stopped() else None
        if self._stopped_since and now - self._stopped_since > GRACE_SECONDS:
            return f"The {self._task.noun} did not stop when it was cancelled, so its process was killed."
        return ""
