"""Owners take turns, and no session takes the whole queue."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from picasso.errors import Busy
from picasso.explanation.registry import Registry
from picasso.jobs.engine import LocalEngine
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.turns import Turns
from picasso.web.proxies import visitor_behind
from picasso.web.thread_pools import FairQueue
from tests.conftest import PLUGINS
from tests.jobs.test_engine import CONFIGURED
from tests.jobs.test_run import make_run


def drained(turns: Turns[str]) -> str:
    found = ""
    while not turns.empty():
        found += turns.get(timeout=0)
    return found


def test_owners_take_turns() -> None:
    turns: Turns[str] = Turns()
    for item in "abc":
        turns.put(item, "first")
    for item in "xy":
        turns.put(item, "second")
    turns.put("1", "third")
    assert drained(turns) == "ax1byc"
    with pytest.raises(queue.Empty):
        turns.get(timeout=0)


def test_who_comes_later_waits_for_one_of_each_other() -> None:
    turns: Turns[str] = Turns()
    for item in "abcd":
        turns.put(item, "first")
    assert turns.get(timeout=0) == "a"
    turns.put("x", "second")
    assert drained(turns) == "bxcd"


def test_urgent_ones_go_first() -> None:
    turns: Turns[str] = Turns()
    for item in "ab":
        turns.put(item, "first")
    turns.put("!", "second", priority=1)
    turns.put("?", "second", priority=-1)
    assert drained(turns) == "!ab?"


def test_one_that_waits_is_woken() -> None:
    turns: Turns[str] = Turns()
    found: list[str] = []
    waiting = threading.Thread(target=lambda: found.append(turns.get(timeout=60)))
    waiting.start()
    turns.put("a", "first")
    waiting.join(60)
    assert found == ["a"]


class Idle(LocalEngine):
    """An engine that computes nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[Path, int]] = []

    def model_status(self) -> dict[str, Any]:
        return {"state": "ready"}

    def submit(self, folder: Path, shard: int, priority: int = 0) -> Future[None]:
        self.asked.append((folder, priority))
        return Future()


def test_one_session_leaves_room_for_others(tmp_path: Path) -> None:
    runner = JobQueue(Idle(), Registry([PLUGINS]), CONFIGURED, capacity=6)
    images = make_run(tmp_path, count=1).spec().images
    mine, theirs = (tmp_path / name / "runs" for name in ("mine", "theirs"))
    mine.mkdir(parents=True)
    theirs.mkdir(parents=True)

    def start(parent: Path) -> Any:
        return runner.start(parent, "ClassProbabilities", {}, images)

    first, second, third = (start(mine) for _ in range(3))
    with pytest.raises(Busy, match="This session already has 3 jobs in the queue, the maximum per session"):
        start(mine)
    other, another = start(theirs), start(theirs)
    # The first of each, then the second of each, then the third.
    assert [runner.position(run) for run in (first, other, second, another, third)] == [0, 1, 2, 3, 4]
    start(theirs)
    with pytest.raises(Busy, match=r"The job queue is full \(6 jobs\)"):
        start(theirs)
    # What is not wanted any more makes room at once.
    second.cancel()
    runner.position(first)
    assert runner.position(third) == 2
    start(mine)


def test_what_the_first_page_starts_comes_before_all_else(tmp_path: Path) -> None:
    engine = Idle()
    runner = JobQueue(engine, Registry([PLUGINS]), CONFIGURED, capacity=6)
    images = make_run(tmp_path, count=1).spec().images
    parent = tmp_path / "mine" / "runs"
    parent.mkdir(parents=True)
    first, urgent = (
        runner.start(parent, "ClassProbabilities", {}, images, workspace=workspace) for workspace in (False, True)
    )
    assert engine.asked == [(first.folder, 0), (urgent.folder, 1)]
    assert [runner.position(run) for run in (urgent, first)] == [0, 1]


def answered_in_order(visitor: Any, *forwarded: str) -> list[str]:
    """Return in which order requests are answered that came through one proxy, each with what it says of its sender."""
    queued = FairQueue(visitor)
    for number, address in enumerate(forwarded):
        request = SimpleNamespace(headers={"X_FORWARDED_FOR": address, "X_NUMBER": str(number)})
        queued.append(SimpleNamespace(addr=("10.0.0.1", 1), requests=[request]))  # type: ignore[arg-type]
    return [queued.popleft().requests[0].headers["X_NUMBER"] for _ in range(len(queued))]


def test_visitors_take_turns_behind_a_proxy_too() -> None:
    crowd = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "198.51.100.7"]
    assert answered_in_order(visitor_behind(1, "X-Forwarded"), *crowd) == ["0", "3", "1", "2"]
    # What stands before the value of the proxy is made up by the visitor.
    made_up = [f"203.0.113.{number}, {address}" for number, address in enumerate(crowd)]
    assert answered_in_order(visitor_behind(1, "X-Forwarded"), *made_up) == ["0", "3", "1", "2"]
    # Without a proxy the header says nothing.
    assert answered_in_order(visitor_behind(0, "X-Forwarded"), *crowd) == ["0", "1", "2", "3"]
