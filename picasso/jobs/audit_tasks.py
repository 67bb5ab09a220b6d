"""Submits the pairs of classes of audits, then what remains of each audit, and lets audits yield to others."""

from __future__ import annotations

import logging
from concurrent.futures import Future

from picasso.errors import WorkerCrashed
from picasso.jobs import outcomes
from picasso.jobs.active_jobs import Active, ActiveJobs
from picasso.jobs.audit_job import Audit
from picasso.jobs.engine import Engine

log = logging.getLogger(__name__)

# The number of pairs of an audit that the engine has at the same time; classes may have very many pairs.
PAIRS_AT_ONCE = 64
# An audit whose pairs crash more workers than this fails: it would crash those of all others, one after the other.
MAX_CRASHES = 10


class AuditTasks:
    """Submits audits pair by pair, so that tasks of others come in between.

    Args:
        engine: computes the tasks.
        jobs: the unfinished jobs.
    """

    def __init__(self, engine: Engine, jobs: ActiveJobs) -> None:
        self._engine, self._jobs = engine, jobs

    def add(self, audit: Audit, pairs: int) -> None:
        """Add an audit with this number of pairs to the unfinished jobs, before :meth:`submit`."""
        self._jobs.add(Active(audit, pairs, later=max(0, pairs - PAIRS_AT_ONCE)))

    def submit(self, audit: Audit, pairs: int) -> None:
        """Submit the first pairs of an audit; the others follow, and what remains after the last of them."""
        for number in range(min(pairs, PAIRS_AT_ONCE)):
            self._submit_pair(audit, number, again=True)
        if not pairs:
            self._hand_over(audit)

    def ask_for_turns(self) -> None:
        """Let the audits yield, if others wait now."""
        for audit in [one.job for one in self._jobs.all() if isinstance(one.job, Audit)]:
            if self._others_wait(audit):
                audit.let_yield(yields=True)

    def _others_wait(self, audit: Audit) -> bool:
        """Tell whether other sessions have jobs, or a user waits for one."""
        session = audit.folder.parent.parent
        return any(one.urgent or one.session != session for one in self._jobs.all())

    def _submit_pair(self, audit: Audit, number: int, *, again: bool) -> None:
        """Submit a pair of classes of an audit to the engine, and the whole audit after the last of them."""

        def settle(audit: Audit, future: Future[None]) -> None:
            with self._jobs.lock:
                self._jobs.of(audit).crashes += outcomes.crashed(future)
            if again and outcomes.crashed(future) and not audit.is_stopped():
                log.warning("pair %d of audit %s is tested again: %s", number, audit.id, future.exception())
                self._submit_pair(audit, number, again=False)
            elif audit.is_paused(number) and outcomes.completed(future) and not audit.is_stopped():
                self._submit_pair(audit, number, again=again)
            else:
                self._settle_pair(audit, future)

        audit.let_yield(yields=self._others_wait(audit))
        self._jobs.promise(audit, self._engine.audit_pair(audit.folder, number), settle)

    def _settle_pair(self, audit: Audit, future: Future[None]) -> None:
        """Count a pair of classes as done, and submit the next; the rest of the audit follows the last one."""
        # What a few crashes have left out belongs to the rest of the audit.
        if not outcomes.crashed(future) or self._jobs.of(audit).crashes > MAX_CRASHES:
            outcomes.fail(audit, future)
        stopped, following = audit.is_stopped(), None
        with self._jobs.lock:
            active = self._jobs.of(audit)
            active.left -= 1
            if stopped:
                active.left, active.later = active.left - active.later, 0
            elif active.later:
                following, active.later = audit.pairs() - active.later, active.later - 1
        if following is not None:
            self._submit_pair(audit, following, again=True)
        elif active.left <= 0 and stopped:
            self._jobs.end(audit, cancelled=future.cancelled())
        elif active.left <= 0:
            self._hand_over(audit)

    def _hand_over(self, audit: Audit) -> None:
        """Submit what remains of an audit to the engine."""
        self._jobs.promise(audit, self._engine.audit(audit.folder), self._settle)

    def _settle(self, audit: Audit, future: Future[None]) -> None:
        """Count an audit as done, or resume it if its worker process died, because its trials are stored."""
        error = None if future.cancelled() else future.exception()
        if isinstance(error, WorkerCrashed) and audit.interrupted():
            log.warning("audit %s continues in a new process: %s", audit.id, error)
            self._hand_over(audit)
            return
        # A cancelled audit stays cancelled, even if its process did not stop and had to be killed.
        outcomes.fail(audit, future)
        self._jobs.end(audit, cancelled=future.cancelled())
