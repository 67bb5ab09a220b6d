"""Audits between the queue, the worker and the disk: cancelled, killed or deleted at the wrong moment."""

from __future__ import annotations

import errno
import json
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from picasso import config, fileio
from picasso.audit.reading import read
from picasso.audit.reporting import report
from picasso.audit.start import audit_model
from picasso.errors import BadRequest, Busy, ConfigurationError, NotFound, StorageFull, WorkerCrashed, WorkerDied
from picasso.explanation.registry import Registry
from picasso.jobs import audit_job, auditor, worker
from picasso.jobs.audit_documents import AuditRequest, FindingDocument, Progress
from picasso.jobs.audit_job import Audit
from picasso.jobs.engine import Engine
from picasso.jobs.job_queue import JobQueue
from picasso.storage.quota import Quotas
from picasso.storage.session import Session
from picasso.storage.store import Storage
from tests import task_models
from tests.conftest import fake_settings, noise_image, png
from tests.fakes import LinearModel
from tests.web.test_audits import noise_images

# A finding without anything but its name.
EMPTY: dict[str, Any] = {
    "name": "brightness",
    "kind": "property",
    "alarm": True,
    "sentence": "",
    "directions": [],
    "example": None,
}

Held = tuple[JobQueue, list["Future[None]"]]


def gathered(folder: Path, *others: tuple[bytes, str]) -> Audit:
    """Return an audit with images of two classes, and others of the first."""
    audit = Audit.create(folder, LinearModel().class_names())
    for target in (0, 1):
        for body, name in noise_images(target):
            audit.add(target, body.getvalue(), name)
    for more, name in others:
        audit.add(0, more, name)
    return audit


def ordered(folder: Path, *others: tuple[bytes, str], **settings: Any) -> Audit:
    """Return one that waits for a worker."""
    audit = gathered(folder, *others)
    where = worker.reference(config.build({}, None, fake_settings(**settings)))
    audit.start(AuditRequest(where, 10, 0, 1e9))
    return audit


@pytest.fixture
def held() -> Held:
    """A queue of one whose engine does nothing, and what it promised."""
    promised: list[Future[None]] = []

    class Idle:
        parallel = False

        def audit_pair(self, folder: Path, number: int) -> Future[None]:
            tested: Future[None] = Future()
            tested.set_result(None)
            return tested

        def audit(self, folder: Path) -> Future[None]:
            promised.append(Future())
            return promised[-1]

        def model_status(self) -> dict[str, Any]:
            return {"state": "ready"}

    return JobQueue(cast(Engine, Idle()), Registry(), {"file": None, "overrides": {}}, capacity=1), promised


def begin(runner: JobQueue, audit: Audit) -> None:
    runner.start_audit(audit, pairs=10, seed=0, budget=1e9)


def at_work(held: Held, audit: Audit) -> Future[None]:
    """Start an audit, have it taken up, and return the promise."""
    runner, promised = held
    begin(runner, audit)
    assert promised[-1].set_running_or_notify_cancel()
    audit.report(Progress(state="running", fraction=0.5))
    return promised[-1]


# ---- the queue ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [WorkerDied("It did not stop."), WorkerCrashed("It crashed."), ValueError("no")])
def test_a_cancelled_audit_whose_process_is_killed_stays_cancelled(
    held: Held, tmp_path: Path, error: Exception
) -> None:
    audit = gathered(tmp_path)
    future = at_work(held, audit)
    audit.cancel()
    future.set_exception(error)
    assert (audit.state(), audit.error()) == ("cancelled", None)
    begin(held[0], audit)
    assert audit.state() == "waiting"


def test_one_that_crashed_after_its_end_is_finished(held: Held, tmp_path: Path) -> None:
    audit = gathered(tmp_path)
    future = at_work(held, audit)
    audit.finish()
    future.set_exception(WorkerCrashed("It crashed."))
    assert (audit.state(), audit.error(), held[0].position(audit)) == ("finished", None, 0)


def test_one_that_waits_and_is_cancelled_or_deleted_leaves_its_place(held: Held, tmp_path: Path) -> None:
    runner, promised = held
    first, second = gathered(tmp_path), gathered(tmp_path)
    begin(runner, first)
    with pytest.raises(Busy):
        begin(runner, second)
    first.cancel()
    begin(runner, second)
    assert promised[0].cancelled()
    second.cancel()
    begin(runner, first)
    assert (first.state(), len(runner._jobs._active)) == ("waiting", 1)
    shutil.rmtree(first.folder)
    begin(runner, second)
    # One at work has to end by itself.
    assert promised[-1].set_running_or_notify_cancel()
    second.cancel()
    with pytest.raises(BadRequest, match="being stopped"):
        begin(runner, second)
    promised[-1].set_result(None)
    begin(runner, second)


