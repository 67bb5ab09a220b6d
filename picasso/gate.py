"""How many requests may wait for the process that computes; the server's other threads answer everything else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from picasso.errors import Busy


class Gate:
    """A number of places for requests that wait. Who finds none is told so at once, and never waits for one.

    Args:
        places: how many requests may wait at the same time.
    """

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._count = places

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for as long as the block runs.

        Raises:
            Busy: all of them are taken.
        """
        if not self._places.acquire(blocking=False):
            raise Busy(f"{self._count} requests wait for the model already; try again in a few seconds.")
        try:
            yield
        finally:
            self._places.release()
