"""The workers that take their tasks from a folder: ``picasso work FOLDER``, on this and on other machines.

Whatever starts them, such as Slurm, Kubernetes or a shell, they need nothing but the folder. So they may also come
long after the tasks, which wait for them.
"""

from __future__ import annotations

import itertools
import logging
import math
import shutil
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from picasso.errors import ConfigurationError, PicassoError, RunError, WorkerCrashed, WorkerDied, error_from, reason
from picasso.jobs.agreement import Shared, facts
from picasso.jobs.supervision import supervised
from picasso.jobs.task_folder import BEAT_SECONDS, NAME, Every, Life, Offer, Outcome, TaskFolder, names
from picasso.jobs.task_folder import touched as touch
from picasso.jobs.tasks import Task

log = logging.getLogger(__name__)

# How often the folder is looked at.
LOOK_SECONDS = 0.25
# The number of open tasks for each worker: enough that none waits for the next, and few, because what is open no
# longer takes turns with the tasks of other sessions.
OPEN_PER_WORKER = 1
GONE = "The worker showed no sign of life any more."


@dataclass
class Posted:
    """A task in the folder.

    Attributes:
        future: that of its outcome.
        task: the task.
        lease: the file of its lease, or None while it is open.
        life: that of the lease.
    """

    future: Future[None]
    task: Task
    lease: Path | None = None
    life: Life | None = None

    def begins(self, lease: Path) -> bool:
        """Tell whether this lease is a new one."""
        # Another worker may have taken it after the first gave it back.
        if lease == self.lease:
            return False
        self.lease, self.life = lease, Life(lease)
        return True


class FolderCrew:
    """The workers of a folder.

    Args:
        shared: what they have in common; the tasks are put into a folder in its folder.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.place = TaskFolder(shared.folder / NAME)
        limits = [None if math.isinf(one) else one for one in (shared.limit, shared.stall)]
        self._offer = Offer(shared.configured, facts(shared.configured), self._card(), *limits)
        try:
            self.place.create(self._offer)
        except OSError as error:
            raise ConfigurationError(
                f"The engine can't keep tasks in {shared.folder.parent}: {reason(error)}. Make space on its disk, "
                "or choose another folder.",
                field="ENGINE",
            ) from error
        self._numbers = itertools.count()
        self._posted: dict[str, Posted] = {}
        # The workers that live, and those that were refused, with the reason.
        self._workers: dict[str, Life] = {}
        self._refused: dict[str, str] = {}
        self._beat = Every(BEAT_SECONDS, lambda: touch(self.place.offer_file))
        self._closing = threading.Event()
        self._thread = supervised("picasso-folder", self._look, LOOK_SECONDS, self._closing)

    def health(self) -> str:
        """Return "ready" if a worker has the model, or else "no workers"."""
        return "ready" if self.workers() else "no workers"

    def workers(self) -> list[str]:
        """Return the names of the workers that have the model."""
        return [name for name in list(self._workers) if not self._refused.get(name)]

    def refusals(self) -> dict[str, str]:
        """Return why workers were refused, by their names."""
        return {name: why for name, why in self._refused.items() if why}

    def close(self) -> None:
        """Delete the folder, at which the workers stop their tasks."""
        self._closing.set()
        self._thread.join(timeout=5)
        shutil.rmtree(self.place.folder, ignore_errors=True)
        for posted in self._posted.values():
            posted.future.set_exception(WorkerDied("The server is shutting down."))
        self._posted = {}

    def _card(self) -> dict[str, Any] | None:
        status = self._shared.status()
        return dict(status["card"]) if status["state"] == "ready" else None

    def _look(self) -> None:
        self._beat()
        if self._offer.card is None and (card := self._card()):
            self._offer = replace(self._offer, card=card)
            self.place.write_offer(self._offer)
        self._look_at_workers()
        for name, outcome in self.place.outcomes():
            self._end(name, error_of(outcome))
        # The leases are listed after the open tasks: what is taken in between is in both, not in neither.
        waiting, leases = self.place.open(), self.place.leases()
        for name, posted in list(self._posted.items()):
            if name in leases:
                if posted.begins(leases[name]):
                    # Until now it waited for a worker.
                    self._shared.tasks.restart(posted.future, posted.task)
                elif posted.life and not posted.life.lasts():
                    log.warning("the worker %s is gone", leases[name].name.partition("@")[2])
                    leases[name].unlink(missing_ok=True)
                    self._end(name, WorkerCrashed(GONE))
            elif name in waiting and posted.task.is_stopped() and self.place.withdraw(name):
                self._end(name, None)
        self._post(len(waiting - leases.keys()))

    def _look_at_workers(self) -> None:
        """Notice workers that come, were refused, or are gone."""
        for name in names(self.place.workers):
            file = self.place.workers / name
            if name not in self._workers:
                self._workers[name] = Life(file)
                log.info("the worker %s is there", name)
            why = self.place.refusal(name)
            if why and why != self._refused.get(name):
                log.error("The worker %s was refused, because %s.", name, why)
            self._refused[name] = why
        for name, life in list(self._workers.items()):
            if not life.lasts():
                log.warning("the worker %s has left", name)
                del self._workers[name], self._refused[name]
                with suppress(OSError):
                    (self.place.workers / name).unlink()

    def _post(self, waiting: int) -> None:
        """Put tasks into the folder, as many as the workers take soon."""
        for _ in range(max(1, OPEN_PER_WORKER * len(self.workers())) - waiting):
            taken = self._shared.tasks.take(timeout=0)
            if taken is None:
                return
            future, task = taken
            name = f"{next(self._numbers):08d}"
            self._posted[name] = Posted(future, task)
            try:
                self.place.put(name, task)
            except OSError as error:
                self._end(name, RunError(f"The task can't be stored: {reason(error)}."))

    def _end(self, name: str, error: PicassoError | None) -> None:
        """Settle the future of a task."""
        posted = self._posted.pop(name, None)
        if posted is None:
            return
        if error:
            posted.future.set_exception(error)
        else:
            posted.future.set_result(None)


def error_of(outcome: Outcome) -> PicassoError | None:
    """Return the error of a task, or None."""
    if outcome.error is None:
        return None
    return WorkerCrashed(outcome.error["message"]) if outcome.crashed else error_from(outcome.error)
