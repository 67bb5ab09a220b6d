"""When a worker is taken to hang: it gives no sign of life, or is at work and neither computes nor comes further."""

from __future__ import annotations

import math
from dataclasses import dataclass

from picasso.jobs.messages import Pulse

# Code that holds Python's lock gives no sign of life either, but not for so long.
SILENT_SECONDS = 60.0
# While it starts, libraries are read with that lock held, on some machines from a slow disk.
STARTING_SILENT_SECONDS = 180.0
# Whoever waits for a lock that nobody releases uses no processor. So does whoever waits for another machine.
IDLE_SECONDS = 120.0
# Of one processor; what the signs of life themselves take is far less.
IDLE_SHARE = 0.01
# No more time than this counts between two looks: a server that was itself stopped has not watched anybody.
MAX_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Signs:
    """What was heard of a worker: how many signs of life, and the last of them."""

    pulses: int = 0
    last: Pulse = Pulse(0, 0.0)


class Watchdog:
    """Watches one worker.

    Args:
        stall: seconds that work may go on without coming any further, though it computes.
        now: when watching begins, in seconds on any clock.
    """

    def __init__(self, stall: float = math.inf, now: float = 0.0) -> None:
        self._stall = stall
        self._looked, self._signs = now, Signs()
        self.silent = self._idle = self._stalled = 0.0

    def look(self, now: float, signs: Signs, busy: bool, starting: bool = False) -> str:
        """Return why the worker is taken to hang, as a sentence without its subject; "" if it is not.

        Args:
            now: on the same clock.
            signs: what was heard of it so far.
            busy: whether somebody waits for it to do something.
            starting: whether it loads its model, for which it may have to wait for another machine.
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
            return f"gave no sign of life for {longest:g} seconds"
        if self._idle > IDLE_SECONDS:
            return f"neither computed nor came any further for {IDLE_SECONDS / 60:g} minutes"
        if self._stalled > self._stall:
            return f"came no further for {self._stall / 60:g} minutes, which is the limit"
        return ""
