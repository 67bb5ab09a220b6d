"""Waitress with bounds: how many connections there are, how long each may take, no body before its head is admitted."""

from __future__ import annotations

import io
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest

from picasso.jobs.turns import Turns
from picasso.web.admission import ASKED, BUSY, Admission, Kind
from picasso.web.proxies import network_of

log = logging.getLogger(__name__)

# So many requests may wait that take a while to answer; each of them keeps its connection.
MAX_SLOW = 100
# So many connections are accepted at once.
MAX_ACCEPTED_AT_ONCE = 100
# So often it is looked whether a connection took too long, in seconds.
LOOK_SECONDS = 0.5
# So many bytes may stand between two chunks of a body, or behind the last one.
MAX_LINE_LENGTH = 16_000


# The headers have names such as X_FORWARDED_FOR.
Visitor = Callable[[str, Mapping[str, str]], str]


def connected(address: str, headers: Mapping[str, str]) -> str:
    """Return the address of a connection: where no proxy stands before the server, it is the visitor's."""
    return address


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
        try:
            taken: int = super().received(data)
        except ValueError:
            # A length of thousands of digits.
            taken, self.completed, self.error = len(data), True, BadRequest("Malformed request")
        if self.chunked and not self.error and self._malformed():
            self.completed, self.expect_continue, self.error = True, False, BadRequest("Malformed chunks")
            self.close()
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

    def _malformed(self) -> bool:
        """Tell whether a length is given twice, in two ways, or a line between chunks does not end."""
        lines = len(self.body_rcv.control_line) + len(self.body_rcv.trailer)
        return lines > MAX_LINE_LENGTH or (not self.completed and "CONTENT_LENGTH" in self.headers)

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
    addr: Any
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
        self._quiet_since, self._next_look = limits.clock(), 0.0
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
            if self.dismissed or self._looked_at_overdue():
                self.handle_close()
        except Exception:
            # Whatever goes wrong with one connection, the loop goes on.
            log.exception("a connection is given up")
            self.dismissed = True
        return self.connected and (self._lingers_until is not None or bool(super().readable()))

    def writable(self) -> bool:
        """Tell whether it wants to write."""
        return self.connected and self._lingers_until is None and bool(super().writable())

    def _looked_at_overdue(self) -> bool:
        """Look now and then whether it is overdue; the loop comes by hundreds of times a second."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LOOK_SECONDS
        return self.overdue()

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
        if self.total_outbufs_len:
            return 2, self._answer[1] if self._answer else self.limits.clock()
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
    theirs = (one for one in channels if one.network == crowd and not one.dismissed and one is not new)
    # Whoever asks on before they take an answer is slow, not at work.
    idle = [one for one in theirs if one.total_outbufs_len or not one.requests]
    min(idle, key=Channel.rank, default=new).dismissed = True


class Door:
    """Accepts the connections of a server, as many at once as wait.

    Args:
        server: of waitress.
        limits: of each connection.
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
        """Accept what waits: before each turn of the loop all connections are looked at, which takes a while."""
        for _ in range(MAX_ACCEPTED_AT_ONCE):
            self._came = False
            self._accept_one()
            if not self._came:
                return


class Fair:
    """The queue of a pool, in which networks take turns; it has those methods of a deque that waitress uses.

    Args:
        visitor: tells by the address of a connection and the headers of its request who sent it.
    """

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._turns: Turns[Channel] = Turns()

    def append(self, channel: Channel) -> None:
        """Add a connection whose request is to be answered."""
        self._turns.put(channel, network_of(self._visitor(channel.addr[0], channel.requests[0].headers)))

    def popleft(self) -> Channel:
        """Take the next one."""
        return self._turns.get(timeout=0)

    def __len__(self) -> int:
        return len(self._turns)


class Pools:
    """Pools of threads: what takes a while keeps nothing else waiting, and those who watch are always answered.

    Args:
        kind: tells by its method and path what kind of request one is.
        threads: how many threads answer the requests of each kind.
        visitor: tells by the address of a connection and the headers of its request who sent it.
    """

    def __init__(
        self, kind: Callable[[str, str], Kind], threads: dict[Kind, int], visitor: Visitor = connected
    ) -> None:
        self._kind, self._pools = kind, {one: ThreadedTaskDispatcher() for one in threads}
        for one, count in threads.items():
            self._pools[one].queue = Fair(visitor)
            self._pools[one].set_thread_count(count)

    def waiting(self, kind: Kind) -> int:
        """Return how many requests of a kind wait."""
        return len(self._pools[kind].queue)

    def add_task(self, channel: Channel) -> None:
        """Have the first request of a connection answered."""
        request = channel.requests[0]
        kind: Kind = "quick" if request.error else self._kind(request.command, request.path)
        if kind == "slow" and self.waiting(kind) >= MAX_SLOW:
            # It is told so, which takes no time.
            kind, request.busy = "quick", True
        self._pools[kind].add_task(channel)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads."""
        ended = [pool.shutdown(cancel_pending, timeout) for pool in self._pools.values()]
        return any(ended)
