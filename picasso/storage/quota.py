"""Disk quotas of sessions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from picasso import fileio
from picasso.errors import StorageFull, TooLarge

# The interval in seconds between measurements of all sessions, which may have very many files.
MAX_AGE = 10.0
# The maximum share of the time spent on measuring one session, unless a measurement takes less than QUICK seconds.
SHARE, QUICK = 0.05, 0.005
# The number of sessions whose sizes are kept.
MAX_SIZES = 200


class Quotas:
    """The quotas of one session and of all sessions.

    Args:
        sessions: the folder with the folders of all sessions.
        session_mb: the quota of one session in megabytes.
        total_mb: the quota of all sessions in megabytes.
        make_room: deletes unneeded data if the total quota is exceeded; returns whether there was any.
    """

    def __init__(
        self, sessions: Path, session_mb: int, total_mb: int, make_room: Callable[[], bool] = lambda: False
    ) -> None:
        self._make_room = make_room
        self._sessions, self._session_mb, self._total_mb = sessions, session_mb, total_mb
        self._lock = threading.Lock()
        self._total, self._measured = 0, -MAX_AGE
        # The size of a session, the time its measurement took, and when that was; the newest last.
        self._sizes: dict[Path, tuple[int, float, float]] = {}

    def check(self, session: Path | None = None) -> None:
        """Raise an error if a quota is exhausted.

        Raises:
            TooLarge: the session has reached its quota.
            StorageFull: all sessions together have reached theirs.
        """
        if session and self._size(session) >= self._session_mb * 1_000_000:
            raise TooLarge(
                f"The images and results of this session have reached the limit of {self._session_mb} MB. Delete some "
                "runs, audits or images first."
            )
        if self._full() and not (self._make_room() and not self._full(measure=True)):
            raise StorageFull(
                f"The sessions of this server have reached the limit of {self._total_mb} MB. Try again later."
            )

    def _size(self, session: Path) -> int:
        """Return the size of a session in bytes; measuring many files takes at most :data:`SHARE` of the time."""
        size, taken, measured = self._sizes.get(session, (0, 0.0, 0.0))
        now = time.monotonic()
        if taken < QUICK or now - measured > taken / SHARE:
            size = fileio.size(session)
            self._sizes.pop(session, None)
            self._sizes[session] = (size, time.monotonic() - now, now)
            if len(self._sizes) > MAX_SIZES:
                self._sizes.pop(next(iter(self._sizes)), None)
        return size

    def _full(self, *, measure: bool = False) -> bool:
        """Tell whether the total quota is exhausted; use ``measure`` after large deletions."""
        if measure:
            self._measured = -MAX_AGE
        return self._all() >= self._total_mb * 1_000_000

    def _all(self) -> int:
        """Return the recent size of all sessions in bytes; an older value during a measurement."""
        if time.monotonic() - self._measured >= MAX_AGE and self._lock.acquire(blocking=False):
            try:
                self._total, self._measured = fileio.size(self._sessions), time.monotonic()
            finally:
                self._lock.release()
        return self._total
