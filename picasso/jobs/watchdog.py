"""Detecting a worker that hangs: it sends no heartbeat, or it is busy but uses no CPU time and makes no progress."""

from __future__ import annotations

import math
from dataclasses import dataclass

from picasso.jobs.messages import Pulse

# Code that holds the GIL prevents heartbeats too, but not for this long.
SILENT_SECONDS = 60.0
# During start-up, libraries are loaded with the GIL held, on some machines from a slow disk.
STARTING_SILENT_SECONDS = 180.0
# A deadlocked process uses no CPU time. The same holds for one that waits for another machine.
IDLE_SECONDS = 120.0
# As a fraction of one CPU; the heartbeats themselves use far less.
IDLE_SHARE = 0.01
# The maximum time counted between two checks, because a suspended server can't watch its worker.
MAX_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Signs:
    """The heartbeats of a worker: their number, and the last one."""

    pulses: int = 0
    last: Pulse = Pulse(0, 0.0)


class Watchdog:
    """Watches one worker.

    Args:
        stall: the maximum time of work without progress in seconds, even if it uses CPU time.
        now: the start time, in seconds of any clock.
    """

    def __init__(self, stall: float = math.inf, now: float = 0.0) -> None:
        self._stall = stall
        self._looked, self._signs = now, Signs()
        self.silent = self._idle = self._stalled = 0.0

    def look(self, now: float, signs: Signs, busy: bool, starting: bool = False) -> str:
        """Return why the worker is considered to hang, as a sentence without its subject; "" if it does not.

        Args:
            now: the current time of the same clock.
            signs: the heartbeats so far.
            busy: whether a client waits for it.
            starting: whether it is loading its model, which may depend on another machine.
        """
        passed = min(now - self._looked, MAX_LOOK_SECONDS)
        pulse, before, self._looked = signs.last, self._signs, now
        heard, self._signs = signs.pulses != before.pulses, signs
        self.silent = 0.0 if heard else self.silent + passed
        if not busy or starting or pulse.steps != before.last.steps:
            self._idle = self._stalled = 0.0
        else:
            self._stalled += passed
            computed = heard and pulse.cpu - before.last.cpu > IDLE_SHARE * passed
            self._idle = 0.0 if computed else self._idle + passed
        longest = STARTING_SILENT_SECONDS if starting else SILENT_SECONDS
        if self.silent > longest:
            return f"did not respond for {longest:g} seconds"
        if self._idle > IDLE_SECONDS:
            return f"was idle without progress for {IDLE_SECONDS / 60:g} minutes"
        if self._stalled > self._stall:
            return f"made no progress for {self._stall / 60:g} minutes, which is the limit"
        return ""
