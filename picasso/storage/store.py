"""Session folders: generated names, quotas and expiry. No session can access the data of another one."""

from __future__ import annotations

import atexit
import hashlib
import logging
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from picasso import fileio
from picasso.config import Settings
from picasso.errors import TooMany
from picasso.imaging import decode
from picasso.imaging.decoders import Decoders
from picasso.jobs import reuse
from picasso.jobs.result_cache import ResultCache
from picasso.storage.quota import Quotas
from picasso.storage.session import ID, Session

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60
# The time in seconds during which a dropped session can be restored.
UNDO_SECONDS = 60
# The file in the folder of a dropped session with the time when it was dropped.
DROPPED = "dropped.json"


def is_dropped(folder: Path) -> bool:
    """Tell whether the visitor of a session has dropped it."""
    return (folder / DROPPED).exists()


def cancel(session: Session) -> None:
    """Cancel a session's jobs."""
    for job in session.jobs():
        job.cancel()


class Storage:
    """All sessions of one server, in a temporary folder that is deleted when it ends."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # Locked until this process ends, for whatever reason.
        self.folder, self._claim = fileio.own_folder(settings.work_folder())
        self._sessions = self.folder / "sessions"
        self._sessions.mkdir()
        # The folder to which folders are moved before they are deleted.
        self._trash = self.folder / "trash"
        self._trash.mkdir()
        # The thumbnails of the samples, which all sessions share.
        self._samples = self.folder / "samples"
        self._samples.mkdir()
        #: The folder for temporary files of the server process.
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir()
        self.decoders = Decoders(self.temporary, settings)
        #: The results that are reused, or None.
        self.cache = ResultCache.create(self.folder / reuse.FOLDER, settings.CACHE_MB) if settings.CACHE_MB else None
        self._settings = settings
        self._quotas = Quotas(self._sessions, settings.SESSION_MB, settings.TOTAL_MB, self.forget_dropped)
        self._lock = threading.Lock()
        # The number of active requests per session, which must not expire in the meantime. Every request needs the
        # lock, so it is held only briefly.
        self._held: Counter[str] = Counter()
        self._using = threading.Lock()
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="picasso-storage", daemon=True)
        self._sweeper.start()
        atexit.register(self.close)

    def sample_thumbnail(self, sample: Path) -> Path:
        """Return the path of the thumbnail of a sample, created on first use."""
        small = self._samples / f"{hashlib.sha256(str(sample).encode()).hexdigest()[:24]}.webp"
        if not small.exists():
            with fileio.whole(small) as draft:
                self.decoders.thumbnail(sample.read_bytes(), sample.name, draft, decode.SAMPLE_SIDE)
        return small

    def create(self, *, hold: bool = False) -> Session:
        """Create a session with an unguessable id; if there are too many, empty ones are deleted.

        Args:
            hold: whether it is in use until :meth:`release`.

        Raises:
            TooMany: the server has the maximum number of sessions, and none of them is empty.
            StorageFull: the sessions have reached their total quota.
        """
        self.expire()
        self._quotas.check()
        with self._lock, fileio.room_on_disk():
            if not self._make_room():
                raise TooMany("The server has reached its maximum number of sessions. Try again later.")
            folder = self._sessions / secrets.token_hex(16)
            with fileio.whole_folder(folder) as draft:
                (draft / "images").mkdir()
                (draft / "runs").mkdir()
            with self._using:
                self._held[folder.name] += hold
        return self._session(folder)

    def _make_room(self) -> bool:
        """Delete dropped sessions, and the empty ones unused for longest; tell whether another session fits."""
        sessions: dict[Path, float] = {}
        for folder in self._sessions.iterdir():
            # Its visitor may be deleting it at the same time.
            with suppress(FileNotFoundError):
                sessions[folder] = folder.stat().st_mtime
        excess = len(sessions) - self._settings.MAX_SESSIONS + 1
        for folder in sorted(sessions, key=lambda folder: (not is_dropped(folder), sessions[folder])):
            if excess <= 0:
                break
            try:
                with self._using:
                    unused = is_dropped(folder) or self._session(folder).empty()
                    if not self._held[folder.name] and unused:
                        fileio.set_aside(folder, self._trash)
                        excess -= 1
            except FileNotFoundError:
                # Its visitor deleted it between two checks.
                excess -= 1
        return excess <= 0

    def release(self, session: Session) -> None:
        """Release a session that was held."""
        with self._using:
            self._held[session.id] -= 1
            # Discard counters that are 0.
            self._held += Counter()

    def _session(self, folder: Path) -> Session:
        return Session(folder, self._settings, self._lock, self._quotas, self._trash, self.decoders)

    def find(self, session_id: str | None, *, hold: bool = False, touch: bool = True) -> Session | None:
        """Return a session by its id, or None if it does not exist or has expired.

        Args:
            session_id: the id in the visitor's cookie.
            hold: whether it is in use until :meth:`release`, so that it can't expire in the meantime.
            touch: whether this counts as a use.
        """
        if not session_id or not ID.fullmatch(session_id):
            return None
        folder = self._sessions / session_id
        with self._using:
            if not folder.is_dir() or is_dropped(folder):
                return None
            session = self._session(folder)
            try:
                if touch:
                    session.touch()
            except FileNotFoundError:
                # Its visitor has just deleted it.
                return None
            self._held[session_id] += hold
        return session

    def remove(self, session: Session) -> None:
        """Cancel a session's runs and audits and delete its folder."""
        cancel(session)
        fileio.remove(self._sessions / session.id, self._trash)
        self._tidy()

    def drop(self, session: Session) -> bool:
        """Cancel a session's runs and audits, and delete it after a minute; until then, its id restores it.

        It is deleted earlier if the server needs the space.

        Returns:
            Whether it can be restored; an empty session, and any session on a full disk, is deleted immediately.
        """
        if not session.empty():
            cancel(session)
            with suppress(OSError):
                fileio.write_json(self._sessions / session.id / DROPPED, self._clock())
                return True
        self.remove(session)
        return False

    def restorable(self, session_id: str | None) -> bool:
        """Tell whether the session with this id was dropped less than a minute ago."""
        if not session_id or not ID.fullmatch(session_id):
            return False
        when = fileio.read_json(self._sessions / session_id / DROPPED)
        return when is not None and self._clock() < when + UNDO_SECONDS

    def restore(self, session_id: str | None) -> Session | None:
        """Restore a session that was dropped less than a minute ago; its runs and audits stay cancelled."""
        if not session_id or not self.restorable(session_id):
            return None
        with self._using:
            (self._sessions / session_id / DROPPED).unlink(missing_ok=True)
        return self.find(session_id)

    def forget(self, session_id: str | None) -> None:
        """Delete a dropped session immediately."""
        if session_id and self.restorable(session_id):
            fileio.remove(self._sessions / session_id, self._trash)
            self._tidy()

    def forget_dropped(self) -> bool:
        """Delete all dropped sessions; tell whether there were any."""
        dropped = [folder for folder in self._sessions.iterdir() if is_dropped(folder)]
        for folder in dropped:
            fileio.remove(folder, self._trash)
        if dropped:
            self._tidy()
        return bool(dropped)

    def _tidy(self) -> None:
        """Delete from the cache what only deleted runs had."""
        # What is left is deleted by the next sweep.
        with suppress(OSError):
            if self.cache:
                self.cache.tidy()

    def expire(self) -> None:
        """Delete the sessions unused for ``SESSION_MINUTES``; sessions with queued or running jobs count as used.

        With ``KEEP_SESSIONS``, only empty and dropped ones are deleted.
        """
        oldest = time.time() - self._settings.SESSION_MINUTES * 60
        for folder in self._sessions.iterdir():
            # Its visitor may be deleting it at the same time. Concurrent requests find it either complete or gone.
            with suppress(FileNotFoundError):
                if is_dropped(folder):
                    if not self.restorable(folder.name):
                        fileio.remove(folder, self._trash)
                elif folder.stat().st_mtime < oldest and (gone := self._unless_used(folder, oldest)):
                    shutil.rmtree(gone, ignore_errors=True)

    def _unless_used(self, folder: Path, oldest: float) -> Path | None:
        """Move a session's folder out of the way, unless it is in use after all."""
        session = self._session(folder)
        if self._settings.KEEP_SESSIONS and not session.empty():
            return None
        at_work = session.at_work()
        with self._using:
            if at_work:
                # From now on, its visitor has time to view the results.
                session.touch()
            # A request may have started work in it just now.
            if self._held[folder.name] or folder.stat().st_mtime >= oldest:
                return None
            return fileio.set_aside(folder, self._trash)

    def well(self) -> bool:
        """Tell whether the expiry of sessions is still active."""
        return self._sweeper.is_alive()

    def _sweep(self) -> None:
        """Delete expired sessions periodically, also without requests."""
        while not self._closed.wait(SWEEP_SECONDS):
            try:
                self.expire()
                # Folders that could not be deleted at the first attempt.
                for left in self._trash.iterdir():
                    shutil.rmtree(left, ignore_errors=True)
                self._tidy()
            except Exception:
                log.exception("sessions could not be checked; retrying")

    def close(self) -> None:
        """Delete everything."""
        self._closed.set()
        atexit.unregister(self.close)
        self.decoders.close()
        self._claim.close()
        shutil.rmtree(self.folder, ignore_errors=True)
