"""The thread pools that answer requests: one per kind of request, in which the networks of visitors take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from waitress.task import ThreadedTaskDispatcher

from picasso.jobs.turns import Turns
from picasso.web.admission import Kind
from picasso.web.connections import Channel
from picasso.web.proxies import network_of

# The maximum number of waiting slow requests; each of them keeps its connection.
MAX_SLOW = 100
# Returns the client for the address of a connection and the headers of its request, named like X_FORWARDED_FOR.
Visitor = Callable[[str, Mapping[str, str]], str]


class FairQueue:
    """The queue of a pool, in which networks take turns; it implements the deque methods that waitress uses.

    Args:
        visitor: returns the client for the address of a connection and the headers of its request.
    """

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._turns: Turns[Channel] = Turns()

    def append(self, channel: Channel) -> None:
        """Add a connection with a pending request."""
        self._turns.put(channel, network_of(self._visitor(channel.addr[0], channel.requests[0].headers)))

    def popleft(self) -> Channel:
        """Take the next one."""
        return self._turns.get(timeout=0)

    def __len__(self) -> int:
        return len(self._turns)


class ThreadPools:
    """Thread pools: slow requests do not block others, and monitoring is always answered.

    Args:
        kind: returns the kind of a request for its method and path.
        threads: the number of threads per kind of request.
        visitor: returns the client for the address of a connection and the headers of its request.
    """

    def __init__(self, kind: Callable[[str, str], Kind], threads: dict[Kind, int], visitor: Visitor) -> None:
        self._kind, self._pools = kind, {one: ThreadedTaskDispatcher() for one in threads}
        for one, count in threads.items():
            self._pools[one].queue = FairQueue(visitor)
            self._pools[one].set_thread_count(count)

    def waiting(self, kind: Kind) -> int:
        """Return the number of waiting requests of a kind."""
        return len(self._pools[kind].queue)

    def add_task(self, channel: Channel) -> None:
        """Queue the first request of a connection."""
        request = channel.requests[0]
        kind: Kind = "quick" if request.error else self._kind(request.command, request.path)
        if kind == "slow" and self.waiting(kind) >= MAX_SLOW:
            # The refusal itself is quick.
            kind, request.busy = "quick", True
        self._pools[kind].add_task(channel)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Stop the threads."""
        ended = [pool.shutdown(cancel_pending, timeout) for pool in self._pools.values()]
        return any(ended)
