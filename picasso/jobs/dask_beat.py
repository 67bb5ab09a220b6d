"""The file with which the worker of a Dask cluster shows that it has begun a task and makes progress."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


def begun(beat: Path) -> bool:
    """Tell whether a worker has begun the task of this file; if that can't be read, assume it."""
    try:
        return bool(beat.read_bytes())
    except OSError:
        return True


class Stall:
    """Notices that a task makes no progress.

    Args:
        beat: a file that it touches.
        limit: how long it may leave it, in seconds.
    """

    def __init__(self, beat: Path, limit: float) -> None:
        self._beat, self._limit = beat, limit
        self._seen, self._since = 0, time.monotonic()

    def overdue(self) -> str:
        """Return why the task has to be ended by force, as a sentence, or ""."""
        now = time.monotonic()
        with suppress(OSError):
            if (seen := self._beat.stat().st_mtime_ns) != self._seen:
                self._seen, self._since = seen, now
        if now - self._since > self._limit:
            return (
                f"The worker made no progress for {self._limit / 60:g} minutes, which is the limit, so it was stopped."
            )
        return ""
