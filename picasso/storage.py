"""Session folders: generated names, quotas, expiry. Nothing of one session can be reached from another."""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from picasso import files, images
from picasso.configuration import Settings
from picasso.errors import NotFound, StorageFull, TooLarge, TooMany
from picasso.quotas import Quotas
from picasso.runs import Run, StoredPicture

# The descriptions of a session's pictures, one JSON file each.
DOCUMENTS = "[0-9]*.json"
NUMBER = re.compile(r"[0-9]{1,9}")
SWEEP_SECONDS = 60
# The folder of a server, and the file in it that the server holds while it lives.
PREFIX, CLAIM = "picasso-", "claim"


@contextmanager
def room_on_disk() -> Iterator[None]:
    """Turn "no space left" into an error that the user can understand."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("The server's disk is full; nothing was stored.") from error
        raise


class Session:
    """The folder of one visitor: uploaded pictures and runs."""

    def __init__(self, folder: Path, settings: Settings, lock: threading.Lock, quotas: Quotas) -> None:
        self.id = folder.name
        self.runs_folder = folder / "runs"
        self._quotas = quotas
        self._folder, self._settings, self._lock = folder, settings, lock
        self._pictures = folder / "pictures"
        self._order = folder / "order.json"

    def touch(self) -> None:
        """Note that the session is in use."""
        os.utime(self._folder)

    # ---- pictures -----------------------------------------------------------------------------------------

    def add_picture(self, body: bytes, name: str) -> StoredPicture:
        """Decode an upload and store its pixels as a PNG under a generated name.

        Raises:
            UnsupportedImage, BadRequest, TooLarge: see :func:`picasso.images.read`.
            TooLarge: the session holds as many pictures as it may.
        """
        self.check_room()
        image = images.read(body, name, self._settings.MAX_MEGAPIXELS)
        pixels, small = images.encode(image), images.thumbnail(image)
        with self._lock, room_on_disk():
            if sum(1 for _ in self._pictures.glob(DOCUMENTS)) >= self._settings.MAX_PICTURES:
                raise TooLarge(f"A session holds {self._settings.MAX_PICTURES} pictures at most; remove some first.")
            uid = self._next_uid()
            filename = f"{uid:04d}-{secrets.token_hex(6)}.png"
            files.write_bytes(self._pictures / filename, pixels)
            # Now, while it is in memory: a page of a hundred pictures would wait for a hundred to be read again.
            files.write_bytes(self._thumbnail(filename), small)
            document = StoredPicture(
                uid=uid, name=images.display_name(name), filename=filename, path=str(self._pictures / filename)
            )
            files.write_json(self._document(uid), document)
            return document

    def check_room(self) -> None:
        """Raise TooLarge or StorageFull where no more may be stored; see :class:`picasso.quotas.Quotas`."""
        self._quotas.check(self._folder)

    def _next_uid(self) -> int:
        """Count up; a removed picture's number is not used again."""
        counter = self._folder / "next_uid"
        uid: int = files.read_json(counter) or 0
        files.write_json(counter, uid + 1)
        return uid

    def pictures(self) -> list[StoredPicture]:
        """Return the pictures in the order that :meth:`arrange` gave them, later ones in the order of their upload."""
        documents = (files.read_json(file) for file in self._pictures.glob(DOCUMENTS))
        order = {uid: place for place, uid in enumerate(files.read_json(self._order) or [])}
        known = [document for document in documents if document]
        return sorted(known, key=lambda document: (order.get(document["uid"], len(order)), int(document["uid"])))

    def arrange(self, uids: Sequence[int | str]) -> None:
        """Put the pictures of these numbers first, in this order; the others follow as they were."""
        first = [self.picture(uid)["uid"] for uid in uids]
        rest = [picture["uid"] for picture in self.pictures() if picture["uid"] not in first]
        with room_on_disk():
            files.write_json(self._order, [*dict.fromkeys(first), *rest])

    def move(self, uid: int | str, places: int) -> None:
        """Move a picture towards the end by so many places, or towards the beginning if ``places`` is negative."""
        moved = self.picture(uid)["uid"]
        order = [picture["uid"] for picture in self.pictures()]
        place = max(0, order.index(moved) + places)
        order.remove(moved)
        order.insert(place, moved)
        self.arrange(order)

    def picture(self, uid: str | int) -> StoredPicture:
        """Return one picture by its number, or raise NotFound."""
        number = str(uid)
        stored: StoredPicture | None = None
        if NUMBER.fullmatch(number):
            stored = files.read_json(self._document(int(number)))
        if stored is None:
            raise NotFound("There is no picture of that number in this session.", field="image")
        return stored

    def _document(self, uid: int) -> Path:
        return self._pictures / f"{uid:04d}.json"

    def remove_picture(self, uid: str | int) -> None:
        """Forget a picture; runs that already have it keep their results."""
        picture = self.picture(uid)
        self._document(picture["uid"]).unlink(missing_ok=True)
        Path(picture["path"]).unlink(missing_ok=True)
        self._thumbnail(picture["filename"]).unlink(missing_ok=True)

    def picture_file(self, filename: str) -> Path:
        """Return the path of a stored picture, or raise NotFound."""
        file = files.child(self._pictures, filename)
        if file is None or file.suffix != ".png":
            raise NotFound("There is no such picture in this session.")
        return file

    def thumbnail_file(self, filename: str) -> Path:
        """Return the path of the small version of a stored picture, or raise NotFound."""
        return self._thumbnail(self.picture_file(filename).name)

    def _thumbnail(self, filename: str) -> Path:
        return self._pictures / f"{filename}.webp"

    # ---- runs ---------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> Run:
        """Return one of the session's runs, or raise NotFound."""
        folder = self.runs_folder / run_id
        if not run_id.isalnum() or not run_id.isascii() or folder.is_symlink() or not (folder / "run.json").is_file():
            raise NotFound("There is no such run in this session; it may have expired.")
        return Run(folder)

    def runs(self) -> list[Run]:
        """Return the runs, the newest first."""
        found = [Run(file.parent) for file in self.runs_folder.glob("*/run.json")]
        return sorted(found, key=lambda run: run.spec().created, reverse=True)

    def remove_run(self, run: Run) -> None:
        """Cancel a run and delete its files."""
        run.cancel()
        shutil.rmtree(run.folder, ignore_errors=True)


