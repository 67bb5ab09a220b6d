"""When a worker is taken to hang, on a clock of the test's own."""

from __future__ import annotations

import math

import pytest

from picasso.jobs import watchdog
from picasso.jobs.messages import Pulse
from picasso.jobs.watchdog import Signs, Watchdog


def watched(
    seconds: int,
    *,
    beats: bool = True,
    cpu: float = 1.0,
    steps: float = 0.0,
    busy: bool = True,
    starting: bool = False,
    stall: float = math.inf,
) -> tuple[int, str]:
    """Look each second at a worker that computes and comes further at these rates; return when it hangs, and why."""
    dog, signs = Watchdog(stall, 0.0), Signs()
    for now in range(1, seconds + 1):
        if beats:
            signs = Signs(now, Pulse(int(steps * now), cpu * now))
        if why := dog.look(now, signs, busy, starting):
            return now, why
    return seconds, ""


@pytest.mark.parametrize("busy", [True, False])
def test_one_that_gives_no_sign_of_life_hangs_whether_it_is_wanted_or_not(busy: bool) -> None:
    assert watched(1000, beats=False, busy=busy) == (61, "did not respond for 60 seconds")


def test_one_that_loads_its_model_has_more_time_to_be_silent_and_may_wait() -> None:
    assert watched(1000, beats=False, starting=True) == (181, "did not respond for 180 seconds")
    assert watched(10_000, cpu=0.0, stall=600, starting=True) == (10_000, "")


def test_one_that_waits_for_something_at_work_hangs() -> None:
    assert watched(1000, cpu=0.002) == (121, "was idle without progress for 2 minutes")


def test_one_that_computes_may_take_as_long_as_the_limit_says() -> None:
    assert watched(10_000) == (10_000, "")
    assert watched(10_000, stall=600) == (601, "made no progress for 10 minutes, which is the limit")


@pytest.mark.parametrize(("steps", "busy"), [(0.01, True), (0.0, False)])
def test_one_that_comes_further_or_has_nothing_to_do_does_not_hang(steps: float, busy: bool) -> None:
    assert watched(10_000, busy=busy, stall=600, cpu=0.0, steps=steps) == (10_000, "")


def test_what_was_not_watched_does_not_count() -> None:
    """A server that was itself stopped, or had no processor, blames nobody for the time."""
    dog = Watchdog(600, 0.0)
    assert dog.look(1.0, Signs(1, Pulse(0, 1.0)), busy=True) == ""
    assert dog.look(10_000.0, Signs(1, Pulse(0, 1.0)), busy=True) == ""
    assert dog.silent == watchdog.MAX_LOOK_SECONDS
    assert dog.look(10_001.0, Signs(2, Pulse(1, 2.0)), busy=True) == ""
    assert dog.silent == 0
