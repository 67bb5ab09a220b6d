"""Waitress with bounds: how many connections there are, how long each may take, no body before its head is admitted."""

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
from waitress.task import ThreadedTaskDispatcher, WSGITask

from picasso.web.admission import ASKED, BUSY, Admission
from picasso.web.proxies import network_of

log = logging.getLogger(__name__)

# So many requests may wait that take a while to answer; each of them keeps its connection.
MOST_SLOW = 100


@dataclass(frozen=True)
class Limits:
    """What connections may take. Times are in seconds, rates in bytes per second.

    Attributes:
        total: how many connections are kept.
        each: how many of them one network may hold: an IPv4 address, or the /64 of an IPv6 address.
        idle: how long one without a request is kept.
        head: how long the head of a request may take.
        patience: how long a body or an answer may take, whatever its rate.
        rate: how fast a body must come, and an answer be taken, after that.
        linger: how long what a refused client still sends is read and thrown away, so that it sees the answer.
        clock: tells the time.
    """

    total: int = 400
    each: int = 200
    idle: float = 60.0
    head: float = 15.0
    patience: float = 20.0
    rate: float = 4_000.0
    linger: float = 2.0
    clock: Callable[[], float] = time.monotonic


class Refusal:
    """An answer of the application as waitress takes an error."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self._answer = status, headers, body

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return the status, the headers and the body."""
        return self._answer


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request; one that brings a body has to be admitted when its head is there."""

    def __init__(self, adj: Any, channel: Channel) -> None:
        super().__init__(adj)
        self._channel, self._most = channel, 0
        self.begun = channel.limits.clock()
        #: There are too many requests that take a while; it is told so.
        self.busy = False

    def received(self, data: bytes) -> int:
        """Take bytes and return how many of them belong to this request; all of them where it is refused."""
        in_head = not self.headers_finished
        taken: int = super().received(data)
        if in_head and self.headers_finished and not self.completed:
            self.begun = self._channel.limits.clock()
            self._ask()
        elif not in_head and not self.error and self.body_bytes_received > self._most:
            # It came in chunks: only now is known that it is too large.
            self.headers["CONTENT_LENGTH"] = str(self.body_bytes_received)
            self._ask()
        if self.error:
            # What follows on this connection belongs to nobody.
            self._channel.refused = True
            return len(data)
        return taken

    def _ask(self) -> None:
        self._most, self.error = self._channel.ask(self)
        if self.error:
            self.completed, self.expect_continue = True, False
            self.close()

    def overdue(self, limits: Limits) -> bool:
        """Tell whether it should have come by now."""
        took = limits.clock() - self.begun
        if self.headers_finished:
            received: int = self.body_bytes_received
            return took > limits.patience + received / limits.rate
        return took > limits.head


class Task(WSGITask):  # type: ignore[misc]
    """Has the application answer a request."""

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        environ: dict[str, Any] = super().get_environment()
        if self.request.busy:
            environ[BUSY] = True
        return environ


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection; the loop of waitress asks it at least every second whether it wants to read."""

    task_class = Task
    # Those of waitress that are used here.
    requests: list[Parser]
    request: Parser | None
    connected: bool
    close_when_flushed: bool
    total_outbufs_len: int

    def __init__(self, limits: Limits, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002 - its name in waitress
        self.limits = limits
        self.parser_class = partial(Parser, channel=self)
        self.network = network_of(addr[0])
        #: It is closed when the loop comes to it next.
        self.dismissed = False
        #: It has sent what is refused; what still comes is not read any more.
        self.refused = False
        self._lingers_until: float | None = None
        self._quiet_since = limits.clock()
        # How many bytes were sent; how many of them before the answer that is on its way, and since when that is.
        self._sent = 0
        self._answer: tuple[int, float] | None = None
        super().__init__(server, sock, addr, adj, map=map)
        others = [one for one in self._map.values() if isinstance(one, Channel)]
        dismiss_from(others, self, limits)

    # ---- called by the loop, in its thread ----------------------------------------------------------------

    def readable(self) -> bool:
        """Tell whether it wants to read; close it before that where it took too long."""
        try:
            if self.dismissed or self.overdue():
                self.handle_close()
        except Exception:
            # Whatever goes wrong with one connection, the loop goes on.
            log.exception("a connection is given up")
            self.dismissed = True
        return self.connected and (self._lingers_until is not None or bool(super().readable()))

    def writable(self) -> bool:
        """Tell whether it wants to write."""
        return self.connected and self._lingers_until is None and bool(super().writable())

    def overdue(self) -> bool:
        """Tell whether the client is slower than it may be with what it is at."""
        limits, now = self.limits, self.limits.clock()
        if self._lingers_until is not None:
            return now > self._lingers_until
        if self.total_outbufs_len:
            self._answer = self._answer or (self._sent, now)
            sent, since = self._answer
            return now - since > limits.patience + (self._sent - sent) / limits.rate
        self._answer = None
        if self.requests:
            self._quiet_since = now
        if self.request is not None:
            return self.request.overdue(limits)
        return not self.requests and now - self._quiet_since > limits.idle

    def received(self, data: bytes) -> bool:
        """Take bytes, unless they follow what was refused."""
        self._quiet_since = self.limits.clock()
        return not self.refused and bool(super().received(data))

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send bytes and return how many were taken."""
        taken: int = super().send(data, do_close=do_close)
        self._sent += taken
        return taken

    def handle_write(self) -> None:
        """Send what is there. A refused client, which may still be sending, is left time to read why."""
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
        """Close it, and delete what has come of a body that nobody waits for any more."""
        if self.request is not None:
            self.request.close()
        super().handle_close()

    def ask(self, request: Parser) -> tuple[int, Refusal | None]:
        """Ask the application about a request of which the head is there.

        Returns:
            How many bytes the body may have, and what the application answers if it may not come.
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
        """Return how far it is: the first to be closed is the one that has not sent a whole head for longest."""
        if self._answer is not None:
            return 2, self._answer[1]
        if self.request is None:
            return 0, self._quiet_since
        return int(self.request.headers_finished), self.request.begun


def dismiss_from(channels: list[Channel], new: Channel, limits: Limits) -> None:
    """Close one connection where there are too many: of the network that holds most, the one that is least far.

    One that is being answered is never closed. So whoever holds connections loses their own, and a client whose request
    comes at once is served however many are held.
    """
    held = Counter(one.network for one in channels if not one.dismissed)
    if held[new.network] > limits.each:
        crowd = new.network
    elif held.total() > limits.total:
        crowd = held.most_common(1)[0][0]
    else:
        return
    idle = [one for one in channels if one.network == crowd and not (one.dismissed or one.requests or one is new)]
    min(idle, key=Channel.rank, default=new).dismissed = True


class Pools:
    """Two pools of threads: requests that take a while have their own, so that they never keep others waiting.

    Args:
        quick: answers most requests.
        slow: tells by its method and path whether a request takes a while.
        threads: how many threads answer those.
    """

    def __init__(self, quick: ThreadedTaskDispatcher, slow: Callable[[str, str], bool], threads: int) -> None:
        self._quick, self._slow, self._is_slow = quick, ThreadedTaskDispatcher(), slow
        self._slow.set_thread_count(threads)

    def add_task(self, channel: Any) -> None:
        """Have the first request of a connection answered."""
        request = channel.requests[0]
        slow = not request.error and self._is_slow(request.command, request.path)
        if slow and len(self._slow.queue) >= MOST_SLOW:
            # It is told so, which takes no time.
            slow, request.busy = False, True
        (self._slow if slow else self._quick).add_task(channel)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads."""
        ended = [pool.shutdown(cancel_pending, timeout) for pool in (self._quick, self._slow)]
        return any(ended)
