"""The main loop of the worker process: it reads requests from the pipe, answers them, and sends heartbeats.

Only one thread calls the models. It answers questions between two chunks of work, and warms up the model while it is
idle.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from picasso.errors import Cancelled, PicassoError, RunError, document_of, reason
from picasso.jobs import warm_up, worker
from picasso.jobs.messages import PULSE_SECONDS, Answer, Message, Pulse, Request, Status, pack, unpack

log = logging.getLogger(__name__)

# The niceness of the worker relative to the server.
NICENESS = 5
# How long a worker may take to notice by itself that its server is gone.
ORPHAN_SECONDS = 10.0
# The idle time before the model is warmed up further.
REST_SECONDS = 10.0


class Loop:
    """One worker.

    Args:
        connection: the connection to the server.
        configured: the :func:`picasso.jobs.worker.reference` whose model is loaded at start-up.
        temporary: a folder for temporary files.
    """

    def __init__(self, connection: Connection, configured: dict[str, Any], temporary: Path) -> None:
        self._connection, self._configured, self._temporary = connection, configured, temporary
        self._key = json.dumps(configured, sort_keys=True)
        self._sending = threading.Lock()
        # Requests that arrived during other work.
        self._waiting: deque[Request] = deque()
        self._steps = 0

    def run(self) -> None:
        """Load the model, then work until the server closes the connection."""
        threading.Thread(target=self._show_life, name="picasso-pulse", daemon=True).start()
        with suppress(EOFError, ConnectionError):
            self._work(self._begin())

    def _begin(self) -> Iterator[None]:
        """Load the model and report its status; return the remaining warm-up steps."""
        status = worker.initialize(self._configured)
        later: Iterator[None] = iter(())
        if status["state"] == "ready":
            later = warm_up.steps(
                worker.model_of(self._key), worker.visualizations(self._key), self._temporary, self._unless_wanted
            )
            # The default visualization is compiled before the model is reported as ready.
            next(later, None)
        self._send(Status(status))
        return later

    def _work(self, later: Iterator[None]) -> None:
        left, wait = True, REST_SECONDS
        while True:
            if self._waiting:
                self._serve(self._waiting.popleft())
            elif left and not self._connection.poll(wait):
                left, wait = next(later, self) is None, 0.0
                self._steps += 1
            else:
                self._serve(self._receive())
                wait = REST_SECONDS

    def between(self) -> None:
        """Answer the questions in the pipe; called between two chunks of work."""
        self._steps += 1
        try:
            while self._connection.poll():
                request = self._receive()
                if request.kind == "question":
                    self._serve(request)
                else:
                    self._waiting.append(request)
        except (EOFError, ConnectionError):
            # The server is gone, so nobody needs the result; visualizations must not handle this as an error.
            raise Cancelled from None

    def _unless_wanted(self) -> None:
        """Yield to any request; called during work that no client waits for."""
        self.between()
        if self._waiting:
            raise Cancelled

    def _serve(self, request: Request) -> None:
        """Process a request and answer it, whatever happens."""
        self._steps += 1
        value, error = None, None
        try:
            if request.kind == "question":
                value = worker.reply(self._key, request.question or {})
            else:
                worker.run_task(request.kind, request.folder, request.shard, self.between)
        except PicassoError as failed:
            error = failed
        # Other code may raise anything, including exceptions that do not derive from Exception.
        except BaseException as failed:
            log.exception("a request failed")
            error = RunError(f"The computation failed: {reason(failed)}.")
        answer = Answer(request.number, value, document_of(error) if error else None)
        try:
            self._send(answer)
        except PicassoError as failed:
            log.exception("an answer can't be sent")
            self._send(Answer(request.number, None, document_of(failed)))
        self._steps += 1

    def _receive(self) -> Request:
        message = unpack(self._connection.recv_bytes())
        if not isinstance(message, Request):
            raise ConnectionError("the server sent no request")
        return message

    def _send(self, message: Message) -> None:
        body = pack(message)
        with self._sending:
            self._connection.send_bytes(body)

    def _show_life(self) -> None:
        """Send heartbeats with the progress of the other thread; end the process if the server is gone."""
        try:
            while True:
                time.sleep(PULSE_SECONDS)
                self._send(Pulse(self._steps, time.process_time()))
        except OSError:
            time.sleep(ORPHAN_SECONDS)
            os._exit(1)


def main(connection: Connection, configured: dict[str, Any], temporary: str, niceness: int = NICENESS) -> None:
    """Compute and answer questions until ``connection`` is closed: the main function of a child process.

    Args:
        connection: receives and sends :mod:`picasso.jobs.messages`.
        configured: the :func:`picasso.jobs.worker.reference` whose model is loaded at start-up.
        temporary: a folder for temporary files of libraries.
        niceness: its niceness relative to the server.
    """
    # Ctrl-C reaches the whole process group, but the server decides when its worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        # The server has a higher priority, so that it stays responsive.
        os.nice(niceness)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    tempfile.tempdir = temporary
    os.environ["TMPDIR"] = temporary
    Loop(connection, configured, Path(temporary)).run()
