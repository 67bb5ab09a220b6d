"""The job queue: runs, audits, predictions, searches and rankings wait here, and go to the engine in parts."""

from __future__ import annotations

import difflib
import functools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from picasso.errors import (
    BadRequest,
    Busy,
    ConfigurationError,
    NotFound,
    NotReady,
    PicassoError,
    RunError,
    WorkerCrashed,
    reason,
)
from picasso.explanation.guide import DEFAULT, QUESTIONS
from picasso.explanation.pipeline import GROUP
from picasso.explanation.registry import Entry, Registry
from picasso.fileio import room_on_disk
from picasso.inside.factors import require_package
from picasso.inside.looking import class_of
from picasso.jobs.audit_documents import AuditRequest
from picasso.jobs.audit_job import Audit
from picasso.jobs.base import Job
from picasso.jobs.concept_search import ConceptSearch
from picasso.jobs.concept_search import Order as ConceptOrder
from picasso.jobs.engine import Engine
from picasso.jobs.gate import Gate
from picasso.jobs.prediction_job import Order, Predictions, Progress
from picasso.jobs.ranking_job import MethodRanking
from picasso.jobs.ranking_job import Order as RankingOrder
from picasso.jobs.run import Run, Spec, StoredImage, images_by_name
from picasso.jobs.tasks import JOBS, AnyJob
from picasso.jobs.worker_process import WorkerProcess
from picasso.targets import Classification, OutputSpec, Wanted, spec_from
from picasso.visualizations.settings import Choice, Control

log = logging.getLogger(__name__)

# The maximum number of images that methods are graded on.
MAX_RANKED = 100
# The method that the workspace uses without a ranking.
USUAL = QUESTIONS[DEFAULT].steps[-1][0]
CRASHED = "The worker process died while this map was graded."

J = TypeVar("J", Run, Audit, Predictions, ConceptSearch, MethodRanking)


@dataclass
class Active:
    """An unfinished job.

    Attributes:
        job: the job.
        left: the number of its tasks that are not done.
        urgent: whether a user waits for it on the first page.
        later: the number of tasks that are not submitted yet.
        crashes: how many of its tasks have crashed their worker.
        since: when it was queued, by the monotonic clock.
    """

    job: Job
    left: int
    urgent: bool = False
    later: int = 0
    crashes: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def session(self) -> Path:
        """The folder of the session that it belongs to."""
        return self.job.folder.parent.parent


