"""Session folders: quotas, numbers, expiry, separation."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask

from picasso import config, fileio
from picasso.errors import NotFound, StorageFull, TooLarge, TooMany
from picasso.fileio import remove_orphans
from picasso.jobs import worker
from picasso.jobs.run import Run
from picasso.storage.session import Session
from picasso.storage.store import Storage
from tests.conftest import noise_image, png
from tests.jobs.test_engine import until
from tests.jobs.test_run import make_run


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    limits = {"WORK_DIR": str(tmp_path / "work"), "MAX_IMAGES": 3, "MAX_SESSIONS": 2, "SESSION_MINUTES": 1}
    storage = Storage(config.build(limits, None))
    yield storage
    storage.close()


def test_images_are_numbered_and_equal_names_kept(storage: Storage) -> None:
    session = storage.create()
    first, second = session.add_image(png(noise_image(1)), "a.png"), session.add_image(png(noise_image(2)), "a.png")
    assert (first["uid"], second["uid"]) == (0, 1)
    assert first["name"] == second["name"] == "a.png"
    assert first["filename"] != second["filename"]
    session.remove_image(1)
    assert session.add_image(png(), "b.png")["uid"] == 2
    assert [one["uid"] for one in session.images()] == [0, 2]
    assert not session.image_file(first["filename"]).samefile(session.image(2)["path"])


def test_names_never_become_paths(storage: Storage, tmp_path: Path) -> None:
    stored = storage.create().add_image(png(), "../../../../tmp/evil\0.png")
    assert stored["name"] == "evil.png"
    assert Path(stored["path"]).is_relative_to(tmp_path / "work")


@pytest.mark.parametrize("name", ["../next_uid", "0000.json", "..", "", "/etc/passwd", "a\0.png", "nothing.png"])
def test_only_images_are_served(storage: Storage, name: str) -> None:
    session = storage.create()
    session.add_image(png(), "a.png")
    with pytest.raises(NotFound):
        session.image_file(name)


def test_links_are_not_followed(storage: Storage) -> None:
    session = storage.create()
    folder = Path(session.add_image(png(), "a.png")["path"]).parent
    (folder / "link.png").symlink_to("/etc/passwd")
    with pytest.raises(NotFound):
        session.image_file("link.png")


def test_quotas(storage: Storage) -> None:
    session = storage.create()
    for _ in range(3):
        session.add_image(png(), "a.png")
    with pytest.raises(TooLarge, match="at most 3 images"):
        session.add_image(png(), "a.png")
    storage.create().add_image(png(), "a.png")
    with pytest.raises(TooMany, match="maximum number of sessions"):
        storage.create()


def test_a_session_that_is_deleted_while_room_is_made_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(config.build({"WORK_DIR": str(tmp_path), "MAX_SESSIONS": 1}, None))
    first = storage.create()

    def deleted(session: Session) -> bool:
        monkeypatch.undo()
        storage.remove(first)
        raise FileNotFoundError(session.id)

    monkeypatch.setattr(Session, "empty", deleted)
    second = storage.create()
    assert storage.find(first.id) is None
    assert storage.find(second.id) is not None
    storage.close()


def test_empty_sessions_go_first_where_there_are_too_many(tmp_path: Path) -> None:
    storage = Storage(config.build({"WORK_DIR": str(tmp_path), "MAX_SESSIONS": 4}, None))
    try:
        full, newer, older, filled_now = (storage.create() for _ in range(4))
        full.add_image(png(), "a.png")
        for session, seconds in ((full, 90), (newer, 30), (older, 60), (filled_now, 80)):
            past = time.time() - seconds
            os.utime(session.runs_folder.parent, (past, past))
        # A request is about it: its upload is just being decoded.
        held = storage.find(filled_now.id, hold=True)
        assert held
        os.utime(held.runs_folder.parent, (time.time() - 80,) * 2)

        def kept() -> list[bool]:
            folders = {folder.name for folder in (storage.folder / "sessions").iterdir()}
            return [one.id in folders for one in (full, newer, older, filled_now)]

        storage.create().add_image(png(), "b.png")
        assert kept() == [True, True, False, True]
        storage.create().new_audit(["a"])
        assert kept() == [True, False, False, True]
        with pytest.raises(TooMany):
            storage.create()
        storage.release(held)
        storage.create()
        assert kept() == [True, False, False, False]
    finally:
        storage.close()


def test_a_session_that_a_request_is_about_does_not_expire(storage: Storage) -> None:
    session = storage.create(hold=True)
    age(session)
    storage.expire()
    assert session.runs_folder.is_dir()
    storage.release(session)
    storage.expire()
    assert not session.runs_folder.exists()


def test_a_full_disk(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    session = storage.create()

    def full(file: Path, body: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(fileio, "write_bytes", full)
        with pytest.raises(StorageFull, match="disk is full. Nothing was stored"):
            session.add_image(png(), "a.png")
    assert session.add_image(png(), "a.png")["uid"] == 0


def test_sessions_are_found_by_id_only(storage: Storage) -> None:
    session = storage.create()
    found = storage.find(session.id)
    assert found is not None
    assert found.id == session.id
    for wrong in (None, "", "..", "../sessions", session.id[:-1], session.id + "0", "é" * 32):
        assert storage.find(wrong) is None


def test_sessions_expire_when_nobody_uses_them(storage: Storage) -> None:
    old, used = storage.create(), storage.create()
    for session in (old, used):
        past = time.time() - 120
        os.utime(session.runs_folder.parent, (past, past))
    storage.find(used.id)
    storage.create()
    assert storage.find(old.id) is None
    assert storage.find(used.id) is not None


def age(session: Session) -> None:
    """Make a session look as if nobody had used it for two minutes; it may be left alone for one."""
    past = time.time() - 120
    os.utime(session.runs_folder.parent, (past, past))


def test_a_session_with_work_under_way_does_not_expire(storage: Storage) -> None:
    session = storage.create()
    run = make_run(session.runs_folder, count=1)
    for begun in (False, True):
        if begun:
            run.report(0, 0.5, 1.0)
        age(session)
        storage.expire()
        assert storage.find(session.id) is not None
    # When it has ended, its visitor has time to look at it.
    age(session)
    storage.expire()
    run.finish(0, 2.0)
    storage.expire()
    assert (session.runs_folder / run.id).is_dir()
    age(session)
    storage.expire()
    assert storage.find(session.id) is None


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_deleted_is_gone_at_once_though_a_worker_writes_into_it(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    session = storage.create()
    run, remove = make_run(session.runs_folder, count=1), shutil.rmtree
    seen: list[bool] = []

    def late(folder: Path, **options: Any) -> None:
        seen.append(run.folder.exists())
        with pytest.raises(FileNotFoundError):
            run.report(0, 0.5, 1.0)
        # It has got as far as its folder's own files.
        (folder / "left").mkdir()
        remove(folder / "left", **options)

    with monkeypatch.context() as patched:
        patched.setattr("picasso.fileio.shutil.rmtree", late)
        if whole:
            storage.remove(session)
        else:
            session.remove_run(run)
    assert seen == [False]
    assert (storage.find(session.id) is None) is whole


def full(*rest: Any, **more: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_no_half_run_session_or_result(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, run = storage.create(), make_run(tmp_path, "ClassProbabilities", count=1)
    before = sorted(storage.folder.rglob("*"))
    with monkeypatch.context() as patched:
        patched.setattr(fileio, "write_json", full)
        with pytest.raises(OSError, match="No space"):
            Run.create(session.runs_folder, run.spec())
        with pytest.raises(StorageFull):
            session.new_audit(["a", "b"])
    session.audits_folder.rmdir()
    assert sorted(storage.folder.rglob("*")) == before
    with monkeypatch.context() as patched:
        patched.setattr(np, "savez_compressed", full)
        worker.run_shard(str(run.folder), 0)
    assert run.state()["state"] == "failed"
    assert list((run.folder / "results").iterdir()) == []


def test_what_a_killed_worker_left_half_written_is_removed(tmp_path: Path) -> None:
    run = make_run(tmp_path, "ClassProbabilities", count=2)
    for name in (".00000.1.abcd", ".00001.1.abcd"):
        (run.folder / "results" / name).mkdir()
    worker.run_shard(str(run.folder), 0)
    assert sorted(file.name for file in (run.folder / "results").iterdir()) == ["00000", "00001"]


def test_a_server_that_is_just_starting_is_no_orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one that starts in any moment of it leaves its folder alone."""
    fcntl = pytest.importorskip("fcntl")
    lock, made = fcntl.flock, []

    def late(file: Any, how: int) -> None:
        if how == fcntl.LOCK_EX:
            made.append(len(list(tmp_path.iterdir())))
            remove_orphans(tmp_path)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    storage = Storage(config.build({"WORK_DIR": str(tmp_path)}, None))
    monkeypatch.undo()
    assert made == [1]
    remove_orphans(tmp_path)
    assert storage.folder.is_dir()
    storage.close()


