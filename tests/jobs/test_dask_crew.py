"""A Dask cluster: which workers are refused, what ends a task by force, and what follows when the scheduler ends."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dask
import pytest
import trustme

from picasso import config
from picasso.errors import ConfigurationError, WorkerDied
from picasso.jobs import agreement, dask_crew, dask_worker, worker
from picasso.jobs.agreement import Shared
from picasso.jobs.dask_crew import DaskCrew
from picasso.jobs.engines import start_engine
from picasso.jobs.run import Run
from picasso.jobs.tasks import Task, TaskQueue
from tests.cli.test_command import free_port
from tests.cluster import Cluster
from tests.conftest import PLUGINS, fake_settings
from tests.jobs.test_engine import until
from tests.jobs.test_run import make_run


class Server:
    """The server's side of a cluster, with its own model in this process.

    Args:
        cluster: the cluster.
        folder: an empty folder.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._folder = cluster, folder
        self.where: dict[str, Any] = {"file": None, "overrides": fake_settings(PLUGIN_DIRS=[str(PLUGINS)])}
        self.status: Mapping[str, Any] = worker.initialize(self.where)
        self.tasks = TaskQueue()
        self.crew: DaskCrew | None = None

    def start(self, shared: Path | None = None, limit: float = math.inf, stall: float = math.inf) -> DaskCrew:
        """Connect to the scheduler."""
        folder = shared or self._folder / "dask"
        folder.mkdir()
        shared_with = Shared(self.where, folder, self.tasks, lambda: self.status, limit, stall)
        self.crew = DaskCrew(self._cluster.engine, shared_with)
        return self.crew

    def run(self, name: str, visualization: str = "ClassProbabilities", **settings: Any) -> Run:
        """Return a run of one image."""
        folder = self._folder / name / "runs"
        folder.mkdir(parents=True)
        return make_run(folder, visualization, 1, **settings)

    def close(self) -> None:
        self.tasks.close()
        if self.crew:
            self.crew.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one worker without a nanny, which keeps the model from one test to the next."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.add("--nthreads", "1", "--no-nanny")
    yield cluster
    cluster.close()


@pytest.fixture
def server(cluster: Cluster, tmp_path: Path) -> Iterator[Server]:
    server = Server(cluster, tmp_path)
    yield server
    server.close()