# The number of pairs of an audit that the engine has at the same time; classes may have very many pairs.
PAIRS_AT_ONCE = 64
# An audit whose pairs crash more workers than this fails: it would crash those of all others, one after the other.
MAX_CRASHES = 10
# The maximum number of models that one run compares with, because it needs all of them in memory at once.
MAX_COMPARED = 7
# The page of a run shows all of its images.
MAX_RUN_IMAGES = 500
# The number of layers that an error message lists.
MAX_LISTED = 20
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
        self._engine, self._registry, self._configured, self._capacity = engine, registry, configured, capacity
        self._compared = tuple(compared)
        # Questions take moments, but runs may take minutes: half of the places are reserved for questions.
        self._gate, self._runs_gate = Gate(waiting), Gate(max(1, waiting // 2))
        self._lock = threading.Lock()
        # Runs with unfinished shards and audits, oldest first.
        self._active: dict[str, Active] = {}
        # The open futures with their jobs.
        self._promised: dict[Future[None], Job] = {}
        #: Called with each job that leaves the queue, how it has ended, and the seconds that it was there.
        self.on_end: Callable[[Job, str, float], None] = lambda job, outcome, seconds: None

    # ---- the model ----------------------------------------------------------------------------------------

    def model_status(self) -> Mapping[str, Any]:
        """Return ``state`` (loading, ready or failed), and ``card`` or ``error``."""
        return self._engine.model_status()

    def health(self) -> str:
        """Return "ready" if requests are computed now, or the reason in one word if not."""
        return self._engine.health()

    def models(self) -> tuple[str, ...]:
        """Return the names of the models to compare with."""
        return self._compared

    def ask(self, question: dict[str, Any]) -> Any:
        """Return the answer to a question of :mod:`picasso.explanation.questions`, computed between chunks of a run.

        Raises:
            Busy: the maximum number of requests is waiting.
            NotReady: the model is not loaded, or there was no answer within :data:`ANSWER_TIMEOUT` seconds.
            WorkerDied: the worker process has ended; a new one is starting.
            PicassoError: the question can't be answered.
        """
        status = self.model_status()
        if status["state"] != "ready":
            raise NotReady(status.get("error", "The model is still loading. Try again in a few seconds."))
        with self._gate.place():
            try:
                return self._engine.ask(question).result(timeout=ANSWER_TIMEOUT)
            except TimeoutError:
                raise NotReady(f"The request timed out after {ANSWER_TIMEOUT} seconds. Try again.") from None

    def unusable(self, entry: Entry) -> str:
        """Return why a visualization can't be used with this model; "" if it can, or if that is not known yet."""
        if entry.cls is None:
            return entry.reason
        unsuitable: dict[str, str] = self.model_status().get("unsuitable", {})
        return unsuitable.get(entry.name, "")

    def at_work(self, session: Path) -> list[Job]:
        """Return the queued and running jobs of the session with this folder, oldest first, without reading files."""
        with self._lock:
            return [one.job for one in self._active.values() if one.session == session]

    # ---- runs ---------------------------------------------------------------------------------------------

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
        entry = self._registry.get(name)
        unusable = self.unusable(entry)
        if entry.cls is None or unusable:
            raise BadRequest(f"{name} {unusable}", field="visualization")
        checked = entry.cls.ALLOWED_SETTINGS.parse(settings).as_dict()
        self.check_settings(entry.cls.ALLOWED_SETTINGS.controls(), checked)
        if not images:
            raise BadRequest("There are no images to explain. Upload images or add samples.", field="images")
        if len(images) > MAX_RUN_IMAGES:
            raise BadRequest(
                f"A run explains at most {MAX_RUN_IMAGES} images, not {len(images):,}. Choose some of them, such as "
                "the mistakes in the gallery.",
                field="images",
            )
        status = self.model_status()
        if status["state"] == "failed":
            raise NotReady(status["error"])
        others = [str(one) for one in models]
        self._check_models([*others, *([model] if model else [])])
        if len(others) > MAX_COMPARED:
            raise BadRequest(
                f"A run compares with at most {MAX_COMPARED} models, because all of them are in memory at once. "
                "Choose fewer, or compare all of them on the page Compare, which loads them one after the other.",
                field="model",
            )
        wanted, references = self.parsed(targets, among)
        spec = Spec(
            name, checked, images, GROUP, self._configured, time.time(), wanted, others, references, model, workspace
        )
        self._withdraw()
        with self._lock, room_on_disk():
            self._check_capacity(parent.parent)
            run = Run.create(parent, spec)
            self._active[run.id] = Active(run, spec.shards, workspace)
        self._ask_for_turns()
        for shard in range(spec.shards):
            self._submit(run, shard, int(workspace), again=self._engine.parallel and not workspace)
        return run

    def _submit(self, run: Run, shard: int, priority: int, *, again: bool) -> None:
        """Submit a shard to the engine, and again if its worker process crashes.

        What has one worker only, such as the maps of the first page, is not tried again, because all others would wait
        for that worker a second time.
        """

        def settle(run: Run, future: Future[None]) -> None:
            if again and crashed(future) and not run.is_stopped():
                log.warning("shard %d of run %s is computed again: %s", shard, run.id, future.exception())
                self._submit(run, shard, priority, again=False)
            else:
                self._settle(run, future)

        self._promise(run, self._engine.submit(run.folder, shard, priority), settle)

    def _check_models(self, names: Sequence[str]) -> None:
        """Raise BadRequest if one of these is not the name of a model to compare with."""
        if unknown := [one for one in names if one not in self._compared]:
            known = (
                f"The models are {', '.join(self._compared)}." if self._compared else "The setting COMPARE has none."
            )
            raise BadRequest(f"There is no model {unknown[0]!r} to compare with. {known}", field="model")

    def _promise(self, job: J, future: Future[None], settle: Callable[[J, Future[None]], None]) -> None:
        """Track a future of the engine, and call ``settle`` when it is done."""
        with self._lock:
            self._promised[future] = job

        def kept(future: Future[None]) -> None:
            with self._lock:
                self._promised.pop(future, None)
            settle(job, future)

        future.add_done_callback(kept)

    def _check_capacity(self, session: Path) -> None:
        """Raise Busy if the queue is full, or if the session has its maximum share of it: half, but at least two."""
        if len(self._active) >= self._capacity:
            raise Busy(f"The job queue is full ({len(self._active)} jobs). Try again later.")
        share = max(2, -(-self._capacity // 2))
        if sum(one.session == session for one in self._active.values()) >= share:
            raise Busy(
                f"This session already has {share} jobs in the queue, the maximum per session. Try again when one of "
                "them is done."
            )

    def start_audit(self, audit: Audit, *, pairs: int, seed: int, budget: float, mend: bool = False) -> None:
        """Queue an audit that has its images, continue one that was interrupted, or mend the model of a finished one.

        Raises:
            BadRequest: it has already started, or has too few images.
            NotReady: the model could not be loaded.
            Busy: the queue is full.
            StorageFull: the disk is full.
            ConfigurationError: the setting INTERVENTIONS is invalid.
        """
        status = self.model_status()
        if status["state"] == "failed":
            raise NotReady(status["error"])
        self.check_audits()
        self._withdraw()
        with self._lock, room_on_disk():
            # The engine may need a moment to stop an audit after it was cancelled.
            if audit.id in self._active and audit.is_stopped():
                raise BadRequest("The audit is being stopped. Try again in a few seconds.")
            self._check_capacity(audit.folder.parent.parent)
            audit.start(AuditRequest(self._configured, pairs, seed, budget, mend))
            # Each pair is a task of its own, so that others come in between, and what remains is another one.
            tasks = 0 if mend else audit.pairs()
            self._active[audit.id] = Active(audit, tasks, later=max(0, tasks - PAIRS_AT_ONCE))
        self._ask_for_turns()
        for number in range(min(tasks, PAIRS_AT_ONCE)):
            self._submit_pair(audit, number, again=True)
        if not tasks:
            self._hand_over(audit)

    def _submit_pair(self, audit: Audit, number: int, *, again: bool) -> None:
        """Submit a pair of classes of an audit to the engine, and the whole audit after the last of them."""

        def settle(audit: Audit, future: Future[None]) -> None:
            self._active[audit.id].crashes += crashed(future)
            if again and crashed(future) and not audit.is_stopped():
                log.warning("pair %d of audit %s is tested again: %s", number, audit.id, future.exception())
                self._submit_pair(audit, number, again=False)
            elif audit.is_paused(number) and completed(future) and not audit.is_stopped():
                self._submit_pair(audit, number, again=again)
            else:
                self._settle_pair(audit, future)

        audit.let_yield(yields=self._others_wait(audit))
        self._promise(audit, self._engine.audit_pair(audit.folder, number), settle)

    def _ask_for_turns(self) -> None:
        """Let the audits yield, if others wait now."""
        with self._lock:
            audits = [one.job for one in self._active.values() if isinstance(one.job, Audit)]
        for audit in audits:
            if self._others_wait(audit):
                audit.let_yield(yields=True)

    def _others_wait(self, audit: Audit) -> bool:
        """Tell whether other sessions have jobs, or a user waits for one."""
        session = audit.folder.parent.parent
        with self._lock:
            return any(one.urgent or one.session != session for one in self._active.values())

    def _hand_over(self, audit: Audit) -> None:
        """Submit an audit to the engine."""
        self._promise(audit, self._engine.audit(audit.folder), self._settle_audit)

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
        status = self.model_status()
        if status["state"] == "failed":
            raise NotReady(status["error"])
        self._withdraw()
        with self._lock, room_on_disk():
            if not (wanted := list(images())):
                raise BadRequest("There are no images to predict. Upload images or add samples.", field="images")
            queued = job.id in self._active
            if not queued:
                self._check_capacity(job.folder.parent.parent)
            job.start(Order(self._configured, wanted))
            # Counted, so that the part in progress is followed by another, even if it was the last.
            self._active.setdefault(job.id, Active(job, 0)).left += 1
        self._ask_for_turns()
        if not queued:
            self._predict_part(job)

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
        require_package()
        spec, layers = self.spec(), self.layers()
        if not layers:
            raise BadRequest("Concepts need feature maps, which this model does not provide.")
        self.check_layer(layer or layers[0], "layer")
        wanted = class_of(spec, self.class_names(), target)
        if not images:
            raise BadRequest("There are no images to look at. Upload images or add samples.", field="images")
        order = ConceptOrder(self._configured, images, layer or layers[0], wanted, count, audit, model, time.time())
        self._withdraw()
        with self._lock, room_on_disk():
            self._check_capacity(parent.parent)
            search = ConceptSearch.create(parent, order)
            self._active[search.id] = Active(search, 1)
        self._ask_for_turns()
        self._submit_search(search, again=self._engine.parallel)
        return search

    def _submit_search(self, search: ConceptSearch, *, again: bool) -> None:
        """Submit a search for concepts to the engine, and again if its worker process crashes."""

        def settle(search: ConceptSearch, future: Future[None]) -> None:
            if again and crashed(future) and not search.is_stopped():
                log.warning("the search for concepts %s starts again: %s", search.id, future.exception())
                self._submit_search(search, again=False)
            else:
                self._settle(search, future)

        self._promise(search, self._engine.search_concepts(search.folder), settle)

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
            BadRequest: there are no images or no visualizations, too many images, or the model can't be explained
                by one of the visualizations, or it makes no maps.
            NotReady: the model is not loaded.
            Busy: the queue is full.
            StorageFull: the disk is full.
        """
        self.spec()
        entries = ranked_entries(self._registry, names, self.unusable)
        if not images:
            raise BadRequest("There are no images to grade maps of. Upload images or add samples.", field="images")
        if len(images) > MAX_RANKED:
            raise BadRequest(f"A ranking is about at most {MAX_RANKED} images, not {len(images)}.", field="images")
        methods = {entry.name: entry.title for entry in entries}
        order = RankingOrder(self._configured, images, methods, USUAL, model, time.time())
        self._withdraw()
        with self._lock, room_on_disk():
            self._check_capacity(parent.parent)
            ranking = MethodRanking.create(parent, order)
            self._active[ranking.id] = Active(ranking, 1)
        self._ask_for_turns()
        self._rank_part(ranking)
        return ranking

    def _rank_part(self, ranking: MethodRanking) -> None:
        """Submit a part of a ranking to the engine; when it is done, the next."""
        before = ranking.progress()

        def settle(ranking: MethodRanking, future: Future[None]) -> None:
            # A map that a worker process does not survive is left out, and the ranking continues with the next.
            passed = crashed(future) and not ranking.is_stopped() and ranking.pass_over(CRASHED)
            if not passed:
                self._fail(ranking, None if future.cancelled() else future.exception())
            if not future.cancelled() and ranking.at_work() and (passed or ranking.progress() != before):
                self._rank_part(ranking)
            else:
                self._leave(ranking, cancelled=future.cancelled())

        self._promise(ranking, self._engine.rank(ranking.folder), settle)

    def _predict_part(self, job: Predictions) -> None:
        """Submit a part of predictions to the engine; when it is done, the next."""
        before = job.progress()
        settle = functools.partial(self._settle_predictions, before=before)
        self._promise(job, self._engine.predict(job.folder), settle)

    def _withdraw(self) -> None:
        """Remove cancelled jobs from the queue; a running one stops by itself."""
        with self._lock:
            queued = list(self._promised.items())
        stopped = {job for job in {job for _, job in queued} if job.is_stopped()}
        for future, job in queued:
            if job in stopped:
                # This settles the job unless it is running.
                future.cancel()

    def layers(self) -> list[str]:
        """Return the names of the layers with feature maps, the default first; none while the model is loading."""
        found = self.model_status().get("report", {}).get("layers", [])
        return [layer["name"] for layer in sorted(found, key=lambda layer: not layer["default"])]

    def offered(self, controls: Mapping[str, Control]) -> dict[str, Control]:
        """Return controls with the values that the model allows; while it is loading, with all."""
        found = self._capabilities()
        return {name: control if found is None else control.offered(found) for name, control in controls.items()}

    def _capabilities(self) -> list[str] | None:
        """Return the capabilities of the model, or None while it is loading."""
        report = self.model_status().get("report")
        return report["model"]["capabilities"] if report else None

    def check_settings(self, controls: Mapping[str, Control], settings: Mapping[str, object]) -> None:
        """Raise BadRequest for a layer that the model does not have, or a value that it does not allow.

        While the model is loading, the run checks that.
        """
        capabilities = self._capabilities()
        for name, control in controls.items():
            value = settings[name]
            if control.kind == "layer" and value:
                self.check_layer(str(value), name)
            if isinstance(control, Choice) and (need := (control.needs or {}).get(str(value))):
                left = control.offered(capabilities or ()).options()
                if capabilities is not None and str(value) not in left:
                    raise BadRequest(
                        f"{name} {value!r} needs {need}, which this model does not provide; it may be "
                        f"{', '.join(left)}.",
                        field=name,
                        suggestions=left,
                    )

    def check_layer(self, value: str, field: str) -> None:
        """Raise BadRequest for a layer that the model does not have, if its layers are known.

        Args:
            value: the name of the layer.
            field: the field that it stands in.
        """
        layers = self.layers()
        if layers and value not in layers:
            near = difflib.get_close_matches(value[:100], layers, n=3, cutoff=0.5)
            listed, said = ", ".join(layers[:MAX_LISTED]), f"not {value[:100]}."
            if len(layers) > MAX_LISTED:
                # A network may have hundreds.
                listed += f" and {len(layers) - MAX_LISTED} more"
                said += f" Did you mean {near[0]}?" if near else ""
            raise BadRequest(f"{field} must be one of {listed}, {said}", field=field, suggestions=near or layers[:5])

    def no_audits(self) -> str:
        """Return why audits are impossible with the settings of this server; "" if possible, or if not known yet."""
        return str(self.model_status().get("no_audits", ""))

    def check_audits(self) -> None:
        """Raise an error if audits are impossible.

        Raises:
            BadRequest: the model is no classifier.
            ConfigurationError: the settings of this server prevent audits.
        """
        if not (why := self.no_audits()):
            return
        if not isinstance(self.spec(), Classification):
            raise BadRequest(why)
        raise ConfigurationError(why)

    def class_names(self) -> list[str]:
        """Return the names of the model's classes.

        Raises:
            NotReady: they are not known yet.
        """
        status = self.model_status()
        if status["state"] == "failed":
            raise NotReady(status["error"])
        if status["state"] != "ready":
            raise NotReady("The class names are not known until the model is loaded. Try again in a few seconds.")
        names: list[str] = status["report"]["class_names"]
        return names

    def spec(self) -> OutputSpec:
        """Return what the output of the model means.

        Raises:
            NotReady: it is not known yet.
        """
        self.class_names()
        return spec_from(self.model_status()["report"]["model"]["task"])

    def parsed(
        self, targets: Sequence[int | str], among: Sequence[StoredImage]
    ) -> tuple[list[Wanted], dict[str, StoredImage]]:
        """Return targets as the worker takes them, and the other images that they name, by these names.

        Args:
            targets: what a user wrote.
            among: the images of the session.

        Raises:
            BadRequest: the model has no such target, or the session no such image.
            NotReady: what the model has is not known yet.
        """
        if not targets:
            return [], {}
        spec = self.spec()
        wanted = spec.parse(targets, self.class_names())
        return wanted, images_by_name(spec.other_images(wanted), among)

    def position(self, run: AnyJob) -> int:
        """Return the approximate number of jobs ahead of this one; 0 if it is running or done.

        Sessions share the workers by time, so if all jobs take as long, the first jobs of all other sessions come
        before the second job of this one.
        """
        self._withdraw()
        if outcome_of(run) != "waiting":
            return 0
        with self._lock:
            active = list(self._active.values())
        before: Counter[Path] = Counter()
        turns: list[tuple[bool, int, str]] = []
        for one in active:
            turns.append((not one.urgent, before[one.session], one.job.id))
            before[one.session] += 1
        # Within one turn, in the order of submission.
        order = [name for *_, name in sorted(turns, key=itemgetter(0, 1))]
        return order.index(run.id) if run.id in order else 0

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

    @staticmethod
    def workers_started() -> int:
        """Return the number of worker processes that this process has started."""
        return WorkerProcess.count

    def counts(self) -> dict[str, int]:
        """Return the numbers of queued and running jobs by :attr:`picasso.jobs.base.Job.kind`."""
        with self._lock:
            found = Counter(one.job.kind for one in self._active.values())
        return {cls.kind: found[cls.kind] for cls in JOBS.values()}

    def _leave(self, job: AnyJob, *, cancelled: bool) -> None:
        """Let a job leave the queue; fail it before, unless it has an outcome or was cancelled there."""
        outcome = "failed"
        try:
            if not cancelled:
                end(job)
            outcome = outcome_of(job)
        except Exception:
            log.exception("the end of %s is not known", job.id)
        # Even then, no job may occupy its place in the queue forever.
        with self._lock:
            active = self._active.pop(job.id, None)
        if active:
            self._report(active, outcome)

    def _report(self, active: Active, outcome: str) -> None:
        try:
            self.on_end(active.job, outcome, time.monotonic() - active.since)
        except Exception:
            log.exception("the end of %s was not counted", active.job.id)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def _settle(self, run: Run | ConceptSearch, future: Future[None]) -> None:
        """Count a shard or a search as done; failures of the engine become failures of the job."""
        self._fail(run, None if future.cancelled() else future.exception())
        with self._lock:
            active = self._active.get(run.id, Active(run, 1))
            active.left -= 1
        if active.left <= 0:
            self._leave(run, cancelled=future.cancelled())

    def _settle_audit(self, audit: Audit, future: Future[None]) -> None:
        """Count an audit as done, or resume it if its worker process died, because its trials are stored."""
        error = None if future.cancelled() else future.exception()
        if isinstance(error, WorkerCrashed) and audit.interrupted():
            log.warning("audit %s continues in a new process: %s", audit.id, error)
            self._hand_over(audit)
            return
        # A cancelled audit stays cancelled, even if its process did not stop and had to be killed.
        self._fail(audit, error)
        self._leave(audit, cancelled=future.cancelled())

    def _settle_pair(self, audit: Audit, future: Future[None]) -> None:
        """Count a pair of classes as done, and submit the next; the rest of the audit follows the last one."""
        # What a few crashes have left out belongs to the rest of the audit.
        if not crashed(future) or self._active[audit.id].crashes > MAX_CRASHES:
            self._fail(audit, None if future.cancelled() else future.exception())
        stopped, following = audit.is_stopped(), None
        with self._lock:
            active = self._active[audit.id]
            active.left -= 1
            if stopped:
                active.left, active.later = active.left - active.later, 0
            elif active.later:
                following, active.later = audit.pairs() - active.later, active.later - 1
        if following is not None:
            self._submit_pair(audit, following, again=True)
        elif active.left <= 0 and stopped:
            self._leave(audit, cancelled=future.cancelled())
        elif active.left <= 0:
            self._hand_over(audit)

    def _fail(self, job: AnyJob, error: BaseException | None) -> None:
        """Fail a job with an error of the engine, unless it has ended or was stopped."""
        try:
            if error is not None and not job.is_stopped() and outcome_of(job) != "finished":
                log.error("%s %s: %s", job.kind, job.id, error)
                job.fail(failure(error))
        except Exception:
            log.exception("the error of %s can't be stored", job.id)

    def _settle_predictions(self, job: Predictions, future: Future[None], before: Progress) -> None:
        """Continue predictions, or count them as done."""
        self._fail(job, None if future.cancelled() else future.exception())
        again = False
        with self._lock:
            active = self._active.get(job.id, Active(job, 1))
            try:
                # Images may be added, or cancelled predictions be started again, until the job has left the queue.
                started, active.left = active.left > 1, 1
                again = job.at_work() and (started or (not future.cancelled() and job.progress() != before))
            finally:
                # Even if this fails, no job may occupy its place in the queue forever.
                if not again:
                    self._active.pop(job.id, None)
        if again:
            self._predict_part(job)
            return
        if not future.cancelled():
            end(job)
        self._report(active, outcome_of(job))


def ranked_entries(registry: Registry, names: Sequence[str] | None, unusable: Callable[[Entry], str]) -> list[Entry]:
    """Return the visualizations of a ranking.

    Args:
        registry: the visualizations.
        names: their names, or None for all that make maps and can be used.
        unusable: returns why one can't be used, or "".

    Raises:
        NotFound: there is no such visualization.
        BadRequest: there are none, or one makes no maps or can't be used.
    """
    if names is None:
        found = [one for one in registry.entries() if not unusable(one) and one.require().MAPS]
    else:
        found = [registry.get(name) for name in dict.fromkeys(names)]
    if not found:
        raise BadRequest("There are no visualizations to rank. Name some that make maps.", field="visualizations")
    for entry in found:
        why = unusable(entry) or ("" if entry.require().MAPS else "It makes no maps of an image.")
        if why:
            raise BadRequest(f"{entry.title} can't be ranked. {why}", field="visualizations")
    return found


def outcome_of(job: AnyJob) -> str:
    """Return how a job has ended: finished, failed, cancelled or deleted; or its state if it has not."""
    try:
        state = job.state()
    except NotFound:
        return "deleted"
    if job.deleted():
        return "deleted"
    return state if isinstance(state, str) else state["state"]


def completed(future: Future[None]) -> bool:
    """Tell whether a task ended without an error of the engine."""
    return not future.cancelled() and future.exception() is None


def crashed(future: Future[None]) -> bool:
    """Tell whether the worker process of a task crashed."""
    return not future.cancelled() and isinstance(future.exception(), WorkerCrashed)


def failure(error: BaseException) -> PicassoError:
    """Return an error of the engine as one for users."""
    return error if isinstance(error, PicassoError) else PicassoError(reason(error))


def end(job: AnyJob) -> None:
    """Fail a job that the engine has finished without an outcome, such as if a plugin raises Cancelled itself."""
    if job.at_work():
        log.error("%s ended without a result", job.id)
        job.fail(RunError("It ended without a result. The log may have details."))
