"""The interface of engines, which pass work to a worker, and Picasso's own engine.

An engine submits shards, audits, predictions, searches for concepts and rankings, asks questions, and closes. Progress,
cancellation and results are files in the folder of the job and the same for every engine. An engine that distributes
work to several machines must call :func:`picasso.jobs.worker.run_task` there.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from picasso.errors import NotReady, NotSent, WorkerDied, reason
from picasso.jobs.tasks import Task, TaskClock, TaskQueue
from picasso.jobs.watchdog import Watchdog
from picasso.jobs.worker_loop import NICENESS
from picasso.jobs.worker_process import WorkerProcess

log = logging.getLogger(__name__)

# How often a worker is checked.
WATCH_SECONDS = 0.5
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

LOADING: Mapping[str, Any] = {"state": "loading"}


class Engine(Protocol):
    """The interface between the queue and an engine."""

    @property
    def parallel(self) -> bool:
        """Whether it has several workers for a batch; what crashed one of them is then tried on another."""

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        """Compute a shard of a run; higher priorities go first, and sessions share the workers by time.

        Args:
            folder: the folder of the run.
            shard: the number of the shard.
            priority: above 0 if a user waits for the map on the first page.

        The future raises WorkerCrashed if the worker process crashed, and WorkerDied if it had to be stopped.
        """

    def audit(self, folder: Path) -> Future[None]:
        """Run or continue an audit. The future raises WorkerCrashed if its worker process crashed."""

    def audit_pair(self, folder: Path, number: int) -> Future[None]:
        """Compute the trials of one pair of classes of an audit, which :meth:`audit` then finds."""

    def predict(self, folder: Path) -> Future[None]:
        """Compute a part of predictions."""

    def search_concepts(self, folder: Path) -> Future[None]:
        """Search for concepts."""

    def rank(self, folder: Path) -> Future[None]:
        """Compute a part of a ranking. The future raises WorkerCrashed if its worker process crashed."""

    def ask(self, question: dict[str, Any]) -> Future[Any]:
        """Answer a question of :mod:`picasso.explanation.questions` as soon as possible, before any queued shard."""

    def model_status(self) -> Mapping[str, Any]:
        """Return ``state`` (loading, ready or failed) with the model's ``card`` or an ``error``."""

    def health(self) -> str:
        """Return "ready" if requests are computed now, or the reason in a word or two if not."""

    def close(self) -> None:
        """Stop all work and release all resources."""


class QueueingEngine:
    """What engines that queue their tasks have in common."""

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        """Queue a shard of a run."""
        return self.add(Task(folder, shard=shard), priority)

    def audit(self, folder: Path) -> Future[None]:
        """Queue an audit."""
        return self.add(Task(folder, "audit"), 0)

    def audit_pair(self, folder: Path, number: int) -> Future[None]:
        """Queue a pair of classes of an audit."""
        return self.add(Task(folder, "pair", number), 0)

    def predict(self, folder: Path) -> Future[None]:
        """Queue a part of predictions, behind what its session has queued already."""
        return self.add(Task(folder, "predictions"), 0)

    def search_concepts(self, folder: Path) -> Future[None]:
        """Queue a search for concepts."""
        return self.add(Task(folder, "concepts"), 0)

    def rank(self, folder: Path) -> Future[None]:
        """Queue a part of a ranking, behind what its session has queued already."""
        return self.add(Task(folder, "ranking"), 0)

    def add(self, task: Task, priority: int) -> Future[None]:
        """Queue a task."""
        raise NotImplementedError


