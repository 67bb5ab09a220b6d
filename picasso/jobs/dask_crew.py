"""The workers of a Dask cluster, of this and of other machines.

Dask starts, watches and restarts the workers. Each gets one task at a time, chosen here, because
sessions share the workers by time.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress

import distributed
from tornado.ioloop import IOLoop

from picasso.errors import ConfigurationError, PicassoError, WorkerCrashed, WorkerDied, reason
from picasso.jobs.agreement import Shared
from picasso.jobs.dask_seat import ENDED, Seat
from picasso.jobs.engine import BACKOFF_SECONDS, LOAD_SECONDS, MAX_BACKOFF
from picasso.jobs.supervision import supervised

log = logging.getLogger(__name__)

# How often the scheduler is asked for its workers, and how long it may take to answer. It may be starting, too.
LOOK_SECONDS, CONNECT_SECONDS, FIRST_SECONDS = 1.0, 10.0, 30.0
# Waiting tasks fail after this many seconds without a worker, unless one is being examined.
START_SECONDS = 60.0


class Loop:
    """An event loop in a thread. A client with a loop of its own leaves it running if it can't connect."""

    def __init__(self) -> None:
        started: Future[IOLoop] = Future()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(started)), name="picasso-dask-loop", daemon=True
        )
        self._thread.start()
        #: What clients take.
        self.loop = started.result()

    async def _run(self, started: Future[IOLoop]) -> None:
        started.set_result(IOLoop.current())
        await self._stopped.wait()

    def stop(self) -> None:
        """Stop the loop, and wait for its end."""
        self.loop.add_callback(self._stopped.set)
        self._thread.join(timeout=5)


class DaskCrew:
    """The workers of a Dask cluster.

    Args:
        engine: the scheduler, such as "dask://127.0.0.1:8786", or "dask+tls://127.0.0.1:8786" for TLS.
        shared: what the workers have in common.

    Raises:
        ConfigurationError: the scheduler can't be reached.
    """

    def __init__(self, engine: str, shared: Shared) -> None:
        scheme, _, place = engine.partition("://")
        self._address = f"{'tls' if scheme == 'dask+tls' else 'tcp'}://{place}"
        self._shared = shared
        self._seats: dict[str, Seat] = {}
        # The failed examinations of a worker, and when the next one may start.
        self._failed: dict[str, tuple[int, float]] = {}
        # When a worker was ready for the last time.
        self._alone = time.monotonic()
        self._closing = threading.Event()
        self._loop = Loop()
        try:
            self._client: distributed.Client | None = self._connect(FIRST_SECONDS)
        except BaseException as error:
            self._loop.stop()
            if not isinstance(error, OSError):
                raise
            raise ConfigurationError(
                f"The Dask scheduler {self._address} can't be reached: {reason(error)}. Start it, or change ENGINE.",
                field="ENGINE",
            ) from error
        self._thread = supervised("picasso-dask", self._look, LOOK_SECONDS, self._closing)

    def health(self) -> str:
        """Return its state: ready, no scheduler, or no workers."""
        if self._client is None:
            return "no scheduler"
        return "ready" if any(seat.ready for seat in list(self._seats.values())) else "no workers"

    def close(self) -> None:
        """Close the connection; the workers stop their tasks, because their files are gone."""
        self._closing.set()
        # Longer than it takes to lose a connection.
        self._thread.join(timeout=3 * CONNECT_SECONDS)
        self._part(WorkerDied("The server is shutting down."))
        # Before the files are gone: a task that stops because of that would look like one that is done.
        for seat in list(self._seats.values()):
            seat.join()
        shutil.rmtree(self._shared.folder, ignore_errors=True)
        if self._client:
            with suppress(Exception):
                self._client.close(timeout=CONNECT_SECONDS)
        self._loop.stop()

    def _connect(self, seconds: float) -> distributed.Client:
        """Connect to the scheduler; raise OSError if it does not answer in time."""
        return distributed.Client(
            self._address, timeout=seconds, set_as_default=False, name="picasso", loop=self._loop.loop
        )

    def _look(self) -> None:
        """Keep the connection and the seats."""
        present, now = self._present(), time.monotonic()
        if self._closing.is_set():
            return
        for address, seat in list(self._seats.items()):
            if address not in present:
                seat.leave(WorkerCrashed(ENDED))
            # One that was refused stays so until its worker is gone.
            if address not in present or (seat.ended() and not seat.refusal):
                del self._seats[address]
                times = self._failed.get(address, (0, 0.0))[0] if seat.failed else 0
                wait = min(MAX_BACKOFF, BACKOFF_SECONDS * 2**times)
                self._failed[address] = (times + 1, now + wait) if seat.failed else (0, now)
        self._failed = {address: failed for address, failed in self._failed.items() if address in present}
        for address in present.keys() - self._seats.keys():
            if self._client and now >= self._failed.get(address, (0, now))[1]:
                self._seats[address] = Seat(self._client, address, present[address], self._shared)
        self._watch_waiting(now)

    def _watch_waiting(self, now: float) -> None:
        """Fail the waiting tasks if no worker has been ready for too long."""
        if any(seat.ready for seat in self._seats.values()):
            self._alone = now
        examined = any(not seat.ended() for seat in self._seats.values())
        if now - self._alone > (LOAD_SECONDS if examined else START_SECONDS):
            self._fail_waiting()

    def _present(self) -> Mapping[str, int]:
        """Return the number of threads of each worker of the scheduler; connect again if the connection was lost."""
        try:
            if self._client is None:
                self._client = self._connect(CONNECT_SECONDS)
                log.info("the Dask scheduler %s is there again", self._address)
            if self._client.status == "running":
                threads: Mapping[str, int] = self._client.nthreads(callback_timeout=CONNECT_SECONDS)
                return threads
            why = "it closed the connection"
        # Which error a lost connection raises depends on the version.
        except Exception as error:
            why = reason(error)
        if self._client:
            log.error("the connection to the Dask scheduler %s was lost: %s", self._address, why)
            lost, self._client = self._client, None
            self._part(WorkerDied("The connection to the scheduler of the workers was lost. Try again later."))
            with suppress(Exception):
                lost.close(timeout=CONNECT_SECONDS)
        return {}

    def _part(self, error: PicassoError) -> None:
        """End all seats."""
        for seat in list(self._seats.values()):
            seat.leave(error)

    def _fail_waiting(self) -> None:
        """Fail the waiting tasks."""
        while taken := self._shared.tasks.take(timeout=0):
            taken[0].set_exception(WorkerDied("There is no worker at the moment; the log of the server says why."))
