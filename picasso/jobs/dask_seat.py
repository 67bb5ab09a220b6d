"""One worker of a Dask cluster: examined once, then given one task after another."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import distributed

from picasso.errors import NotSent, PicassoError, RunError, WorkerCrashed, WorkerDied, reason
from picasso.jobs import agreement, dask_worker
from picasso.jobs.agreement import Refused, Shared
from picasso.jobs.dask_beat import Stall, begun
from picasso.jobs.engine import LOAD_SECONDS, WATCH_SECONDS
from picasso.jobs.tasks import Task, TaskClock

log = logging.getLogger(__name__)

# How long the examination of a worker may take before it loads the model, and how long its restart.
FACTS_SECONDS, RESTART_SECONDS = 180.0, 30.0
ENDED = "The worker process ended unexpectedly."


class Seat:
    """A worker, and the thread that gives it tasks.

    Args:
        client: the connection to the scheduler.
        address: that of the worker.
        threads: the number of tasks that it computes at the same time.
        shared: what it has in common with others.
    """

    def __init__(self, client: distributed.Client, address: str, threads: int, shared: Shared) -> None:
        self._client, self._address, self._threads, self._shared = client, address, threads, shared
        #: Whether it was examined and is given tasks.
        self.ready = False
        #: Why it was refused, or "".
        self.refusal = ""
        #: Whether the examination failed for a reason that may pass.
        self.failed = False
        self._left: PicassoError | None = None
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._run, name="picasso-seat", daemon=True)
        self._thread.start()

    def leave(self, error: PicassoError) -> None:
        """End the seat, because its worker or the scheduler is gone; the error becomes that of its task."""
        self._left = self._left or error
        self._gone.set()
        self._shared.tasks.wake()

    def ended(self) -> bool:
        """Tell whether its thread has ended."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Wait until its thread has ended."""
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            self._examine()
        except Refused as error:
            self.refusal = f"The worker {self._address} was refused, because {error}."
            log.error("%s", self.refusal)
            return
        # The worker ended, or a file system or a connection failed, which another attempt may not find.
        except (WorkerDied, OSError) as error:
            self.failed = True
            log.warning("the worker %s is not used at the moment: %s", self._address, reason(error))
            return
        except Exception as error:
            why = reason(error.__cause__ or error)
            self.refusal = f"The worker {self._address} was refused, because it can't run Picasso: {why}."
            log.exception("%s", self.refusal)
            return
        log.info("the worker %s has the model and computes tasks", self._address)
        self.ready = True
        while not self._gone.is_set():
            taken = self._shared.tasks.take(WATCH_SECONDS, self._gone)
            if taken:
                self._serve(*taken)
        self.ready = False

    # ---- the examination ----------------------------------------------------------------------------------

    def _examine(self) -> None:
        """Raise Refused unless the worker has what the server has; it keeps its model."""
        if self._threads != 1:
            raise Refused(f"it computes {self._threads} tasks at the same time; start it with --nthreads 1")
        configured = self._shared.configured
        agreement.compare_facts(self._ask(FACTS_SECONDS, agreement.facts, configured), agreement.facts(configured))
        self._probe()
        card = self._card()
        agreement.compare_models(self._ask(LOAD_SECONDS, dask_worker.load, configured), card)

    def _probe(self) -> None:
        """Raise Refused unless the worker reads and writes the shared folder."""
        folder = self._shared.folder
        file, text = folder / f"probe-{secrets.token_hex(8)}", secrets.token_hex(8)
        # Opened by its name, because NFS may list a folder as it was some seconds ago.
        echo = file.with_name(f"{file.name}-echo")
        file.write_text(text, encoding="utf-8")
        try:
            seen = self._ask(FACTS_SECONDS, dask_worker.echo, str(file)) == text
            seen = seen and echo.read_text(encoding="utf-8") == text
        except OSError:
            seen = False
        finally:
            for one in (file, echo):
                with suppress(OSError):
                    one.unlink(missing_ok=True)
        if not seen:
            raise Refused(f"it does not share the folder {folder}; set WORK_DIR to one that all machines see")

    def _card(self) -> Mapping[str, Any]:
        """Return the card of the server's own model, once it is loaded."""
        while (status := self._shared.status())["state"] != "ready":
            if self._gone.wait(WATCH_SECONDS):
                raise self._left or WorkerDied("The worker is gone.")
        card: Mapping[str, Any] = status["card"]
        return card

    def _ask(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns in the worker."""
        until = time.monotonic() + seconds

        def overdue() -> str:
            return "It did not answer in time." if time.monotonic() > until else ""

        return self._outcome(self._submit(function.__name__, function, *arguments), overdue)

    # ---- the tasks ----------------------------------------------------------------------------------------

    def _serve(self, future: Future[None], task: Task) -> None:
        """Compute a task, whatever happens; give it back if the worker had left before it began."""
        if self._gone.is_set():
            self._shared.tasks.give_back(future, task)
            return
        beat = self._shared.folder / f"beat-{secrets.token_hex(8)}"
        try:
            beat.touch()
            stall, clock = Stall(beat, self._shared.stall), TaskClock(task, self._shared.limit)
            arguments = (task.kind, str(task.folder), task.shard, str(beat))
            computing = self._submit(f"{task.kind}-{task.folder.name}", dask_worker.compute, *arguments)
            self._outcome(computing, lambda: clock.overdue() or stall.overdue(), wanted=False)
        except WorkerDied as error:
            log.warning("the worker %s computes nothing further: %s", self._address, error)
            # Another seat follows, once the worker is there again.
            self._gone.set()
            if isinstance(error, NotSent) or (isinstance(error, WorkerCrashed) and not begun(beat)):
                self._shared.tasks.give_back(future, task)
            else:
                future.set_exception(error)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        finally:
            with suppress(OSError):
                beat.unlink(missing_ok=True)

    def _submit(self, name: str, function: Callable[..., Any], *arguments: Any) -> distributed.Future:
        """Send a call to the worker, and to no other."""
        try:
            return self._client.submit(
                function,
                *arguments,
                key=f"picasso-{name}-{secrets.token_hex(8)}",
                workers=[self._address],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
        # The connection was closed in the meantime; which error that raises depends on the version.
        except Exception as error:
            raise NotSent(f"The worker can't be reached: {reason(error)}.") from error

    def _outcome(self, call: distributed.Future, overdue: Callable[[], str], *, wanted: bool = True) -> Any:
        """Return the result of a call.

        Args:
            call: the call.
            overdue: returns why the worker has to be ended, as a sentence, or "".
            wanted: whether its result matters, which a worker that ends takes along.

        Raises:
            WorkerCrashed: the worker is gone.
            WorkerDied: it was ended, or the connection to the scheduler was lost.
            RunError: an exception left the function, which computes for a task.
        """
        done = threading.Event()
        call.add_done_callback(lambda _: done.set())
        while call.status not in ("error", "cancelled") and not self._gone.is_set():
            if done.wait(WATCH_SECONDS) and call.status == "finished":
                if not wanted:
                    return None
                # It waits forever for the result of a worker that has ended.
                with self._reached(), suppress(TimeoutError):
                    return call.result(timeout=WATCH_SECONDS)
            elif call.status == "lost":
                self._gone.wait(WATCH_SECONDS)
            if why := overdue():
                self._stop(call, why)
                raise WorkerDied(why)
        if call.status == "finished" and not wanted:
            return None
        if call.status != "error":
            with suppress(Exception):
                call.cancel()
            # The reason may follow a moment later.
            self._gone.wait(5.0)
            raise self._left or WorkerCrashed(ENDED)
        with self._reached():
            error = call.exception(timeout=WATCH_SECONDS)
        if isinstance(error, distributed.KilledWorker):
            raise WorkerCrashed(ENDED)
        if isinstance(error, OSError):
            raise error
        raise RunError(f"The computation failed: {reason(error)}.") from error

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Raise WorkerDied if an outcome can't be fetched; which error that raises depends on the version."""
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            raise self._left or WorkerDied(f"The worker can't be reached: {reason(error)}.") from error

    def _stop(self, call: distributed.Future, why: str) -> None:
        """End a call and its worker, within a limited time."""
        log.warning("the worker %s is being stopped: %s", self._address, why)
        with suppress(Exception):
            call.cancel()
        # What asks a worker to leave has no time limit of its own.
        ending = threading.Thread(target=self._end, name="picasso-end", daemon=True)
        ending.start()
        ending.join(timeout=2 * RESTART_SECONDS)

    def _end(self) -> None:
        """End the process of the worker; what started it starts another one."""
        try:
            self._client.restart_workers([self._address], timeout=RESTART_SECONDS, raise_for_error=False)
            return
        # It has no nanny, so it ends itself, without an answer.
        except ValueError:
            pass
        except Exception as error:
            log.warning("the worker %s could not be restarted: %s", self._address, reason(error))
            return
        with suppress(Exception):
            self._client.run(dask_worker.leave, workers=[self._address], on_error="ignore")