class LocalEngine(QueueingEngine):
    """One child process, given one shard or audit at a time; questions are answered between two chunks of it.

    One thread, the supervisor, sends work to the child and watches it. If the child dies, the current shard fails, and
    a new child starts and gets the next shard. A child that hangs is killed, and so is one whose run exceeds its time
    limit or does not stop when it was cancelled.

    Args:
        configured: how the worker finds the model; see :func:`picasso.jobs.worker.reference`.
        work_dir: a folder for the child's files.
        limit: the time limit of a run, in seconds.
        stall: the time limit of a run without progress, in seconds.
        name: the name of the folder of the child in ``work_dir``.
        tasks: a queue that it shares with others; None for one of its own.
        team: those that it shares the queue with.

    Raises:
        WorkerDied: the first process can't be started.
    """

    parallel = False

    def __init__(
        self,
        configured: dict[str, Any],
        work_dir: Path,
        limit: float = math.inf,
        stall: float = math.inf,
        *,
        name: str = "worker",
        tasks: TaskQueue | None = None,
        team: Sequence[LocalEngine] = (),
    ) -> None:
        self._limit, self._stall = limit, stall
        temporary = work_dir / name
        temporary.mkdir()
        # Those that share a queue compute batches, and give way to the one that answers users.
        self._arguments = (configured, str(temporary), NICENESS if tasks is None else 2 * NICENESS)
        self._tasks, self._team = tasks or TaskQueue(), team
        self._closing = threading.Event()
        # Set whenever the supervisor must not wait for tasks any longer.
        self._woken = threading.Event()
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

    def add(self, task: Task, priority: int) -> Future[None]:
        """Queue a task for the child."""
        return self._tasks.add(task, priority)

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
        self._tasks.close()

    # ---- the supervisor -----------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Wake up the supervisor."""
        self._woken.set()
        self._tasks.wake()

    def _supervise(self) -> None:
        """Keep a child alive and send it one job after another, whatever fails."""
        while not self._closing.is_set():
            try:
                self._turn()
            except Exception:
                log.exception("the engine continues after an error")
                self._closing.wait(WATCH_SECONDS)

    def _turn(self) -> None:
        self._woken.clear()
        self._look(busy=self._child.pending() > 0)
        # A child that had loaded its model and died is replaced immediately, so that no later request waits for it.
        if not self._child.alive() and (self._known or self._held or self._killed()):
            self._living()
        if self._closing.is_set():
            return
        if not self._takes_tasks():
            self._woken.wait(WATCH_SECONDS)
            return
        taken = self._tasks.take(WATCH_SECONDS, self._woken)
        if taken is None:
            return
        future, work = taken
        try:
            error = self._computed(future, work)
        except Exception as failed:
            error = failed
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def _takes_tasks(self) -> bool:
        """Tell whether it takes tasks now: without a model, it leaves them to the others of its team."""
        return self.has_model() or not any(one.has_model() for one in self._team)

    def has_model(self) -> bool:
        """Tell whether the child is running and has loaded its model."""
        child = self._child
        return child.alive() and child.status is not None and child.status["state"] == "ready"

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

    def _ready_for(self, work: Task) -> WorkerProcess:
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

    def _computed(self, outer: Future[None], work: Task) -> BaseException | None:
        """Compute a job and return its error; a job that a child did not receive, because it died, goes to the next."""
        for _ in range(SEND_TRIES):
            error = self._watched(self._ready_for(work), outer, work).exception()
            if not isinstance(error, NotSent):
                break
        return error

    def _watched(self, child: WorkerProcess, outer: Future[None], work: Task) -> Future[Any]:
        """Compute a job; kill the child if the job takes too long or does not stop."""
        clock = TaskClock(work, self._limit)
        future = child.request(work.kind, folder=str(work.folder), shard=work.shard)
        while not wait([future], timeout=WATCH_SECONDS).done:
            self._look(busy=True)
            if child.status is None:
                # Loading the model does not count as computing time.
                clock.restart()
                self._tasks.restart(outer, work)
            why = clock.overdue()
            if why and not child.why:
                child.kill(why)
        return future


def copy(outer: Future[Any], inner: Future[Any]) -> None:
    """Copy the outcome of one future to another."""
    error = inner.exception()
    if error:
        outer.set_exception(error)
    else:
        outer.set_result(inner.result())