def remove_orphans(parent: Path) -> None:
    """Delete the folders of servers that ended without doing it, as one that is killed does."""
    for claim in parent.glob(f"{PREFIX}*/{CLAIM}"):
        if files.is_unclaimed(claim):
            shutil.rmtree(claim.parent, ignore_errors=True)


class Storage:
    """All sessions of one server, in a temporary folder that is deleted when it ends."""

    def __init__(self, settings: Settings) -> None:
        parent = settings.path(settings.WORK_DIR) if settings.WORK_DIR else None
        if parent:
            parent.mkdir(parents=True, exist_ok=True)
        remove_orphans(parent or Path(tempfile.gettempdir()))
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # Held as long as this process lives, however it ends.
        self._claim = files.claim(self.folder / CLAIM)
        self._sessions = self.folder / "sessions"
        self._sessions.mkdir()
        # Small versions of the samples, which all sessions share.
        self._samples = self.folder / "samples"
        self._samples.mkdir()
        self._settings = settings
        self._quotas = Quotas(self._sessions, settings.SESSION_MB, settings.TOTAL_MB)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._sweep, name="picasso-storage", daemon=True).start()
        atexit.register(self.close)

    def sample_thumbnail(self, sample: Path) -> Path:
        """Return the path of a small version of a sample, made when first asked for."""
        small = self._samples / f"{hashlib.sha256(str(sample).encode()).hexdigest()[:24]}.webp"
        if not small.exists():
            image = images.read(sample.read_bytes(), sample.name)
            with room_on_disk():
                files.write_bytes(small, images.thumbnail(image, images.SAMPLE_SIDE))
        return small

    def create(self) -> Session:
        """Make a new session with an id that can't be guessed.

        Raises:
            TooMany: the server holds as many sessions as it may.
            StorageFull: their files take as much room as they may.
        """
        self.expire()
        self._quotas.check()
        with self._lock, room_on_disk():
            if sum(1 for _ in self._sessions.iterdir()) >= self._settings.MAX_SESSIONS:
                raise TooMany("The server holds as many sessions as it may; try again later.")
            folder = self._sessions / secrets.token_hex(16)
            (folder / "pictures").mkdir(parents=True)
            (folder / "runs").mkdir()
        return Session(folder, self._settings, self._lock, self._quotas)

    def find(self, session_id: str | None) -> Session | None:
        """Return a session by its id, or None if there is none (any more)."""
        if not session_id or not session_id.isalnum() or not session_id.isascii():
            return None
        folder = self._sessions / session_id
        if not folder.is_dir():
            return None
        session = Session(folder, self._settings, self._lock, self._quotas)
        session.touch()
        return session

    def remove(self, session: Session) -> None:
        """Cancel a session's runs and delete its folder."""
        for run in session.runs():
            run.cancel()
        shutil.rmtree(self._sessions / session.id, ignore_errors=True)

    def expire(self) -> None:
        """Delete the sessions that nobody has used for ``SESSION_MINUTES``."""
        oldest = time.time() - self._settings.SESSION_MINUTES * 60
        for folder in self._sessions.iterdir():
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Delete expired sessions now and then, also while nobody asks for anything."""
        while not self._closed.wait(SWEEP_SECONDS):
            self.expire()

    def close(self) -> None:
        """Delete everything."""
        self._closed.set()
        atexit.unregister(self.close)
        self._claim.close()
        shutil.rmtree(self.folder, ignore_errors=True)