@pytest.mark.parametrize("run_id", ["..", "", "0", "x" * 99, "a/b"])
def test_unknown_runs(storage: Storage, run_id: str) -> None:
    with pytest.raises(NotFound, match="no such run"):
        storage.create().run(run_id)


def test_closing_deletes_everything(storage: Storage) -> None:
    storage.create().add_image(png(), "a.png")
    storage.close()
    assert not storage.folder.exists()


def test_folders_of_servers_that_were_killed_are_removed(tmp_path: Path) -> None:
    settings = config.build({"WORK_DIR": str(tmp_path)}, None)
    code = (
        "import os; from picasso import config; from picasso.storage.store import Storage; "
        f"storage = Storage(config.build({{'WORK_DIR': {str(tmp_path)!r}}}, None)); "
        "print(storage.folder, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    orphan = Path(done.stdout.strip())
    assert orphan.is_dir()
    unrelated = tmp_path / "picasso-notes"
    unrelated.mkdir()
    one = Storage(settings)
    assert not orphan.exists()
    other = Storage(settings)
    assert one.folder.is_dir(), "that of a server that lives stays"
    assert unrelated.is_dir()
    for storage in (one, other):
        storage.close()
    assert [file.name for file in tmp_path.iterdir()] == ["picasso-notes"]


def test_a_session_that_is_deleted_while_others_expire_stops_nothing(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, old = storage.create(), storage.create()
    folder = old.runs_folder.parent
    os.utime(folder, (0, 0))
    listed = [gone.runs_folder.parent, folder]
    storage.remove(gone)
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(listed))
    storage.expire()
    monkeypatch.undo()
    assert not folder.exists()


def test_images_of_one_name_in_several_folders_stay_apart(storage: Storage) -> None:
    session = storage.create()
    paths = ("trip/cats/1.png", "trip/dogs/1.png", "trip/dogs/1.png")
    assert [session.add_image(png(), path)["name"] for path in paths] == ["1.png", "dogs/1.png", "dogs/1.png"]
    session.remove_image(0)
    assert session.add_image(png(), "other/dogs/1.png")["name"] == "dogs/1.png (2)"


@pytest.mark.parametrize("folder", ["..", ".", "", "a\0/..", "<b>"])
def test_folders_in_names_are_shown_and_never_followed(storage: Storage, tmp_path: Path, folder: str) -> None:
    session = storage.create()
    session.add_image(png(), "a/x.png")
    stored = session.add_image(png(), f"{folder}/x.png")
    assert stored["name"] in ("x.png (2)", "<b>/x.png", "a/x.png")
    assert Path(stored["path"]).is_relative_to(tmp_path / "work")
    assert ".." not in Path(stored["path"]).parts


def test_a_server_that_does_not_look_after_its_sessions_is_not_ready(app: Flask) -> None:
    services = app.extensions["picasso"]
    client = app.test_client()
    until(lambda: client.get("/readyz").status_code == 200)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(services.storage, "_sweeper", threading.Thread(target=print))
        answer = client.get("/readyz")
        assert (answer.status_code, answer.get_json()) == (503, {"ok": False, "state": "stopped"})
    assert client.get("/readyz").status_code == 200
