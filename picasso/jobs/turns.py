"""A fair queue: owners take turns, so that none waits behind all items of another owner."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """A queue of items whose owners take turns; the items of one owner keep their order.

    Before each item of an owner, at most one item of every other owner is processed. Items with a higher priority
    come first.
    """

    def __init__(self) -> None:
        # The items by priority and owner; the next owner comes first.
        self._waiting: dict[int, OrderedDict[Hashable, deque[T]]] = {}
        self._changed = threading.Condition()

    def put(self, item: T, owner: Hashable, priority: int = 0) -> None:
        """Add an item."""
        with self._changed:
            self._waiting.setdefault(priority, OrderedDict()).setdefault(owner, deque()).append(item)
            self._changed.notify()

    def get(self, timeout: float, woken: threading.Event | None = None) -> T:
        """Remove and return the next item; wait for one if necessary.

        Args:
            timeout: how long to wait, in seconds.
            woken: ends the waiting when it is set before :meth:`wake` is called.

        Raises:
            queue.Empty: there was no item in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or (woken and woken.is_set()), timeout)
            if not self._waiting:
                raise queue.Empty
            priority = max(self._waiting)
            owners = self._waiting[priority]
            owner = self._next(owners)
            items = owners[owner]
            item = items.popleft()
            if items:
                owners.move_to_end(owner)
            else:
                del owners[owner]
            if not owners:
                del self._waiting[priority]
            self._taken(item, owner)
            return item

    def _next(self, owners: Collection[Hashable]) -> Hashable:
        """Return whose turn it is of the owners of waiting items, of whom the first has waited longest."""
        return next(iter(owners))

    def _taken(self, item: T, owner: Hashable) -> None:
        """Take note of an item that is being removed."""

    def wake(self) -> None:
        """Let all threads that wait in :meth:`get` look at their events."""
        with self._changed:
            self._changed.notify_all()

    def empty(self) -> bool:
        """Tell whether the queue is empty."""
        return len(self) == 0

    def __len__(self) -> int:
        """Return the number of items."""
        with self._changed:
            return sum(len(items) for owners in self._waiting.values() for items in owners.values())
