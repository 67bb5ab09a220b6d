"""How much room sessions may take on the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from picasso import fileio
from picasso.errors import StorageFull, TooLarge

# For so many seconds the room that all sessions take is not measured again: there may be very many files.
MAX_AGE = 10.0


class Quotas:
    """The room that one session, and all of them, may take.

    Args:
        sessions: the folder that holds the folders of all sessions.
        session_mb: megabytes for one of them.
        total_mb: megabytes for all.
        make_room: deletes what nobody needs where all take too much; tells whether there was anything.
    """

    def __init__(
        self, sessions: Path, session_mb: int, total_mb: int, make_room: Callable[[], bool] = lambda: False
    ) -> None:
        self._make_room = make_room
        self._sessions, self._session_mb, self._total_mb = sessions, session_mb, total_mb
        self._lock = threading.Lock()
        self._total, self._measured = 0, -MAX_AGE

    def check(self, session: Path | None = None) -> None:
        """Refuse to store more.

        Raises:
            TooLarge: the session takes as much room as it may.
            StorageFull: all sessions together do.
        """
        if session and fileio.size(session) >= self._session_mb * 1_000_000:
            raise TooLarge(
                f"The images and results of this session take {self._session_mb} MB, which is the limit; delete some "
                "runs, audits or images first."
            )
        if self._full() and not (self._make_room() and not self._full(measure=True)):
            raise StorageFull(
                f"The sessions of this server take {self._total_mb} MB, which is the limit; try again later."
            )

    def _full(self, *, measure: bool = False) -> bool:
        """Tell whether all sessions take as much room as they may; ``measure`` where much was deleted just now."""
        if measure:
            self._measured = -MAX_AGE
        return self._all() >= self._total_mb * 1_000_000

    def _all(self) -> int:
        """Return how many bytes all sessions took a moment ago, or a little longer ago while that is being measured."""
        if time.monotonic() - self._measured >= MAX_AGE and self._lock.acquire(blocking=False):
            try:
                self._total, self._measured = fileio.size(self._sessions), time.monotonic()
            finally:
                self._lock.release()
        return self._total
