"""One worker process as the server sees it: requests go in, answers come out, and its death is noticed at once."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Literal

from picasso.errors import WorkerCrashed, WorkerDied, error_from
from picasso.jobs import worker_loop
from picasso.jobs.messages import Answer, Pulse, Request, Status, pack, unpack
from picasso.jobs.watchdog import Signs

log = logging.getLogger(__name__)

# What exit codes mostly mean: the number of a signal, negative.
LIKELY = {
    -signal.SIGKILL: "it was killed, as a system does that runs out of memory",
    -signal.SIGSEGV: "it crashed: a segmentation fault",
    -signal.SIGABRT: "it crashed: an abort",
}


class WorkerProcess:
    """A spawned process that runs :func:`picasso.jobs.worker_loop.main`, and the thread that takes its answers.

    A child is never forked: TensorFlow would hang in it.

    Args:
        arguments: those of :func:`picasso.jobs.worker_loop.main`, without the connection.

    Raises:
        OSError: the system has no room for another process.
        RuntimeError: nor for another thread.
    """

    def __init__(self, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(
            target=worker_loop.main, args=(theirs, *arguments), name="picasso-worker", daemon=True
        )
        #: What it said of its model; None until it has loaded it, or failed to.
        self.status: Mapping[str, Any] | None = None
        #: What was heard of it so far.
        self.signs = Signs()
        self._why = ""
        self._numbers = itertools.count()
        # Two locks: while a request waits for room in the pipe, answers must still be taken out of it.
        self._sending, self._lock = threading.Lock(), threading.Lock()
        self._pending: dict[int, Future[Any]] = {}
        self._thread = threading.Thread(target=self._take_answers, name="picasso-answers", daemon=True)
        try:
            self.process.start()
            # With our copy closed, the child's death closes the pipe and is noticed at once.
            theirs.close()
            self._thread.start()
        except BaseException:
            if self.process.pid is not None:
                self.process.kill()
            theirs.close()
            self._connection.close()
            raise

    def request(
        self,
        kind: Literal["shard", "audit", "question"],
        *,
        folder: str = "",
        shard: int = 0,
        question: Mapping[str, Any] | None = None,
    ) -> Future[Any]:
        """Ask for something; the future raises WorkerDied if the process ends before it answers.

        Args:
            kind: see :class:`picasso.jobs.messages.Request`.
            folder: of the run or the audit.
            shard: the number of the run's shard.
            question: a small document.
        """
        future: Future[Any] = Future()
        # Nobody can cancel what was sent.
        future.set_running_or_notify_cancel()
        body = pack(Request(number := next(self._numbers), kind, folder, shard, question))
        with self._lock:
            self._pending[number] = future
        try:
            with self._sending:
                self._connection.send_bytes(body)
        except OSError:
            with self._lock:
                failed = self._pending.pop(number, None)
            # Unless it failed already, with all that was pending.
            if failed:
                failed.set_exception(self._death())
        return future

    def alive(self) -> bool:
        """Tell whether the process runs and its answers are taken."""
        return self.process.is_alive() and self._thread.is_alive()

    def pending(self) -> int:
        """Return how many requests were not answered yet."""
        return len(self._pending)

    def kill(self, why: str) -> None:
        """End the process at once, for a reason that those who wait are told."""
        log.warning("the worker is ended: %s", why)
        self._why = why
        self.process.kill()

    @property
    def why(self) -> str:
        """For what reason :meth:`kill` ended it, or ""."""
        return self._why

    def close(self) -> None:
        """End the process at once; what is pending fails."""
        self.process.kill()
        self.process.join(timeout=5)
        self._thread.join(timeout=5)
        with suppress(OSError):
            self._connection.close()

    def _take_answers(self) -> None:
        """Give each answer to the one who asked; fail all that is pending when the process ends."""
        try:
            while True:
                self._take(self._connection.recv_bytes())
        except (EOFError, OSError):
            self.process.join(timeout=5)
        except Exception:
            # Whatever it sent, nobody may wait for ever for what comes behind it.
            log.exception("the worker is not understood any more and is ended")
            self.process.kill()
            self.process.join(timeout=5)
        with self._lock:
            pending, self._pending = self._pending, {}
        for future in pending.values():
            future.set_exception(self._death())

    def _take(self, body: bytes) -> None:
        match unpack(body):
            case Answer(number, value, error):
                with self._lock:
                    future = self._pending.pop(number)
                if error:
                    future.set_exception(error_from(error))
                else:
                    future.set_result(value)
            case Status(status):
                self.status = status
            case Pulse() as pulse:
                self.signs = Signs(self.signs.pulses + 1, pulse)

    def _death(self) -> WorkerDied:
        code = self.process.exitcode
        likely = LIKELY.get(code or 0, f"exit code {code}")
        if self._why:
            return WorkerDied(self._why)
        return WorkerCrashed(f"The process that computes ended unexpectedly ({likely}); another one starts.")
