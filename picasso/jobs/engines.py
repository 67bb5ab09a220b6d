"""Starting the engine of the setting ``ENGINE``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from picasso.config import Settings
from picasso.errors import ConfigurationError
from picasso.jobs.agreement import Shared
from picasso.jobs.engine import Engine, LocalEngine
from picasso.jobs.folder_crew import FolderCrew
from picasso.jobs.tasks import TaskQueue
from picasso.jobs.team import Crew, ProcessCrew, Team


def start_engine(settings: Settings, configured: dict[str, Any], folder: Path) -> Engine:
    """Start the workers.

    Args:
        settings: say which engine, and its time limits.
        configured: how the workers find the model; see :func:`picasso.jobs.worker.reference`.
        folder: a folder for their files, below which all jobs are.

    Raises:
        ConfigurationError: the extra of the engine is not installed, or its scheduler can't be reached.
        WorkerDied: a process can't be started.
    """
    limits = settings.RUN_MINUTES * 60, settings.STALL_MINUTES * 60
    kind, _, place = settings.ENGINE.partition(":")
    processes = int(place) if kind == "processes" else 1
    interactive = LocalEngine(configured, folder, *limits)
    if processes == 1 and kind in ("local", "processes"):
        return interactive
    tasks = TaskQueue()
    try:
        shared = Shared(configured, folder, tasks, interactive.model_status, *limits)
        crew = start_crew(settings.ENGINE, shared, processes - 1)
    except BaseException:
        interactive.close()
        raise
    return Team(interactive, tasks, crew)


def start_crew(engine: str, shared: Shared, processes: int) -> Crew:
    """Start the workers of batches, or connect to them.

    Args:
        engine: the setting ``ENGINE``.
        shared: what they have in common.
        processes: the number of processes, if the engine starts some.

    Raises:
        ConfigurationError: the extra of the engine is not installed, or its scheduler can't be reached.
        WorkerDied: a process can't be started.
    """
    kind = engine.partition(":")[0]
    if kind in ("local", "processes"):
        return ProcessCrew(processes, shared.configured, shared.folder, shared.tasks, shared.limit, shared.stall)
    return FolderCrew(shared) if kind == "folder" else dask_crew(engine, shared)


def dask_crew(engine: str, shared: Shared) -> Crew:
    """Return the workers of a Dask cluster, whose package is imported only now."""
    try:
        from picasso.jobs.dask_crew import DaskCrew
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The engine {engine} needs the package distributed: pip install 'picasso-viz[dask]'.", field="ENGINE"
        ) from error
    folder = shared.folder / "dask"
    folder.mkdir()
    return DaskCrew(engine, replace(shared, folder=folder))
