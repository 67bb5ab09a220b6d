"""The interface of engines, which pass work to a worker, and Picasso's own engine.

An engine submits shards, audits and predictions, asks questions, and closes. Progress, cancellation and results are
files in the folder of the job and the same for every engine. An engine that distributes work to several machines must
call :func:`picasso.jobs.worker.run_shard`, :func:`picasso.jobs.worker.run_audit` and
:func:`picasso.jobs.worker.run_predictions` there.
"""

from __future__ import annotations

import logging
import math
import queue
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from picasso.errors import NotReady, NotSent, WorkerDied, reason
from picasso.jobs.audit_job import Audit
from picasso.jobs.prediction_job import Predictions
from picasso.jobs.run import Run
from picasso.jobs.turns import Turns
from picasso.jobs.watchdog import Watchdog
from picasso.jobs.worker_process import WorkerProcess

log = logging.getLogger(__name__)

# How often a worker is checked, and how long a cancelled shard may continue.
WATCH_SECONDS, GRACE_SECONDS = 0.5, 30.0
# The time limit for loading a model; the largest models take a few minutes, but a damaged file may take forever.
LOAD_SECONDS = 900.0
# The maximum number of attempts to load a model whose worker was killed, if no worker has loaded it before.
LOAD_TRIES = 3
# The maximum number of children that a job is sent to until one receives it.
SEND_TRIES = 3
# A worker that can't be started, or dies before it has loaded its model, is retried after this time, which doubles
# after each failure. Requests that wait for a worker fail after this many seconds.
BACKOFF_SECONDS, MAX_BACKOFF, START_SECONDS = 1.0, 60.0, 60.0
# A loop without progress for this long is considered stuck; the same holds for a worker without a sign of life.
STILL_SECONDS, QUIET_SECONDS = 30.0, 15.0

Queued = tuple["Future[None] | None", "QueuedTask"]
# Wake-up messages for the supervisor come before any work.
WAKING = 10**9
LOADING: Mapping[str, Any] = {"state": "loading"}


@dataclass(frozen=True)
class QueuedTask:
    """The work for a worker: a shard of a run, an audit, or a part of the predictions of a session."""

    folder: Path
    kind: Literal["run", "audit", "predictions"] = "run"
    shard: int = 0

    @property
    def owner(self) -> Path:
        """The folder of the session that it belongs to; sessions take turns."""
        return self.folder.parent.parent

    @property
    def job(self) -> Run | Audit | Predictions:
        """The job that it belongs to."""
        kinds: dict[str, type[Run | Audit | Predictions]] = {"run": Run, "audit": Audit, "predictions": Predictions}
        return kinds[self.kind](self.folder)

    def computed(self) -> float:
        """Return the computing time of the job in seconds without this task."""
        job = self.job
        return job.computed(self.shard) if isinstance(job, Run) else job.computed()

    def is_stopped(self) -> bool:
        """Tell whether the job was cancelled, failed, or deleted."""
        return self.job.is_stopped()

    def given_to(self, child: WorkerProcess) -> Future[Any]:
        """Send it to a worker."""
        if self.kind == "run":
            return child.request("shard", folder=str(self.folder), shard=self.shard)
        return child.request(self.kind, folder=str(self.folder))


class Engine(Protocol):
    """The interface between the queue and an engine."""

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        """Compute a shard; higher priorities go first, and sessions take turns.

        The future raises WorkerDied if the worker process ended.
        """

    def audit(self, folder: Path) -> Future[None]:
        """Run or continue an audit. The future raises WorkerCrashed if its worker process crashed."""

    def predict(self, folder: Path) -> Future[None]:
        """Compute a part of predictions, when no run or audit waits."""

    def ask(self, question: dict[str, Any]) -> Future[Any]:
        """Answer a question of :mod:`picasso.explanation.questions` as soon as possible, before any queued shard."""

    def model_status(self) -> Mapping[str, Any]:
        """Return ``state`` (loading, ready or failed) with the model's ``card`` or an ``error``."""

    def health(self) -> str:
        """Return "ready" if requests are computed now, or the reason in one word if not."""

    def close(self) -> None:
        """Stop all work and release all resources."""


