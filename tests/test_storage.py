"""Session folders: quotas, numbers, expiry, separation."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from picasso import configuration, files
from picasso.errors import NotFound, StorageFull, TooLarge, TooMany
from picasso.storage import Storage
from tests.conftest import picture, png


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    limits = {"WORK_DIR": str(tmp_path / "work"), "MAX_PICTURES": 3, "MAX_SESSIONS": 2, "SESSION_MINUTES": 1}
    storage = Storage(configuration.build(limits, None))
    yield storage
    storage.close()


def test_pictures_are_numbered_and_equal_names_kept(storage: Storage) -> None:
    session = storage.create()
    first, second = session.add_picture(png(picture(1)), "a.png"), session.add_picture(png(picture(2)), "a.png")
    assert (first["uid"], second["uid"]) == (0, 1)
    assert first["name"] == second["name"] == "a.png"
    assert first["filename"] != second["filename"]
    session.remove_picture(1)
    assert session.add_picture(png(), "b.png")["uid"] == 2
    assert [one["uid"] for one in session.pictures()] == [0, 2]
    assert not session.picture_file(first["filename"]).samefile(session.picture(2)["path"])


def test_names_never_become_paths(storage: Storage, tmp_path: Path) -> None:
    stored = storage.create().add_picture(png(), "../../../../tmp/evil\0.png")
    assert stored["name"] == "evil.png"
    assert Path(stored["path"]).is_relative_to(tmp_path / "work")


@pytest.mark.parametrize("name", ["../next_uid", "0000.json", "..", "", "/etc/passwd", "a\0.png", "nothing.png"])
def test_only_pictures_are_served(storage: Storage, name: str) -> None:
    session = storage.create()
    session.add_picture(png(), "a.png")
    with pytest.raises(NotFound):
        session.picture_file(name)


def test_links_are_not_followed(storage: Storage) -> None:
    session = storage.create()
    folder = Path(session.add_picture(png(), "a.png")["path"]).parent
    (folder / "link.png").symlink_to("/etc/passwd")
    with pytest.raises(NotFound):
        session.picture_file("link.png")


def test_quotas(storage: Storage) -> None:
    session = storage.create()
    for _ in range(3):
        session.add_picture(png(), "a.png")
    with pytest.raises(TooLarge, match="3 pictures at most"):
        session.add_picture(png(), "a.png")
    storage.create()
    with pytest.raises(TooMany, match="as many sessions"):
        storage.create()


def test_a_full_disk(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    session = storage.create()

    def full(file: Path, body: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_bytes", full)
        with pytest.raises(StorageFull, match="disk is full; nothing was stored"):
            session.add_picture(png(), "a.png")
    assert session.add_picture(png(), "a.png")["uid"] == 0


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


@pytest.mark.parametrize("run_id", ["..", "", "0", "x" * 99, "a/b"])
def test_unknown_runs(storage: Storage, run_id: str) -> None:
    with pytest.raises(NotFound, match="no such run"):
        storage.create().run(run_id)


def test_closing_deletes_everything(storage: Storage) -> None:
    storage.create().add_picture(png(), "a.png")
    storage.close()
    assert not storage.folder.exists()


def test_folders_of_servers_that_were_killed_are_removed(tmp_path: Path) -> None:
    settings = configuration.build({"WORK_DIR": str(tmp_path)}, None)
    code = (
        "import os; from picasso import configuration; from picasso.storage import Storage; "
        f"storage = Storage(configuration.build({{'WORK_DIR': {str(tmp_path)!r}}}, None)); "
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
