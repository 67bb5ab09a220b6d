"""Computes one call at a time in a thread, so that the protocol stays responsive, with progress, cancel and a limit."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread

from picasso.errors import Busy, RunError

T = TypeVar("T")
Progress = Callable[[float], None]
Tell = Callable[[float, float], Awaitable[None]]


class Turns:
    """Runs functions in a thread, one after the other.

    Args:
        most: the largest number of calls that run or wait.
        seconds: the time that a call may compute.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._limiter = anyio.CapacityLimiter(1)
        self._calls = 0

    async def run(self, work: Callable[[Progress], T], tell: Tell) -> T:
        """Return the result of a function.

        Args:
            work: gets a function to call with the progress, 0..1; this call ends the work if it was cancelled or has
                taken too long.
            tell: sends the progress, 0..1, and its end, 1, to the client.

        Raises:
            Busy: too many calls are waiting.
            RunError: the time is over.
        """
        if self._calls >= self._most:
            raise Busy(f"{self._calls} calls are running or waiting, which is the maximum. Wait for their answers.")
        self._calls += 1
        try:
            found: T = await anyio.to_thread.run_sync(lambda: work(self._progress(tell)), limiter=self._limiter)
        finally:
            self._calls -= 1
        return found

    def _progress(self, tell: Tell) -> Progress:
        """Return the function that reports the progress of a call that starts now."""
        end, told = time.monotonic() + self._seconds, 0

        def progress(fraction: float) -> None:
            nonlocal told
            anyio.from_thread.check_cancelled()
            if time.monotonic() >= end:
                raise RunError(
                    f"The call took longer than {self._seconds / 60:g} minutes (RUN_MINUTES) and was ended. "
                    "Ask for less: fewer images, or coarser settings."
                )
            # The protocol wants every report to be larger than the last; a hundred are enough.
            if (percent := int(100 * fraction)) > told:
                told = percent
                anyio.from_thread.run(tell, percent / 100, 1.0)

        return progress
