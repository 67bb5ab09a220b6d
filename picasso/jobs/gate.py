"""How many requests may wait for the process that computes; the server's other threads answer everything else."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from picasso.errors import Busy


class Gate:
    """A number of places for requests that wait. Who finds none is told so at once, and never waits for one.

    Args:
        places: how many requests may wait at the same time. Where there are several, one owner takes all but one.
    """

    def __init__(self, places: int) -> None:
        self._places, self._each = places, max(1, places - 1)
        self._lock = threading.Lock()
        self._taken: Counter[Hashable] = Counter()

    @contextmanager
    def place(self, owner: Hashable = None) -> Iterator[None]:
        """Take a place for as long as the block runs.

        Args:
            owner: who takes it; None is nobody in particular, and may take all.

        Raises:
            Busy: all of them are taken, or all that one owner may have.
        """
        with self._lock:
            if self._taken.total() >= self._places:
                raise Busy(f"{self._places} requests wait for the model already; try again in a few seconds.")
            if owner is not None and self._taken[owner] >= self._each:
                raise Busy("An earlier request of yours still waits for the model; try again when it is answered.")
            self._taken[owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= Counter({owner: 1})
