"""Workers of a folder: who is refused, what follows when somebody ends, and several servers."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from picasso.errors import BadRequest, NotFound, WorkerCrashed, WorkerDied
from picasso.jobs import agreement, folder_crew, folder_worker, task_folder, worker
from picasso.jobs.agreement import Shared
from picasso.jobs.folder_crew import FolderCrew
from picasso.jobs.folder_worker import FolderWorker
from picasso.jobs.run import Run
from picasso.jobs.tasks import Task, TaskQueue
from tests.conftest import PLUGINS, fake_settings
from tests.jobs.test_engine import until
from tests.jobs.test_run import make_run

ROOT = Path(__file__).parents[2]


class Server:
    """The server's side of a shared folder, with its own model in this process.

    Args:
        folder: the shared folder.
        name: the name of its own folder.
        overrides: its settings.
    """

    def __init__(self, folder: Path, name: str = "server", **overrides: Any) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        settings = fake_settings(PLUGIN_DIRS=[str(PLUGINS)], **overrides)
        self.where: dict[str, Any] = {"file": None, "overrides": settings}
        self.status: Mapping[str, Any] = worker.initialize(self.where)
        self.tasks = TaskQueue()
        self.crew: FolderCrew | None = None

    def start(self, limit: float = math.inf, stall: float = math.inf) -> FolderCrew:
        """Offer tasks."""
        self.crew = FolderCrew(Shared(self.where, self.folder, self.tasks, lambda: self.status, limit, stall))
        return self.crew

    def run(self, name: str, visualization: str = "ClassProbabilities", **settings: Any) -> Run:
        """Return a run of one image."""
        folder = self.folder / name / "runs"
        folder.mkdir(parents=True)
        return make_run(folder, visualization, 1, **settings)

    def close(self) -> None:
        self.tasks.close()
        if self.crew:
            self.crew.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], FolderWorker]]:
    """A function that starts a worker in a thread."""
    started: list[tuple[FolderWorker, threading.Thread]] = []

    def one() -> FolderWorker:
        made = FolderWorker(tmp_path)
        started.append((made, threading.Thread(target=made.run)))
        started[-1][1].start()
        return made

    yield one
    for made, thread in started:
        made.stop()
        thread.join()


def command(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a worker as a user does."""
    paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    arguments = [sys.executable, "-m", "picasso", "work", str(folder), *options]
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


