"""The job queue: runs, audits, predictions, searches and rankings wait here, and go to the engine in parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from picasso.errors import BadRequest, NotReady
from picasso.explanation.registry import Registry
from picasso.jobs.active_jobs import Active, ActiveJobs
from picasso.jobs.audit_documents import AuditRequest
from picasso.jobs.audit_job import Audit
from picasso.jobs.audit_tasks import AuditTasks
from picasso.jobs.base import Job
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.engine import Engine
from picasso.jobs.gate import Gate
from picasso.jobs.independent_tasks import IndependentTasks
from picasso.jobs.prediction_job import Order, Predictions
from picasso.jobs.prediction_parts import PredictionParts
from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.ranking_parts import RankingParts
from picasso.jobs.request_checks import checked_ranking, checked_run, checked_search
from picasso.jobs.run import Run, StoredImage
from picasso.jobs.served_model import ServedModel
from picasso.jobs.tasks import AnyJob
from picasso.jobs.worker_process import WorkerProcess

# The timeout of questions, in seconds.
ANSWER_TIMEOUT = 60


class JobQueue:
    """Accepts runs and audits up to a limit and tracks which of them are queued, running and done.

    Args:
        engine: passes the shards to a worker.
        registry: the available visualizations.
        configured: how the worker finds the model; see :func:`picasso.jobs.worker.reference`.
        capacity: the maximum number of queued and running jobs.
        compared: the names of the models to compare with.
        waiting: the maximum number of waiting callers of :meth:`ask` and :meth:`run_and_wait` (half of it).
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        configured: dict[str, Any],
        capacity: int,
        compared: Sequence[str] = (),
        waiting: int = 4,
    ) -> None:
        self._engine, self._registry, self._configured = engine, registry, configured
        self._compared = tuple(compared)
        # Questions take moments, but runs may take minutes: half of the places are reserved for questions.
        self._gate, self._runs_gate = Gate(waiting), Gate(max(1, waiting // 2))
        #: Called with each job that leaves the queue, how it has ended, and the seconds that it was there.
        self.on_end: Callable[[Job, str, float], None] = lambda job, outcome, seconds: None
        #: The model that the engine has loaded.
        self.model = ServedModel(engine)
        self._jobs = ActiveJobs(capacity, lambda job, outcome, seconds: self.on_end(job, outcome, seconds))
        self._tasks, self._audits = IndependentTasks(engine, self._jobs), AuditTasks(engine, self._jobs)
        self._predictions, self._rankings = PredictionParts(engine, self._jobs), RankingParts(engine, self._jobs)

    def models(self) -> tuple[str, ...]:
        """Return the names of the models to compare with."""
        return self._compared

    # ---- starting jobs ------------------------------------------------------------------------------------

    def start(
        self,
        parent: Path,
        name: str,
        settings: Mapping[str, object],
        images: list[StoredImage],
        *,
        targets: Sequence[int | str] = (),
        models: Sequence[int | str] = (),
        among: Sequence[StoredImage] = (),
        model: str = "",
        workspace: bool = False,
    ) -> Run:
        """Validate a request and queue it as a new run in the folder ``parent``.

        Args:
            parent: the folder in which to create the run's folder.
            name: the name of the visualization.
            settings: its settings, not validated yet.
            images: at least one image.
            targets: what to explain, such as names of classes; none for the most important predictions of each image.
            models: the names of the models to compare with, from :meth:`models`.
            among: the images of the session, which targets such as "like:other.png" may name.
            model: the name of the model to explain, from :meth:`models`, or "" for the main model.
            workspace: whether the workspace starts it; see :class:`picasso.jobs.run.Spec`.

        Raises:
            NotFound: there is no such visualization.
            BadRequest: it can't be used, a setting is invalid, or there are no images.
            NotReady: the model could not be loaded.
            Busy: the queue is full.
            StorageFull: the disk is full.
        """
        spec = checked_run(
            self.model,
            self._configured,
            self._compared,
            self._registry.get(name),
            settings,
            images,
            targets=targets,
            models=models,
            among=among,
            model=model,
            workspace=workspace,
        )
        with self._jobs.adding():
            self._jobs.check_capacity(parent.parent)
            run = Run.create(parent, spec)
            self._jobs.add(Active(run, spec.shards, workspace))
        self._audits.ask_for_turns()
        # What has one worker only, such as the maps of the first page, is not tried again, because all others would
        # wait for that worker a second time.
        again = self._engine.parallel and not workspace
        for shard in range(spec.shards):
            self._tasks.submit_shard(run, shard, int(workspace), again=again)
        return run

    def start_audit(self, audit: Audit, *, pairs: int, seed: int, budget: float, mend: bool = False) -> None:
        """Queue an audit that has its images, continue one that was interrupted, or mend the model of a finished one.

        Raises:
            BadRequest: it has already started, or has too few images.
            NotReady: the model could not be loaded.
            Busy: the queue is full.
            StorageFull: the disk is full.
            ConfigurationError: the setting INTERVENTIONS is invalid.
        """
        self.model.require_loadable()
        self.model.check_audits()
        with self._jobs.adding():
            # The engine may need a moment to stop an audit after it was cancelled.
            if audit in self._jobs and audit.is_stopped():
                raise BadRequest("The audit is being stopped. Try again in a few seconds.")
            self._jobs.check_capacity(audit.folder.parent.parent)
            audit.start(AuditRequest(self._configured, pairs, seed, budget, mend))
            # Each pair is a task of its own, so that others come in between, and what remains is another one.
            tasks = 0 if mend else audit.pairs()
            self._audits.add(audit, tasks)
        self._audits.ask_for_turns()
        self._audits.submit(audit, tasks)

    def start_predictions(self, job: Predictions, images: Callable[[], Sequence[StoredImage]]) -> None:
        """Queue the predictions of images, or add images to those that are queued already.

        Args:
            job: the predictions.
            images: returns the images; called in turn, so that of two callers at the same time the later has all.

        Raises:
            BadRequest: there are no images.
            NotReady: the model could not be loaded.
            Busy: the queue is full.
            StorageFull: the disk is full.
        """
        self.model.require_loadable()
        with self._jobs.adding():
            if not (wanted := list(images())):
                raise BadRequest("There are no images to predict. Upload images or add samples.", field="images")
            queued = job in self._jobs
            if not queued:
                self._jobs.check_capacity(job.folder.parent.parent)
            job.start(Order(self._configured, wanted))
            if not queued:
                self._jobs.add(Active(job, 0))
            # Counted, so that the part in progress is followed by another, even if it was the last.
            self._jobs.of(job).left += 1
        self._audits.ask_for_turns()
        if not queued:
            self._predictions.submit(job)

    def start_search(
        self,
        parent: Path,
        images: Sequence[StoredImage],
        *,
        layer: str,
        target: int | str | None,
        count: int,
        audit: str,
        model: str,
    ) -> ConceptSearch:
        """Queue a search for concepts in the folder ``parent``.

        Args:
            parent: the folder in which to create the folder of the search.
            images: the images to look at.
            layer: the name of the layer, or "" for the default.
            target: the name or index of the class whose concepts are wanted, or None.
            count: the number of concepts.
            audit: the ``audit.json`` of an audit of the model, or "".
            model: the identity of the model; see :func:`picasso.jobs.prediction_job.identity`.

        Raises:
            BadRequest: there are no images, no such layer or class, or the model has no feature maps.
            ConfigurationError: the package scikit-learn is missing.
            NotReady: the model is not loaded.
            Busy: the queue is full.
            StorageFull: the disk is full.
        """
        order = checked_search(
            self.model, self._configured, images, layer=layer, target=target, count=count, audit=audit, model=model
        )
        with self._jobs.adding():
            self._jobs.check_capacity(parent.parent)
            search = ConceptSearch.create(parent, order)
            self._jobs.add(Active(search, 1))
        self._audits.ask_for_turns()
        self._tasks.submit_search(search, again=self._engine.parallel)
        return search

    def start_ranking(
        self, parent: Path, images: Sequence[StoredImage], names: Sequence[str] | None, model: str
    ) -> MethodRanking:
        """Queue a ranking of methods in the folder ``parent``.

        Args:
            parent: the folder in which to create the folder of the ranking.
            images: the images to grade the methods on.
            names: the names of the visualizations; None for all that make maps and can be used.
            model: the identity of the model; see :func:`picasso.jobs.prediction_job.identity`.

        Raises:
            NotFound: there is no such visualization.
            BadRequest: there are no images or no visualizations, too many images, or a visualization makes no maps or
                can't be used.
            NotReady: the model is not loaded.
            Busy: the queue is full.
            StorageFull: the disk is full.
        """
        order = checked_ranking(self.model, self._configured, self._registry, images, names, model)
        with self._jobs.adding():
            self._jobs.check_capacity(parent.parent)
            ranking = MethodRanking.create(parent, order)
            self._jobs.add(Active(ranking, 1))
        self._audits.ask_for_turns()
        self._rankings.submit(ranking)
        return ranking

    # ---- jobs at work -------------------------------------------------------------------------------------

    def at_work(self, session: Path) -> list[Job]:
        """Return the queued and running jobs of the session with this folder, oldest first, without reading files."""
        return self._jobs.of_session(session)

    def position(self, job: AnyJob) -> int:
        """Return the approximate number of jobs ahead of this one; 0 if it is running or done."""
        return self._jobs.position(job)

    def counts(self) -> dict[str, int]:
        """Return the numbers of queued and running jobs by :attr:`picasso.jobs.base.Job.kind`."""
        return self._jobs.counts()

    # ---- waiting for the engine ---------------------------------------------------------------------------

    def ask(self, question: dict[str, Any]) -> Any:
        """Return the answer to a question of :mod:`picasso.explanation.questions`, computed between chunks of a run.

        Raises:
            Busy: the maximum number of requests is waiting.
            NotReady: the model is not loaded, or there was no answer within :data:`ANSWER_TIMEOUT` seconds.
            WorkerDied: the worker process has ended; a new one is starting.
            PicassoError: the question can't be answered.
        """
        self.model.require_ready()
        with self._gate.place():
            try:
                return self._engine.ask(question).result(timeout=ANSWER_TIMEOUT)
            except TimeoutError:
                raise NotReady(f"The request timed out after {ANSWER_TIMEOUT} seconds. Try again.") from None

    def run_and_wait(
        self,
        parent: Path,
        name: str,
        settings: Mapping[str, object],
        images: list[StoredImage],
        *,
        timeout: float,
        gone: Callable[[], bool],
    ) -> Run:
        """Queue a run like :meth:`start` and wait for it like :meth:`wait`.

        Raises:
            Busy: the maximum number of requests, in total or of this session, is waiting; nothing was queued.
        """
        with self._runs_gate.place(parent.parent), self._gate.place():
            run = self.start(parent, name, settings, images)
            self.wait(run, timeout, gone)
            return run

    def wait(self, run: Run, timeout: float, gone: Callable[[], bool] = lambda: False) -> None:
        """Block until a run has ended or the client is gone; raise NotReady after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while run.state()["state"] in ("waiting", "running"):
            if gone():
                run.cancel()
                return
            if time.monotonic() > deadline:
                run.cancel()
                raise NotReady(f"The run exceeded the limit of {timeout:.0f} seconds and was cancelled.")
            time.sleep(0.02)

    # ---- the engine ---------------------------------------------------------------------------------------

    def health(self) -> str:
        """Return "ready" if requests are computed now, or the reason in one word if not."""
        return self._engine.health()

    @staticmethod
    def workers_started() -> int:
        """Return the number of worker processes that this process has started."""
        return WorkerProcess.count

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()