class LocalEngine:
    """One child process, given one shard or audit at a time; questions are answered between two chunks of it.

    One thread, the supervisor, sends work to the child and watches it. If the child dies, the current shard fails, and
    a new child starts and gets the next shard. A child that hangs is killed, and so is one whose run exceeds its time
    limit or does not stop when it was cancelled.

    Args:
        configured: how the worker finds the model; see :func:`picasso.jobs.worker.reference`.
        work_dir: a folder for the child's files.
        limit: the time limit of a run, in seconds.
        stall: the time limit of a run without progress, in seconds.

    Raises:
        WorkerDied: the first process can't be started.
    """

    def __init__(
        self, configured: dict[str, Any], work_dir: Path, limit: float = math.inf, stall: float = math.inf
    ) -> None:
        self._limit, self._stall = limit, stall
        temporary = work_dir / "worker"
        temporary.mkdir()
        self._arguments = (configured, str(temporary))
        self._jobs: Turns[Queued] = Turns()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        # Questions that wait for the next child.
        self._held: list[tuple[Future[Any], dict[str, Any]]] = []
        # The model's status, as reported by the first child that loaded it.
        self._known: Mapping[str, Any] | None = None
        # The number of consecutive children that failed to load the model, the time of the next start, and the reason.
        self._failures, self._next_start, self._trouble = 0, -math.inf, ""
        # Whether loading timed out.
        self._given_up = False
        try:
            self._child = WorkerProcess(*self._arguments)
        except (OSError, RuntimeError) as error:
            raise WorkerDied(f"The worker process can't be started: {reason(error)}.") from error
        self._started = self._seen = time.monotonic()
        self._buried: WorkerProcess | None = None
        self._watchdog = Watchdog(stall, self._started)
        self._thread = threading.Thread(target=self._supervise, name="picasso-engine", daemon=True)
        self._thread.start()

    # ---- public interface ---------------------------------------------------------------------------------

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        """Queue a shard for the child."""
        return self._queue(QueuedTask(folder, shard=shard), priority)

    def audit(self, folder: Path) -> Future[None]:
        """Queue an audit for the child."""
        return self._queue(QueuedTask(folder, "audit"), 0)

    def predict(self, folder: Path) -> Future[None]:
        """Queue a part of predictions for the child, behind all runs and audits."""
        return self._queue(QueuedTask(folder, "predictions"), -1)

    def _queue(self, work: QueuedTask, priority: int) -> Future[None]:
        future: Future[None] = Future()
        self._jobs.put((future, work), work.owner, priority)
        if self._closing.is_set():
            future.cancel()
        return future

    def ask(self, question: dict[str, Any]) -> Future[Any]:
        """Send a question to the child, or keep it for the next child if this one has died."""
        future: Future[Any] = Future()
        with self._lock:
            child = self._child
            held = not child.alive() and not self._closing.is_set()
            if held:
                future.set_running_or_notify_cancel()
                self._held.append((future, question))
        if not held:
            return child.request("question", question=question)
        self._wake()
        return future

    def model_status(self) -> Mapping[str, Any]:
        """Return the status of the model; while a new child loads it again, the last known status."""
        child = self._child
        if child.status:
            return child.status
        if self._known:
            return self._known
        if child.alive() or self._closing.is_set() or self._killed():
            return LOADING
        if child.why:
            return {"state": "failed", "error": child.why}
        code = child.exit_code
        why = f"The worker process ended with exit code {code} while loading the model. See the log for details."
        return {"state": "failed", "error": why}

    def health(self) -> str:
        """Return its state: ready, loading, failed, restarting, not responding, or stopped."""
        child, still = self._child, time.monotonic() - self._seen > STILL_SECONDS
        if self._closing.is_set() or still or not self._thread.is_alive():
            return "stopped"
        if self._known is None:
            return str(self.model_status()["state"])
        if not child.alive() or child.status is None:
            return "restarting"
        if child.status["state"] != "ready":
            return "failed"
        return "not responding" if self._watchdog.silent > QUIET_SECONDS else "ready"

    def close(self) -> None:
        """Stop the child and the threads immediately; waiting work fails."""
        self._closing.set()
        self._wake()
        self._child.close()
        self._thread.join(timeout=5)
        self._child.close()
        self._fail_held("The server is shutting down.")
        while not self._jobs.empty():
            future, _ = self._jobs.get(timeout=0)
            if future:
                future.cancel()

    # ---- the supervisor -----------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Wake up the supervisor."""
        self._jobs.put((None, QueuedTask(Path())), None, WAKING)

    def _supervise(self) -> None:
        """Keep a child alive and send it one job after another, whatever fails."""
        while not self._closing.is_set():
            try:
                self._turn()
            except Exception:
                log.exception("the engine continues after an error")
                self._closing.wait(WATCH_SECONDS)

    def _turn(self) -> None:
        self._look(busy=self._child.pending() > 0)
        # A child that had loaded its model and died is replaced immediately, so that no later request waits for it.
        if not self._child.alive() and (self._known or self._held or self._killed()):
            self._living()
        try:
            future, work = self._jobs.get(timeout=WATCH_SECONDS)
        except queue.Empty:
            return
        if self._closing.is_set():
            if future:
                future.cancel()
            return
        if future is None or not future.set_running_or_notify_cancel():
            return
        try:
            error = self._computed(work)
        except Exception as failed:
            error = failed
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def _look(self, *, busy: bool) -> None:
        """Store the child's status of the model, and kill a child that hangs or does not load it in time."""
        child, now = self._child, time.monotonic()
        self._seen = now
        if child.status is not None and child.status["state"] == "ready":
            self._known, self._failures, self._trouble = child.status, 0, ""
        if not child.alive() or child.why:
            return
        if why := self._watchdog.look(now, child.signs, busy, starting=child.status is None):
            child.kill(f"The worker process {why}, so it was stopped. A new one is starting.")
        elif child.status is None and now - self._started > LOAD_SECONDS:
            minutes, self._given_up = LOAD_SECONDS / 60, True
            child.kill(f"Loading the model timed out after {minutes:g} minutes. The file may be damaged.")

    def _killed(self) -> bool:
        """Tell whether the child was killed while it loaded its model, so that another attempt makes sense.

        The system may have run out of memory, a user may have killed it, or it did not respond. A child that ended by
        itself would do so again.
        """
        killed = self._child.status is None and self._child.exit_code == -signal.SIGKILL
        return killed and not self._given_up and self._failures < LOAD_TRIES

    def _living(self) -> WorkerProcess | None:
        """Return the child, or a new one if it has died; None if none can be started yet."""
        if self._child.alive() or self._closing.is_set():
            return self._child
        now = time.monotonic()
        if self._buried is not self._child:
            self._buried = self._child
            log.warning("the worker ended with exit code %s; a new one is starting", self._child.exit_code)
            if self._child.status is None:
                self._failed(now, "it ended before the model was loaded")
            self._child.close()
        if now < self._next_start:
            return None
        try:
            child = WorkerProcess(*self._arguments)
        # Memory, files or threads are exhausted; they may be available again shortly.
        except Exception as error:
            self._failed(now, reason(error))
            self._fail_held("The worker process can't be started at the moment. Try again in a few seconds.")
            return None
        with self._lock:
            self._child, self._started, self._watchdog = child, now, Watchdog(self._stall, now)
            held, self._held = self._held, []
        for future, question in held:
            child.request("question", question=question).add_done_callback(partial(copy, future))
        return child

    def _failed(self, now: float, why: str) -> None:
        """Store the failure, and schedule the next attempt."""
        delay = min(MAX_BACKOFF, BACKOFF_SECONDS * 2**self._failures)
        self._failures, self._next_start, self._trouble = self._failures + 1, now + delay, why
        log.error("the worker can't be started (%s); retrying in %g seconds", why, delay)

    def _fail_held(self, why: str) -> None:
        with self._lock:
            held, self._held = self._held, []
        for future, _ in held:
            future.set_exception(NotReady(why))

    def _ready_for(self, work: QueuedTask) -> WorkerProcess:
        """Return a running child for a job; raise WorkerDied if there is none in time or the job was cancelled."""
        began = time.monotonic()
        while True:
            child = self._living()
            self._seen = time.monotonic()
            if child:
                return child
            if self._seen - began > START_SECONDS or work.is_stopped():
                raise WorkerDied(f"The worker process can't be started: {self._trouble}.")
            self._closing.wait(min(WATCH_SECONDS, max(0.0, self._next_start - self._seen)))

    def _computed(self, work: QueuedTask) -> BaseException | None:
        """Compute a job and return its error; a job that a child did not receive, because it died, goes to the next."""
        for _ in range(SEND_TRIES):
            error = self._watched(self._ready_for(work), work).exception()
            if not isinstance(error, NotSent):
                break
        return error

    def _watched(self, child: WorkerProcess, work: QueuedTask) -> Future[Any]:
        """Compute a job; kill the child if the job takes too long or does not stop."""
        started, stopped_since = time.monotonic(), None
        before = work.computed()
        future = work.given_to(child)
        while not wait([future], timeout=WATCH_SECONDS).done:
            now = time.monotonic()
            self._look(busy=True)
            if child.status is None:
                # Loading the model does not count as computing time.
                started = now
            if before + now - started > self._limit and not child.why:
                child.kill(f"The {work.kind} exceeded the time limit of {self._limit / 60:g} minutes.")
            stopped_since = (stopped_since or now) if work.is_stopped() else None
            if stopped_since and now - stopped_since > GRACE_SECONDS and not child.why:
                child.kill(f"The {work.kind} did not stop when it was cancelled, so its process was killed.")
        return future


def copy(outer: Future[Any], inner: Future[Any]) -> None:
    """Copy the outcome of one future to another."""
    error = inner.exception()
    if error:
        outer.set_exception(error)
    else:
        outer.set_result(inner.result())
