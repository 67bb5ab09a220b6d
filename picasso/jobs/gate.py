"""Limits the number of requests that wait for the worker process, so that other threads can answer the rest."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from picasso.errors import Busy


class Gate:
    """A limited number of places for waiting requests. Requests beyond the limit fail immediately.

    Args:
        places: the maximum number of waiting requests. If there are several, one owner can take all but one.
    """

    def __init__(self, places: int) -> None:
        self._places, self._each = places, max(1, places - 1)
        self._lock = threading.Lock()
        self._taken: Counter[Hashable] = Counter()

    @contextmanager
    def place(self, owner: Hashable = None) -> Iterator[None]:
        """Take a place while the block runs.

        Args:
            owner: the owner of the place; None stands for no particular owner, who can take all.

        Raises:
            Busy: all places are taken, or all that one owner can have.
        """
        with self._lock:
            if self._taken.total() >= self._places:
                raise Busy(f"Too many requests are waiting for the model ({self._places}). Try again in a few seconds.")
            if owner is not None and self._taken[owner] >= self._each:
                raise Busy(
                    "One of your earlier requests is still waiting for the model. Try again when it is answered."
                )
            self._taken[owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= Counter({owner: 1})
