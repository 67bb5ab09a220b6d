"""Commands whose tasks are computed by workers: the same results, what is tried again, and what ends them."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from picasso.cli.command import main
from picasso.errors import PicassoError, RunError, WorkerCrashed
from picasso.jobs import batch
from picasso.jobs.audit_job import Audit
from picasso.jobs.batch import MAX_CRASHES, Batch, copy_newer
from picasso.jobs.folder_worker import FolderWorker
from picasso.jobs.run import Run
from picasso.jobs.tasks import Task, TaskQueue
from tests.conftest import PLUGINS
from tests.jobs.test_run import make_run
from tests.web.test_audits import noise_images


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.py"
    model = f'MODEL_CLS_PATH = "{Path(__file__).parents[1] / "fakes.py"}"\nMODEL_CLS_NAME = "LinearModel"\n'
    file.write_text(f'{model}PLUGIN_DIRS = ["{PLUGINS}"]\n')
    return file


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for target, name in enumerate(("ant", "bee", "dog")):
        (folder / name).mkdir(parents=True)
        for body, called in noise_images(target):
            (folder / name / called).write_bytes(body.getvalue())
    return folder


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """A function that returns an engine of a kind with two workers."""
    started: list[tuple[FolderWorker, threading.Thread]] = []

    def engine(kind: str) -> str:
        if kind != "folder":
            return f"{kind}:2"
        (tmp_path / "shared").mkdir(exist_ok=True)
        for _ in range(2):
            one = FolderWorker(tmp_path / "shared")
            started.append((one, threading.Thread(target=one.run)))
            started[-1][1].start()
        return f"folder:{tmp_path / 'shared'}"

    yield engine
    for one, thread in started:
        one.stop()
        thread.join()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


KINDS = pytest.mark.parametrize("kind", ["processes", "folder"])


@KINDS
def test_an_audit_is_that_of_one_process(
    config: Path, images: Path, tmp_path: Path, engines: Callable[[str], str], kind: str
) -> None:
    asked = ("audit", images, "--config", config, "--pairs", 0, "--seed", 1)
    alone = run(*asked, "--out", tmp_path / "alone")
    assert alone.exit_code in (0, 1), alone.output
    together = run(*asked, "--out", tmp_path / "together", "--engine", engines(kind))
    assert together.exit_code == alone.exit_code, together.output
    assert together.stdout.replace("together", "alone") == alone.stdout
    assert contents(tmp_path / "together" / "trials") == contents(tmp_path / "alone" / "trials")
    assert len(contents(tmp_path / "alone" / "trials")) == 3
    documents = [json.loads((tmp_path / out / "audit.json").read_text()) for out in ("alone", "together")]
    assert [document.pop("created", None) is None for document in documents] == [True, True]
    assert documents[0] == documents[1]


def test_a_folder_in_which_nothing_can_be_made_is_refused(config: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        ended = run("audit", images, "--config", config, "--out", tmp_path / "out", "--engine", f"folder:{place}")
        assert ended.exit_code == 2
        assert f"No folder for temporary files can be made in {place}" in ended.output
        assert "Traceback" not in ended.output


def test_an_engine_needs_the_path_of_its_folder(config: Path, images: Path, tmp_path: Path) -> None:
    ended = run("audit", images, "--config", config, "--out", tmp_path / "out", "--engine", "folder:")
    assert ended.exit_code == 2
    assert "must be" in ended.output
    assert "'folder:'" in ended.output


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_an_interrupted_audit_continues_with_its_trials(
    config: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("audit", images, "--config", config, "--pairs", 0, "--out", tmp_path / "out")
    run(*asked)
    first = contents(tmp_path / "out" / "trials")
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "trials").iterdir()}
    run(*asked, "--engine", "processes:1")
    assert contents(tmp_path / "out" / "trials") == first
    assert {file: file.stat().st_mtime_ns for file in times} == times


def test_the_trials_of_an_interrupted_audit_are_kept(
    config: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "SAVE_SECONDS", 1e6)
    computed = Batch.computed

    def interrupted(self: Batch, job: Audit, tasks: list[Task]) -> Iterator[None]:
        for _ in computed(self, job, tasks):
            yield
            if list(job.trials.glob("*.json")):
                raise KeyboardInterrupt

    monkeypatch.setattr(Batch, "computed", interrupted)
    ended = run("audit", images, "--config", config, "--pairs", 0, "--out", tmp_path / "out", "--engine", "processes:1")
    assert ended.exit_code == 130
    assert contents(tmp_path / "out" / "trials")


@KINDS
def test_results_are_those_of_one_process(
    config: Path, images: Path, tmp_path: Path, engines: Callable[[str], str], kind: str
) -> None:
    asked = ("explain", images, "--config", config, "-v", "PartialOcclusion", "-v", "SaliencyMaps", "--class", "bee")
    alone, together = tmp_path / "alone", tmp_path / "together"
    printed = run(*asked, "--out", alone)
    assert printed.exit_code == 0, printed.output
    shared = run(*asked, "--out", together, "--engine", engines(kind))
    assert shared.exit_code == 0, shared.output
    assert shared.stdout.replace("together", "alone") == printed.stdout
    names = sorted(file.name for file in alone.iterdir())
    assert names == sorted(file.name for file in together.iterdir())
    assert len(names) > 8
    for name in names:
        with np.load(alone / name / "arrays.npz") as one, np.load(together / name / "arrays.npz") as two:
            assert {key: one[key].tobytes() for key in one.files} == {key: two[key].tobytes() for key in two.files}
        documents = [json.loads((out / name / "result.json").read_text()) for out in (alone, together)]
        assert all(document.pop("seconds") >= 0 for document in documents)
        # The process of the tests may have imported more packages, whose versions it then lists.
        listed, workers = (document["model"].pop("versions") for document in documents)
        assert workers.items() <= listed.items()
        assert documents[0] == documents[1]


def test_other_images_and_models_are_found(config: Path, images: Path, tmp_path: Path) -> None:
    file = next((images / "ant").iterdir())
    config.write_text(config.read_text() + 'COMPARE = {"again": {}}\n')
    asked = ("explain", file, "--config", config, "-v", "SaliencyMaps", "--compare", "again", "--out")
    alone, together = run(*asked, tmp_path / "alone"), run(*asked, tmp_path / "together", "--engine", "processes:1")
    assert (alone.exit_code, together.exit_code) == (0, 0), together.output
    stored = [next((tmp_path / out).glob("*/result.json")).read_text() for out in ("alone", "together")]
    assert [json.loads(text)["compared"] for text in stored] == [{"again": json.loads(stored[0])["predictions"]}] * 2


def test_what_fails_is_said_as_by_one_process(
    config: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    asked = ("explain", images, "--config", config, "-v", "Trouble", "--set", "Kind=raise", "--out")
    alone, together = run(*asked, tmp_path / "alone"), run(*asked, tmp_path / "together", "--engine", "processes:1")
    assert alone.exit_code != 0
    assert together.exit_code == 2
    assert "picasso:" in together.stderr
    assert not list(temporary.glob("**/explain"))


def test_an_engine_is_checked(config: Path, images: Path) -> None:
    refused = run("audit", images, "--config", config, "--engine", "cluster")
    assert refused.exit_code == 2
    assert 'must be "local", "processes:N" with N from 1 to 99' in refused.stderr


class Scripted:
    """A crew that answers each task as it is told.

    Args:
        tasks: the queue.
        answer: returns the error of a task, or None.
    """

    def __init__(self, tasks: TaskQueue, answer: Callable[[Task], Exception | None]) -> None:
        self.tasks, self.answer, self.state, self.served = tasks, answer, "ready", 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._closing.is_set():
            if self.state == "ready" and (taken := self.tasks.take(0.01)):
                self.served += 1
                settle(taken[0], self.answer(taken[1]))

    def health(self) -> str:
        return self.state

    def close(self) -> None:
        self._closing.set()
        self._thread.join()


def settle(future: Future[None], error: Exception | None) -> None:
    if error:
        future.set_exception(error)
    else:
        future.set_result(None)


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[..., tuple[Batch, Run, list[Task], Scripted]]]:
    crews: list[Scripted] = []

    def make(answer: Callable[[Task], Exception | None]) -> tuple[Batch, Run, list[Task], Scripted]:
        (tmp_path / "session" / "runs").mkdir(parents=True)
        job = make_run(tmp_path / "session" / "runs", count=1)
        tasks = TaskQueue()
        crews.append(Scripted(tasks, answer))
        todo = [Task(job.folder, shard=number) for number in range(100)]
        return Batch(crews[0], tasks, {}, tmp_path, " Start some."), job, todo, crews[0]

    yield make
    for crew in crews:
        crew.close()


def test_a_task_whose_worker_crashes_is_computed_again_once(scripted: Any) -> None:
    seen: list[int] = []

    def answer(task: Task) -> Exception | None:
        seen.append(task.shard)
        return WorkerCrashed("It crashed.") if task.shard % 40 == 0 and seen.count(task.shard) == 1 else None

    batch, job, todo, _ = scripted(answer)
    list(batch.computed(job, todo))
    assert sorted(seen) == sorted([*range(100), 0, 40, 80])
    assert not job.is_stopped()


def test_a_task_that_crashes_twice_ends_the_job(scripted: Any) -> None:
    batch, job, todo, _ = scripted(lambda task: WorkerCrashed("It crashed.") if task.shard == 5 else None)
    with pytest.raises(WorkerCrashed, match="It crashed"):
        list(batch.computed(job, todo))
    assert job.is_stopped()


def test_too_many_crashes_end_the_job(scripted: Any) -> None:
    seen: set[int] = set()

    def answer(task: Task) -> Exception | None:
        first = task.shard not in seen
        seen.add(task.shard)
        return WorkerCrashed("It crashed.") if first else None

    batch, job, todo, _ = scripted(answer)
    with pytest.raises(WorkerCrashed):
        list(batch.computed(job, todo))
    assert len(seen) > MAX_CRASHES


def test_the_error_of_a_job_ends_it(scripted: Any) -> None:
    def answer(task: Task) -> Exception | None:
        if task.shard == 3:
            Run(task.folder).fail(RunError("The map failed."))
        return None

    batch, job, todo, _ = scripted(answer)
    with pytest.raises(PicassoError, match=r"The map failed\."):
        list(batch.computed(job, todo))


def test_the_user_is_told_that_there_are_no_workers(
    scripted: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batch, "LONELY_SECONDS", 0.1)
    made, job, todo, crew = scripted(lambda task: None)
    crew.state = "no workers"
    steps = made.computed(job, todo)
    with caplog.at_level(logging.WARNING):
        until = time.monotonic() + 20
        while "The tasks wait for workers (no workers). Start some." not in caplog.text:
            assert time.monotonic() < until
            next(steps)
    crew.state = "ready"
    list(steps)
    assert crew.served == 100


def test_only_what_is_new_is_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    copy_newer(source, target)
    assert not target.exists()
    source.mkdir()
    for name in ("one", "two", ".draft"):
        (source / name).write_text(name)
    copy_newer(source, target)
    assert sorted(file.name for file in target.iterdir()) == ["one", "two"]
    inodes = {file.name: file.stat().st_ino for file in target.iterdir()}
    (source / "two").write_text("changed")
    copy_newer(source, target)
    assert (target / "two").read_text() == "changed"
    assert (target / "one").stat().st_ino == inodes["one"]
