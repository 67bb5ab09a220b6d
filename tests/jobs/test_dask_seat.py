"""One worker of a Dask cluster, as a connection that answers in this process and fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import distributed
import pytest

from picasso.errors import WorkerCrashed, WorkerDied
from picasso.jobs import dask_seat, dask_worker, worker
from picasso.jobs.agreement import Shared
from picasso.jobs.dask_seat import ENDED, Seat
from picasso.jobs.run import Run
from picasso.jobs.tasks import Task, TaskQueue
from tests.conftest import PLUGINS, fake_settings
from tests.jobs.test_engine import until
from tests.jobs.test_run import make_run


class Call:
    """A call of a function in a worker.

    Args:
        status: that of the future of Dask.
        fetch: returns its result.
    """

    def __init__(self, status: str, fetch: Callable[[], Any]) -> None:
        self.status, self._fetch = status, fetch

    def add_done_callback(self, told: Callable[[Call], None]) -> None:
        if self.status != "pending":
            told(self)

    def result(self, timeout: float) -> Any:
        return self._fetch()

    def cancel(self) -> None:
        # As a closed connection does.
        raise RuntimeError("the connection is closed")


class Client:
    """A connection to a scheduler whose worker is this process.

    Args:
        faults: what happens to calls, by the name of the function: "closed", "lost", "left" or "died".
    """

    def __init__(self, **faults: str) -> None:
        self.faults, self.restarts = faults, 0

    def submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Call:
        fault = self.faults.get(function.__name__)
        if fault == "closed":
            raise RuntimeError("the connection is closed")
        if fault == "left":
            return Call("pending", list)
        if fault == "died":
            # It had begun.
            Path(arguments[-1]).write_bytes(b"1")
            return Call("pending", list)
        result = function(*arguments)
        return Call("finished", lambda: self._lose() if fault == "lost" else result)

    def _lose(self) -> None:
        raise TimeoutError

    def restart_workers(self, *arguments: Any, **options: Any) -> None:
        self.restarts += 1
        raise RuntimeError("the connection is closed")


class Seats:
    """Seats of one queue.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        where = {"file": None, "overrides": fake_settings(PLUGIN_DIRS=[str(PLUGINS)])}
        status = worker.initialize(where)
        self.tasks = TaskQueue()
        self.shared = Shared(where, folder / "dask", self.tasks, lambda: status)
        self.shared.folder.mkdir()
        (folder / "session" / "runs").mkdir(parents=True)
        self.run: Run = make_run(folder / "session" / "runs", "ClassProbabilities", 1)
        self.seats: list[Seat] = []

    def add(self, client: Client) -> Seat:
        self.seats.append(Seat(cast(distributed.Client, client), "tcp://127.0.0.1:1", 1, self.shared))
        return self.seats[-1]

    def close(self) -> None:
        self.tasks.close()
        for seat in self.seats:
            seat.leave(WorkerDied("closed"))
            seat.join()


@pytest.fixture
def seats(tmp_path: Path) -> Iterator[Seats]:
    seats = Seats(tmp_path)
    yield seats
    seats.close()


def test_a_task_is_done_although_its_worker_took_the_result_along(seats: Seats) -> None:
    seats.add(Client(compute="lost"))
    seats.tasks.add(Task(seats.run.folder)).result(timeout=60)
    assert seats.run.state()["state"] == "finished"


def test_an_answer_that_its_worker_took_along_is_not_waited_for(seats: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    seat = seats.add(Client(facts="lost"))
    seat.leave(WorkerCrashed(ENDED))
    until(seat.ended)
    monkeypatch.setattr(dask_seat, "FACTS_SECONDS", 0.1)
    client = Client(facts="lost")
    seat = seats.add(client)
    until(seat.ended)
    # Neither ending the call nor the worker works, which changes nothing.
    assert (client.restarts, seat.failed, seat.refusal) == (1, True, "")


@pytest.mark.parametrize("fault", ["closed", "left"])
def test_a_task_that_was_not_begun_is_computed_by_another_worker(seats: Seats, fault: str) -> None:
    seat = seats.add(Client(compute=fault))
    until(lambda: seat.ready)
    future = seats.tasks.add(Task(seats.run.folder))
    until(future.running)
    seat.leave(WorkerCrashed(ENDED))
    until(seat.ended)
    assert not future.done()
    seats.add(Client())
    future.result(timeout=60)
    assert seats.run.state()["state"] == "finished"


def test_a_seat_that_left_takes_no_task(seats: Seats) -> None:
    client = Client()
    seat = seats.add(client)
    until(lambda: seat.ready)
    future = seats.tasks.add(Task(seats.run.folder), -1)
    future.result(timeout=60)
    seat.leave(WorkerCrashed(ENDED))
    until(seat.ended)
    future = seats.tasks.add(Task(seats.run.folder))
    taken = seats.tasks.take(0)
    assert taken
    # It was told to leave while it took the task.
    seat._serve(*taken)
    assert seats.tasks.take(0) == taken


def test_a_task_whose_worker_died_fails(seats: Seats) -> None:
    seat = seats.add(Client(compute="died"))
    until(lambda: seat.ready)
    future = seats.tasks.add(Task(seats.run.folder))
    until(lambda: future.running() and any(file.stat().st_size for file in seats.shared.folder.glob("beat-*")))
    seat.leave(WorkerCrashed(ENDED))
    with pytest.raises(WorkerCrashed, match="ended unexpectedly"):
        future.result(timeout=60)


def test_a_task_that_was_given_back_comes_next_and_fails_at_the_end(tmp_path: Path) -> None:
    tasks = TaskQueue()
    first, second = (tasks.add(Task(tmp_path / name / "runs" / "1")) for name in "ab")
    taken = tasks.take(0)
    assert taken
    assert taken[0] is first
    tasks.give_back(*taken)
    again = tasks.take(0)
    assert again == taken
    tasks.give_back(*taken)
    tasks.close()
    assert second.cancelled()
    with pytest.raises(WorkerDied, match="shutting down"):
        first.result(timeout=0)
    other = TaskQueue()
    future = other.add(Task(tmp_path / "a" / "runs" / "1"))
    taken = other.take(0)
    assert taken
    other.close()
    other.give_back(*taken)
    with pytest.raises(WorkerDied, match="shutting down"):
        future.result(timeout=0)


def test_the_worker_answers_at_a_name_that_the_server_knows(tmp_path: Path) -> None:
    (tmp_path / "probe").write_text("text", encoding="utf-8")
    assert dask_worker.echo(str(tmp_path / "probe")) == "text"
    assert (tmp_path / "probe-echo").read_text(encoding="utf-8") == "text"
