"""One worker process as the server sees it: requests go in, answers come out, and its death is noticed at once."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import signal
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from picasso import worker
from picasso.errors import WorkerCrashed, WorkerDied

log = logging.getLogger(__name__)

# What exit codes mostly mean: the number of a signal, negative.
LIKELY = {
    -signal.SIGKILL: "it was killed, as a system does that runs out of memory",
    -signal.SIGSEGV: "it crashed: a segmentation fault",
    -signal.SIGABRT: "it crashed: an abort",
}


class Child:
    """A spawned process that runs :func:`picasso.worker.main`, and the thread that takes its answers.

    A child is never forked: TensorFlow would hang in it.

    Args:
        arguments: those of :func:`picasso.worker.main`, without the connection.
    """

    def __init__(self, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(
            target=worker.main, args=(theirs, *arguments), name="picasso-worker", daemon=True
        )
        self.process.start()
        self._why = ""
        # With our copy closed, the child's death closes the pipe and is noticed at once.
        theirs.close()
        self._numbers = itertools.count()
        # Two locks: while a request waits for room in the pipe, answers must still be taken out of it.
        self._sending, self._lock = threading.Lock(), threading.Lock()
        self._pending: dict[int, Future[Any]] = {}
        self._thread = threading.Thread(target=self._take_answers, name="picasso-answers", daemon=True)
        self._thread.start()

    def request(self, kind: str, *payload: Any) -> Future[Any]:
        """Ask for something; the future raises WorkerDied if the process ends before it answers.

        Args:
            kind: "shard", "audit" or "question"; see :func:`picasso.worker.main`.
            payload: what goes with it; small, and able to be pickled.
        """
        future: Future[Any] = Future()
        # Nobody can cancel what was sent.
        future.set_running_or_notify_cancel()
        with self._lock:
            number = next(self._numbers)
            self._pending[number] = future
        try:
            with self._sending:
                self._connection.send((number, kind, payload))
        except OSError:
            with self._lock:
                failed = self._pending.pop(number, None)
            # Unless it failed already, with all that was pending.
            if failed:
                failed.set_exception(self._death())
        return future

    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self.process.is_alive()

    def kill(self, why: str) -> None:
        """End the process at once, for a reason that those who wait are told."""
        self._why = why
        self.process.kill()

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
                number, value, error = self._connection.recv()
                with self._lock:
                    future = self._pending.pop(number)
                if error:
                    future.set_exception(error)
                else:
                    future.set_result(value)
        except (EOFError, OSError):
            self.process.join(timeout=5)
        with self._lock:
            pending, self._pending = self._pending, {}
        for future in pending.values():
            future.set_exception(self._death())

    def _death(self) -> WorkerDied:
        code = self.process.exitcode
        likely = LIKELY.get(code or 0, f"exit code {code}")
        if self._why:
            return WorkerDied(self._why)
        return WorkerCrashed(f"The process that computes ended unexpectedly ({likely}); another one starts.")
