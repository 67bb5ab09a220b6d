"""The one queue: runs and audits wait here, go to the engine shard by shard, and can be cancelled."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from picasso.errors import BadRequest, Busy, ConfigurationError, NotReady, PicassoError, RunError, WorkerCrashed, reason
from picasso.explanation.pipeline import GROUP
from picasso.explanation.registry import Entry, Registry
from picasso.fileio import room_on_disk
from picasso.jobs.audit_documents import AuditRequest
from picasso.jobs.audit_job import Audit
from picasso.jobs.base import Job
from picasso.jobs.engine import Engine
from picasso.jobs.gate import Gate
from picasso.jobs.run import Run, Spec, StoredImage
from picasso.models.labels import Wanted, numbers
from picasso.visualizations.settings import Control

log = logging.getLogger(__name__)

J = TypeVar("J", Run, Audit)


@dataclass
class Active:
    """A run or an audit that is not done: how many promises of the engine it still has."""

    job: Job
    left: int

    @property
    def session(self) -> Path:
        """The folder of the session that wants it."""
        return self.job.folder.parent.parent


# How long somebody waits for an answer, in seconds.
ANSWER_TIMEOUT = 60


class JobQueue:
    """Accepts runs and audits up to a limit and knows which of them wait, compute and are done.

    Args:
        engine: carries the shards to a worker.
        registry: the visualizations that may be asked for.
        configured: where the worker finds the model; see :func:`picasso.jobs.worker.reference`.
        capacity: how many runs may wait or compute at once.
        compared: the names of the models that a run may be compared with.
        waiting: how many callers of :meth:`ask` and :meth:`run_and_wait` may wait at once; half as many of the latter.
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
        # Questions take a moment, whole runs may take minutes: half of the places are left to the questions.
        self._gate, self._runs_gate = Gate(waiting), Gate(max(1, waiting // 2))
        self._lock = threading.Lock()
        # Runs with unfinished shards and audits, oldest first.
        self._active: dict[str, Active] = {}
        # What it promised, until that is kept.
        self._promised: dict[Future[None], Job] = {}

    # ---- the model ----------------------------------------------------------------------------------------

    def model_status(self) -> Mapping[str, Any]:
        """Return ``state`` (loading, ready or failed), and ``card`` or ``error``."""
        return self._engine.model_status()

    def health(self) -> str:
        """Return "ready" where what is asked for now is computed, or in a word why it is not."""
        return self._engine.health()

    def models(self) -> tuple[str, ...]:
        """Return the names of the models that a run may be compared with."""
        return self._compared

    def ask(self, question: dict[str, Any]) -> Any:
        """Return the answer to one of :mod:`picasso.explanation.questions`; it is given between two chunks of a run.

        Raises:
            Busy: as many requests as may wait do so already.
            NotReady: the model is not loaded, or there was no answer for :data:`ANSWER_TIMEOUT` seconds.
            WorkerDied: the process that was asked has ended; another one starts.
            PicassoError: the question can't be answered.
        """
        status = self.model_status()
        if status["state"] != "ready":
            raise NotReady(status.get("error", "The model is still loading; try again in a few seconds."))
        with self._gate.place():
            try:
                return self._engine.ask(question).result(timeout=ANSWER_TIMEOUT)
            except TimeoutError:
                raise NotReady(f"There was no answer within {ANSWER_TIMEOUT} seconds; try again.") from None

    def unusable(self, entry: Entry) -> str:
        """Say why a visualization can't be used with this model; "" if it can, or if that is not known yet."""
        if entry.cls is None:
            return entry.reason
        unsuitable: dict[str, str] = self.model_status().get("unsuitable", {})
        return unsuitable.get(entry.name, "")

    # ---- runs ---------------------------------------------------------------------------------------------

    def start(
        self,
        parent: Path,
        name: str,
        settings: Mapping[str, object],
        images: list[StoredImage],
        *,
        classes: Sequence[int | str] = (),
        models: Sequence[int | str] = (),
    ) -> Run:
        """Check what is asked for and queue it as a new run in the folder ``parent``.

        Args:
            parent: where the run's folder is made.
            name: of the visualization.
            settings: of it, not checked yet.
            images: at least one.
            classes: the names or numbers of the classes to look at; none takes the most probable of each image.
            models: the names of those of :meth:`models` to compare with.

        Raises:
            NotFound: no such visualization.
            BadRequest: it can't be used, a setting is wrong, or there are no images.
            NotReady: the model could not be loaded.
            Busy: the queue is full.
            StorageFull: the disk is.
        """
        entry = self._registry.get(name)
        unusable = self.unusable(entry)
        if entry.cls is None or unusable:
            raise BadRequest(f"{name} {unusable}", field="visualization")
        checked = entry.cls.ALLOWED_SETTINGS.parse(settings).as_dict()
        self._check_layers(entry.cls.ALLOWED_SETTINGS.controls(), checked)
        if not images:
            raise BadRequest("There are no images to look at; upload some or choose samples.", field="images")
        status = self.model_status()
        if status["state"] == "failed":
            raise NotReady(status["error"])
        unknown = [one for one in map(str, models) if one not in self._compared]
        if unknown:
            known = ", ".join(self._compared) or "none"
            raise BadRequest(f"There is no model {unknown[0]} to compare with; there are: {known}.", field="model")
        wanted, others = self._class_numbers(classes), [str(one) for one in models]
        spec = Spec(name, checked, images, GROUP, self._configured, time.time(), wanted, others)
        self._withdraw()
        with self._lock, room_on_disk():
            self._check_capacity(parent.parent)
            run = Run.create(parent, spec)
            self._active[run.id] = Active(run, spec.shards)
        for shard in range(spec.shards):
            self._promise(run, self._engine.submit(run.folder, shard), self._settle)
        return run

    def _promise(self, job: J, future: Future[None], settle: Callable[[J, Future[None]], None]) -> None:
        """Remember what the engine promised, and what is done when it is kept."""
        with self._lock:
            self._promised[future] = job

        def kept(future: Future[None]) -> None:
            with self._lock:
                self._promised.pop(future, None)
            settle(job, future)

        future.add_done_callback(kept)

    def _check_capacity(self, session: Path) -> None:
        """Refuse what would be more than the queue holds, or more than one session may have in it: half, or two."""
        if len(self._active) >= self._capacity:
            raise Busy(f"{len(self._active)} runs are waiting already; try again when one of them is done.")
        share = max(2, -(-self._capacity // 2))
        if sum(one.session == session for one in self._active.values()) >= share:
            raise Busy(
                f"{share} runs of this session are waiting already, which leaves room for those of others; try again "
                "when one of them is done."
            )

    def start_audit(self, audit: Audit, *, pairs: int, seed: int, budget: float) -> None:
        """Queue an audit whose images are there, or let one go on that ended before its time.

        Raises:
            BadRequest: it was started already, or has too few images.
            NotReady: the model could not be loaded.
            Busy: the queue is full.
            StorageFull: the disk is.
            ConfigurationError: what audits try is wrong in the settings.
        """
        status = self.model_status()
        if status["state"] == "failed":
            raise NotReady(status["error"])
        self.check_audits()
        self._withdraw()
        with self._lock, room_on_disk():
            # Not yet given up by the engine, which may take a moment after it was cancelled.
            if audit.id in self._active and audit.is_stopped():
                raise BadRequest("The audit is just being stopped; try again in a few seconds.")
            self._check_capacity(audit.folder.parent.parent)
            audit.start(AuditRequest(self._configured, pairs, seed, budget))
            self._active[audit.id] = Active(audit, 1)
        self._hand_over(audit)

    def _hand_over(self, audit: Audit) -> None:
        """Give an audit to the engine."""
        self._promise(audit, self._engine.audit(audit.folder), self._settle_audit)

    def _withdraw(self) -> None:
        """Take the runs and audits out of the queue that nobody wants any more; one at work ends by itself."""
        with self._lock:
            queued = list(self._promised.items())
        stopped = {job for job in {job for _, job in queued} if job.is_stopped()}
        for future, job in queued:
            if job in stopped:
                # Which settles it, unless it is at work.
                future.cancel()

    def layers(self) -> list[str]:
        """Return the names of the layers with feature maps, the default one first; none while the model loads."""
        found = self.model_status().get("report", {}).get("layers", [])
        return [layer["name"] for layer in sorted(found, key=lambda layer: not layer["default"])]

    def _check_layers(self, controls: Mapping[str, Control], settings: Mapping[str, object]) -> None:
        """Refuse a layer that the model does not have; while it loads, the run itself finds out."""
        known = self.layers()
        for name, control in controls.items():
            if control.kind == "layer" and settings[name] and known and settings[name] not in known:
                raise BadRequest(f"{name} must be one of {', '.join(known)}, not {settings[name]}.", field=name)

    def no_audits(self) -> str:
        """Say why no audit can be done with the settings of this server; "" if one can, or that is not known yet."""
        return str(self.model_status().get("no_audits", ""))

    def check_audits(self) -> None:
        """Raise ConfigurationError where no audit can be done with the settings of this server."""
        if why := self.no_audits():
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
            raise NotReady("The names of the classes are known when the model is loaded; try again in a few seconds.")
        names: list[str] = status["report"]["class_names"]
        return names

    def _class_numbers(self, classes: Sequence[int | str]) -> list[Wanted]:
        """Return the numbers of classes; their names are known once the model is loaded."""
        return numbers(self.class_names(), classes) if classes else []

    def position(self, run: Run | Audit) -> int:
        """Return about how many runs and audits are before this one; 0 when it is at work or done.

        Sessions take turns, so before the second one of a session come the first ones of all others.
        """
        self._withdraw()
        with self._lock:
            active = list(self._active.values())
        before: Counter[Path] = Counter()
        turns: list[tuple[int, str]] = []
        for one in active:
            turns.append((before[one.session], one.job.id))
            before[one.session] += 1
        # Of one turn, in the order in which they came.
        order = [name for _, name in sorted(turns, key=itemgetter(0))]
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
        """Queue a run as :meth:`start` does and return it when it has ended as :meth:`wait` says.

        Raises:
            Busy: as many requests as may wait, or as many of one session, do so already; nothing was queued.
        """
        with self._runs_gate.place(parent.parent), self._gate.place():
            run = self.start(parent, name, settings, images)
            self.wait(run, timeout, gone)
            return run

    def wait(self, run: Run, timeout: float, gone: Callable[[], bool] = lambda: False) -> None:
        """Block until a run has ended, or whoever waits for it is gone; raise NotReady after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while run.state()["state"] in ("waiting", "running"):
            if gone():
                run.cancel()
                return
            if time.monotonic() > deadline:
                run.cancel()
                raise NotReady(f"The run was not done after {timeout:.0f} seconds and was cancelled.")
            time.sleep(0.02)

    def close(self) -> None:
        """End the engine."""
        self._engine.close()

    def _settle(self, run: Run, future: Future[None]) -> None:
        """Count a shard as dealt with; the engine's own failures become the run's."""
        error = None if future.cancelled() else future.exception()
        try:
            if error is not None and not run.is_stopped():
                log.error("run %s: %s", run.id, error)
                run.fail(error if isinstance(error, PicassoError) else PicassoError(reason(error)))
        finally:
            # Whatever goes wrong here, nothing holds its place in the queue for ever.
            with self._lock:
                active = self._active.get(run.id, Active(run, 1))
                active.left -= 1
                if active.left <= 0:
                    self._active.pop(run.id, None)
        if active.left <= 0 and not future.cancelled():
            end(run)

    def _settle_audit(self, audit: Audit, future: Future[None]) -> None:
        """Note that an audit was dealt with; take it up again where its process died, for it has kept what it tried."""
        error, again = None if future.cancelled() else future.exception(), False
        try:
            if isinstance(error, WorkerCrashed) and audit.interrupted():
                log.warning("audit %s goes on in another process: %s", audit.id, error)
                self._hand_over(audit)
                again = True
            # One that was cancelled stays that, even if its process did not stop and had to be killed.
            elif error is not None and not audit.is_stopped() and audit.state() != "finished":
                log.error("audit %s: %s", audit.id, error)
                audit.fail(error if isinstance(error, PicassoError) else PicassoError(reason(error)))
        finally:
            # Whatever goes wrong here, nothing holds its place in the queue for ever.
            if not again:
                with self._lock:
                    self._active.pop(audit.id, None)
        if not again and not future.cancelled():
            end(audit)


def end(job: Run | Audit) -> None:
    """Fail what the engine has dealt with and nobody has ended, as where a plugin pretends that it was cancelled."""
    if job.at_work():
        log.error("%s ended without a result", job.id)
        job.fail(RunError("It ended without a result; the log may say more."))