def other_version(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    server.start()
    monkeypatch.setattr(agreement, "__version__", "9.9")
    return "it has picasso 9.9, and the server has"


def no_settings(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    server.where["file"] = str(server.folder / "config.py")
    Path(server.where["file"]).write_text("MODEL_CLS_NAME = 'LinearModel'\n")
    server.start()
    Path(server.where["file"]).unlink()
    return "it can't read the settings file"


def other_model(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    server.status = {**server.status, "card": {**server.status["card"], "fingerprint": "12ab"}}
    server.start()
    return "the SHA-256 of its model is"


def no_model(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    server.where = {"file": None, "overrides": fake_settings(MODEL_CLS_NAME="NoSuchModel")}
    server.start()
    return "it can't load the model"


@pytest.mark.parametrize("prepare", [other_version, no_settings, other_model, no_model])
def test_a_worker_that_differs_is_refused_on_both_sides(
    server: Server,
    start: Callable[[], FolderWorker],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    prepare: Callable[[Server, pytest.MonkeyPatch], str],
) -> None:
    expected = prepare(server, monkeypatch)
    crew, made = server.crew, start()
    assert crew
    until(lambda: made.name in crew.refusals())
    assert crew.refusals()[made.name].startswith(expected)
    assert crew.health() == "no workers"
    assert f"This worker was refused by server, because {expected}" in caplog.text
    until(lambda: f"The worker {made.name} was refused, because {expected}" in caplog.text)


def test_a_refused_worker_is_asked_again(
    server: Server, start: Callable[[], FolderWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_worker, "REFUSED_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(agreement, "__version__", "9.9")
        crew = server.start()
    made = start()
    until(lambda: made.name in crew.refusals())
    crew.place.write_offer(task_folder.Offer(server.where, agreement.facts(server.where), dict(server.status["card"])))
    until(lambda: crew.health() == "ready", 30)


@pytest.mark.parametrize("everybody", [False, True])
def test_a_worker_ends_when_it_is_told_to_and_gives_its_task_back(
    server: Server, tmp_path: Path, everybody: bool
) -> None:
    crew, run = server.start(), server.run("first", "Slow", Steps=100_000)
    first = command(tmp_path)
    future = server.tasks.add(Task(run.folder))
    until(lambda: run.state()["fraction"] > 0)
    if everybody:
        # As scancel does: also the process of the model gets it.
        os.killpg(first.pid, signal.SIGTERM)
    else:
        first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=20) == 0
    assert not future.done()
    until(lambda: crew.health() == "no workers")
    assert len(crew.place.open()) == 1
    run.cancel()
    future.result(timeout=10)


def test_the_task_of_a_killed_worker_crashes(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_folder, "LIFE_SECONDS", 3.0)
    monkeypatch.setattr(task_folder.Life.__init__, "__defaults__", (3.0,))
    crew, run = server.start(), server.run("first", "Slow", Steps=100_000)
    killed = command(tmp_path)
    future = server.tasks.add(Task(run.folder))
    until(lambda: run.state()["fraction"] > 0)
    killed.kill()
    with pytest.raises(WorkerCrashed, match="no sign of life"):
        future.result(timeout=20)
    killed.wait()
    until(lambda: crew.health() == "no workers")
    assert not crew.place.leases()


def test_tasks_wait_for_a_worker(server: Server, start: Callable[[], FolderWorker]) -> None:
    crew = server.start()
    runs = [server.run(name) for name in ("first", "second", "third")]
    futures = [server.tasks.add(Task(run.folder)) for run in runs]
    until(lambda: len(crew.place.open()) == 1)
    # What no worker has taken yet still takes turns with the tasks of other sessions.
    time.sleep(3 * folder_crew.LOOK_SECONDS)
    assert len(crew.place.open()) == 1
    start()
    for future in futures:
        future.result(timeout=60)
    assert [run.state()["state"] for run in runs] == ["finished"] * 3


def test_a_run_that_is_cancelled_before_its_turn_leaves(server: Server) -> None:
    crew, run = server.start(), server.run("first")
    future = server.tasks.add(Task(run.folder))
    until(lambda: len(crew.place.open()) == 1)
    run.cancel()
    future.result(timeout=10)
    assert not crew.place.open()


def test_a_worker_stops_when_its_server_is_gone(server: Server, start: Callable[[], FolderWorker]) -> None:
    server.start()
    made, run = start(), server.run("first", "Slow", Steps=100_000)
    future = server.tasks.add(Task(run.folder))
    until(lambda: run.state()["fraction"] > 0)
    assert made._loaded
    process = made._loaded.engine._child.process
    server.close()
    with pytest.raises(WorkerDied, match="shutting down"):
        future.result(timeout=10)
    until(lambda: not process.is_alive())
    assert made._loaded is None


def test_what_a_killed_server_left_behind_is_not_computed(
    server: Server, start: Callable[[], FolderWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    crew, run = server.start(), server.run("first")
    server.tasks.add(Task(run.folder))
    until(lambda: len(crew.place.open()) == 1)
    # It touches nothing any more.
    crew._closing.set()
    crew._thread.join()
    made = start()
    until(lambda: crew.place.folder in made._servers)
    time.sleep(3.0)
    assert made._loaded is None
    assert len(crew.place.open()) == 1


def test_a_worker_computes_for_several_servers(
    server: Server, tmp_path: Path, start: Callable[[], FolderWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_worker, "SWITCH_SECONDS", 0.5)
    other = Server(tmp_path, "other")
    try:
        server.start()
        other.start()
        start()
        for one in (server, other, server):
            run = one.run(f"run-{time.monotonic_ns()}")
            one.tasks.add(Task(run.folder)).result(timeout=60)
            assert run.state()["state"] == "finished"
    finally:
        other.close()


def test_tasks_of_others_are_ignored(
    server: Server, start: Callable[[], FolderWorker], caplog: pytest.LogCaptureFixture
) -> None:
    server.folder.chmod(0o777)
    crew, made = server.start(), start()
    until(lambda: "others own it or may write there" in caplog.text)
    assert not made._servers
    assert crew.health() == "no workers"
    server.folder.chmod(0o755)
    until(lambda: crew.health() == "ready", 60)


def test_folders_of_another_user_are_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_worker.is_trusted(tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert not folder_worker.is_trusted(tmp_path)
    assert not folder_worker.is_trusted(tmp_path / "none")


def test_links_are_not_trusted(server: Server, tmp_path: Path) -> None:
    # Who owns the link could let it lead to a folder of his own later.
    (tmp_path / "link").symlink_to(server.folder)
    assert folder_worker.is_trusted(server.folder)
    assert not folder_worker.is_trusted(tmp_path / "link")
    server.start()
    made = FolderWorker(tmp_path)
    made._look()
    assert list(made._servers) == [server.folder / "tasks"]


def test_a_folder_in_which_everybody_may_rename_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(BadRequest, match="Everybody may rename what is in"):
        FolderWorker(tmp_path)
    tmp_path.chmod(0o1777)
    FolderWorker(tmp_path)


def test_the_time_without_a_task_begins_when_a_server_is_gone(
    server: Server, start: Callable[[], FolderWorker]
) -> None:
    server.start()
    made, run = start(), server.run("first", "Slow", Steps=100_000)
    server.tasks.add(Task(run.folder))
    until(lambda: run.state()["fraction"] > 0)
    made._busy = -math.inf
    server.close()
    until(lambda: made._busy > 0)


def test_other_files_among_the_tasks_are_ignored(server: Server, start: Callable[[], FolderWorker]) -> None:
    place, run = server.start().place, server.run("first")
    for folder in ("open", "taken", "done", "workers"):
        for name, text in (("!", ""), ("!!", "[" * 100_000), ("!!!", '{"a": 1}')):
            (place.folder / folder / name).write_text(text)
        (place.folder / folder / "!folder").mkdir()
    start()
    server.tasks.add(Task(run.folder)).result(timeout=60)
    assert run.state()["state"] == "finished"


def test_a_worker_without_tasks_ends(tmp_path: Path) -> None:
    began = time.monotonic()
    FolderWorker(tmp_path, idle=0.5).run()
    assert 0.5 <= time.monotonic() - began < 5


def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no folder"):
        FolderWorker(tmp_path / "none")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotFound, match="file is a file, not a folder. Make one, or correct the path."):
        FolderWorker(file)


def test_a_limit_ends_a_task(server: Server, start: Callable[[], FolderWorker]) -> None:
    server.start(limit=1.0)
    start()
    run = server.run("first", "Slow", Steps=100_000)
    with pytest.raises(WorkerDied, match="exceeded the time limit"):
        server.tasks.add(Task(run.folder)).result(timeout=60)


def has_namespaces() -> bool:
    """Tell whether this user may have a network of his own, without connections."""
    tool = shutil.which("unshare")
    return tool is not None and subprocess.run([tool, "-n", "true"], check=False).returncode == 0


@pytest.mark.skipif(not has_namespaces(), reason="needs a network namespace")
def test_workers_need_no_network(server: Server, tmp_path: Path) -> None:
    server.start()
    arguments = ["unshare", "-n", sys.executable, "-m", "picasso", "work", str(tmp_path)]
    made = [subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": str(ROOT)}) for _ in range(2)]
    try:
        runs = [server.run(f"run-{number}") for number in range(4)]
        for future in [server.tasks.add(Task(run.folder)) for run in runs]:
            future.result(timeout=90)
        assert [run.state()["state"] for run in runs] == ["finished"] * 4
    finally:
        for one in made:
            one.terminate()
        assert [one.wait(timeout=20) for one in made] == [0, 0]


def test_the_log_says_what_is_computed(
    server: Server, start: Callable[[], FolderWorker], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.start()
    start()
    run = server.run("first")
    server.tasks.add(Task(run.folder)).result(timeout=60)
    assert f"run {run.id}, part 0" in caplog.text
