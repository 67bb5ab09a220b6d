"""Owners share several workers by time; everything happens at known moments of a clock that stands still otherwise."""

from __future__ import annotations

import heapq
import queue
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from picasso.jobs.shares import Shares


class Plant:
    """Workers that take items of known length; an item is named by its owner and a number.

    Args:
        workers: their number.
        lengths: how long the items of each owner take.
    """

    def __init__(self, workers: int, lengths: Mapping[str, float]) -> None:
        self.now, self._lengths, self._free = 0.0, lengths, workers
        self.shares: Shares[str] = Shares(lambda: self.now)
        # The items that run, by the moment of their end.
        self._running: list[tuple[float, str]] = []
        #: Which item was begun when.
        self.begun: list[tuple[float, str]] = []
        #: The time that each owner used, and how many of its items ran at once at most.
        self.used: Counter[str] = Counter()
        #: Owners whose next item is added at the end of the last one.
        self.chained: set[str] = set()

    def add(self, owner: str, count: int = 1) -> None:
        """Add items of an owner."""
        for number in range(count):
            self.shares.put(f"{owner}{number}", owner)

    def run(self, until: float) -> None:
        """Let the workers take items up to some moment."""
        while True:
            while self._free and not self.shares.empty():
                item = self.shares.get(timeout=0)
                self._free -= 1
                self.begun.append((self.now, item))
                heapq.heappush(self._running, (self.now + self._lengths[item[0]], item))
            if not self._running or self._running[0][0] > until:
                break
            self.now, item = heapq.heappop(self._running)
            self.used[item[0]] += self._lengths[item[0]]  # type: ignore[assignment]
            self.shares.end(item)
            if item[0] in self.chained:
                self.shares.put(f"{item[0]}{len(self.begun)}", item[0])
            self._free += 1
        self.now = until

    def order(self) -> str:
        """Return the owners of the begun items."""
        return "".join(item[0] for _, item in self.begun)


def test_long_items_get_no_more_time_than_short_ones() -> None:
    plant = Plant(1, {"a": 4, "b": 1})
    plant.add("a", 100)
    plant.add("b", 400)
    plant.run(20)
    assert plant.order() == "abbbbabbbbab"
    plant.run(400)
    assert (plant.used["a"], plant.used["b"]) == (200, 200)


@pytest.mark.parametrize("workers", [2, 3])
def test_three_owners_share_workers(workers: int) -> None:
    plant = Plant(workers, {"a": 10, "b": 2, "c": 1})
    for owner in "abc":
        plant.add(owner, 1000)
    plant.run(600)
    for owner in "abc":
        assert abs(plant.used[owner] - 200 * workers) <= 10


def test_nobody_holds_all_workers_while_others_wait() -> None:
    plant = Plant(2, {"a": 60, "b": 1, "c": 1})
    plant.add("a", 10)
    plant.add("b", 5)
    plant.add("c", 5)
    plant.run(9)
    # The second worker computes the short ones, and what is left over goes to the long ones.
    assert plant.order() == "abcbcbcbcbc"
    plant.run(10)
    assert plant.order()[11:] == "a"


def test_a_worker_is_never_idle_while_something_waits() -> None:
    plant = Plant(3, {"a": 5, "b": 5})
    plant.add("a", 4)
    plant.run(1)
    assert plant.order() == "aaa"
    plant.add("b", 2)
    plant.run(5)
    assert plant.order() == "aaabba"


def test_who_was_away_has_no_advantage() -> None:
    plant = Plant(1, {"a": 1, "b": 1, "c": 1})
    plant.add("a", 100)
    plant.add("b", 1)
    plant.run(20)
    plant.add("b", 10)
    plant.add("c", 10)
    plant.run(32)
    # Not ten of each newcomer first.
    assert Counter(plant.order()[-12:]) == {"a": 4, "b": 4, "c": 4}


def test_who_has_used_more_keeps_that_while_others_are_there() -> None:
    plant = Plant(2, {"a": 1, "b": 8})
    plant.add("b", 3)
    plant.run(1)
    # Both workers compute for b, which then goes away for a moment only.
    plant.add("a", 100)
    plant.run(17)
    before = plant.used["a"]
    plant.add("b", 1)
    plant.run(18)
    assert plant.used["a"] == before + 2
    # As soon as all are away, everything begins anew.
    plant.run(200)
    plant.add("a", 2)
    plant.add("b", 2)
    plant.begun.clear()
    plant.run(201)
    assert plant.order() == "aba"


def test_an_item_that_follows_the_last_one_at_once_has_not_been_away() -> None:
    plant = Plant(1, {"a": 10, "p": 1})
    plant.chained.add("p")
    plant.add("a", 100)
    plant.add("p", 1)
    plant.run(400)
    # Not one short item for each long one.
    assert abs(plant.used["p"] - plant.used["a"]) <= 10


def test_time_that_does_not_count() -> None:
    plant = Plant(1, {"a": 1, "b": 1})
    shares = plant.shares
    for item in ("a0", "a1", "a2", "b0", "b1", "b2"):
        shares.put(item, item[0])
    assert shares.get(0) == "a0"
    plant.now = 60
    shares.restart("a0")
    plant.now = 61
    shares.end("a0")
    assert shares.get(0) == "b0"
    # It was not computed, so it is not counted either.
    plant.now = 90
    shares.give_back("b0", 1)
    assert shares.get(0) == "b0"
    plant.now = 90.5
    shares.end("b0")
    assert [shares.get(0) for _ in range(2)] == ["b1", "a1"]


def test_what_does_not_run_is_not_ended() -> None:
    shares: Shares[str] = Shares(lambda: 0.0)
    shares.put("a0", "a")
    shares.end("a0")
    shares.restart("a0")
    assert shares.get(0) == "a0"
    with pytest.raises(queue.Empty):
        shares.get(0)


def waits(lengths: Sequence[float], workers: int) -> list[float]:
    """Return when a short item of a newcomer is begun, in the middle of work of this length."""
    names = "abcdefgh"[: len(lengths)]
    plant = Plant(workers, {**dict(zip(names, lengths, strict=True)), "n": 0.1})
    for name in names:
        plant.add(name, 50)
    plant.run(100)
    plant.add("n", 1)
    plant.run(200)
    return [when - 100 for when, item in plant.begun if item[0] == "n"]


@pytest.mark.parametrize("lengths", [(1, 2, 3), (5, 1, 1, 1), (7, 0.5, 3, 2, 1, 6)])
def test_a_newcomer_waits_for_few_others(lengths: Sequence[float]) -> None:
    (wait,) = waits(lengths, 2)
    assert 0 <= wait <= max(lengths)
