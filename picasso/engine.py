"""Carrying shards to a worker: the interface, and the engine that comes with Picasso.

An engine submits, and closes; progress, cancelling and results are files in the run's folder and the same
for every engine. One that spreads shards over machines has to call :func:`picasso.worker.run_shard` there.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import queue
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from picasso import files, worker
from picasso.errors import WorkerDied

log = logging.getLogger(__name__)

Job = tuple[int, int, "Future[None] | None", tuple[str, int]]


class Engine(Protocol):
    """What the queue asks of an engine."""

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        """Compute a shard; a higher priority goes first. The future raises WorkerDied if its process ended."""

    def model_status(self) -> dict[str, Any]:
        """Return ``state`` (loading, ready or failed) with the model's ``card`` or an ``error``."""

    def close(self) -> None:
        """Stop computing and release everything."""


class LocalEngine:
    """One spawned child process, supervised by one thread.

    A child is never forked: TensorFlow would hang in it. If it dies, the shard at work fails, a new child
    starts and the next shard goes there.
    """

    def __init__(self, configured: dict[str, Any], work_dir: Path) -> None:
        self._configured = configured
        self._status = work_dir / "model.json"
        self._temporary = work_dir / "worker"
        self._temporary.mkdir()
        self._context = multiprocessing.get_context("spawn")
        self._order = itertools.count()
        self._jobs: queue.PriorityQueue[Job] = queue.PriorityQueue()
        self._closing = threading.Event()
        self._start()
        self._thread = threading.Thread(target=self._supervise, name="picasso-engine", daemon=True)
        self._thread.start()

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        """Queue a shard for the child."""
        future: Future[None] = Future()
        self._jobs.put((-priority, next(self._order), future, (str(folder), shard)))
        return future

    def model_status(self) -> dict[str, Any]:
        """Return what the child wrote about its model."""
        status: dict[str, Any] | None = files.read_json(self._status)
        if status:
            return status
        if self._process.exitcode is not None and not self._closing.is_set():
            reason = f"The worker process ended with exit code {self._process.exitcode} while it loaded the model."
            return {"state": "failed", "error": f"{reason} The log says more."}
        return {"state": "loading"}

    def close(self) -> None:
        """End the child at once and the thread with it."""
        self._closing.set()
        self._jobs.put((-(10**9), next(self._order), None, ("", 0)))
        self._process.kill()
        self._thread.join(timeout=5)
        self._process.join(timeout=5)
        self._connection.close()

    def _start(self) -> None:
        self._connection, theirs = self._context.Pipe()
        arguments = (theirs, self._configured, str(self._status), str(self._temporary))
        self._process = self._context.Process(target=worker.main, args=arguments, name="picasso-worker", daemon=True)
        self._process.start()
        # With our copy closed, the child's death closes the pipe and is noticed at once.
        theirs.close()

    def _restart(self) -> None:
        self._connection.close()
        self._process.join(timeout=5)
        log.warning("the worker ended with exit code %s; starting another", self._process.exitcode)
        self._start()

    def _supervise(self) -> None:
        while True:
            _, _, future, job = self._jobs.get()
            if future is None or self._closing.is_set():
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                if not self._process.is_alive():
                    self._restart()
                self._connection.send(job)
                self._connection.recv()
            except (EOFError, OSError):
                self._process.join(timeout=5)
                code = self._process.exitcode
                future.set_exception(WorkerDied(f"The process that computes ended unexpectedly (exit code {code})."))
                if self._closing.is_set():
                    return
                self._restart()
            else:
                future.set_result(None)
