"""What runs and audits have in common: each is a folder, and marks in it say that nobody wants it, or why it failed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from picasso import fileio
from picasso.errors import PicassoError, document_of


class Job:
    """The folder of some work, which the web server and the process that computes share."""

    #: The file that is there from the beginning until it is deleted.
    document: str
    #: What is said where there is none.
    gone: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @property
    def created(self) -> float:
        """When it was begun, in seconds since the epoch."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Ask whoever computes to stop at the next report of progress; one that was deleted meanwhile stops anyway."""
        with suppress(FileNotFoundError):
            (self.folder / "cancel").touch()

    def deleted(self) -> bool:
        """Tell whether it is no longer there."""
        # The folder may be: it survives its deletion if progress is written into it at that very moment.
        return not (self.folder / self.document).is_file()

    def at_work(self) -> bool:
        """Tell whether something is still going to happen by itself: it waits or computes."""
        raise NotImplementedError

    def is_stopped(self) -> bool:
        """Tell whether it was cancelled, failed, or deleted."""
        return self.deleted() or any((self.folder / mark).exists() for mark in ("cancel", "error.json"))

    def fail(self, error: PicassoError) -> None:
        """Note why it failed; the first reason stays. One that was deleted meanwhile needs none."""
        if (self.folder / "error.json").exists():
            return
        try:
            document = document_of(error)
            fileio.write_json(self.folder / "error.json", {"code": document["code"], "message": document["message"]})
        except FileNotFoundError:
            pass
        except OSError:
            # Not even the reason has room on the disk; an empty file has, and ends the waiting.
            with suppress(OSError):
                self.cancel()

    def error(self) -> dict[str, str] | None:
        """Return why it failed."""
        error: dict[str, str] | None = fileio.read_json(self.folder / "error.json")
        return error
