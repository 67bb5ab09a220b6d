"""Tasks as files: of several workers one gets a task, and what each side sees of the other."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from picasso.errors import ErrorDocument
from picasso.jobs.task_folder import Every, Life, Offer, Outcome, TaskFolder
from picasso.jobs.tasks import Task


@pytest.fixture
def place(tmp_path: Path) -> TaskFolder:
    place = TaskFolder(tmp_path / "server" / "tasks")
    place.folder.parent.mkdir()
    place.create(Offer({"file": None}, {"picasso": "1"}))
    return place


def test_each_task_goes_to_one_worker_in_order(place: TaskFolder) -> None:
    for number in range(200):
        place.put(f"{number:08d}", Task(Path("/work"), "pair", number))
    got: dict[str, list[int]] = {"one": [], "two": [], "three": []}

    def work(name: str) -> None:
        while taken := place.take(name):
            got[name].append(taken[1].shard)

    threads = [threading.Thread(target=work, args=(name,)) for name in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for numbers in got.values() for number in numbers) == list(range(200))
    assert all(numbers == sorted(numbers) for numbers in got.values())
    assert len(place.leases()) == 200
    assert not place.open()


def test_a_task_is_what_was_put_there(place: TaskFolder) -> None:
    task = Task(Path("/work/s/audits/a"), "pair", 3)
    place.put("00000001", task)
    assert place.take("one") == ("00000001", task)
    assert place.take("two") is None


def test_a_task_is_given_back(place: TaskFolder) -> None:
    place.put("00000001", Task(Path("/work")))
    place.take("one")
    place.give_back("00000001", "one")
    assert place.open() == {"00000001"}
    assert place.take("two")


def test_an_outcome_is_told_once(place: TaskFolder) -> None:
    place.put("00000001", Task(Path("/work")))
    place.take("one")
    error = ErrorDocument(code="run_failed", message="It failed.", field=None)
    place.finish("00000001", "one", Outcome(error, crashed=True))
    assert list(place.outcomes()) == [("00000001", Outcome(error, crashed=True))]
    assert not list(place.outcomes())
    assert not place.leases()


def test_the_outcome_of_a_task_that_was_taken_back_is_not_told(place: TaskFolder) -> None:
    place.put("00000001", Task(Path("/work")))
    place.take("one")
    place.leases()["00000001"].unlink()
    assert not place.renew("00000001", "one")
    place.finish("00000001", "one", Outcome())
    assert not list(place.outcomes())


def test_only_an_open_task_is_withdrawn(place: TaskFolder) -> None:
    place.put("00000001", Task(Path("/work")))
    assert place.withdraw("00000001")
    assert not place.open()
    place.put("00000002", Task(Path("/work")))
    place.take("one")
    assert not place.withdraw("00000002")


def test_a_rename_whose_answer_was_lost_counts(place: TaskFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("00000001", Task(Path("/work")))
    rename = Path.rename

    def twice(self: Path, target: Path) -> Path:
        rename(self, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", twice)
    assert place.take("one")


def test_an_offer_is_read_as_it_was_written(place: TaskFolder) -> None:
    offer = Offer({"file": "/c.py", "overrides": {}}, {"picasso": "2"}, {"fingerprint": "12"}, None, 60.0)
    place.write_offer(offer)
    assert place.offer() == offer
    assert offer.limits == (float("inf"), 60.0)
    place.offer_file.write_text('{"of": "another version"}')
    assert place.offer() is None
    place.offer_file.unlink()
    assert place.offer() is None


def test_a_file_shows_life_when_its_time_changes_whatever_the_clock(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    # The clock of another machine.
    os.utime(file, (1, 1))
    life = Life(file, seconds=0.2)
    assert life.lasts()
    assert [life.shown] == [False]
    time.sleep(0.25)
    assert not life.lasts()
    os.utime(file, (2, 2))
    assert life.lasts()
    assert life.shown
    file.unlink()
    assert not life.lasts()


def test_a_function_is_called_at_most_once_in_some_time() -> None:
    calls: list[int] = []
    often = Every(0.1, lambda: calls.append(1))
    later = Every(0.1, lambda: calls.append(2), later=True)
    for _ in range(2):
        often()
        later()
    assert calls == [1]
    time.sleep(0.11)
    often()
    later()
    assert calls == [1, 1, 2]
