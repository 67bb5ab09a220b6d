"""Faults of the process that computes: nothing waits for ever, and the server says truly whether it can compute."""

from __future__ import annotations

import errno
import multiprocessing.context
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picasso import config
from picasso.errors import NotReady, PicassoError, RunError, WorkerDied
from picasso.explanation.registry import Registry
from picasso.jobs import worker
from picasso.jobs.engine import LocalEngine
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.run import Run, Spec
from tests.conftest import PLUGINS, fake_settings
from tests.jobs.test_engine import until
from tests.jobs.test_run import counting_model, make_run

FAULTY = Path(__file__).parents[1] / "faulty"
CONFIGURED = worker.reference(config.build({}, None, fake_settings(PLUGIN_DIRS=[str(PLUGINS), str(FAULTY)])))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(CONFIGURED, tmp_path_factory.mktemp("engine"))
    until(lambda: engine.health() == "ready", 60)
    yield engine
    engine.close()


def run_of(folder: Path, visualization: str = "ClassProbabilities", **settings: Any) -> Run:
    """Return a run of one image that the faulty plugins may take part in."""
    images = make_run(folder, count=1).spec().images
    return Run.create(folder, Spec(visualization, settings, images, 2, CONFIGURED, 0.0))


def goes_on(engine: LocalEngine, folder: Path) -> None:
    """Check that the next run is computed, and that the server says that it can."""
    run = run_of(folder)
    engine.submit(run.folder, 0).result(timeout=60)
    assert run.state()["state"] == "finished"
    until(lambda: engine.health() == "ready")


def pid(engine: LocalEngine) -> int:
    number = engine._child.process.pid
    assert number is not None
    return number


@pytest.mark.parametrize("kind", ["demanding", "silent", "bare", "nameless", "exit", "cancelled", "surrogate"])
def test_whatever_a_plugin_raises_is_a_sentence(engine: LocalEngine, tmp_path: Path, kind: str) -> None:
    before = pid(engine)
    question = {"kind": "estimate", "visualization": "Estimated", "settings": {"Kind": kind}}
    with pytest.raises(PicassoError, match=r"\.$"):
        engine.ask(question).result(timeout=30)
    runner = JobQueue(engine, Registry([FAULTY]), CONFIGURED, 3)
    images = make_run(tmp_path, count=1).spec().images
    run = runner.start(tmp_path, "Faulty", {"Kind": kind}, images)
    until(lambda: run.state()["state"] not in ("waiting", "running"))
    error = run.state()["error"]
    assert error is not None
    assert error["message"].endswith(".")
    error["message"].encode()
    goes_on(engine, tmp_path)
    assert pid(engine) == before, "the worker is still the same"


def test_an_answer_that_can_not_be_sent_is_an_error(engine: LocalEngine) -> None:
    """What a plugin says of itself may be anything, and JSON has no NaN."""
    with pytest.raises(PicassoError, match="The result can't be sent"):
        engine.ask({"kind": "estimate", "visualization": "Estimated", "settings": {"Kind": "nan"}}).result(timeout=30)


@pytest.mark.parametrize(
    ("kind", "limit", "words"),
    [
        ("deadlock", "IDLE_SECONDS", "was idle without progress"),
        pytest.param("spin", "", "made no progress for 0.05 min", marks=pytest.mark.slow),
    ],
)
def test_one_that_hangs_is_replaced(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, limit: str, words: str
) -> None:
    # Of this worker only; the next one has its time.
    engine._watchdog._stall = 3.0 if kind == "spin" else 1e9
    if limit:
        monkeypatch.setattr(f"picasso.jobs.watchdog.{limit}", 1.5)
        # A loaded machine gives a thread that waits no less of its processor.
        monkeypatch.setattr("picasso.jobs.watchdog.IDLE_SHARE", 0.5)
    before, run = pid(engine), run_of(tmp_path, "Faulty", Kind=kind)
    with pytest.raises(WorkerDied, match=words):
        engine.submit(run.folder, 0).result(timeout=60)
    until(lambda: pid(engine) != before)
    monkeypatch.undo()
    goes_on(engine, tmp_path)


