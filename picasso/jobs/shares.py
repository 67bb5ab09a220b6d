"""A queue whose owners share several workers fairly by time, however long their items take."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass

from picasso.jobs.turns import T, Turns


@dataclass
class Running:
    """An item that a worker has taken.

    Attributes:
        owner: its owner.
        began: when it was taken.
        ended: when it ended, or None.
    """

    owner: Hashable
    began: float
    ended: float | None = None


class Shares(Turns[T]):
    """A queue for several workers: the next item belongs to the owner with the fewest running items.

    Among owners with the same number, it is the one who has used the least time, and then the one who has waited
    longest. Items that run count with their time so far.

    So whoever has items gets the same number of workers, as in the fair scheduler of Hadoop (Zaharia et al., "Delay
    scheduling", EuroSys 2010), and the same time where there are fewer workers than owners, as in start-time fair
    queueing (Goyal, Guo and Vin, "A hierarchical CPU scheduler for multimedia operating systems", OSDI 1996), which
    doesn't need to know beforehand how long an item takes. An owner who comes, or comes back, counts as having used as
    much as the present owner who has used the least: nobody has an advantage from having been away.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        # The seconds that the ended items of each owner took, from a common start.
        self._used: dict[Hashable, float] = {}
        self._running: dict[T, Running] = {}

    def put(self, item: T, owner: Hashable, priority: int = 0) -> None:
        """Add an item."""
        with self._changed:
            present = self._present()
            if owner not in present:
                least = min(present.values(), default=0.0)
                # Who is away is remembered while he has used more than that, and nobody if all are away.
                known = self._used if present else {}
                self._used = {one: used for one, used in known.items() if one in present or used > least}
                self._used.setdefault(owner, least)
            super().put(item, owner, priority)

    def get(self, timeout: float, woken: threading.Event | None = None) -> T:
        """Remove and return the next item, which runs until :meth:`end`; see :meth:`Turns.get`."""
        with self._changed:
            self._settle()
            return super().get(timeout, woken)

    def restart(self, item: T) -> None:
        """Do not count the time of a running item so far."""
        with self._changed:
            if item in self._running:
                self._running[item].began = self._clock()

    def end(self, item: T) -> None:
        """Count an item as done; nothing happens if it does not run.

        Its owner stays present until a worker comes for the next item, so whoever adds an item because of the end of
        the last one has not been away.
        """
        with self._changed:
            if item in self._running:
                self._running[item].ended = self._clock()

    def give_back(self, item: T, priority: int) -> None:
        """Add a running item again that was not computed."""
        with self._changed:
            owner = self._running.pop(item).owner
            super().put(item, owner, priority)

    def _settle(self) -> None:
        """Add what has ended to the accounts."""
        for item, one in list(self._running.items()):
            if one.ended is not None:
                self._used[one.owner] += one.ended - one.began
                del self._running[item]

    def _present(self) -> dict[Hashable, float]:
        """Return the seconds that each owner of waiting and running items has used."""
        found = {owner: self._used[owner] for owners in self._waiting.values() for owner in owners}
        for one in self._running.values():
            used = (self._clock() if one.ended is None else one.ended) - one.began
            found[one.owner] = found.get(one.owner, self._used[one.owner]) + used
        return found

    def _next(self, owners: Collection[Hashable]) -> Hashable:
        self._settle()
        used, running = self._present(), Counter(one.owner for one in self._running.values())
        return min(owners, key=lambda owner: (running[owner], used[owner]))

    def _taken(self, item: T, owner: Hashable) -> None:
        self._running[item] = Running(owner, self._clock())