def other_version(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(agreement, "__version__", "9.9")
    return "it has picasso .*, and the server has 9.9"


def other_settings(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    server.where["file"] = str(PLUGINS / "means.py")
    monkeypatch.setattr(agreement, "digest", lambda file: "0")
    return "the settings file .*means.py differs from that of the server"


def no_settings(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    server.where["file"] = str(PLUGINS / "none.py")
    monkeypatch.setattr(agreement, "digest", lambda file: "0")
    return "it can't read the settings file .*none.py"


def other_model(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    server.status = {**server.status, "card": {**server.status["card"], "fingerprint": "12ab"}}
    return "the SHA-256 of its model is .*, and that of the server's 12ab"


def no_model(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    server.where = {"file": None, "overrides": fake_settings(MODEL_CLS_NAME="NoSuchModel")}
    return "it can't load the model: .*NoSuchModel"


def no_picasso(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    # What it is asked raises there, as the import of Picasso does where it is not installed.
    server.where = {}
    return r"it can't run Picasso: KeyError: file\.$"


REFUSED = [other_version, other_settings, no_settings, other_model, no_model, no_picasso]


@pytest.mark.parametrize("prepare", REFUSED)
def test_a_worker_that_differs_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Server, pytest.MonkeyPatch], str]
) -> None:
    expected = prepare(server, monkeypatch)
    refused(server.start(), expected)


def refused(crew: DaskCrew, expected: str) -> None:
    """Check why the only worker was refused."""
    until(lambda: any(seat.refusal for seat in crew._seats.values()))
    (seat,) = crew._seats.values()
    assert re.match(rf"The worker tcp://\S+ was refused, because {expected}", seat.refusal), seat.refusal
    assert crew.health() == "no workers"


def test_the_folder_has_to_be_shared(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # This path leads each process to another folder.
    refused(server.start(Path("/proc/self/cwd/shared")), "it does not share the folder /proc/self/cwd/shared; set WORK")
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_worker_computes_one_task_at_a_time(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        cluster.add("--nthreads", "2", "--no-nanny")
        server = Server(cluster, tmp_path)
        refused(server.start(), "it computes 2 tasks at the same time; start it with --nthreads 1")
        server.close()
    finally:
        cluster.close()


def test_a_task_without_a_worker_fails(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_crew, "START_SECONDS", 0.5)
    no_model(server, monkeypatch)
    server.start()
    future = server.tasks.add(Task(server.run("waits").folder))
    with pytest.raises(WorkerDied, match="There is no worker at the moment; the log of the server says why"):
        future.result(timeout=30)


@pytest.mark.parametrize(
    ("limit", "stall", "why"),
    [(15.0, math.inf, r"The run exceeded the time limit of 0\.25"), (math.inf, 15.0, r"made no progress for 0\.25")],
)
def test_what_takes_too_long_is_ended_with_its_process(tmp_path: Path, limit: float, stall: float, why: str) -> None:
    cluster = Cluster(tmp_path)
    # With and without a nanny.
    cluster.add("--nthreads", "1", *(["--no-nanny"] if limit == 15 else []))
    server = Server(cluster, tmp_path)
    try:
        crew = server.start(limit=limit, stall=stall)
        until(lambda: crew.health() == "ready")
        future = server.tasks.add(Task(server.run("hangs", "Hangs").folder))
        with pytest.raises(WorkerDied, match=why):
            future.result(timeout=60)
        if limit == 15:
            assert cluster.workers[0].wait(timeout=30) != 0
            cluster.add()
        run = server.run("next")
        server.tasks.add(Task(run.folder)).result(timeout=90)
        assert run.state()["state"] == "finished"
    finally:
        server.close()
        cluster.close()


def test_a_task_without_an_examined_worker_fails_later(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_crew, "START_SECONDS", 0.5)
    monkeypatch.setattr(dask_crew, "LOAD_SECONDS", 6.0)
    # The examination does not end before the server has its model.
    server.status = {"state": "loading"}
    began = time.monotonic()
    crew = server.start()
    until(lambda: crew._seats)
    future = server.tasks.add(Task(server.run("waits").folder))
    with pytest.raises(WorkerDied, match="There is no worker at the moment"):
        future.result(timeout=60)
    assert time.monotonic() - began > 6
    assert not any(seat.ended() for seat in crew._seats.values())


def test_a_worker_that_fails_for_a_while_is_examined_again(server: Server) -> None:
    crew = server.start()
    folder = crew._shared.folder
    # As a file system that is not mounted yet.
    folder.rename(folder.with_name("elsewhere"))
    until(lambda: crew._failed and max(times for times, _ in crew._failed.values()) == 2)
    assert not any(seat.refusal for seat in crew._seats.values())
    folder.with_name("elsewhere").rename(folder)
    until(lambda: crew.health() == "ready")


def test_a_failed_connection_leaves_nothing(server: Server) -> None:
    def left() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    crew = server.start()
    until(lambda: crew.health() == "ready")
    address, crew._address = crew._address, f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(OSError, match="Timed out"):
        crew._connect(0.2)
    before = left()
    for _ in range(4):
        with pytest.raises(OSError, match="Timed out"):
            crew._connect(0.2)
    after = left()
    # A thread of each would be 4.
    assert after[0] - before[0] < 2
    assert after[1] - before[1] < 4
    crew._address = address
    server.close()
    assert not crew._loop._thread.is_alive()


def test_the_end_of_the_scheduler_is_a_sentence_and_its_return_noticed(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.add()
    server = Server(cluster, tmp_path)
    try:
        crew = server.start()
        until(lambda: crew.health() == "ready")
        run = server.run("slow", "Slow", Steps=100_000)
        future = server.tasks.add(Task(run.folder))
        until(lambda: run.state()["fraction"] > 0)
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        with pytest.raises(WorkerDied, match="The connection to the scheduler of the workers was lost"):
            future.result(timeout=30)
        assert crew.health() == "no scheduler"
        cluster.start_scheduler()
        cluster.add()
        run = server.run("next")
        server.tasks.add(Task(run.folder)).result(timeout=120)
        assert run.state()["state"] == "finished"
        assert crew.health() == "ready"
    finally:
        server.close()
        cluster.close()


def test_a_task_stops_when_its_server_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_worker, "BEAT_SECONDS", 0.0)
    run = make_run(tmp_path, "Slow", 1, Steps=100_000)
    dask_worker.compute("run", str(run.folder), 0, str(tmp_path / "gone"))
    assert run.state()["state"] == "running"


def test_a_scheduler_that_is_not_there_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_crew, "FIRST_SECONDS", 1.0)
    settings = config.build({}, None, fake_settings(ENGINE=f"dask://127.0.0.1:{free_port()}"))
    with pytest.raises(ConfigurationError, match=r"^The Dask scheduler tcp://127\.0\.0\.1:\d+ can't be reached: .*\.$"):
        start_engine(settings, worker.reference(settings), tmp_path)


def test_the_extra_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picasso.jobs.dask_crew", None)
    settings = config.build({}, None, fake_settings(ENGINE="dask://127.0.0.1:8786"))
    with pytest.raises(ConfigurationError, match=r"needs the package distributed: pip install 'picasso-viz\[dask\]'"):
        start_engine(settings, worker.reference(settings), tmp_path)


def test_nothing_imports_the_extra_by_default() -> None:
    program = "import sys, picasso.web.app, picasso.jobs.worker_loop; print('distributed' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_with_tls_a_certificate_of_the_own_authority_is_needed(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, issuer in (("picasso", authority), ("stranger", stranger)):
        issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")

    def certificate(name: str) -> Any:
        """Use a certificate as the variables of the page do, in this process."""
        files = {"ca-file": "ca.pem", "client.cert": f"{name}.pem"}
        own = {f"distributed.comm.tls.{key}": str(tmp_path / file) for key, file in files.items()}
        return dask.config.set({"distributed.comm.require-encryption": True, **own})

    # The variables of the page.
    prefix = "DASK_DISTRIBUTED__COMM__"
    variables = {f"{prefix}REQUIRE_ENCRYPTION": "true", f"{prefix}TLS__CA_FILE": str(tmp_path / "ca.pem")}
    for part in ("CLIENT", "SCHEDULER", "WORKER"):
        variables[f"{prefix}TLS__{part}__CERT"] = str(tmp_path / "picasso.pem")
    cluster = Cluster(tmp_path, "tls", variables)
    server = Server(cluster, tmp_path)
    try:
        with certificate("stranger"), pytest.raises(ConfigurationError, match="can't be reached"):
            server.start(tmp_path / "refused")
        cluster.add()
        with certificate("picasso"):
            crew = server.start()
        until(lambda: crew.health() == "ready")
    finally:
        server.close()
        cluster.close()