def test_nothing_holds_its_place_for_ever(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    audit = gathered(tmp_path)
    future = at_work(held, audit)

    def broken(*rest: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(Audit, "fail", broken)
    future.set_exception(WorkerDied("It died."))
    assert "on purpose" in caplog.text
    assert held[0]._jobs._active == {}
    assert held[0]._jobs._promised == {}


def full(*rest: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_when_it_starts_or_its_process_dies(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, runner = gathered(tmp_path), held[0]
    begin(runner, audit)
    audit.cancel()
    with monkeypatch.context() as patched:
        patched.setattr(fileio, "write_json", full)
        with pytest.raises(StorageFull):
            begin(runner, audit)
    assert (audit.state(), runner._jobs._active) == ("cancelled", {})
    future = at_work(held, audit)
    monkeypatch.setattr(fileio, "write_json", full)
    future.set_exception(WorkerCrashed("It crashed."))
    # There is no room for the reason either, but it does not seem to be at work.
    assert (audit.state(), runner._jobs._active) == ("cancelled", {})


# ---- the folder ---------------------------------------------------------------------------------------------


def test_adding_images_does_not_list_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Audit, "images", full)
    audit = gathered(tmp_path)
    assert audit.counts() == {0: 8, 1: 8}
    monkeypatch.undo()
    assert [file.name for _, file in audit.images()] == [f"{target}-{i:05d}" for target in (0, 1) for i in range(8)]


@pytest.mark.parametrize("write", range(3))
def test_a_image_for_which_there_is_no_room_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    audit, original, written = gathered(tmp_path), fileio.write_bytes, count()

    def narrow(file: Path, body: bytes) -> None:
        if next(written) >= write:
            full()
        original(file, body)

    before = {file.name for file in audit.folder.rglob("*")}
    with monkeypatch.context() as patched:
        patched.setattr(fileio, "write_bytes", narrow)
        with pytest.raises(OSError, match="No space"):
            audit.add(0, png(), "more.png")
    assert {file.name for file in audit.folder.rglob("*")} == before
    assert audit.counts() == {0: 8, 1: 8}


def test_starting_again_takes_a_verdict_back(tmp_path: Path) -> None:
    audit = gathered(tmp_path)
    audit.find([], "Nothing was found.")
    audit.cancel()
    audit.start(AuditRequest({}, 10, 0, 1e9))
    assert audit.findings() == {"findings": [], "verdict": None, "example": None}


def test_one_that_was_deleted_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = gathered(tmp_path)
    monkeypatch.setattr(audit_job, "taken", lambda counts, names: shutil.rmtree(audit.folder))
    with pytest.raises(NotFound):
        audit.start(AuditRequest({}, 10, 0, 1e9))
    assert not audit.folder.exists()


def test_what_is_written_while_it_is_deleted_does_not_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(config.build({"WORK_DIR": str(tmp_path)}, None))
    try:
        session: Session = storage.create()
        audit = gathered(session.audits_folder)
        remove = shutil.rmtree

        def late(folder: Path, **options: Any) -> None:
            with pytest.raises(FileNotFoundError):
                audit.report(Progress())
            remove(folder, **options)

        with monkeypatch.context() as patched:
            patched.setattr("picasso.fileio.shutil.rmtree", late)
            session.remove_audit(audit)
        assert isinstance(session._quotas, Quotas)
        assert fileio.size(session.audits_folder.parent) == 0
    finally:
        storage.close()


# ---- the worker ---------------------------------------------------------------------------------------------


def test_questions_are_answered_before_each_batch_of_whatever_is_asked(linear: LinearModel) -> None:
    asked: list[int] = []
    patient = auditor.CancellableModel(linear, lambda: asked.append(1))
    amount = 2 * linear.batch_size + 1
    inputs = np.random.default_rng(1).random((amount, *linear.input_shape), np.float32)
    classes = np.arange(amount) % linear.num_classes
    answers: list[Callable[[Any], Any]] = [
        lambda model: model.predict(inputs),
        lambda model: model.logits(inputs),
        lambda model: model.input_gradients(inputs, list(classes)),
        lambda model: model.input_gradients(inputs, np.stack([classes, classes[::-1]], axis=1)),
    ]
    for answer in answers:
        asked.clear()
        np.testing.assert_allclose(answer(patient), answer(linear), rtol=1e-5)
        assert len(asked) == 3


@pytest.mark.parametrize("when", [0, 10, 20, 25, 40, 80, 120])
def test_one_that_is_deleted_at_work_stays_deleted(tmp_path: Path, caplog: pytest.LogCaptureFixture, when: int) -> None:
    audit, calls = ordered(tmp_path), count()

    def stop() -> None:
        if next(calls) == when:
            shutil.rmtree(audit.folder)

    with caplog.at_level(logging.INFO):
        worker.run_audit(str(audit.folder), stop)
    assert next(calls) > when
    assert not audit.folder.exists()
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == []
    assert f"audit {audit.id} was cancelled" in caplog.text


def test_cancelled_while_the_report_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit, write = ordered(tmp_path), report.write

    def cancelled(*rest: Any) -> None:
        write(*rest)
        audit.cancel()

    monkeypatch.setattr(report, "write", cancelled)
    worker.run_audit(str(audit.folder))
    assert (audit.state(), audit.findings()["verdict"]) == ("cancelled", None)


def test_cancelled_after_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit, find = ordered(tmp_path), Audit.find

    def cancelled(self: Audit, findings: Any, verdict: str | None = None, example: Any = None) -> None:
        find(self, findings, verdict, example)
        if verdict:
            self.cancel()

    monkeypatch.setattr(Audit, "find", cancelled)
    worker.run_audit(str(audit.folder))
    assert audit.findings()["verdict"]
    assert audit.state() == "finished"


def test_images_are_as_large_as_they_may_be_and_called_what_they_were(tmp_path: Path) -> None:
    large, broken = (png(noise_image(1, (1001, 1000), "L")), "large.png"), (b"x", "broken.png")
    audit = ordered(tmp_path, large, broken, MAX_MEGAPIXELS=1)
    worker.run_audit(str(audit.folder))
    assert audit.state() == "finished"
    written = json.loads((audit.out / "audit.json").read_text())
    assert written["unreadable"] == [
        "large.png has 1001 x 1000 pixels, more than the 1 million allowed.",
        "broken.png is not a supported image. Use PNG, JPEG, WEBP, GIF, BMP, TIFF.",
    ]


@pytest.mark.parametrize(
    ("listed", "said"),
    [("[]", ""), ("1 / 0", "The INTERVENTIONS of this server can't be used. The server log has the details.")],
)
def test_files_of_interventions_are_executed_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, listed: str, said: str
) -> None:
    own, runs = tmp_path / "own.py", tmp_path / "runs"
    own.write_text(f"with open({str(runs)!r}, 'a') as runs:\n    runs.write('x')\nINTERVENTIONS = {listed}\n")
    settings = {"INTERVENTIONS": [str(own)]}
    configured = worker.reference(config.build({}, None, fake_settings(**settings)))
    assert worker.initialize(configured)["state"] == "ready"
    # The operator is told at once, and where; visitors are told neither.
    assert (f"{own}, which INTERVENTIONS names, can't be imported: ZeroDivisionError" in caplog.text) is bool(said)
    for _ in range(2):
        question = {"kind": "audit", "counts": {"0": 8, "1": 8}, "pairs": 1}
        with pytest.raises(ConfigurationError, match=said) if said else nullcontext():
            assert worker.reply(json.dumps(configured, sort_keys=True), question)["sentence"]
    (tmp_path / "audits").mkdir()
    audit = ordered(tmp_path / "audits", **settings)
    worker.run_audit(str(audit.folder))
    assert audit.error() == ({"code": "configuration", "message": said} if said else None)
    assert runs.read_text() == "x"


def test_a_model_without_classes_is_not_audited(tmp_path: Path) -> None:
    said = "An audit compares classes, so it needs a classifier; this model does segmentation."
    settings = {
        "MODEL_CLS_PATH": str(Path(task_models.__file__)),
        "MODEL_CLS_NAME": "TaskModel",
        "MODEL_LOAD_ARGS": {"task": "segmentation"},
    }
    status = worker.initialize(worker.reference(config.build({}, None, settings)))
    assert (status["state"], status["no_audits"]) == ("ready", said)
    for call in (audit_model, lambda model, folder: read(model, [], lambda fraction: None)):
        with pytest.raises(BadRequest, match=said):
            call(task_models.loaded("segmentation"), tmp_path / "none")
    with pytest.raises(BadRequest, match="There is no folder"):
        audit_model(task_models.loaded("multi-label"), tmp_path / "none")


def test_a_model_that_can_not_be_mended_says_why_and_the_audit_stays_finished(tmp_path: Path) -> None:
    audit = ordered(tmp_path)
    worker.run_audit(str(audit.folder))
    order = audit.order()
    findings = audit.findings()
    if not any(one["alarm"] for one in findings["findings"]):
        with pytest.raises(BadRequest, match="Only a finished audit with findings"):
            audit.start(replace(order, mend=True))
        audit.find([cast(FindingDocument, EMPTY)], findings["verdict"])
    audit.start(replace(order, mend=True))
    assert audit.state() == "waiting"
    worker.run_audit(str(audit.folder))
    assert audit.state() == "finished"
    assert audit.findings()["verdict"] == findings["verdict"]
    result = audit.mending()
    assert result
    assert not result["mended"]
    assert not audit.mended.exists()
    with pytest.raises(BadRequest, match="and only once"):
        audit.start(replace(order, mend=True))


# ---- giving way ---------------------------------------------------------------------------------------------


def computed(audit: Audit) -> list[int]:
    """Test the pairs of an audit one after another; return how many interventions each part has tested."""
    tested: list[int] = []

    def count() -> int:
        return sum(json.loads(file.read_text())["tried"] for file in audit.trials.glob("pair-*.json"))

    for number in range(audit.pairs()):
        while True:
            before = count()
            worker.run_audit(str(audit.folder), pair=number)
            assert audit.error() is None
            tested.append(count() - before)
            if not audit.is_paused(number):
                break
    worker.run_audit(str(audit.folder))
    return tested


def test_a_pair_pauses_between_interventions_if_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, other = ordered(tmp_path / "alone"), ordered(tmp_path / "other")
    assert len(computed(alone)) == 1
    monkeypatch.setattr(auditor, "PART_SECONDS", 0.0)
    monkeypatch.setattr(auditor, "PREPARATIONS", 0)
    other.let_yield(yields=True)
    parts = computed(other)
    assert len(parts) > 10
    assert min(parts) >= 1
    trials = [(one.trials / "pair-0-1.json").read_bytes() for one in (alone, other)]
    assert trials[0] == trials[1]
    assert alone.findings() == other.findings()


def test_a_pair_that_took_long_to_begin_pauses_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = ordered(tmp_path)
    monkeypatch.setattr(auditor, "PART_SECONDS", 0.0)
    monkeypatch.setattr(auditor, "PREPARATIONS", 10**6)
    audit.let_yield(yields=True)
    assert len(computed(audit)) == 1


def test_a_pair_whose_time_is_up_does_not_go_on(tmp_path: Path) -> None:
    audit = ordered(tmp_path)
    audit.report(Progress(state="running", seconds=1e9), 0)
    audit.pause(0, paused=True)
    worker.run_audit(str(audit.folder), pair=0)
    assert not audit.is_paused(0)
    assert not audit.trials.exists()


def test_the_queue_continues_a_paused_pair_and_says_when_others_wait(tmp_path: Path) -> None:
    sessions = [tmp_path / name / "audits" for name in ("one", "two")]
    for folder in sessions:
        folder.mkdir(parents=True)
    first, second = gathered(sessions[0]), gathered(sessions[1])
    pairs: list[tuple[str, Future[None]]] = []

    class Waiting:
        parallel = False

        def audit_pair(self, folder: Path, number: int) -> Future[None]:
            pairs.append((folder.name, Future()))
            return pairs[-1][1]

        def audit(self, folder: Path) -> Future[None]:
            return Future()

        def model_status(self) -> dict[str, Any]:
            return {"state": "ready"}

    queue = JobQueue(cast(Engine, Waiting()), Registry(), {"file": None, "overrides": {}}, capacity=4)
    begin(queue, first)
    assert not first.yields()
    begin(queue, second)
    assert [first.yields(), second.yields()] == [True, True]
    # It was paused, so the same pair follows; then it is complete, so the rest of the audit does.
    first.report(Progress(state="running"), 0)
    first.pause(0, paused=True)
    pairs[0][1].set_result(None)
    assert [name for name, _ in pairs] == [first.id, second.id, first.id]
    first.pause(0, paused=False)
    pairs[2][1].set_result(None)
    assert len(pairs) == 3
    # An error ends it, whatever was said before.
    second.report(Progress(state="running"), 0)
    second.pause(0, paused=True)
    pairs[1][1].set_exception(WorkerDied("It did not stop."))
    assert len(pairs) == 3
    assert second.state() == "failed"
