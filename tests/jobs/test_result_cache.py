"""The cache of results: entries live as long as a run with them, within a quota, beside other workers; none harms."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso import fileio
from picasso.jobs import result_cache
from picasso.jobs.result_cache import BLOCK, PREFIX, ResultCache, open_cache
from tests.jobs.asking import Asking, document, files


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    return Asking(tmp_path)


def made(folder: Path, name: str, size: int = 10_000) -> Path:
    """Return the folder of a result, as far as the cache knows it."""
    result = folder / name
    result.mkdir(parents=True)
    (result / "arrays.npz").write_bytes(os.urandom(size))
    (result / "view.png").write_bytes(name.encode())
    (result / "result.json").write_text(f'{{"image": "{name}"}}')
    return result


def key(number: int) -> str:
    return f"{number:064x}"


def same(number: int, document: dict[str, Any]) -> dict[str, Any]:
    return document


def test_an_entry_shares_the_files_of_the_run_and_ends_with_the_last_one(asking: Asking) -> None:
    first, second = asking.run("anna"), asking.run("bert")
    mine, theirs = (run.result_folder(0) / "arrays.npz" for run in (first, second))
    assert mine.stat().st_ino == theirs.stat().st_ino
    cache = ResultCache(asking.cache, 100)
    shutil.rmtree(asking.folder / "sessions" / "anna")
    cache.tidy()
    assert asking.hit("carl"), "another session still has it"
    for session in ("bert", "carl"):
        shutil.rmtree(asking.folder / "sessions" / session)
    assert not asking.hit("dora"), "it is found no more, even before anything was tidied"
    shutil.rmtree(asking.folder / "sessions" / "dora")
    cache.tidy()
    left = [file for file in asking.cache.rglob("*") if file.is_file() and file.parent.name != "counts"]
    assert [file.name for file in left] == ["quota.json"]


def test_results_of_one_session_can_be_deleted_under_the_feet_of_another(asking: Asking) -> None:
    asking.run("anna")
    second = asking.run("bert")
    kept = files(second)
    shutil.rmtree(asking.folder / "sessions" / "anna")
    ResultCache(asking.cache, 100).tidy()
    assert files(second) == kept


def test_without_a_cache_everything_is_computed(tmp_path: Path) -> None:
    asking = Asking(tmp_path, megabytes=0)
    first, second = asking.run("anna"), asking.run("bert")
    assert files(first) == files(second)
    assert (first.result_folder(0) / "arrays.npz").stat().st_nlink == 1
    assert not asking.cache.exists()
    assert open_cache(asking.cache) is None
    # A worker that looked too early finds it later.
    ResultCache.create(asking.cache, 5)
    assert open_cache(asking.cache) is open_cache(asking.cache) is not None


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(bytes(body))


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink], ids=["truncated", "flipped", "deleted"])
@pytest.mark.parametrize("name", ["0-arrays.npz", "1-view.png", f"{PREFIX}*"])
def test_a_broken_entry_is_a_miss_and_is_replaced(
    asking: Asking, caplog: pytest.LogCaptureFixture, name: str, damage: Callable[[Path], None]
) -> None:
    first = asking.run("anna", (0, 1))
    (file,) = asking.cache.glob(f"*/{name}")
    whole = files(first, 0), files(first, 1)
    body = file.read_bytes()
    file.unlink()
    file.write_bytes(body)
    damage(file)
    # Another link keeps it alive, as another run would.
    if file.exists():
        os.link(file, asking.folder / "link")
    second = asking.run("bert", (0, 1))
    assert asking.totals()[:2] == (0, 4)
    assert (files(second, 0), files(second, 1)) == whole
    third = asking.run("carl", (0, 1))
    if damage is not Path.unlink:
        assert "could not be taken from the cache" in caplog.text
        assert asking.totals()[:2] == (2, 4)
        assert (files(third, 0), files(third, 1)) == whole
        assert document(third, 1)["image"] == "carl-1.png"


def test_the_entry_unused_for_longest_goes_first(tmp_path: Path) -> None:
    cache = ResultCache.create(tmp_path / "cache", 1)
    size = 200_000
    for number in range(4):
        result = made(tmp_path, f"r{number}", size)
        cache.store(key(number), [result], [{"image": ""}])
        os.utime(tmp_path / "cache" / key(number), (number + 1, number + 1))
    assert cache.restore(key(0), [tmp_path / "again"], same)
    assert cache.totals()[:2] == (1, 0)
    for number in range(4, 6):
        cache.store(key(number), [made(tmp_path, f"r{number}", size)], [{"image": ""}])
    found = [number for number in range(6) if (tmp_path / "cache" / key(number)).exists()]
    # A tenth is left free, so that not every entry has others deleted.
    assert found == [0, 3, 4, 5]
    assert cache.totals().size <= 900_000


def test_sizes_are_those_on_disk_and_too_large_results_are_left_out(tmp_path: Path) -> None:
    cache = ResultCache.create(tmp_path / "cache", 1)
    cache.store(key(1), [made(tmp_path, "small", BLOCK + 1)], [{}])
    # Two blocks and one of the files, the document, and the folder.
    assert cache.totals().size == 5 * BLOCK
    cache.store(key(2), [made(tmp_path, "large", 1_000_000)], [{}])
    assert not (tmp_path / "cache" / key(2)).exists()


def test_few_entries_are_looked_at_while_others_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, looks = ResultCache.create(tmp_path / "cache", 10), []
    tidy = ResultCache.tidy

    def count(self: ResultCache) -> None:
        looks.append(1)
        tidy(self)

    monkeypatch.setattr(ResultCache, "tidy", count)
    for number in range(100):
        cache.store(key(number), [made(tmp_path, f"r{number}", 10_000)], [{}])
    # Each takes 24 kB; the first look is that of a new process, the others come every 5 % of 10 MB.
    assert 4 <= len(looks) <= 6


def test_what_dead_workers_left_is_deleted_after_a_while(tmp_path: Path) -> None:
    cache = ResultCache.create(tmp_path / "cache", 1)
    old, new = (made(tmp_path / "cache", f".{key(number)}.1.ab") for number in (1, 2))
    then = time.time() - 100
    os.utime(old, (then, then))
    cache.tidy()
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("call", ["os.link", "pathlib.Path.write_bytes", "os.utime"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EPERM, errno.ESTALE])
def test_a_cache_that_fails_fails_no_run(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str, code: int
) -> None:
    kept = asking.run("anna")
    module, _, name = call.rpartition(".")
    owner: Any = Path if module == "pathlib.Path" else os
    real = getattr(owner, name)

    def fails(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(asking.cache) in str(path) + str(arguments):
            raise OSError(code, os.strerror(code))
        return real(path, *arguments, **options)

    monkeypatch.setattr(owner, name, fails)
    again, other = asking.run("bert"), asking.run("bert", (5,))
    assert files(again) == files(kept)
    assert files(other) != files(kept)
    if call != "pathlib.Path.write_bytes":
        assert "could not be taken from the cache" in caplog.text
    if call != "os.utime":
        assert "could not be put into the cache" in caplog.text
    assert not list(asking.cache.glob(".*"))
    # Nothing is wrong with the entry.
    monkeypatch.undo()
    assert asking.run("carl").result_folder(0).joinpath("view.png").samefile(kept.result_folder(0) / "view.png")


def test_an_entry_that_goes_while_it_is_read_is_a_miss(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    first = asking.run("anna", (0, 1))
    link, linked = os.link, []

    def evict_first(source: Path, target: Path) -> None:
        linked.append(target)
        if len(linked) == 3:
            fileio.remove(Path(source).parent, asking.cache / "trash")
        link(source, target)

    monkeypatch.setattr(os, "link", evict_first)
    second = asking.run("bert", (0, 1))
    assert [files(second, one) for one in (0, 1)] == [files(first, one) for one in (0, 1)]
    assert document(second)["image"] == "bert-0.png"
    assert not list(second.folder.glob("results/.*"))


def test_a_run_that_is_deleted_while_it_is_answered_does_not_come_back(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking.run("anna")
    restore = ResultCache.restore

    def deleted(self: ResultCache, name: str, folders: Any, complete: Any) -> bool:
        shutil.rmtree(folders[0].parents[1])
        return restore(self, name, folders, complete)

    monkeypatch.setattr(ResultCache, "restore", deleted)
    with pytest.raises(Exception, match="no such run"):
        asking.run("bert")
    assert not list((asking.folder / "sessions" / "bert" / "runs").iterdir())
    assert len(asking.entries()) == 1


def test_workers_store_find_and_delete_the_same_entries_at_once(tmp_path: Path) -> None:
    """Each worker has a cache of its own on the same folder, and a quota that a few entries exceed."""
    folder, failures = tmp_path / "cache", list[BaseException]()
    ResultCache.create(folder, 1)
    bodies = {number: os.urandom(90_000) for number in range(16)}
    found = [0] * 4

    def work(worker: int) -> None:
        cache, chance = ResultCache(folder, 1), np.random.default_rng(worker)
        try:
            for turn in range(60):
                number = int(chance.integers(16))
                target = tmp_path / "runs" / f"{worker}-{turn}"
                if cache.restore(key(number), [target], same):
                    found[worker] += 1
                    # Never half of an entry, and never another one.
                    assert (target / "arrays.npz").read_bytes() == bodies[number]
                    assert sorted(file.name for file in target.iterdir()) == ["arrays.npz", "result.json", "view.png"]
                else:
                    assert not target.exists()
                    result = made(tmp_path / "runs", target.name, 0)
                    (result / "arrays.npz").write_bytes(bodies[number])
                    cache.store(key(number), [result], [{"image": ""}])
                if turn % 5 == 0:
                    cache.tidy()
                if turn % 7 == 0:
                    shutil.rmtree(target)
        except BaseException as error:
            failures.append(error)

    (tmp_path / "runs").mkdir()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    cache = ResultCache(folder, 1)
    totals = cache.totals()
    assert (totals.hits, totals.hits + totals.misses) == (sum(found), 4 * 60)
    assert totals.hits > 20
    cache.tidy()
    assert cache.totals().size <= 1_000_000
    assert not list(folder.glob(".*"))


def test_two_workers_store_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = ResultCache.create(tmp_path / "cache", 1), ResultCache(tmp_path / "cache", 1)
    digest, results = result_cache.digest, [made(tmp_path, "a"), made(tmp_path, "b")]
    monkeypatch.setattr(result_cache, "digest", digest)

    def store_first(file: Path) -> str:
        monkeypatch.setattr(result_cache, "digest", digest)
        two.store(key(1), [results[1]], [{}])
        return digest(file)

    monkeypatch.setattr(result_cache, "digest", store_first)
    one.store(key(1), [results[0]], [{}])
    assert one.restore(key(1), [tmp_path / "c"], same)
    assert (tmp_path / "c" / "view.png").read_text() == "b"
    assert not list((tmp_path / "cache").glob(".*"))
