"""Tasks as files, which workers take by a lease: all that a server and its workers on other machines share.

====================  ========================================================================================
``offer.json``        the :class:`Offer`; the server touches it as long as it lives
``open/N``            a task that no worker has taken
``taken/N@WORKER``    the lease of a task, which its worker touches; the renamed ``open/N``
``done/N``            the :class:`Outcome` of a task
``workers/WORKER``    a worker, which touches it: "", or why it was refused
====================  ========================================================================================

Renaming is atomic, also over NFS: of several workers, one gets the task. The clocks of machines differ, so nobody
compares times of files with a clock: a file shows life when its time changes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from picasso import fileio
from picasso.errors import ErrorDocument
from picasso.jobs.tasks import Task

#: The name of the folder in that of a server.
NAME = "tasks"
# How often files are touched, and after how long without that their owner counts as gone.
BEAT_SECONDS, LIFE_SECONDS = 2.0, 20.0


@dataclass(frozen=True)
class Offer:
    """What a server has computed.

    Attributes:
        configured: how workers find the model; see :func:`picasso.jobs.worker.reference`.
        facts: what they must have in common with the server; see :func:`picasso.jobs.agreement.facts`.
        card: that of the server's model, or None while it is loading.
        limit: the time limit of a run, in seconds; None for no limit.
        stall: the time limit of a run without progress, in seconds; None for no limit.
    """

    configured: dict[str, Any]
    facts: dict[str, str]
    card: dict[str, Any] | None = None
    limit: float | None = None
    stall: float | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The time limits, infinite if there are none."""
        return self.limit or math.inf, self.stall or math.inf


@dataclass(frozen=True)
class Outcome:
    """How a task has ended.

    Attributes:
        error: the error that left it; None if it was computed.
        crashed: whether its process crashed, so that another worker may try again.
    """

    error: ErrorDocument | None = None
    crashed: bool = False


class Life:
    """Tells whether the owner of a file still touches it.

    Args:
        file: the file.
        seconds: how long its time may stay the same.
    """

    def __init__(self, file: Path, seconds: float = LIFE_SECONDS) -> None:
        self._file, self._seconds = file, seconds
        self._seen, self._since = self._time(), time.monotonic()
        #: Whether it was touched since this object exists.
        self.shown = False

    def lasts(self) -> bool:
        """Tell whether the file exists and was touched lately."""
        found = self._time()
        if found != self._seen:
            self.shown, self._seen, self._since = True, found, time.monotonic()
        return found is not None and time.monotonic() - self._since < self._seconds

    def _time(self) -> int | None:
        try:
            return self._file.stat().st_mtime_ns
        except OSError:
            return None


class TaskFolder:
    """The folder of the tasks of one server.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.offer_file = folder / "offer.json"
        self._open, self._taken, self._done = folder / "open", folder / "taken", folder / "done"
        self.workers = folder / "workers"

    # ---- the server ---------------------------------------------------------------------------------------

    def create(self, offer: Offer) -> None:
        """Create the folder."""
        with fileio.whole_folder(self.folder) as draft:
            for one in (self._open, self._taken, self._done, self.workers):
                (draft / one.name).mkdir()
            fileio.write_json(draft / self.offer_file.name, asdict(offer))

    def write_offer(self, offer: Offer) -> None:
        """Replace the offer."""
        fileio.write_json(self.offer_file, asdict(offer))

    def put(self, name: str, task: Task) -> None:
        """Let the workers take a task."""
        document = {"kind": task.kind, "folder": str(task.folder), "shard": task.shard}
        fileio.write_json(self._open / name, document)

    def withdraw(self, name: str) -> bool:
        """Take a task back; return False if a worker has taken it."""
        try:
            (self._open / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def open(self) -> set[str]:
        """Return the tasks that no worker has taken."""
        return set(names(self._open))

    def leases(self) -> dict[str, Path]:
        """Return the tasks that workers have taken, with the files of their leases."""
        return {name.partition("@")[0]: self._taken / name for name in names(self._taken)}

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """Yield the tasks that have ended with their outcomes, and forget them."""
        for name in sorted(names(self._done)):
            document = fileio.read_document(self._done / name)
            with suppress(OSError):
                (self._done / name).unlink()
            # Other files, such as those of a disk that was full, are no outcomes.
            with suppress(TypeError):
                yield name, Outcome(**document)

    def refusal(self, worker: str) -> str:
        """Return why a worker was refused, or ""."""
        with suppress(OSError, ValueError, RecursionError):
            return str(fileio.read_json(self.workers / worker) or "")
        return ""

    # ---- a worker -----------------------------------------------------------------------------------------

    def offer(self) -> Offer | None:
        """Return what the server has computed, or None if it is gone."""
        try:
            return Offer(**fileio.read_document(self.offer_file))
        # Gone, of another version, or on a disk that fails.
        except TypeError:
            return None

    def take(self, worker: str) -> tuple[str, Task] | None:
        """Take the first open task, or return None if there is none."""
        for name in sorted(names(self._open)):
            lease = self._lease(name, worker)
            with suppress(OSError):
                (self._open / name).rename(lease)
            # Over NFS, a rename whose answer was lost is sent again and then fails, although it has succeeded.
            document = fileio.read_document(lease)
            with suppress(KeyError, TypeError):
                return name, Task(Path(document["folder"]), document["kind"], document["shard"])
        return None

    def renew(self, name: str, worker: str) -> bool:
        """Show that a worker computes a task; return False if the server has taken it back."""
        return touched(self._lease(name, worker))

    def give_back(self, name: str, worker: str) -> None:
        """Let another worker take a task."""
        with suppress(OSError):
            self._lease(name, worker).rename(self._open / name)

    def finish(self, name: str, worker: str, outcome: Outcome) -> None:
        """Tell the server how a task has ended, unless it has taken it back."""
        lease = self._lease(name, worker)
        with suppress(OSError):
            if lease.exists():
                fileio.write_json(self._done / name, asdict(outcome))
                lease.unlink()

    def show(self, worker: str, refusal: str = "") -> None:
        """Show that a worker lives, and why it was refused, if it was."""
        with suppress(OSError):
            fileio.write_json(self.workers / worker, refusal)

    def leave(self, worker: str) -> None:
        """Forget a worker."""
        with suppress(OSError):
            (self.workers / worker).unlink()

    def _lease(self, name: str, worker: str) -> Path:
        return self._taken / f"{name}@{worker}"


def names(folder: Path) -> list[str]:
    """Return the names of the complete files in a folder; none if it is gone."""
    try:
        return [file.name for file in folder.iterdir() if not file.name.startswith(".")]
    except OSError:
        return []


def touched(file: Path) -> bool:
    """Set the time of a file to now; return whether it exists."""
    try:
        os.utime(file)
    except OSError:
        return False
    return True


class Every:
    """Calls a function at most once in some time.

    Args:
        seconds: the time.
        function: the function.
        later: whether the first call comes after that time, too.
    """

    def __init__(self, seconds: float, function: Callable[[], object], *, later: bool = False) -> None:
        self._seconds, self._function = seconds, function
        self._next = time.monotonic() + seconds if later else -math.inf

    def __call__(self) -> None:
        """Call the function if it is time."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            self._function()
