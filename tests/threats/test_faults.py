"""Full disks, full queues, vanished folders, models and plugins that go wrong: what is left works."""

from __future__ import annotations

import errno
import io
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from picasso import config, fileio
from picasso.jobs import worker
from picasso.jobs.run import Run, Spec
from picasso.storage.store import Storage
from picasso.web.app import create_app
from picasso.web.context import Services
from tests.conftest import COOKIE, Visitor, close, fake_settings, finish, png, upload
from tests.jobs.test_engine import until
from tests.jobs.test_run import make_run
from tests.threats import models
from tests.threats.test_paths import session_folder


def test_a_session_and_the_server_hold_so_much_and_no_more(narrow: Flask) -> None:
    first, second, third = (Visitor(narrow) for _ in range(3))
    upload(first, 2)
    upload(second)
    for address in ("/api/images", "/images"):
        assert first.post(address, data={"file": (io.BytesIO(png()), "a.png")}).status_code == 413
        refused = third.post(address, data={"file": (io.BytesIO(png()), "a.png")})
        assert refused.status_code == 429
        assert "Set-Cookie" not in refused.headers
    # Who leaves makes room.
    first.post("/reset")
    upload(third)


@pytest.mark.parametrize("write", range(2))
def test_a_disk_that_fills_up_leaves_nothing_half_written(
    narrow: Flask, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    """The disk is full at the first write of an upload, the second and so on."""
    client = Visitor(narrow)
    upload(client)
    folder = session_folder(narrow, client)
    before = {file.name for file in folder.rglob("*")}
    original, written = fileio.write_bytes, iter(range(100))

    def full(file: Path, body: bytes) -> None:
        if next(written) >= write:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(file, body)

    with monkeypatch.context() as patched:
        patched.setattr(fileio, "write_bytes", full)
        answer: Any = client.post("/api/images", data={"file": (io.BytesIO(png()), "b.png")})
    assert answer.status_code == 507
    assert answer.json["error"]["code"] == "storage_full"
    assert {file.name for file in folder.rglob("*")} == before
    assert len(upload(client)) == 1


def test_a_full_queue_says_when_to_come_back(narrow: Flask) -> None:
    client = Visitor(narrow)
    upload(client)
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    slow: Any = client.post("/api/runs", json={"visualization": "Slow", "settings": {"Steps": 100_000}})
    for answer in (
        client.post("/api/runs", json={"visualization": "ClassProbabilities"}),
        client.post("/visualizations/ClassProbabilities"),
        client.get("/api/visualize?image=0&visualizer=ClassProbabilities"),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    client.delete(slow.json["url"])
    until(lambda: client.post("/api/runs", json={"visualization": "ClassProbabilities"}).status_code == 202)


def test_a_session_whose_folder_vanishes_in_mid_run(app: Flask, visitor: Visitor) -> None:
    upload(visitor)
    run: Any = visitor.post("/api/runs", json={"visualization": "Slow", "settings": {"Steps": 100_000}})
    until(lambda: visitor.get(run.json["url"]).get_json()["fraction"] > 0)
    folder = session_folder(app, visitor)

    def vanished() -> bool:
        # The worker may be writing into it.
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    until(vanished)
    for address in (run.json["url"], f"/runs/{run.json['id']}", "/api/visualize?image=0&visualizer=Means"):
        gone = visitor.get(address)
        assert gone.status_code == 404
        assert "You have no session, or it was deleted or has expired" in gone.text
    assert visitor.get("/").status_code == 200
    # The worker notices and is free for the next.
    upload(visitor)
    assert visitor.get("/api/visualize?image=0&visualizer=ClassProbabilities").status_code == 200


@pytest.mark.parametrize("kind", ["raise", "nan", "short", "exit", "die", "rubbish", "shape"])
def test_a_plugin_that_goes_wrong_harms_its_run_only(visitor: Visitor, kind: str) -> None:
    upload(visitor)
    until(lambda: visitor.get("/api/app_state").get_json()["state"] == "ready")
    run: Any = visitor.post("/api/runs", json={"visualization": "Trouble", "settings": {"Kind": kind}})
    state = finish(visitor, run.json["id"])
    assert state["state"] == "failed"
    assert state["error"]["message"].endswith(".")
    assert str(Path(__file__).parents[1]) not in visitor.get(run.json["url"]).text
    for text in (visitor.get(f"/runs/{run.json['id']}").text, visitor.get(run.json["url"]).text):
        assert "Traceback" not in text
        assert "line " not in text
    after: Any = visitor.get("/api/visualize?image=0&visualizer=ClassProbabilities")
    assert after.status_code == 200, after.text


@pytest.mark.parametrize(
    ("cls", "words"),
    [(models.NaNModel, "not finite"), (models.ShapeModel, "shape"), (models.LogitModel, "not probabilities")],
)
def test_a_model_that_answers_nonsense_is_named(tmp_path: Path, cls: type[models.Late], words: str) -> None:
    run = make_run(tmp_path, "ClassProbabilities", count=1)
    overrides = {"MODEL_CLS_PATH": models.__file__, "MODEL_CLS_NAME": cls.__name__, "MODEL_LOAD_ARGS": {}}
    spec = run.spec()
    again = Run.create(
        tmp_path, Spec(spec.visualization, {}, spec.images, 2, {"file": None, "overrides": overrides}, 0.0)
    )
    worker.run_shard(str(again.folder), 0)
    state = again.state()
    assert state["state"] == "failed"
    assert state["error"] is not None
    assert cls.__name__ in state["error"]["message"]
    assert words in state["error"]["message"]
    assert not (again.folder / "results" / "00000").exists()


def test_a_cancelled_run_frees_the_worker_at_the_next_batch(visitor: Visitor) -> None:
    upload(visitor)
    run: Any = visitor.post("/api/runs", json={"visualization": "Slow", "settings": {"Steps": 100_000}})
    until(lambda: visitor.get(run.json["url"]).get_json()["fraction"] > 0)
    visitor.post("/reset")
    upload(visitor)
    assert visitor.get("/api/visualize?image=0&visualizer=ClassProbabilities").status_code == 200


def test_a_session_does_not_expire_under_its_run(app: Flask, visitor: Visitor) -> None:
    upload(visitor)
    run: Any = visitor.post("/api/runs", json={"visualization": "Slow", "settings": {"Steps": 50}})
    services: Services = app.extensions["picasso"]
    os.utime(session_folder(app, visitor), (0, 0))
    services.storage.expire()
    assert finish(visitor, run.json["id"])["state"] == "finished"
    os.utime(session_folder(app, visitor), (0, 0))
    services.storage.expire()
    assert visitor.get(run.json["url"]).status_code == 404
    assert visitor.get("/readyz").status_code == 200


def test_two_servers_on_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    settings = fake_settings(WORK_DIR=str(tmp_path))
    servers = [create_app(settings), create_app(settings)]
    clients = [Visitor(server) for server in servers]

    def computes(client: Visitor) -> None:
        until(lambda: client.get("/readyz").status_code == 200)
        upload(client)
        run: Any = client.post("/api/runs", json={"visualization": "ClassProbabilities"})
        assert finish(client, run.json["id"])["state"] == "finished"

    try:
        for client in clients:
            computes(client)
        close(servers[0])
        computes(clients[1])
        # One that starts later takes neither for left behind.
        servers[0] = create_app(settings)
        computes(Visitor(servers[0]))
        computes(clients[1])
    finally:
        for server in servers:
            close(server)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_fifty_sessions_and_storages_leak_nothing(tmp_path: Path) -> None:
    settings = config.build({"WORK_DIR": str(tmp_path)}, None)
    descriptors = Path("/proc/self/fd")

    def cycle() -> None:
        storage = Storage(settings)
        session = storage.create()
        session.add_image(png(), "a.png")
        storage.remove(session)
        storage.close()

    cycle()
    before = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    threads = threading.active_count()
    for _ in range(50):
        cycle()
    until(lambda: threading.active_count() <= threads)
    if before:
        assert len(list(descriptors.iterdir())) <= before
    assert list(tmp_path.iterdir()) == []


def test_an_old_cookie_finds_no_session_anywhere(app: Flask) -> None:
    client = Visitor(app)
    for value in ("0" * 32, "..", "%2e%2e", "x" * 3900, "a/b", "é", "", "\x7f"):
        with suppress(UnicodeError):
            client.set_cookie(COOKIE, value)
        for address in ("/", "/api/images", "/api/runs", "/api/app_state"):
            assert client.get(address).status_code == 200
        for address in ("/runs/abc", "/inputs/a.png", "/api/runs/abc"):
            gone = client.get(address)
            assert gone.status_code == 404
            assert "Upload images first" in gone.text
    services: Services = app.extensions["picasso"]
    assert os.access(services.storage.folder, os.W_OK)
