"""The worker process as the server sees it: questions in the midst of long work, and its death."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from picasso.errors import BadRequest, NotReady, RunError, WorkerDied
from picasso.explanation.registry import Registry
from picasso.jobs import worker_loop
from picasso.jobs.engine import LocalEngine
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.messages import Request, pack
from picasso.jobs.run import Run
from tests.jobs.test_engine import CONFIGURED, until
from tests.jobs.test_run import make_run

PATCH = {"box": [5 / 9, 2 / 6, 8 / 9, 4 / 6]}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(CONFIGURED, tmp_path_factory.mktemp("engine"))
    until(lambda: engine.model_status()["state"] == "ready")
    yield engine
    engine.close()


def what_if(run: Run, **more: Any) -> dict[str, Any]:
    paths = [image["path"] for image in run.spec().images]
    question = {"kind": "what if", "paths": paths, "shapes": [PATCH], "fill": "grey", "other": None, "show": False}
    return {**question, **more}


def begin(engine: LocalEngine, folder: Path) -> Run:
    """Start a run that takes a hundred seconds and wait until it computes."""
    run = make_run(folder, "Slow", Steps=10_000)
    engine.submit(run.folder, 0)
    until(lambda: run.state()["fraction"] > 0)
    return run


def test_questions_are_answered_while_a_long_run_computes(engine: LocalEngine, tmp_path: Path) -> None:
    run = begin(engine, tmp_path)
    first = engine.ask(what_if(run)).result(timeout=60)
    assert len(first["answers"]) == 3
    futures = [engine.ask(what_if(run)) for _ in range(20)]
    assert [future.result(timeout=60) for future in futures] == [first] * 20
    before = run.state()
    assert before["state"] == "running"
    until(lambda: run.state()["fraction"] > before["fraction"])
    run.cancel()
    # Idle again, it answers all the same.
    assert engine.ask(what_if(run)).result(timeout=60) == first


def test_answers_and_questions_larger_than_the_pipe_pass_each_other(engine: LocalEngine, tmp_path: Path) -> None:
    run = begin(engine, tmp_path)
    large = what_if(run, fill="noise", show=True, padding="x" * 1_000_000)
    large["paths"] *= 30
    futures: list[Future[Any]] = []

    def ask_much() -> None:
        futures.extend(engine.ask(large) for _ in range(5))

    threads = [threading.Thread(target=ask_much, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert len({str(future.result(timeout=30)) for future in futures}) == 1
    run.cancel()


def test_errors_come_back_with_their_sentence_and_field(engine: LocalEngine, tmp_path: Path) -> None:
    run = make_run(tmp_path, count=1)
    with pytest.raises(BadRequest, match="fill must be one of") as caught:
        engine.ask(what_if(run, fill="pink")).result(timeout=60)
    assert caught.value.field == "fill"
    with pytest.raises(RunError, match="The request failed: KeyError"):
        engine.ask({"kind": "what if"}).result(timeout=60)
    assert engine.ask(what_if(run)).result(timeout=60)["answers"], "the worker lives on"


def test_what_was_asked_cannot_be_cancelled(engine: LocalEngine, tmp_path: Path) -> None:
    future = engine.ask(what_if(make_run(tmp_path, count=1)))
    assert not future.cancel()
    assert future.result(timeout=60)


def test_the_runner_asks_for_pages(engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = JobQueue(engine, Registry(), CONFIGURED, 3, ["a", "b"])
    assert runner.models() == ("a", "b")
    run = make_run(tmp_path, count=1)
    assert runner.ask(what_if(run))["answers"][0]["before"]
    estimate = {"kind": "estimate", "visualization": "PartialOcclusion", "settings": {"Strides": 5}}
    until(lambda: runner.ask(estimate)["seconds"] is not None)
    assert 0 < runner.ask(estimate)["seconds"] < 10
    monkeypatch.setattr("picasso.jobs.job_queue.ANSWER_TIMEOUT", 0.1)
    os.kill(engine._child.process.pid or 0, signal.SIGSTOP)
    with pytest.raises(NotReady, match="timed out after 0.1 seconds"):
        runner.ask(what_if(run))
    os.kill(engine._child.process.pid or 0, signal.SIGCONT)
    for status, message in [({"state": "loading"}, "still loading"), ({"state": "failed", "error": "Bad."}, "^Bad.$")]:
        monkeypatch.setattr(engine, "model_status", lambda status=status: status)
        with pytest.raises(NotReady, match=message):
            runner.ask(what_if(run))


def test_questions_of_a_killed_worker_fail_and_the_next_is_answered(engine: LocalEngine, tmp_path: Path) -> None:
    run = begin(engine, tmp_path)
    pid = engine._child.process.pid
    assert pid is not None
    # Stopped, it leaves the questions in the pipe.
    os.kill(pid, signal.SIGSTOP)
    pending = [engine.ask(what_if(run)) for _ in range(3)]
    os.kill(pid, signal.SIGKILL)
    for future in pending:
        with pytest.raises(WorkerDied, match="it was killed"):
            future.result(timeout=60)
    answer = engine.ask(what_if(run)).result(timeout=60)
    assert len(answer["answers"]) == 3
    assert engine._child.process.pid != pid


def test_a_worker_that_nobody_listens_to_ends_at_once_and_blames_no_run(tmp_path: Path) -> None:
    """As when the server was killed: no visualization may take it for an error of its own."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    (tmp_path / "worker").mkdir()
    arguments = (theirs, CONFIGURED, str(tmp_path / "worker"))
    process = context.Process(target=worker_loop.main, args=arguments, daemon=True)
    process.start()
    theirs.close()
    run = make_run(tmp_path, "Slow", Steps=10_000)
    ours.send_bytes(pack(Request(0, "run", str(run.folder), 0)))
    until(lambda: run.state()["fraction"] > 0)
    ours.close()
    process.join(timeout=20)
    assert process.exitcode == 0
    assert run.state()["error"] is None
