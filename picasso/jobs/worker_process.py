"""The server's interface to one worker process: it sends requests, receives answers, and notices its death at once."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any, ClassVar, Literal

from picasso.errors import NotSent, WorkerCrashed, WorkerDied, error_from
from picasso.jobs import worker_loop
from picasso.jobs.messages import Answer, Pulse, Request, Status, pack, unpack
from picasso.jobs.tasks import TaskKind
from picasso.jobs.watchdog import Signs

log = logging.getLogger(__name__)

# The usual meanings of exit codes; negative ones are signal numbers.
LIKELY = {
    -signal.SIGKILL: "it was killed, possibly because the system ran out of memory",
    -signal.SIGSEGV: "it crashed with a segmentation fault",
    -signal.SIGABRT: "it crashed with an abort",
}

# The time limit for the exit code of a process that has ended.
EXIT_CODE_SECONDS = 1.0


class WorkerProcess:
    """A spawned process that runs :func:`picasso.jobs.worker_loop.main`, and the thread that receives its answers.

    The child is never forked, because TensorFlow would hang in it.

    Args:
        arguments: the arguments of :func:`picasso.jobs.worker_loop.main` without the connection.

    Raises:
        OSError: the system can't start another process.
        RuntimeError: the system can't start another thread.
    """

    #: The number of processes that this one has started.
    count: ClassVar[int] = 0

    def __init__(self, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(
            target=worker_loop.main, args=(theirs, *arguments), name="picasso-worker", daemon=True
        )
        #: The status of its model; None until loading has succeeded or failed.
        self.status: Mapping[str, Any] | None = None
        #: Its heartbeats so far.
        self.signs = Signs()
        self._why = ""
        self._numbers = itertools.count()
        # Two locks, because answers must be received while a request waits for space in the pipe.
        self._sending, self._lock = threading.Lock(), threading.Lock()
        self._pending: dict[int, Future[Any]] = {}
        self._thread = threading.Thread(target=self._take_answers, name="picasso-answers", daemon=True)
        try:
            self.process.start()
            WorkerProcess.count += 1
            # Once this copy is closed, the death of the child closes the pipe and is noticed at once.
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
        kind: TaskKind | Literal["question"],
        *,
        folder: str = "",
        shard: int = 0,
        question: Mapping[str, Any] | None = None,
    ) -> Future[Any]:
        """Send a request; the future raises WorkerDied if the process ends before it answers, NotSent if it has ended.

        Args:
            kind: see :class:`picasso.jobs.messages.Request`.
            folder: the folder of the job.
            shard: the number of the shard.
            question: a small document.
        """
        future: Future[Any] = Future()
        # A request that was sent can't be cancelled.
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
            # Unless it has already failed, together with all pending requests.
            if failed:
                failed.set_exception(NotSent(str(self._death())))
        return future

    def alive(self) -> bool:
        """Tell whether the process is running and its answers are received."""
        # ``Process.is_alive`` says that a dead process is alive while another thread collects its exit code.
        return not wait([self.process.sentinel], timeout=0) and self._thread.is_alive()

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process, or None while it runs."""
        ended = bool(wait([self.process.sentinel], timeout=0))
        until = time.monotonic() + EXIT_CODE_SECONDS
        # The code may come a moment later than the end, and a moment later still if another thread collects it.
        while (code := self.process.exitcode) is None and ended and time.monotonic() < until:
            time.sleep(0.001)
        return code

    def pending(self) -> int:
        """Return the number of pending requests."""
        return len(self._pending)

    def kill(self, why: str) -> None:
        """Kill the process immediately; the reason becomes the error of pending requests."""
        log.warning("the worker is being stopped: %s", why)
        self._why = why
        self.process.kill()

    @property
    def why(self) -> str:
        """The reason given to :meth:`kill`, or ""."""
        return self._why

    def close(self) -> None:
        """Stop the process immediately; pending requests fail."""
        self.process.kill()
        self.process.join(timeout=5)
        self._thread.join(timeout=5)
        with suppress(OSError):
            self._connection.close()

    def _take_answers(self) -> None:
        """Deliver each answer to its request; fail all pending requests when the process ends."""
        try:
            while True:
                self._take(self._connection.recv_bytes())
        except (EOFError, OSError):
            self.process.join(timeout=5)
        except Exception:
            # Whatever it sent, no request may wait forever for the answers after it.
            log.exception("the worker sends invalid messages and is being stopped")
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
        code = self.exit_code
        likely = LIKELY.get(code or 0, f"exit code {code}")
        if self._why:
            return WorkerDied(self._why)
        return WorkerCrashed(f"The worker process ended unexpectedly ({likely}). A new one is starting.")
