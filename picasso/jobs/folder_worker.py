"""``picasso work FOLDER``: compute the tasks that servers and commands put into a folder.

A process of its own computes them, as in a server: one that hangs, exceeds a limit or crashes is replaced.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import secrets
import shlex
import shutil
import socket
import stat
import threading
import time
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picasso import fileio
from picasso.errors import BadRequest, NotFound, PicassoError, RunError, WorkerCrashed, document_of, reason
from picasso.jobs.agreement import Refused, compare_facts, compare_models, facts
from picasso.jobs.engine import LocalEngine
from picasso.jobs.task_folder import BEAT_SECONDS, NAME, Every, Life, Offer, Outcome, TaskFolder, touched
from picasso.jobs.tasks import Task, TaskQueue

log = logging.getLogger(__name__)

# How often a worker without a task looks for one.
LOOK_SECONDS = 0.5
# A server that refused this worker is asked again after this time: a file may have been missing for a moment.
REFUSED_SECONDS = 60.0
# A server whose model is loaded may need this long for its next task, before another one's model is loaded instead.
SWITCH_SECONDS = 5.0


@dataclass
class Server:
    """A server, or a command, that has tasks.

    Attributes:
        place: the folder of its tasks.
        life: that of its offer.
        refusal: why this worker can't compute for it, or "".
        refused_until: until when it is not tried again, by the monotonic clock.
    """

    place: TaskFolder
    life: Life
    refusal: str = ""
    refused_until: float = -math.inf

    def alive(self) -> bool:
        """Tell whether it lives, as far as has been seen."""
        return self.life.lasts() and self.life.shown


@dataclass
class Loaded:
    """The process with the model of a server.

    Attributes:
        server: the server.
        configured: the reference to the model.
        engine: the process.
        checked: whether it is the server's model.
    """

    server: Server
    configured: dict[str, Any]
    engine: LocalEngine
    checked: bool = False


class FolderWorker:
    """A worker of a folder.

    Args:
        folder: contains the folders of servers.
        idle: the number of seconds without a task after which it ends.

    Raises:
        NotFound: the folder does not exist.
        BadRequest: everybody may exchange the folders in it.
    """

    def __init__(self, folder: Path, idle: float = math.inf) -> None:
        if not folder.is_dir():
            what = f"{folder} is a file, not a folder" if folder.exists() else f"There is no folder {folder}"
            raise NotFound(f"{what}. Make one, or correct the path.")
        if may_be_exchanged(folder):
            raise BadRequest(
                f"Everybody may rename what is in {folder}, and so give other tasks to this worker. Take the "
                f"right away: chmod o-w {shlex.quote(str(folder))} or, to let others have servers there, chmod +t.",
                field="folder",
            )
        self._folder, self._idle = folder, idle
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._servers: dict[Path, Server] = {}
        self._foreign: set[Path] = set()
        self._loaded: Loaded | None = None
        self._tasks = TaskQueue()
        self._numbers = itertools.count()
        self._busy = time.monotonic()
        self._ending = threading.Event()
        self._beat = Every(BEAT_SECONDS, self._show)

    def run(self) -> None:
        """Compute tasks until :meth:`stop`, or until there have been none for too long."""
        self._temporary, lock = fileio.own_folder(None)
        try:
            while not self._ending.is_set() and time.monotonic() - self._busy < self._idle:
                if not self._turn():
                    self._ending.wait(LOOK_SECONDS)
        finally:
            self._leave()
            lock.close()
            shutil.rmtree(self._temporary, ignore_errors=True)

    def stop(self) -> None:
        """Let :meth:`run` end soon; another worker continues its task."""
        self._ending.set()

    def _turn(self) -> bool:
        """Compute a task; return False if there is none."""
        self._look()
        self._beat()
        server = self._chosen()
        if server is None or not self._has_model_of(server):
            return False
        taken = server.place.take(self.name)
        if taken:
            self._compute(server, *taken)
            self._busy = time.monotonic()
        return bool(taken)

    def _look(self) -> None:
        """Notice servers that come and go."""
        for file in self._folder.glob(f"*/{NAME}/offer.json"):
            place = TaskFolder(file.parent)
            if place.folder not in self._servers and self._trusts(place.folder):
                self._servers[place.folder] = Server(place, Life(file))
        for folder, server in list(self._servers.items()):
            if not server.life.lasts():
                # What a killed server has left behind stays known, so that it isn't taken for a new one.
                if not folder.exists():
                    del self._servers[folder]
                self._part(server)

    def _trusts(self, folder: Path) -> bool:
        """Tell whether a folder is used."""
        if is_trusted(folder) and is_trusted(folder.parent):
            return True
        if folder not in self._foreign:
            log.error("the tasks in %s are ignored: it is a link, or others own it or may write there", folder)
            self._foreign.add(folder)
        return False

    def _chosen(self) -> Server | None:
        """Return the server to compute for: with tasks if there is one, and preferably that whose model is loaded."""
        now = time.monotonic()
        usable = [one for one in self._servers.values() if one.alive() and now >= one.refused_until]
        loaded = self._loaded.server if self._loaded else None
        if loaded in usable and now - self._busy < SWITCH_SECONDS:
            return loaded
        usable.sort(key=lambda one: (not one.place.open(), one is not loaded))
        return usable[0] if usable else None

    # ---- the model ----------------------------------------------------------------------------------------

    def _has_model_of(self, server: Server) -> bool:
        """Tell whether the process has the model of a server; begin to load it if not."""
        offer = server.place.offer()
        if offer is None:
            return False
        try:
            loaded = self._process_for(server, offer)
            status = loaded.engine.model_status()
            if status["state"] == "loading" or offer.card is None:
                self._busy = time.monotonic()
                return False
            if not loaded.checked:
                compare_models(status, offer.card)
                loaded.checked, server.refusal = True, ""
                server.place.show(self.name)
                log.info("%s computes", self.name)
        except Refused as error:
            self._refuse(server, str(error))
        except Exception as error:
            log.exception("the model can't be loaded")
            self._refuse(server, f"it can't run Picasso: {reason(error)}")
        return server.refusal == ""

    def _process_for(self, server: Server, offer: Offer) -> Loaded:
        """Return the process with the model of a server, perhaps still loading.

        Raises:
            Refused: this machine differs from that of the server.
        """
        if self._loaded is None or self._loaded.server is not server or self._loaded.configured != offer.configured:
            compare_facts(facts(offer.configured), offer.facts)
            check_folder(server.place)
            self._part()
            log.info("loading the model of %s", server.place.folder.parent.name)
            name = f"worker-{next(self._numbers)}"
            engine = LocalEngine(offer.configured, self._temporary, *offer.limits, name=name, tasks=self._tasks)
            self._loaded = Loaded(server, offer.configured, engine)
        return self._loaded

    def _refuse(self, server: Server, why: str) -> None:
        """Compute nothing for a server for some time."""
        if why != server.refusal:
            log.error("This worker was refused by %s, because %s.", server.place.folder.parent.name, why)
        self._part()
        server.refusal, server.refused_until = why, time.monotonic() + REFUSED_SECONDS
        server.place.show(self.name, why)

    def _part(self, server: Server | None = None) -> None:
        """End the process with the model of a server, or with any model."""
        if self._loaded and server in (None, self._loaded.server):
            gone, self._loaded = self._loaded, None
            gone.engine.close()
            self._tasks = TaskQueue()
            gone.server.place.leave(self.name)

    # ---- a task -------------------------------------------------------------------------------------------

    def _compute(self, server: Server, name: str, task: Task) -> None:
        """Compute a task and tell its outcome; stop it if the server is gone."""
        log.info("%s %s, part %d", task.noun, task.folder.name, task.shard)
        future, renew = self._tasks.add(task), Every(BEAT_SECONDS, lambda: server.place.renew(name, self.name))
        while not wait([future], timeout=LOOK_SECONDS).done:
            renew()
            self._beat()
            if self._ending.is_set():
                server.place.give_back(name, self.name)
                return
            if not server.life.lasts():
                log.warning("the server is gone")
                self._part()
                return
        outcome = outcome_of(future)
        # Slurm, among others, sends TERM to all processes at once, so that of the model may end first.
        if outcome.crashed and self._ending.wait(LOOK_SECONDS):
            server.place.give_back(name, self.name)
        else:
            server.place.finish(name, self.name, outcome)

    def _show(self) -> None:
        """Show the servers that this worker lives: that whose model it has, and those that refused it."""
        for server in self._servers.values():
            ready = self._loaded is not None and self._loaded.server is server and self._loaded.checked
            if (ready or server.refusal) and not touched(server.place.workers / self.name):
                server.place.show(self.name, server.refusal)

    def _leave(self) -> None:
        """End the process, and tell all servers."""
        self._part()
        for server in self._servers.values():
            server.place.leave(self.name)


def outcome_of(future: Future[None]) -> Outcome:
    """Return the outcome of a task."""
    error = None if future.cancelled() else future.exception()
    if error is None:
        return Outcome()
    known = error if isinstance(error, PicassoError) else RunError(f"The computation failed: {reason(error)}.")
    return Outcome(document_of(known), isinstance(error, WorkerCrashed))


def check_folder(place: TaskFolder) -> None:
    """Raise Refused unless this process can write where results go."""
    if not os.access(place.folder.parent, os.R_OK | os.W_OK | os.X_OK):
        raise Refused(f"it can't write to the folder {place.folder.parent}")


def is_trusted(folder: Path) -> bool:
    """Tell whether a folder belongs to the user of this process, and not everybody can write into it.

    The offer in it names a settings file, which is code. A link isn't trusted, because its owner may change where it
    leads after this was asked.
    """
    with suppress(OSError):
        status = folder.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & stat.S_IWOTH
    return False


def may_be_exchanged(folder: Path) -> bool:
    """Tell whether everybody can rename the folders of others in this one, also after they were trusted."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
