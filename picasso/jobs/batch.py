"""Commands whose runs and audits are computed by the workers of an engine; see :mod:`picasso.jobs.engines`."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from picasso import fileio
from picasso.config import Settings
from picasso.errors import WorkerCrashed, error_from
from picasso.explanation.pipeline import GROUP
from picasso.jobs import worker
from picasso.jobs.agreement import Shared
from picasso.jobs.audit_documents import AuditRequest
from picasso.jobs.audit_job import Audit
from picasso.jobs.engines import start_crew
from picasso.jobs.run import Run, Spec, StoredImage
from picasso.jobs.task_folder import Every
from picasso.jobs.tasks import Task, TaskQueue
from picasso.jobs.team import Crew
from picasso.models.base import Model

log = logging.getLogger(__name__)

# The number of tasks that the workers have at the same time, how often it is looked after them, how often the progress
# is reported, and how often the trials of an audit are saved.
MAX_OPEN, LOOK_SECONDS, REPORT_SECONDS, SAVE_SECONDS = 64, 0.5, 1.0, 10.0
# How often a user is told that there are no workers.
LONELY_SECONDS = 30.0
# The largest number of crashed workers; an image that crashes one would crash them all.
MAX_CRASHES = 10
# Nothing further is tested after these seconds; JSON has no infinity.
NEVER = 1e12


@dataclass(frozen=True)
class Batch:
    """The workers of a command, and the folder of its jobs.

    Attributes:
        crew: the workers.
        tasks: what they compute.
        configured: how they find the model; see :func:`picasso.jobs.worker.reference`.
        folder: an empty folder that they see.
        hint: how to start workers, as a sentence, or "".
    """

    crew: Crew
    tasks: TaskQueue
    configured: dict[str, Any]
    folder: Path
    hint: str = ""

    def explain(
        self,
        model: Model,
        images: Sequence[tuple[str, Path]],
        visualization: str,
        settings: dict[str, object],
        targets: Sequence[str],
        compare: Sequence[str],
        report: Callable[[float], None],
    ) -> Iterator[Path]:
        """Yield the folder of the result of each image, in their order, as soon as it is computed.

        Args:
            model: the model, which knows the targets.
            images: the images with their names.
            visualization: the name of the visualization.
            settings: its settings.
            targets: what to explain, as the user wrote it.
            compare: the names of the models to compare with.
            report: called with the completed fraction.

        Raises:
            PicassoError: the run failed.
        """
        wanted = model.spec.parse(targets, [str(name) for name in model.class_names()]) if targets else []
        stored = [unread(number, name, path) for number, (name, path) in enumerate(images)]
        others = {name: unread(-1, name, Path(name)) for name in model.spec.other_images(wanted)}
        self.folder.joinpath("explain", "runs").mkdir(parents=True, exist_ok=True)
        spec = Spec(visualization, settings, stored, GROUP, self.configured, 0.0, wanted, list(compare), others)
        run = Run.create(self.folder / "explain" / "runs", spec)
        shown = 0
        show = Every(REPORT_SECONDS, lambda: report(run.state()["fraction"]))
        for _ in self.computed(run, [Task(run.folder, shard=number) for number in range(spec.shards)]):
            show()
            while shown < len(stored) and (found := run.result_folder(shown)).exists():
                yield found
                shown += 1

    def test_pairs(
        self,
        model: Model,
        folder: Path,
        counts: Mapping[int, int],
        asked: AuditRequest,
        count: int,
        keep: Path,
        report: Callable[[float], None],
    ) -> float:
        """Test the pairs of classes of an audit, which then finds the trials; return the computing time in seconds.

        Args:
            model: the model.
            folder: contains one folder of images for each class, and is seen by all workers.
            counts: the number of images of each class.
            asked: the options of the audit.
            count: the number of pairs that the audit compares.
            keep: the folder of the trials, with those of an interrupted audit; its parent must exist.
            report: called with the completed fraction.

        Raises:
            PicassoError: the audit failed.
        """
        parent = self.folder / "audit"
        parent.mkdir()
        audit = Audit.create(parent / "audits", [str(name) for name in model.class_names()])
        audit.link(folder, counts)
        if keep.is_dir():
            shutil.copytree(keep, audit.trials)
        audit.start(replace(asked, budget=min(asked.budget, NEVER), limited=False))
        # Both look at the files of all pairs, of which there may be thousands.
        show = Every(REPORT_SECONDS, lambda: report(audit.progress().fraction))
        save = Every(SAVE_SECONDS, lambda: copy_newer(audit.trials, keep))
        try:
            for _ in self.computed(audit, [Task(audit.folder, "pair", number) for number in range(count)]):
                show()
                save()
        finally:
            # Also what was computed since, if the command is interrupted.
            copy_newer(audit.trials, keep)
        return audit.computed_of()

    def computed(self, job: Run | Audit, tasks: Sequence[Task]) -> Iterator[None]:
        """Compute the tasks of a job; yield now and then, and at the end.

        A task whose worker crashes is computed again, once.

        Raises:
            PicassoError: the job failed.
        """
        waiting, again, crashes = list(reversed(tasks)), set(tasks), 0
        lonely = Every(LONELY_SECONDS, self._tell_if_alone, later=True)
        open_: dict[Future[None], Task] = {}
        try:
            while waiting or open_:
                while waiting and len(open_) < MAX_OPEN:
                    task = waiting.pop()
                    open_[self.tasks.add(task)] = task
                lonely()
                done = wait(open_, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED).done
                for future in done:
                    task, error = open_.pop(future), future.exception()
                    if isinstance(error, WorkerCrashed) and task in again and crashes < MAX_CRASHES:
                        crashes += 1
                        again.discard(task)
                        waiting.append(task)
                    elif error:
                        raise error
                if found := job.error():
                    raise error_from({"code": found["code"], "message": found["message"], "field": None})
                yield
        except BaseException:
            job.cancel()
            raise

    def _tell_if_alone(self) -> None:
        if (health := self.crew.health()) != "ready":
            log.warning("The tasks wait for workers (%s).%s", health, self.hint)


def unread(number: int, name: str, path: Path) -> StoredImage:
    """Return a file of the user as an image of a run."""
    return StoredImage(uid=number, name=name, filename=path.name, path=str(path.absolute()), unread=True)


def copy_newer(source: Path, target: Path) -> None:
    """Copy the complete files of a folder that differ in time or size; the parent of ``target`` must exist."""
    if not source.is_dir():
        return
    target.mkdir(exist_ok=True)
    for file in source.glob("[!.]*"):
        here, there = file.stat(), target / file.name
        if not there.exists() or (there.stat().st_mtime_ns, there.stat().st_size) != (here.st_mtime_ns, here.st_size):
            with fileio.whole(there) as draft:
                shutil.copy2(file, draft)


@contextmanager
def batch(settings: Settings, model: Model) -> Iterator[Batch]:
    """Start the workers of a command, or connect to them.

    Args:
        settings: say which engine.
        model: the model, which workers on other machines must have, too.

    Raises:
        ConfigurationError: the engine can't be used.
        WorkerDied: a process can't be started.
    """
    folder, lock = fileio.own_folder(settings.work_folder())
    status = {"state": "ready", "card": model.card().as_dict()}
    configured, tasks = worker.reference(settings), TaskQueue()
    kind, _, place = settings.ENGINE.partition(":")
    shared = Shared(configured, folder, tasks, lambda: status, math.inf, settings.STALL_MINUTES * 60)
    try:
        crew = start_crew(settings.ENGINE, shared, int(place) if kind == "processes" else 1)
        try:
            hint = f" Start some: picasso work {folder.parent}" if kind == "folder" else ""
            yield Batch(crew, tasks, configured, folder, hint)
        finally:
            tasks.close()
            crew.close()
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)
