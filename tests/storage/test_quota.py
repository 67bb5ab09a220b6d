"""How much room sessions take, and what happens where that is too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from picasso import config, fileio
from picasso.errors import StorageFull, TooLarge
from picasso.storage import quota
from picasso.storage.quota import Quotas
from picasso.storage.store import Storage
from tests.conftest import noise_image, png


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 5)
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    assert fileio.size(tmp_path) == 15 + (tmp_path / "a" / "link").lstat().st_size
    assert fileio.size(tmp_path / "nowhere") == 0


def test_a_session_and_all_of_them_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "MAX_AGE", 0.0)
    session = tmp_path / "one"
    session.mkdir()
    limits = Quotas(tmp_path, 1, 2)
    limits.check(session)
    (session / "file").write_bytes(bytes(1_000_000))
    with pytest.raises(TooLarge, match="have reached the limit of 1 MB. Delete some runs, audits or images first"):
        limits.check(session)
    limits.check()
    (tmp_path / "other").write_bytes(bytes(1_000_000))
    with pytest.raises(StorageFull, match="have reached the limit of 2 MB"):
        limits.check()


def test_the_room_of_all_is_not_measured_each_time(tmp_path: Path) -> None:
    limits = Quotas(tmp_path, 1, 1)
    limits.check()
    (tmp_path / "file").write_bytes(bytes(1_000_000))
    limits.check()


def test_an_upload_beyond_the_limit_leaves_nothing(tmp_path: Path) -> None:
    storage = Storage(config.build({"WORK_DIR": str(tmp_path), "SESSION_MB": 1}, None))
    try:
        session = storage.create()
        session.add_image(png(noise_image(1)), "a.png")
        (session.runs_folder / "large").write_bytes(bytes(1_000_000))
        before = fileio.size(session.runs_folder.parent)
        with pytest.raises(TooLarge):
            session.add_image(png(noise_image(2)), "b.png")
        assert fileio.size(session.runs_folder.parent) == before
    finally:
        storage.close()
