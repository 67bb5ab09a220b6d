"""The jobs that are queued or running, how many there may be, and the tasks that the engine has of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from picasso.errors import Busy
from picasso.fileio import room_on_disk
from picasso.jobs import outcomes
from picasso.jobs.audit_job import Audit
from picasso.jobs.base import Job
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.prediction_job import Predictions
from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.run import Run
from picasso.jobs.tasks import JOBS, AnyJob

log = logging.getLogger(__name__)

J = TypeVar("J", Run, Audit, Predictions, ConceptSearch, MethodRanking)


@dataclass
class Active:
    """An unfinished job.

    Attributes:
        job: the job.
        left: the number of its tasks that are not done.
        urgent: whether a user waits for it on the first page.
        later: the number of tasks that are not submitted yet.
        crashes: how many of its tasks have crashed their worker.
        since: when it was queued, by the monotonic clock.
    """

    job: AnyJob
    left: int
    urgent: bool = False
    later: int = 0
    crashes: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def session(self) -> Path:
        """The folder of the session that it belongs to."""
        return self.job.folder.parent.parent


class ActiveJobs:
    """The unfinished jobs, which threads of the server add, and threads of the engine end.

    Args:
        capacity: the maximum number of jobs.
        on_end: called with each job that has ended, how it has ended, and the seconds that it was here.
    """

    def __init__(self, capacity: int, on_end: Callable[[Job, str, float], None]) -> None:
        self._capacity, self._on_end = capacity, on_end
        #: To be held while several calls, or changes of an :class:`Active`, belong together.
        self.lock = threading.RLock()
        # Oldest first.
        self._active: dict[str, Active] = {}
        # The open futures with their jobs.
        self._promised: dict[Future[None], AnyJob] = {}

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Remove cancelled jobs, and keep other threads from adding jobs while the block runs.

        Raises:
            StorageFull: the block wrote files, and the disk is full.
        """
        self.withdraw()
        with self.lock, room_on_disk():
            yield

    def check_capacity(self, session: Path) -> None:
        """Raise Busy if the queue is full, or if the session has its maximum share of it: half, but at least two."""
        if len(self._active) >= self._capacity:
            raise Busy(f"The job queue is full ({len(self._active)} jobs). Try again later.")
        share = max(2, -(-self._capacity // 2))
        if sum(one.session == session for one in self._active.values()) >= share:
            raise Busy(
                f"This session already has {share} jobs in the queue, the maximum per session. Try again when one of "
                "them is done."
            )

    def add(self, active: Active) -> None:
        """Add a job."""
        with self.lock:
            self._active[active.job.id] = active

    def __contains__(self, job: Job) -> bool:
        """Tell whether a job is queued or running."""
        with self.lock:
            return job.id in self._active

    def of(self, job: AnyJob) -> Active:
        """Return what is known of a job; if it has ended, that its last task is not done."""
        with self.lock:
            return self._active.get(job.id) or Active(job, 1)

    def all(self) -> list[Active]:
        """Return all jobs, oldest first."""
        with self.lock:
            return list(self._active.values())

    def of_session(self, session: Path) -> list[Job]:
        """Return the jobs of the session with this folder, oldest first, without reading files."""
        return [one.job for one in self.all() if one.session == session]

    def counts(self) -> dict[str, int]:
        """Return the number of jobs by :attr:`picasso.jobs.base.Job.kind`."""
        found = Counter(one.job.kind for one in self.all())
        return {cls.kind: found[cls.kind] for cls in JOBS.values()}

    def position(self, job: AnyJob) -> int:
        """Return the approximate number of jobs ahead of this one; 0 if it is running or done.

        Sessions share the workers by time, so if all jobs take as long, the first jobs of all other sessions come
        before the second job of this one.
        """
        self.withdraw()
        if outcomes.outcome_of(job) != "waiting":
            return 0
        before: Counter[Path] = Counter()
        turns: list[tuple[bool, int, str]] = []
        for one in self.all():
            turns.append((not one.urgent, before[one.session], one.job.id))
            before[one.session] += 1
        # Within one turn, in the order of submission.
        order = [name for *_, name in sorted(turns, key=itemgetter(0, 1))]
        return order.index(job.id) if job.id in order else 0

    def promise(self, job: J, future: Future[None], settle: Callable[[J, Future[None]], None]) -> None:
        """Track a future of the engine, and call ``settle`` when it is done."""
        with self.lock:
            self._promised[future] = job

        def kept(future: Future[None]) -> None:
            with self.lock:
                self._promised.pop(future, None)
            settle(job, future)

        future.add_done_callback(kept)

    def withdraw(self) -> None:
        """Cancel the waiting tasks of cancelled jobs; a running one stops by itself."""
        with self.lock:
            queued = list(self._promised.items())
        stopped = {job for job in {job for _, job in queued} if job.is_stopped()}
        for future, job in queued:
            if job in stopped:
                # This settles the job unless it is running.
                future.cancel()

    def end(self, job: AnyJob, *, cancelled: bool) -> None:
        """Remove a job; fail it before, unless it has an outcome or was cancelled here."""
        outcome = "failed"
        try:
            if not cancelled:
                outcomes.end(job)
            outcome = outcomes.outcome_of(job)
        except Exception:
            log.exception("the end of %s is not known", job.id)
        # Even then, no job may occupy its place in the queue forever.
        if active := self.remove(job):
            self.report(active, outcome)

    def remove(self, job: AnyJob) -> Active | None:
        """Remove a job, and return what was known of it, or None if it was not here."""
        with self.lock:
            return self._active.pop(job.id, None)

    def report(self, active: Active, outcome: str) -> None:
        """Say that a job has ended."""
        try:
            self._on_end(active.job, outcome, time.monotonic() - active.since)
        except Exception:
            log.exception("the end of %s was not counted", active.job.id)
