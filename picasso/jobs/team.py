"""An engine of several workers: one for what a user waits for, the others for all other runs, audits and predictions.

The first worker is always a process of this machine, so that questions are answered without another machine, and its
model is the one that the pages describe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from picasso.jobs.engine import LocalEngine, QueueingEngine
from picasso.jobs.tasks import Task, TaskQueue


class Crew(Protocol):
    """The workers that compute the tasks of a queue."""

    def health(self) -> str:
        """Return "ready" if tasks are computed now, or the reason in a word or two if not."""

    def close(self) -> None:
        """Stop all work; the queue is closed already."""


class Team(QueueingEngine):
    """An engine of an interactive worker and a crew.

    Args:
        interactive: answers questions and computes the urgent tasks.
        tasks: the queue of all other tasks.
        crew: computes these.
    """

    parallel = True

    def __init__(self, interactive: LocalEngine, tasks: TaskQueue, crew: Crew) -> None:
        self._interactive, self._tasks, self._crew = interactive, tasks, crew

    def add(self, task: Task, priority: int) -> Future[None]:
        """Queue a task: an urgent one for the interactive worker, any other for the crew."""
        return self._interactive.add(task, priority) if priority > 0 else self._tasks.add(task, priority)

    def ask(self, question: dict[str, Any]) -> Future[Any]:
        """Ask the interactive worker."""
        return self._interactive.ask(question)

    def model_status(self) -> Mapping[str, Any]:
        """Return the status of the model of the interactive worker."""
        return self._interactive.model_status()

    def health(self) -> str:
        """Return that of the interactive worker, or else that of the crew."""
        own = self._interactive.health()
        return own if own != "ready" else self._crew.health()

    def close(self) -> None:
        """Stop all workers."""
        self._tasks.close()
        self._crew.close()
        self._interactive.close()


class ProcessCrew:
    """Processes of this machine, each with its own copy of the model.

    Args:
        count: the number of processes.
        configured: how they find the model; see :func:`picasso.jobs.worker.reference`.
        work_dir: a folder for their files.
        tasks: what they compute.
        limit: the time limit of a run, in seconds.
        stall: the time limit of a run without progress, in seconds.

    Raises:
        WorkerDied: a process can't be started.
    """

    def __init__(
        self,
        count: int,
        configured: dict[str, Any],
        work_dir: Path,
        tasks: TaskQueue,
        limit: float = math.inf,
        stall: float = math.inf,
    ) -> None:
        self._workers: list[LocalEngine] = []
        try:
            for number in range(1, count + 1):
                name, team = f"worker-{number}", self._workers
                team.append(LocalEngine(configured, work_dir, limit, stall, name=name, tasks=tasks, team=team))
        except BaseException:
            self.close()
            raise

    def health(self) -> str:
        """Return "ready" if one of them is, or else the state of the first."""
        states = [worker.health() for worker in self._workers]
        return "ready" if "ready" in states else states[0]

    def close(self) -> None:
        """Stop the processes immediately."""
        for worker in self._workers:
            worker.close()
