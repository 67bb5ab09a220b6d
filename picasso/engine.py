"""Carrying work to a worker: the interface, and the engine that comes with Picasso.

An engine submits shards and audits, asks questions, and closes; progress, cancelling and results are files in the
folder of the run or the audit and the same for every engine. One that spreads them over machines has to call
:func:`picasso.worker.run_shard` and :func:`picasso.worker.run_audit` there.
"""

from __future__ import annotations

import itertools
import logging
import math
import queue
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from picasso import files
from picasso.audits import Audit
from picasso.child import Child
from picasso.runs import Run

log = logging.getLogger(__name__)

# How often a shard at work is looked at, and how long a cancelled one may go on.
WATCH_SECONDS, GRACE_SECONDS = 0.5, 30.0
# How long a model may take to load; the largest take a few minutes, and a spoilt file may take for ever.
LOAD_SECONDS = 900.0

Queued = tuple[int, int, "Future[None] | None", "Work"]


@dataclass(frozen=True)
class Work:
    """What a worker is given: a shard of a run, or an audit if there is no shard."""

    folder: Path
    shard: int | None = None

    def computed(self) -> float:
        """Return how many seconds the run or audit has computed besides this."""
        return Audit(self.folder).computed() if self.shard is None else Run(self.folder).computed(self.shard)

    def unwanted(self) -> bool:
        """Tell whether the run or audit was cancelled, failed, or deleted."""
        return (Audit(self.folder) if self.shard is None else Run(self.folder)).unwanted()

    def given_to(self, child: Child) -> Future[Any]:
        """Have it computed."""
        if self.shard is None:
            return child.request("audit", str(self.folder))
        return child.request("shard", str(self.folder), self.shard)


class Engine(Protocol):
    """What the queue asks of an engine."""

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        """Compute a shard; a higher priority goes first. The future raises WorkerDied if its process ended."""

    def audit(self, folder: Path) -> Future[None]:
        """Do an audit, or go on with it. The future raises WorkerCrashed if its process ended by itself."""

    def ask(self, question: dict[str, Any]) -> Future[Any]:
        """Have a :mod:`picasso.questions` answered as soon as possible, before any shard that waits."""

    def model_status(self) -> dict[str, Any]:
        """Return ``state`` (loading, ready or failed) with the model's ``card`` or an ``error``."""

    def close(self) -> None:
        """Stop computing and release everything."""


class LocalEngine:
    """One child process, given one shard or audit at a time; questions are answered between two chunks of it.

    If the child dies, the shard at work fails, a new child starts and the next shard goes there. A child whose run
    has computed for too long, or that does not stop when it should, is killed.

    Args:
        configured: where the worker finds the model; see :func:`picasso.worker.reference`.
        work_dir: a folder for the child's files.
        limit: how many seconds a run may compute.
    """

    def __init__(self, configured: dict[str, Any], work_dir: Path, limit: float = math.inf) -> None:
        self._limit = limit
        self._status = work_dir / "model.json"
        temporary = work_dir / "worker"
        temporary.mkdir()
        self._arguments = (configured, str(self._status), str(temporary))
        self._order = itertools.count()
        self._jobs: queue.PriorityQueue[Queued] = queue.PriorityQueue()
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._child, self._started = Child(*self._arguments), time.monotonic()
        self._thread = threading.Thread(target=self._supervise, name="picasso-engine", daemon=True)
        self._thread.start()

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        """Queue a shard for the child."""
        return self._queue(Work(folder, shard), priority)

    def audit(self, folder: Path) -> Future[None]:
        """Queue an audit for the child."""
        return self._queue(Work(folder), 0)

    def _queue(self, work: Work, priority: int) -> Future[None]:
        future: Future[None] = Future()
        self._jobs.put((-priority, next(self._order), future, work))
        return future

    def ask(self, question: dict[str, Any]) -> Future[Any]:
        """Pass a question to the child."""
        return self._living().request("question", question)

    def model_status(self) -> dict[str, Any]:
        """Return what the child wrote about its model."""
        status: dict[str, Any] | None = files.read_json(self._status)
        if status:
            return status
        code = self._child.process.exitcode
        if code is not None and not self._closing.is_set():
            reason = f"The worker process ended with exit code {code} while it loaded the model."
            return {"state": "failed", "error": f"{reason} The log says more."}
        if time.monotonic() - self._started > LOAD_SECONDS:
            self._child.kill("The model took too long to load.")
            reason = f"The model was not loaded after {LOAD_SECONDS / 60:g} minutes, so that was given up."
            return {"state": "failed", "error": f"{reason} The file may be spoilt."}
        return {"state": "loading"}

    def close(self) -> None:
        """End the child at once and the threads with it."""
        self._closing.set()
        self._jobs.put((-(10**9), next(self._order), None, Work(Path())))
        self._child.close()
        self._thread.join(timeout=5)

    def _living(self) -> Child:
        """Return the child, or another in its place if it has died."""
        with self._starting:
            if not self._child.alive() and not self._closing.is_set():
                log.warning("the worker ended with exit code %s; starting another", self._child.process.exitcode)
                self._child.close()
                self._child, self._started = Child(*self._arguments), time.monotonic()
            return self._child

    def _watched(self, child: Child, work: Work) -> Future[Any]:
        """Have something computed; kill the child where that takes too long, or does not stop."""
        started, unwanted_since = time.monotonic(), None
        before, what = work.computed(), "audit" if work.shard is None else "run"
        future = work.given_to(child)
        while not wait([future], timeout=WATCH_SECONDS).done:
            now = time.monotonic()
            if before + now - started > self._limit:
                child.kill(f"The {what} computed for more than {self._limit / 60:g} minutes, which is the limit.")
            unwanted_since = (unwanted_since or now) if work.unwanted() else None
            if unwanted_since and now - unwanted_since > GRACE_SECONDS:
                child.kill(f"The {what} did not stop when it was cancelled, so its process was ended.")
        return future

    def _supervise(self) -> None:
        while True:
            _, _, future, work = self._jobs.get()
            if future is None or self._closing.is_set():
                return
            if not future.set_running_or_notify_cancel():
                continue
            error = self._watched(self._living(), work).exception()
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                if not self._closing.is_set():
                    # At once, so that the model is loaded again when somebody asks.
                    self._living()
