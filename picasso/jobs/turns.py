"""A queue in which sessions take turns, so that none waits behind everything that another one has queued."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Items of owners who take turns; those of one owner come in the order in which they were put.

    Whoever waits, waits for at most one item of each other owner before each of their own. Items of a higher priority
    come before all others.
    """

    def __init__(self) -> None:
        # By priority, the items of each owner; the owner whose turn is next is the first.
        self._waiting: dict[int, OrderedDict[Hashable, deque[T]]] = {}
        self._changed = threading.Condition()

    def put(self, item: T, owner: Hashable, priority: int = 0) -> None:
        """Add an item."""
        with self._changed:
            self._waiting.setdefault(priority, OrderedDict()).setdefault(owner, deque()).append(item)
            self._changed.notify()

    def get(self, timeout: float) -> T:
        """Take the next item, and wait for one if need be.

        Raises:
            queue.Empty: there was none for ``timeout`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, timeout):
                raise queue.Empty
            priority = max(self._waiting)
            owners = self._waiting[priority]
            owner, items = next(iter(owners.items()))
            item = items.popleft()
            if items:
                owners.move_to_end(owner)
            else:
                del owners[owner]
            if not owners:
                del self._waiting[priority]
            return item

    def empty(self) -> bool:
        """Tell whether nothing waits."""
        return len(self) == 0

    def __len__(self) -> int:
        """Return how many items wait."""
        with self._changed:
            return sum(len(items) for owners in self._waiting.values() for items in owners.values())
