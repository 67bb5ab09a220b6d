"""Waitress with limits: on the number and duration of connections, and no body before its head is admitted."""

from __future__ import annotations

import io
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from waitress.utilities import BadRequest

from picasso.web.admission import ASKED, BUSY, Admission
from picasso.web.proxies import network_of

log = logging.getLogger(__name__)

# The maximum number of connections accepted at once.
MAX_ACCEPTED_AT_ONCE = 100
# The interval of timeout checks, in seconds.
LOOK_SECONDS = 0.5
# The maximum number of bytes between two chunks of a body, or after the last one.
MAX_LINE_LENGTH = 16_000


@dataclass(frozen=True)
class Limits:
    """The limits of connections. Times are in seconds, rates in bytes per second.

    Attributes:
        total: the maximum number of connections.
        each: the maximum number per network: an IPv4 address, or the /64 of an IPv6 address.
        idle: how long a connection without a request is kept.
        head: the time limit for the head of a request.
        grace: the time that a body or a response can take at any rate.
        rate: the minimum rate of a body or a response after that.
        linger: how long data from a refused client is read and discarded, so that it can read the response.
        clock: returns the time.
    """

    total: int = 400
    each: int = 200
    idle: float = 60.0
    head: float = 15.0
    grace: float = 20.0
    rate: float = 4_000.0
    linger: float = 2.0
    clock: Callable[[], float] = time.monotonic


class Refusal:
    """A response of the application in the form of a waitress error."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self._answer = status, headers, body

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return the status, the headers and the body."""
        return self._answer


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request; one with a body must be admitted once its head has arrived."""

    def __init__(self, adj: Any, channel: Channel) -> None:
        super().__init__(adj)
        self._channel, self._most = channel, 0
        self.begun = channel.limits.clock()
        #: Whether too many slow requests are waiting, so that this one is refused.
        self.busy = False

    def received(self, data: bytes) -> int:
        """Receive bytes and return how many of them belong to this request; all of them if it is refused."""
        in_head = not self.headers_finished
        try:
            taken: int = super().received(data)
        except ValueError:
            # The length has thousands of digits.
            taken, self.completed, self.error = len(data), True, BadRequest("Malformed request")
        if self.chunked and not self.error and self._malformed():
            self.completed, self.expect_continue, self.error = True, False, BadRequest("Malformed chunks")
            self.close()
        if in_head and self.headers_finished and not self.completed:
            self.begun = self._channel.limits.clock()
            self._ask()
        elif not in_head and not self.error and self.body_bytes_received > self._most:
            # It arrived in chunks, so its size is only known now.
            self.headers["CONTENT_LENGTH"] = str(self.body_bytes_received)
            self._ask()
        if self.error:
            # Ignore the rest of this connection.
            self._channel.refused = True
            return len(data)
        return taken

    def _malformed(self) -> bool:
        """Tell whether the length is given twice or in two ways, or a line between chunks does not end."""
        lines = len(self.body_rcv.control_line) + len(self.body_rcv.trailer)
        return lines > MAX_LINE_LENGTH or (not self.completed and "CONTENT_LENGTH" in self.headers)

    def _ask(self) -> None:
        self._most, self.error = self._channel.ask(self)
        if self.error:
            self.completed, self.expect_continue = True, False
            self.close()

    def overdue(self, limits: Limits) -> bool:
        """Tell whether it is overdue."""
        took = limits.clock() - self.begun
        if self.headers_finished:
            received: int = self.body_bytes_received
            return took > limits.grace + received / limits.rate
        return took > limits.head


class Task(WSGITask):  # type: ignore[misc]
    """Lets the application answer a request."""

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        environ: dict[str, Any] = super().get_environment()
        if self.request.busy:
            environ[BUSY] = True
        return environ


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection; the loop of waitress calls :meth:`readable` at least every second."""

    task_class = Task
    # The attributes of waitress that are used here.
    requests: list[Parser]
    request: Parser | None
    addr: Any
    connected: bool
    close_when_flushed: bool
    total_outbufs_len: int

    def __init__(self, limits: Limits, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002 - its name in waitress
        self.limits = limits
        self.parser_class = partial(Parser, channel=self)
        self.network = network_of(addr[0])
        #: Whether the loop closes it at the next opportunity.
        self.dismissed = False
        #: Whether it was refused; further data is discarded.
        self.refused = False
        self._lingers_until: float | None = None
        self._quiet_since, self._next_look = limits.clock(), 0.0
        # The number of sent bytes in total and before the current response, and the start time of that response.
        self._sent = 0
        self._answer: tuple[int, float] | None = None
        super().__init__(server, sock, addr, adj, map=map)
        others = [one for one in self._map.values() if isinstance(one, Channel)]
        dismiss_from(others, self, limits)

    # ---- called by the loop, in its thread ----------------------------------------------------------------

    def readable(self) -> bool:
        """Tell whether it wants to read; close it first if it timed out."""
        try:
            if self.dismissed or self._looked_at_overdue():
                self.handle_close()
        except Exception:
            # Whatever fails in one connection, the loop must continue.
            log.exception("a connection is given up")
            self.dismissed = True
        return self.connected and (self._lingers_until is not None or bool(super().readable()))

    def writable(self) -> bool:
        """Tell whether it wants to write."""
        return self.connected and self._lingers_until is None and bool(super().writable())

    def _looked_at_overdue(self) -> bool:
        """Check from time to time whether it timed out; the loop calls this hundreds of times per second."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LOOK_SECONDS
        return self.overdue()

    def overdue(self) -> bool:
        """Tell whether the client is too slow with the current step."""
        limits, now = self.limits, self.limits.clock()
        if self._lingers_until is not None:
            return now > self._lingers_until
        if self.total_outbufs_len:
            self._answer = self._answer or (self._sent, now)
            sent, since = self._answer
            return now - since > limits.grace + (self._sent - sent) / limits.rate
        self._answer = None
        if self.requests:
            self._quiet_since = now
        if self.request is not None:
            return self.request.overdue(limits)
        return not self.requests and now - self._quiet_since > limits.idle

    def received(self, data: bytes) -> bool:
        """Receive bytes, unless the request was refused."""
        self._quiet_since = self.limits.clock()
        return not self.refused and bool(super().received(data))

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send bytes and return how many were accepted."""
        taken: int = super().send(data, do_close=do_close)
        self._sent += taken
        return taken

    def handle_write(self) -> None:
        """Send pending data. A refused client, which may still be sending, gets time to read the response."""
        lingers = self.refused and self.close_when_flushed
        if lingers:
            self.close_when_flushed = False
        super().handle_write()
        if lingers and self.connected:
            if self.total_outbufs_len:
                self.close_when_flushed = True
            else:
                self._lingers_until = self.limits.clock() + self.limits.linger
                with suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)

    def handle_close(self) -> None:
        """Close it, and delete the received part of an abandoned body."""
        if self.request is not None:
            self.request.close()
        super().handle_close()

    def ask(self, request: Parser) -> tuple[int, Refusal | None]:
        """Ask the application about a request whose head has arrived.

        Returns:
            The maximum size of the body in bytes, and the response if the body is not admitted.
        """
        admission = Admission()
        environ = self.task_class(self, request).get_environment()
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
            answer[:] = [status, headers]
            return lambda data: None

        pieces: Iterable[bytes] = self.server.application(
            {**environ, ASKED: admission, "wsgi.input": io.BytesIO()}, start_response
        )
        try:
            body = b"".join(pieces)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        if admission.granted:
            return admission.most, None
        status, headers = answer
        return 0, Refusal(status, headers, b"" if request.command == "HEAD" else body)

    # ---- among others -------------------------------------------------------------------------------------

    def rank(self) -> tuple[int, float]:
        """Return the progress of the connection; the one that has not sent a whole head for longest is closed first."""
        if self.total_outbufs_len:
            return 2, self._answer[1] if self._answer else self.limits.clock()
        if self.request is None:
            return 0, self._quiet_since
        return int(self.request.headers_finished), self.request.begun


