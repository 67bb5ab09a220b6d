"""What every engine does the same: results, progress, cancelling, a worker that is killed, priorities, and closing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from picasso import config
from picasso.errors import WorkerCrashed, WorkerDied
from picasso.explanation.registry import Registry
from picasso.jobs import worker
from picasso.jobs.audit_documents import AuditRequest
from picasso.jobs.audit_job import Audit
from picasso.jobs.engine import Engine, LocalEngine
from picasso.jobs.engines import start_engine
from picasso.jobs.folder_crew import FolderCrew
from picasso.jobs.folder_worker import FolderWorker
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.prediction_job import Order, Predictions
from picasso.jobs.run import Run
from picasso.jobs.team import ProcessCrew, Team
from tests.cluster import Cluster
from tests.conftest import PLUGINS, fake_settings
from tests.jobs.test_engine import until
from tests.jobs.test_run import make_run
from tests.web.test_audits import noise_images

KINDS = ("local", "processes:3", "dask", "folder")


class Case:
    """An engine with the queue in front of it.

    Args:
        kind: one of KINDS.
        folder: for all files.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.cluster = kind, None
        if kind == "dask":
            self.cluster = Cluster(folder)
            for _ in range(2):
                self.cluster.add()
        self.workers: list[FolderWorker] = []
        engine = self.cluster.engine if self.cluster else f"folder:{folder}" if kind == "folder" else kind
        if kind == "folder":
            folder /= "server"
            folder.mkdir()
            self.workers = [FolderWorker(folder.parent) for _ in range(2)]
        self._threads = [threading.Thread(target=one.run) for one in self.workers]
        settings = config.build({}, None, fake_settings(PLUGIN_DIRS=[str(PLUGINS)], ENGINE=engine))
        self.configured = worker.reference(settings)
        try:
            self.engine: Engine = start_engine(settings, self.configured, folder)
            self.queue = JobQueue(self.engine, Registry([PLUGINS]), self.configured, capacity=20)
            for thread in self._threads:
                thread.start()
            until(self.is_complete)
        except BaseException:
            self._end_workers()
            raise

    def is_complete(self) -> bool:
        """Tell whether all workers compute."""
        if isinstance(self.engine, LocalEngine):
            return self.engine.has_model()
        team = cast(Team, self.engine)
        if team.model_status()["state"] != "ready":
            return False
        crew: Any = team._crew
        if isinstance(crew, ProcessCrew):
            return all(one.has_model() for one in crew._workers)
        if isinstance(crew, FolderCrew):
            engines = [one._loaded.engine for one in self.workers if one._loaded]
            return len(crew.workers()) == 2 and [one.has_model() for one in engines] == [True, True]
        return [seat.ready for seat in crew._seats.values()] == [True, True]

    def pids(self) -> list[int]:
        """Return the processes that compute batches."""
        if isinstance(self.engine, LocalEngine):
            return [self.engine._child.process.pid or 0]
        crew: Any = cast(Team, self.engine)._crew
        if isinstance(crew, ProcessCrew):
            return [one._child.process.pid or 0 for one in crew._workers]
        if isinstance(crew, FolderCrew):
            return [one._loaded.engine._child.process.pid or 0 for one in self.workers if one._loaded]
        return list(crew._client.run(os.getpid).values())

    def close(self) -> None:
        self.engine.close()
        self._end_workers()

    def _end_workers(self) -> None:
        if self.cluster:
            self.cluster.close()
        for one, thread in zip(self.workers, self._threads, strict=True):
            one.stop()
            if thread.ident:
                thread.join()


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = Case(request.param, tmp_path_factory.mktemp("engine"))
    yield case
    case.close()


@pytest.fixture
def folder(case: Case, tmp_path: Path) -> Path:
    """The folder of the runs of a session; all workers are there again after a test that killed some."""
    until(case.is_complete)
    folder = tmp_path / "session" / "runs"
    folder.mkdir(parents=True)
    return folder


def another(folder: Path, name: str, visualization: str = "PartialOcclusion", count: int = 3, **settings: Any) -> Run:
    """Return a run of another session."""
    parent = folder.parent.parent / name / "runs"
    parent.mkdir(parents=True)
    return make_run(parent, visualization, count, **settings)


def results(run: Run) -> list[Any]:
    """Return all results of a run but for the time they took."""
    found: list[Any] = []
    for document in run.results():
        with np.load(run.result_folder(document["position"]) / "arrays.npz") as arrays:
            found.append({name: (arrays[name].dtype, arrays[name].tobytes()) for name in arrays.files})
        found.append({name: value for name, value in document.items() if name not in ("seconds", "filename")})
    return found


