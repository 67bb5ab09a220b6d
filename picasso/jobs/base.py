"""The base class of all jobs: a folder with marks for cancellation and failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from picasso import fileio
from picasso.errors import PicassoError, document_of


class Job:
    """The folder of a job, which the web server and the worker process share."""

    #: The file that exists from its creation until it is deleted.
    document: str
    #: The message if it does not exist.
    gone: str
    #: What the log and the numbers for Prometheus call it.
    kind: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @property
    def created(self) -> float:
        """The time of its creation, in seconds since the epoch."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Make the worker stop at the next progress report; a deleted job stops anyway."""
        with suppress(FileNotFoundError):
            (self.folder / "cancel").touch()

    def deleted(self) -> bool:
        """Tell whether it was deleted."""
        # The folder may still exist: it survives if progress is written to it during the deletion.
        return not (self.folder / self.document).is_file()

    @contextmanager
    def unless_deleted(self, instead: BaseException) -> Iterator[None]:
        """Raise ``instead`` if file access fails because the job was deleted in the meantime."""
        try:
            yield
        except (OSError, PicassoError) as error:
            if self.deleted():
                raise instead from error
            raise

    def end(self) -> Literal["finished", "failed", "cancelled"] | None:
        """Return how a job of one part has ended, or None if it has not."""
        # "done" is checked first: the worker may finish while this method reads.
        if self.is_done():
            return "finished"
        if (self.folder / "error.json").exists():
            return "failed"
        return "cancelled" if (self.folder / "cancel").exists() else None

    def is_done(self) -> bool:
        """Tell whether the mark of its end is there."""
        return (self.folder / "done").exists()

    def at_work(self) -> bool:
        """Tell whether it is queued or running."""
        raise NotImplementedError

    def is_stopped(self) -> bool:
        """Tell whether it was cancelled, failed, or deleted."""
        return self.deleted() or any((self.folder / mark).exists() for mark in ("cancel", "error.json"))

    def fail(self, error: PicassoError) -> None:
        """Store the reason of a failure unless there already is one or the job was deleted."""
        if (self.folder / "error.json").exists():
            return
        try:
            document = document_of(error)
            fileio.write_json(self.folder / "error.json", {"code": document["code"], "message": document["message"]})
        except FileNotFoundError:
            pass
        except OSError:
            # The disk has no space for the reason, but an empty file can still mark the failure.
            with suppress(OSError):
                self.cancel()

    def error(self) -> dict[str, str] | None:
        """Return why it failed."""
        error: dict[str, str] | None = fileio.read_json(self.folder / "error.json")
        return error