def dismiss_from(channels: list[Channel], new: Channel, limits: Limits) -> None:
    """Close one connection if there are too many: the least advanced one of the network with the most connections.

    A connection that is being answered is never closed. So clients that hold many connections lose their own, and a
    client that sends its request promptly is served regardless of how many are held.
    """
    held = Counter(one.network for one in channels if not one.dismissed)
    if held[new.network] > limits.each:
        crowd = new.network
    elif held.total() > limits.total:
        crowd = held.most_common(1)[0][0]
    else:
        return
    theirs = (one for one in channels if one.network == crowd and not one.dismissed and one is not new)
    # A client that sends further requests before it reads a response counts as slow, not as active.
    idle = [one for one in theirs if one.total_outbufs_len or not one.requests]
    min(idle, key=Channel.rank, default=new).dismissed = True


class Acceptor:
    """Accepts all waiting connections of a server at once.

    Args:
        server: the waitress server.
        limits: the limits of each connection.
    """

    def __init__(self, server: Any, limits: Limits) -> None:
        self._accept_one, self._limits = server.handle_accept, limits
        self._came = False
        server.handle_accept, server.channel_class = self.accept, self.channel

    def channel(self, *arguments: Any, **named: Any) -> Channel:
        """Return a new connection."""
        self._came = True
        return Channel(self._limits, *arguments, **named)

    def accept(self) -> None:
        """Accept all waiting connections, because each turn of the loop checks all connections, which takes time."""
        for _ in range(MAX_ACCEPTED_AT_ONCE):
            self._came = False
            self._accept_one()
            if not self._came:
                return