def alone(expression: str) -> None:
    """Compute something in one process, without an engine."""
    program = f"from picasso.jobs import worker; {expression}"
    subprocess.run([sys.executable, "-c", program], check=True, stderr=subprocess.DEVNULL)


def gathered(folder: Path) -> Audit:
    """Return an audit with images of three classes."""
    audit = Audit.create(folder, [f"class {number}" for number in range(7)])
    for target in range(3):
        for body, name in noise_images(target):
            audit.add(target, body.getvalue(), name)
    return audit


def outcome(audit: Audit) -> list[Any]:
    """Return the trials and the verdict of an audit, to the last digit."""
    assert audit.state() == "finished", audit.error()
    trials = [(file.name, file.read_bytes()) for file in sorted(audit.trials.glob("pair-*.json"))]
    written = json.loads((audit.out / "audit.json").read_text(encoding="utf-8"))
    return [trials, audit.findings(), {name: value for name, value in written.items() if name != "created"}]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The outcome of the audit in this process."""
    audit = gathered(tmp_path_factory.mktemp("expected"))
    where = worker.reference(config.build({}, None, fake_settings(PLUGIN_DIRS=[str(PLUGINS)])))
    audit.start(AuditRequest(where, 0, 1, 1e9))
    alone(f"worker.run_audit({str(audit.folder)!r})")
    assert len(outcome(audit)[0]) == 3
    return outcome(audit)


def test_results_are_those_of_one_process(case: Case, folder: Path) -> None:
    run, other = make_run(folder, count=5), another(folder, "other", count=5)
    for future in [case.engine.submit(run.folder, shard) for shard in range(3)]:
        future.result(timeout=60)
    alone(f"[worker.run_shard({str(other.folder)!r}, shard) for shard in range(3)]")
    assert run.state()["state"] == other.state()["state"] == "finished"
    assert len(results(run)) == 10
    assert results(run) == results(other)


def test_the_findings_of_an_audit_are_those_of_one_process(case: Case, folder: Path, expected: list[Any]) -> None:
    audit = gathered(folder.parent / "audits")
    case.queue.start_audit(audit, pairs=0, seed=1, budget=1e9)
    until(lambda: not audit.at_work())
    assert outcome(audit) == expected
    progress = audit.progress()
    assert (progress.done, progress.total, progress.fraction) == (3, 3, 1.0)
    until(lambda: not case.queue._jobs._active)


def test_predictions_are_computed(case: Case, folder: Path) -> None:
    job = Predictions.create(folder.parent / "predictions")
    images = make_run(folder, count=5).spec().images
    case.queue.start_predictions(job, lambda: images)
    until(lambda: job.state() == "finished")
    assert job.order() == Order(case.configured, images, job.order().id)
    assert job.progress().done == 5


def test_concepts_are_searched_for(case: Case, folder: Path) -> None:
    images = make_run(folder, count=5).spec().images
    asked: dict[str, Any] = {"layer": "", "target": None, "count": 2, "audit": "", "model": "linear"}
    search = case.queue.start_search(folder.parent / "concepts", images, **asked)
    until(lambda: not search.at_work())
    assert search.state() == "finished", search.error()
    assert search.found()
    until(lambda: not case.queue._jobs._active)


def test_methods_are_ranked(case: Case, folder: Path) -> None:
    images = make_run(folder, count=2).spec().images
    ranking = case.queue.start_ranking(
        folder.parent / "rankings", images, ["PartialOcclusion", "SaliencyMaps"], "linear"
    )
    until(lambda: not ranking.at_work())
    assert ranking.state() == "finished", ranking.error()
    assert [one.measured for one in ranking.standings()] == [2, 2]
    until(lambda: not case.queue._jobs._active)


def test_a_run_shows_its_progress_and_stops_when_it_is_cancelled(case: Case, folder: Path) -> None:
    run = make_run(folder, "Slow", 1, Steps=2_000)
    future = case.engine.submit(run.folder, 0)
    until(lambda: 0 < run.state()["fraction"] < 1)
    first = run.state()["fraction"]
    until(lambda: run.state()["fraction"] > first)
    run.cancel()
    future.result(timeout=120)
    assert run.state()["state"] == "cancelled"


def test_one_that_does_not_stop_is_ended(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.jobs.tasks.GRACE_SECONDS", 0.5)
    run = make_run(folder, "Hangs", 1)
    future = case.engine.submit(run.folder, 0)
    until(lambda: run.state()["fraction"] > 0)
    run.cancel()
    with pytest.raises(WorkerDied, match="did not stop when it was cancelled, so its process was killed"):
        future.result(timeout=60)
    goes_on(case, folder)


def goes_on(case: Case, folder: Path) -> None:
    """Check that the engine computes another run."""
    run = another(folder, "next", count=1)
    case.engine.submit(run.folder, 0).result(timeout=120)
    assert run.state()["state"] == "finished"


def test_a_killed_worker_costs_one_task(case: Case, folder: Path) -> None:
    run = make_run(folder, "Slow", 1, Steps=1_000)
    future = case.engine.submit(run.folder, 0)
    until(lambda: run.state()["fraction"] > 0)
    victims = case.pids()
    # One at a time: the other workers compute what follows.
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
        if not waits(future):
            break
    with pytest.raises(WorkerCrashed, match=r"ended unexpectedly"):
        future.result(timeout=60)
    goes_on(case, folder)


def waits(future: Future[None]) -> bool:
    """Tell whether a task is still being computed, some seconds after a worker was killed."""
    deadline = time.monotonic() + 3
    while not future.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not future.done()


def test_a_shard_is_computed_again_unless_that_would_hold_up_all(case: Case, folder: Path) -> None:
    images = make_run(folder, count=1).spec().images
    run = case.queue.start(folder, "Trouble", {"Kind": "die"}, images)
    other = case.queue.start(folder, "ClassProbabilities", {}, images)
    until(lambda: run.state()["state"] == "failed")
    assert "ended unexpectedly" in cast(dict[str, str], run.error())["message"]
    until(lambda: other.state()["state"] == "finished")
    until(lambda: not case.queue._jobs._active)


def test_an_audit_survives_its_workers(case: Case, folder: Path, expected: list[Any]) -> None:
    audit = gathered(folder.parent / "audits")
    case.queue.start_audit(audit, pairs=0, seed=1, budget=1e9)
    until(lambda: audit.trials.exists() and any(audit.trials.iterdir()))
    os.kill(case.pids()[0], signal.SIGKILL)
    until(lambda: not audit.at_work())
    assert outcome(audit) == expected


def test_what_a_user_waits_for_comes_before_a_batch(case: Case, folder: Path) -> None:
    # Both end only when they are cancelled.
    batch, waits = (another(folder, name, "Slow", 8, Steps=100_000) for name in ("batch", "waits"))
    held = [case.engine.submit(batch.folder, shard) for shard in range(2)]
    until(lambda: all(one.running() for one in (held[:1] if case.kind == "local" else held)))
    later = [case.engine.submit(waits.folder, shard) for shard in range(2)]
    run = case.queue.start(folder, "ClassProbabilities", {}, make_run(folder, count=1).spec().images, workspace=True)
    if case.kind == "local":
        # One process ends its task first, and continues with the run instead of what waits.
        batch.cancel()
    until(lambda: run.state()["state"] == "finished")
    assert not any(one.done() for one in later)
    assert case.kind == "local" or not any(one.done() for one in held)
    batch.cancel()
    waits.cancel()
    until(lambda: not case.queue._jobs._active and all(one.done() for one in held + later))


def test_questions_are_answered_during_a_batch(case: Case, folder: Path) -> None:
    run = make_run(folder, "Slow", 1, Steps=2_000)
    future = case.engine.submit(run.folder, 0)
    until(lambda: run.state()["fraction"] > 0)
    question = {"kind": "audit", "counts": {"0": 10, "1": 10}, "pairs": 1}
    assert "model evaluations" in case.engine.ask(question).result(timeout=120)["sentence"]
    assert run.state()["state"] == "running"
    run.cancel()
    future.result(timeout=120)


@pytest.mark.parametrize("kind", KINDS)
def test_closing_ends_what_waits_and_what_runs(kind: str, tmp_path: Path) -> None:
    case = Case(kind, tmp_path)
    try:
        parent = tmp_path / "session" / "runs"
        parent.mkdir(parents=True)
        run = make_run(parent, "Slow", 12, Steps=100_000)
        futures = [case.engine.submit(run.folder, shard) for shard in range(6)]
        until(lambda: run.state()["fraction"] > 0)
        case.engine.close()
        until(lambda: all(future.done() for future in futures))
        assert case.engine.submit(run.folder, 0).cancelled()
        if case.kind != "local":
            with pytest.raises(WorkerDied):
                futures[0].result()
    finally:
        case.close()