@pytest.mark.slow
def test_one_that_is_stopped_is_replaced_though_nobody_wants_anything(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = pid(engine)
    monkeypatch.setattr("picasso.jobs.engine.QUIET_SECONDS", 0.0)
    monkeypatch.setattr("picasso.jobs.watchdog.SILENT_SECONDS", 4.0)
    os.kill(before, signal.SIGSTOP)
    until(lambda: engine.health() != "ready")
    until(lambda: pid(engine) != before)
    monkeypatch.undo()
    goes_on(engine, tmp_path)


@pytest.mark.slow
def test_one_that_is_stopped_while_it_loads_its_model_is_replaced(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("picasso.jobs.watchdog.STARTING_SILENT_SECONDS", 4.0)
    first = pid(engine)
    os.kill(first, signal.SIGKILL)
    until(lambda: pid(engine) != first)
    second = pid(engine)
    os.kill(second, signal.SIGSTOP)
    until(lambda: pid(engine) != second)
    monkeypatch.undo()
    goes_on(engine, tmp_path)


def no_memory(monkeypatch: pytest.MonkeyPatch, times: int) -> list[None]:
    """Have the system refuse so many new processes; return what counts them."""
    refused: list[None] = []
    start = multiprocessing.context.SpawnProcess.start

    def refuse(process: multiprocessing.context.SpawnProcess) -> None:
        if len(refused) < times:
            refused.append(None)
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        start(process)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", refuse)
    return refused


def test_without_memory_for_another_process_the_queue_waits_and_goes_on(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("picasso.jobs.engine.BACKOFF_SECONDS", 0.01)
    refused, before = no_memory(monkeypatch, 4), pid(engine)
    os.kill(before, signal.SIGKILL)
    until(lambda: len(refused) == 4)
    goes_on(engine, tmp_path)
    assert pid(engine) != before


def test_where_there_never_is_memory_who_waits_is_told(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("picasso.jobs.engine.BACKOFF_SECONDS", 0.01)
        patched.setattr("picasso.jobs.engine.START_SECONDS", 0.2)
        refused = no_memory(patched, 10**9)
        os.kill(pid(engine), signal.SIGKILL)
        until(lambda: len(refused) > 1)
        assert engine.health() == "restarting"
        with pytest.raises(NotReady, match="can't be started at the moment"):
            engine.ask({"kind": "estimate", "visualization": "ClassProbabilities", "settings": {}}).result(timeout=30)
        with pytest.raises(WorkerDied, match="can't be started: OSError: .*Cannot allocate memory"):
            engine.submit(run_of(tmp_path).folder, 0).result(timeout=30)
    engine._next_start = 0.0
    goes_on(engine, tmp_path)


def test_what_is_not_understood_ends_the_worker_and_not_the_queue(engine: LocalEngine, tmp_path: Path) -> None:
    before = pid(engine)
    run = run_of(tmp_path, "Slow", Steps=10_000)
    future = engine.submit(run.folder, 0)
    until(lambda: run.state()["fraction"] > 0)

    def garbled(body: bytes) -> None:
        raise ValueError("The data from the pipe is not a message.")

    engine._child._take = garbled  # type: ignore[method-assign]
    with pytest.raises(WorkerDied):
        future.result(timeout=30)
    until(lambda: pid(engine) != before)
    goes_on(engine, tmp_path)


def test_the_supervisor_outlives_its_own_errors(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> float:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("picasso.jobs.tasks.Task.computed", broken)
        with pytest.raises(OSError, match="Input/output"):
            engine.submit(run_of(tmp_path).folder, 0).result(timeout=30)
    with monkeypatch.context() as patched:
        patched.setattr(engine, "_look", broken)
        until(lambda: engine._thread.is_alive())
    goes_on(engine, tmp_path)


def test_a_run_that_is_cancelled_while_it_waits_leaves_the_queue_at_once(engine: LocalEngine, tmp_path: Path) -> None:
    runner = JobQueue(engine, Registry([PLUGINS]), CONFIGURED, capacity=2)
    images = make_run(tmp_path, count=3).spec().images
    first = runner.start(tmp_path, "Slow", {"Steps": 100_000}, images[:1])
    until(lambda: first.state()["fraction"] > 0)
    second = runner.start(tmp_path, "ClassProbabilities", {}, images)
    second.cancel()
    third = runner.start(tmp_path, "ClassProbabilities", {}, images)
    assert (runner.position(third), second.state()["state"]) == (1, "cancelled")
    first.cancel()
    until(lambda: third.state()["state"] == "finished")
    # The engine keeps its promise a moment later.
    until(lambda: not runner._jobs._active and not runner._jobs._promised)


def test_a_real_worker_loads_its_model_once(tmp_path: Path) -> None:
    model, loads = counting_model(tmp_path)
    configured = worker.reference(config.build({}, None, fake_settings(**model)))
    engine = LocalEngine(configured, tmp_path)
    try:
        images = make_run(tmp_path, count=1).spec().images
        for name in ("ClassProbabilities", "SaliencyMaps"):
            run = Run.create(tmp_path, Spec(name, {}, images, 2, configured, 0.0))
            engine.submit(run.folder, 0).result(timeout=60)
            assert run.state()["state"] == "finished"
        question = {"kind": "estimate", "visualization": "SaliencyMaps", "settings": {}}
        assert engine.ask(question).result(timeout=30)["seconds"] > 0
    finally:
        engine.close()
    assert loads.read_text() == "x"


def test_a_server_whose_loop_has_ended_or_stands_still_is_not_ready(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: engine.health() == "ready")
    with monkeypatch.context() as patched:
        patched.setattr(engine, "_thread", threading.Thread())
        assert engine.health() == "stopped"
    with monkeypatch.context() as patched:
        patched.setattr("picasso.jobs.engine.STILL_SECONDS", -1.0)
        assert engine.health() == "stopped"


def test_what_waits_when_the_server_ends_is_given_up(tmp_path: Path) -> None:
    engine = LocalEngine(CONFIGURED, tmp_path)
    runs = [run_of(tmp_path, "Slow", Steps=10_000), run_of(tmp_path), run_of(tmp_path)]
    futures = [engine.submit(run.folder, 0) for run in runs]
    until(lambda: runs[0].state()["fraction"] > 0)
    engine.close()
    assert all(future.done() for future in futures)
    assert engine.submit(runs[0].folder, 0).cancelled()
    assert engine.health() == "stopped"
    with pytest.raises(RunError):
        engine.ask({"kind": "estimate"}).result(timeout=10)
