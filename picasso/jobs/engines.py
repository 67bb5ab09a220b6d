"""Starting the engine of the setting ``ENGINE``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picasso.config import Settings
from picasso.errors import ConfigurationError
from picasso.jobs.engine import Engine, LocalEngine
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
        crew: Crew
        if kind == "processes":
            crew = ProcessCrew(processes - 1, configured, folder, tasks, *limits)
        else:
            crew = dask_crew(settings.ENGINE, configured, folder, tasks, interactive, limits)
    except BaseException:
        interactive.close()
        raise
    return Team(interactive, tasks, crew)


def dask_crew(
    engine: str,
    configured: dict[str, Any],
    folder: Path,
    tasks: TaskQueue,
    interactive: LocalEngine,
    limits: tuple[float, float],
) -> Crew:
    """Return the workers of a Dask cluster, whose package is imported only now."""
    try:
        from picasso.jobs.dask_crew import DaskCrew
        from picasso.jobs.dask_seat import Shared
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The engine {engine} needs the package distributed: pip install 'picasso-viz[dask]'.", field="ENGINE"
        ) from error
    shared = folder / "dask"
    shared.mkdir()
    return DaskCrew(engine, Shared(configured, shared, tasks, interactive.model_status, *limits))
