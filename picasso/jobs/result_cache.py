"""The cache of results on disk: what was computed for one session is not computed again for another.

An entry is a folder whose name is the key of some results (see :mod:`picasso.jobs.reuse`). It has no files of its own
but hard links to those of a run, and one document without names. So it takes no space of its own, and it is worth
nothing once the last run with these files is deleted: then nothing else links to them. All processes share the folder
without locks: an entry appears whole, disappears whole, and is never changed.

=====================  ===================================================================================
``KEY/N-FILE``         a link to a file of the result of image N of a group
``KEY/document-SIZE``  a SHA-256, then JSON: the SHA-256 of each file, and the documents of the results
``counts/PROCESS``     how many results a process has found here, and how many it has not
``quota.json``         the maximum size of all entries, in megabytes
``trash/``             entries that are being deleted
=====================  ===================================================================================
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from picasso import fileio
from picasso.explanation.result import ARRAYS, DOCUMENT

log = logging.getLogger(__name__)

KEY = re.compile(r"[0-9a-f]{64}")
PREFIX = "document-"
QUOTA, COUNTS, TRASH = "quota.json", "counts", "trash"
# The smallest piece of disk space, in bytes.
BLOCK = 4096
# The share of the quota that a process stores between two looks at all entries, and that is left after deleting some.
STEP, LEFT = 0.05, 0.9
# The age in seconds from which an incomplete entry was left behind by a process that has ended.
OLD = 60.0

#: Completes the document of the result of an image, which is given by its position, for who asks.
Complete = Callable[[int, dict[str, Any]], Mapping[str, Any]]


class Entry(NamedTuple):
    """An entry.

    Attributes:
        folder: its folder.
        used: when it was last used, in seconds since the epoch.
        size: the disk space of its files in bytes.
        alive: whether a run still has its files.
    """

    folder: Path
    used: float
    size: int
    alive: bool


class Totals(NamedTuple):
    """How many results were found and were not found since the server started, and the bytes of all entries."""

    hits: int
    misses: int
    size: int


class ResultCache:
    """The cache in a folder, on the same disk as the runs.

    Args:
        folder: the folder.
        megabytes: the maximum size of all entries; each process may exceed it by 5 %.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self._folder, self._quota = folder, megabytes * 1_000_000
        self._counts = folder / COUNTS / f"{os.getpid()}-{secrets.token_hex(8)}"
        self._hits = self._misses = 0
        # So that the first entry of a process looks at those that are there.
        self._stored = self._quota

    @classmethod
    def create(cls, folder: Path, megabytes: int) -> ResultCache:
        """Make the folder of a new cache, which workers then :func:`open_cache`."""
        (folder / COUNTS).mkdir(parents=True)
        fileio.write_json(folder / QUOTA, megabytes)
        return cls(folder, megabytes)

    # ---- used by workers ----------------------------------------------------------------------------------

    def restore(self, key: str, folders: Sequence[Path], complete: Complete) -> bool:
        """Save the results of an entry; tell whether there was one. It never fails.

        Args:
            key: the key of the results.
            folders: where to save the result of each image; they must not exist.
            complete: adds to the document of each result what the entry does not have.
        """
        entry = self._folder / key
        try:
            self._restore(entry, folders, complete)
            found = True
        except FileNotFoundError:
            # There is none, or it was deleted just now.
            found = False
        except Exception as error:
            log.warning("a result could not be taken from the cache: %s: %s", type(error).__name__, error)
            # An entry is as good as before if the disk is full.
            if not isinstance(error, OSError):
                self._remove(entry)
            found = False
        self._count(found, len(folders))
        return found

    def _restore(self, entry: Path, folders: Sequence[Path], complete: Complete) -> None:
        names = os.listdir(entry)  # noqa: PTH208 - names are wanted
        if not alive(entry):
            self._remove(entry)
            raise FileNotFoundError
        listed, documents = read_document(entry / next((name for name in names if name.startswith(PREFIX)), PREFIX))
        if len(documents) != len(folders) or any(digest(entry / name) != known for name, known in listed.items()):
            raise ValueError("its files are damaged")
        os.utime(entry)
        for number, (folder, document) in enumerate(zip(folders, documents, strict=True)):
            with fileio.whole_folder(folder) as draft:
                for name in listed:
                    position, _, file = name.partition("-")
                    if position == str(number):
                        os.link(entry / name, draft / file)
                (draft / DOCUMENT).write_bytes(fileio.readable_json(complete(number, document), indent=1))

    def store(self, key: str, folders: Sequence[Path], documents: Sequence[Mapping[str, Any]]) -> None:
        """Add an entry for saved results; it never fails, and does nothing if there is one already.

        Args:
            key: the key of the results.
            folders: the saved result of each image.
            documents: their documents, without names.
        """
        try:
            self._store(self._folder / key, folders, documents)
        except Exception as error:
            # The run may have been deleted, and some file systems have no hard links.
            log.warning("a result could not be put into the cache: %s: %s", type(error).__name__, error)

    def _store(self, entry: Path, folders: Sequence[Path], documents: Sequence[Mapping[str, Any]]) -> None:
        if entry.exists():
            return
        files = {
            f"{number}-{file.name}": file
            for number, folder in enumerate(folders)
            for file in sorted(folder.iterdir())
            if file.name != DOCUMENT
        }
        listed = {name: digest(file) for name, file in files.items()}
        text = json.dumps({"files": listed, "documents": documents}, allow_nan=False).encode()
        body = hashlib.sha256(text).hexdigest().encode() + b"\n" + text
        size = sum(map(on_disk, [len(body), BLOCK, *(file.stat().st_size for file in files.values())]))
        if size > self._quota:
            return
        try:
            with fileio.whole_folder(entry) as draft:
                for name, file in files.items():
                    os.link(file, draft / name)
                (draft / f"{PREFIX}{size}").write_bytes(body)
        except OSError:
            # Another worker may have stored the same in the meantime.
            if not entry.exists():
                raise
            return
        self._stored += size
        if self._stored > STEP * self._quota:
            self.tidy()
            self._stored = 0

    def _count(self, found: bool, images: int) -> None:
        """Write down that results were found, or that they were not."""
        self._hits, self._misses = self._hits + images * found, self._misses + images * (not found)
        with suppress(OSError):
            fileio.write_json(self._counts, [self._hits, self._misses])

    # ---- used by the server, too --------------------------------------------------------------------------

    def tidy(self) -> None:
        """Delete the entries of deleted runs and, if the quota is exceeded, those that were unused for longest.

        Raises:
            OSError: the folder can't be read.
        """
        living = []
        for entry in self._entries():
            if entry.alive:
                living.append(entry)
            else:
                self._remove(entry.folder)
        total = sum(entry.size for entry in living)
        if total > self._quota:
            for entry in sorted(living, key=lambda entry: entry.used):
                self._remove(entry.folder)
                total -= entry.size
                if total <= LEFT * self._quota:
                    break
        for left in [*self._folder.glob(".*"), *self._folder.glob(f"{TRASH}/*")]:
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > OLD:
                    shutil.rmtree(left, ignore_errors=True)

    def totals(self) -> Totals:
        """Return how often results were found, and the size of all entries."""
        counts = [fileio.read_json(file) or [0, 0] for file in (self._folder / COUNTS).glob("[0-9]*")]
        hits, misses = (sum(count[number] for count in counts) for number in (0, 1))
        return Totals(hits, misses, sum(entry.size for entry in self._entries()))

    def _entries(self) -> Iterator[Entry]:
        """Yield all entries; those that disappear meanwhile are left out, and broken ones are not alive."""
        with os.scandir(self._folder) as entries:
            found = [entry for entry in entries if KEY.fullmatch(entry.name)]
        for one in found:
            folder = Path(one.path)
            try:
                names = os.listdir(folder)  # noqa: PTH208 - names are wanted
                sizes = [int(name.removeprefix(PREFIX)) for name in names if name.startswith(PREFIX)]
                yield Entry(folder, folder.stat().st_mtime, sum(sizes), bool(sizes) and alive(folder))
            except (OSError, ValueError):
                if folder.exists():
                    yield Entry(folder, 0.0, 0, alive=False)

    def _remove(self, entry: Path) -> None:
        """Delete an entry: it disappears at once and whole."""
        fileio.remove(entry, self._folder / TRASH)


def open_cache(folder: Path) -> ResultCache | None:
    """Return the cache in a folder, or None if the server has none; one object per process."""
    with suppress(OSError, ValueError):
        return _opened(folder)
    return None


@functools.lru_cache(maxsize=4)
def _opened(folder: Path) -> ResultCache:
    return ResultCache(folder, json.loads((folder / QUOTA).read_bytes()))


def alive(entry: Path) -> bool:
    """Tell whether a run still has the files of an entry: their number of links counts those of runs, too."""
    return (entry / f"0-{ARRAYS}").stat().st_nlink > 1


def read_document(file: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the SHA-256 of each file of an entry, and the documents of its results.

    Raises:
        ValueError: the document is damaged.
    """
    known, _, text = file.read_bytes().partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != known:
        raise ValueError("its document is damaged")
    found = json.loads(text)
    return found["files"], found["documents"]


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def on_disk(size: int) -> int:
    """Return the disk space of a file of ``size`` bytes."""
    return -(-size // BLOCK) * BLOCK
