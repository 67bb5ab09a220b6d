"""The worker process: kept alive, replaced when it dies, told to stop."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from picasso.errors import Busy, NotReady, WorkerDied
from picasso.explanation.registry import Registry
from picasso.jobs.engine import LOAD_TRIES, LocalEngine
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.worker_loop import NICENESS
from tests.conftest import PLUGINS, fake_settings
from tests.jobs.test_run import make_run

CONFIGURED: dict[str, Any] = {"file": None, "overrides": fake_settings(PLUGIN_DIRS=[str(PLUGINS)])}


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(CONFIGURED, tmp_path_factory.mktemp("engine"))
    yield engine
    engine.close()


def test_shards_are_computed_in_another_process(engine: LocalEngine, tmp_path: Path) -> None:
    assert engine.model_status()["state"] in ("loading", "ready")
    run = make_run(tmp_path)
    for future in [engine.submit(run.folder, shard) for shard in range(2)]:
        future.result(timeout=60)
    assert run.state()["state"] == "finished"
    status = engine.model_status()
    assert (status["state"], status["card"]["name"]) == ("ready", "LinearModel")


def test_the_worker_gives_way_to_the_server(engine: LocalEngine) -> None:
    until(lambda: engine.model_status()["state"] == "ready")
    pid = engine._child.process.pid
    assert pid is not None
    ours, theirs = (os.getpriority(os.PRIO_PROCESS, one) for one in (0, pid))
    assert theirs == min(19, ours + NICENESS)


def test_a_killed_worker_fails_one_shard_and_is_replaced(engine: LocalEngine, tmp_path: Path) -> None:
    run = make_run(tmp_path, "Slow", Steps=10_000)
    future = engine.submit(run.folder, 0)
    until(lambda: run.state()["state"] == "running")
    pid = engine._child.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(
        WorkerDied,
        match=r"ended unexpectedly \(it was killed, possibly because the system ran out of memory\)\. A new",
    ):
        future.result(timeout=60)
    (tmp_path / "next").mkdir()
    again = make_run(tmp_path / "next", count=1)
    engine.submit(again.folder, 0).result(timeout=60)
    assert again.state()["state"] == "finished"


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_run_that_hangs_is_ended_and_the_queue_goes_on(
    cancelled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("picasso.jobs.tasks.GRACE_SECONDS", 0.5)
    engine = LocalEngine(CONFIGURED, tmp_path, 1e9 if cancelled else 2.0)
    try:
        until(lambda: engine.model_status()["state"] == "ready")
        (tmp_path / "hangs").mkdir()
        run = make_run(tmp_path / "hangs", "Hangs")
        future = engine.submit(run.folder, 0)
        until(lambda: run.state()["fraction"] > 0)
        if cancelled:
            run.cancel()
        why = "did not stop when it was cancelled" if cancelled else r"exceeded the time limit of 0\.0333333 minutes"
        with pytest.raises(WorkerDied, match=why):
            future.result(timeout=15)
        (tmp_path / "next").mkdir()
        again = make_run(tmp_path / "next", count=1)
        engine.submit(again.folder, 0).result(timeout=60)
        assert again.state()["state"] == "finished"
    finally:
        engine.close()


def test_a_model_that_never_loads_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.jobs.engine.LOAD_SECONDS", 1.0)
    (tmp_path / "model.py").write_text("while True:\n    pass\n")
    overrides = {"MODEL_CLS_PATH": str(tmp_path / "model.py"), "MODEL_CLS_NAME": "Any", "MODEL_LOAD_ARGS": {}}
    engine = LocalEngine({"file": None, "overrides": overrides}, tmp_path)
    try:
        assert engine.model_status() == {"state": "loading"}
        until(lambda: engine.model_status()["state"] == "failed")
        assert "may be damaged" in engine.model_status()["error"]
        until(lambda: not engine._child.alive())
        assert engine.model_status()["state"] == "failed"
    finally:
        engine.close()


def test_a_worker_that_is_killed_while_it_first_loads_its_model_is_tried_again(tmp_path: Path) -> None:
    """A few times: where the model does not fit into memory, that ends."""
    (tmp_path / "model.py").write_text("while True:\n    pass\n")
    overrides = {"MODEL_CLS_PATH": str(tmp_path / "model.py"), "MODEL_CLS_NAME": "Any", "MODEL_LOAD_ARGS": {}}
    engine = LocalEngine({"file": None, "overrides": overrides}, tmp_path)
    engine._failures = LOAD_TRIES - 2
    try:
        first = engine._child
        os.kill(first.process.pid or 0, signal.SIGKILL)
        until(lambda: engine._child is not first)
        assert engine.model_status() == {"state": "loading"}
        second = engine._child
        os.kill(second.process.pid or 0, signal.SIGKILL)
        until(lambda: engine.model_status()["state"] == "failed")
        assert "ended with exit code -9 while loading the model" in engine.model_status()["error"]
        assert engine._child is second
    finally:
        engine.close()


def test_time_counts_for_the_whole_run(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.finish(0, 3.5)
    run.report(1, 0.5, 2.0)
    assert run.computed(1) == 3.5
    assert run.computed(0) == 2.0
    shutil.rmtree(run.folder)
    assert run.computed(0) == 0


def test_a_run_that_is_deleted_while_it_waits_ends_nothing(engine: LocalEngine, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    shutil.rmtree(run.folder)
    engine.submit(run.folder, 0).result(timeout=60)
    (tmp_path / "next").mkdir()
    again = make_run(tmp_path / "next", count=1)
    engine.submit(again.folder, 0).result(timeout=60)
    assert again.state()["state"] == "finished"


def test_a_worker_that_died_while_idle_is_replaced_without_loss(engine: LocalEngine, tmp_path: Path) -> None:
    until(lambda: engine.model_status()["state"] == "ready")
    os.kill(engine._child.process.pid or 0, signal.SIGKILL)
    engine._child.process.join()
    run = make_run(tmp_path, count=1)
    engine.submit(run.folder, 0).result(timeout=60)
    assert run.state()["state"] == "finished"


def test_a_shard_that_a_dead_worker_did_not_receive_is_sent_to_the_next(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: engine.model_status()["state"] == "ready")
    dead = engine._child
    sent: list[int] = []
    # Its death has not been noticed when the shard is sent.
    monkeypatch.setattr(dead, "alive", lambda: not sent)
    request = dead.request

    def refused(*arguments: Any, **options: Any) -> Any:
        sent.append(1)
        return request(*arguments, **options)

    monkeypatch.setattr(dead, "request", refused)
    os.kill(dead.process.pid or 0, signal.SIGKILL)
    until(lambda: dead.exit_code is not None)
    run = make_run(tmp_path, count=1)
    engine.submit(run.folder, 0).result(timeout=60)
    assert sent == [1]
    assert engine._child is not dead
    assert run.state()["state"] == "finished"


def test_the_death_of_a_worker_is_noticed_while_other_threads_collect_its_exit_code(engine: LocalEngine) -> None:
    until(lambda: engine.model_status()["state"] == "ready")
    child = engine._child
    process = child.process
    collectors = [threading.Thread(target=process.join) for _ in range(8)]
    for collector in collectors:
        collector.start()
    os.kill(process.pid or 0, signal.SIGKILL)
    until(lambda: not child.alive())
    assert child.exit_code == -signal.SIGKILL
    for collector in collectors:
        collector.join()


def test_urgent_shards_go_first(engine: LocalEngine, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("slow", "later", "urgent")]
    for folder in folders:
        folder.mkdir()
    slow, later, urgent = make_run(folders[0], "Slow", Steps=50), make_run(folders[1]), make_run(folders[2])
    order: list[str] = []
    for name, run, priority in (("slow", slow, 0), ("later", later, 0), ("urgent", urgent, 5)):
        engine.submit(run.folder, 0, priority).add_done_callback(lambda _, name=name: order.append(name))  # type: ignore[misc]
    until(lambda: len(order) == 3)
    assert order[1:] == ["urgent", "later"] or order == ["urgent", "slow", "later"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"MODEL_CLS_NAME": "NoSuchModel"}, "has no model class NoSuchModel; it has .*LinearModel"),
        ({"MODEL_CLS_PATH": "/nowhere.py"}, "no file /nowhere.py, which MODEL_CLS_PATH names"),
        ({"MODEL_LOAD_ARGS": {"shape": "oops"}}, "LinearModel could not be loaded: "),
    ],
)
def test_a_model_that_cannot_be_loaded_is_explained(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    configured = {"file": None, "overrides": fake_settings(**settings)}
    engine = LocalEngine(configured, tmp_path)
    try:
        until(lambda: engine.model_status()["state"] != "loading")
        status = engine.model_status()
        assert status["state"] == "failed"
        assert re.search(message, status["error"])
        runner = JobQueue(engine, Registry(), configured, 3)
        with pytest.raises(NotReady, match="."):
            runner.start(tmp_path, "ClassProbabilities", {}, make_run(tmp_path).spec().images)
    finally:
        engine.close()


def test_a_worker_that_dies_while_loading_is_explained(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import os\nos._exit(5)\n")
    configured = {"file": None, "overrides": fake_settings(MODEL_CLS_PATH=str(tmp_path / "model.py"))}
    engine = LocalEngine(configured, tmp_path)
    try:
        until(lambda: engine.model_status()["state"] != "loading")
        assert "ended with exit code 5 while loading the model" in engine.model_status()["error"]
    finally:
        engine.close()


def test_the_queue_is_bounded_and_knows_positions(engine: LocalEngine, tmp_path: Path) -> None:
    runner = JobQueue(engine, Registry([PLUGINS]), CONFIGURED, capacity=2)
    until(lambda: runner.model.status()["state"] == "ready")
    images = make_run(tmp_path, count=1).spec().images
    first = runner.start(tmp_path, "Slow", {"Steps": 100_000}, images)
    second = runner.start(tmp_path, "ClassProbabilities", {}, images)
    assert (runner.position(first), runner.position(second)) == (0, 1)
    with pytest.raises(Busy, match="The job queue is full"):
        runner.start(tmp_path, "ClassProbabilities", {}, images)
    until(lambda: first.state()["fraction"] > 0)
    first.cancel()
    until(lambda: second.state()["state"] == "finished", 5)
    assert first.state()["state"] == "cancelled"
    assert runner.position(second) == 0
    until(lambda: not runner._jobs._active)
    third = runner.start(tmp_path, "Slow", {"Steps": 100_000}, images)
    with pytest.raises(NotReady, match="exceeded the limit of 0 seconds and was cancelled"):
        runner.wait(third, 0.1)


def test_closing_ends_the_process(tmp_path: Path) -> None:
    engine = LocalEngine(CONFIGURED, tmp_path)
    process = engine._child.process
    engine.close()
    assert not process.is_alive()
    assert not engine._thread.is_alive()
