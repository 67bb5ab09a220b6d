"""The predictions of a session: computed in parts, resumed, cancelled, and read while they grow."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from picasso import config
from picasso.errors import BadRequest, Busy, Cancelled, NotFound, WorkerCrashed
from picasso.explanation.registry import Registry
from picasso.jobs import predictor, worker
from picasso.jobs.engine import Engine
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.prediction_job import Order, Predictions, Progress, identity
from picasso.jobs.run import StoredImage
from tests.conftest import fake_settings, noise_image, png
from tests.fakes import LinearModel


def images(folder: Path, count: int, start: int = 0) -> list[StoredImage]:
    """Write images and return their descriptions."""
    found = []
    for uid in range(start, start + count):
        file = folder / f"{uid}.png"
        file.write_bytes(png(noise_image(uid)))
        found.append(StoredImage(uid=uid, name=file.name, filename=file.name, path=str(file)))
    return found


def ordered(folder: Path, some: list[StoredImage]) -> Predictions:
    """Return predictions that wait for a worker."""
    job = Predictions.create(folder / "predictions")
    job.start(order_of(some))
    return job


def order_of(some: list[StoredImage]) -> Order:
    return Order(worker.reference(config.build({}, None, fake_settings())), some)


class Counting(LinearModel):
    """Counts the images that it predicts, two at a time."""

    batch_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.load()
        self.predicted = 0

    def batch_probabilities(self, inputs: Any) -> Any:
        self.predicted += len(inputs)
        return super().batch_probabilities(inputs)


def part(job: Predictions, model: Counting, checkpoint: Callable[[], None] = lambda: None) -> None:
    predictor.predict_part(job, lambda: model, checkpoint)


def key(model: LinearModel) -> str:
    return identity(model.card().as_dict())


def test_each_image_gets_the_predictions_of_the_model(tmp_path: Path) -> None:
    some, model = images(tmp_path, 5), Counting()
    job = ordered(tmp_path, some)
    assert (job.state(), job.rows(key(model))) == ("waiting", {})
    part(job, model)
    assert job.state() == "finished"
    rows = job.rows(key(model))
    assert list(rows) == [0, 1, 2, 3, 4]
    for image in some:
        loaded = worker.load_image(image, model).image
        (best,) = model.decode(model.predict(model.inputs_of([loaded])))
        assert rows[image["uid"]]["top"] == list(best[:2])
        assert job.full_rows(key(model))[image["uid"]]["top"] == list(best[:5])
    assert (job.progress().done, job.progress().total, job.progress().computed) == (5, 5, 5)


def test_added_images_are_computed_and_no_others(tmp_path: Path) -> None:
    some, model = images(tmp_path, 3), Counting()
    job = ordered(tmp_path, some)
    part(job, model)
    job.start(order_of([*some, *images(tmp_path, 2, 3)]))
    before, model.predicted = model.predicted, 0
    part(job, model)
    assert (before, model.predicted, sorted(job.rows(key(model)))) == (3, 2, [0, 1, 2, 3, 4])


def test_the_rows_of_removed_images_and_of_another_checkpoint_are_dropped(tmp_path: Path) -> None:
    some, model = images(tmp_path, 4), Counting()
    job = ordered(tmp_path, some)
    part(job, model)
    job.start(order_of(some[1:]))
    part(job, model)
    assert sorted(job.rows(key(model))) == [1, 2, 3]
    other = Counting()
    other.checkpoint = "later.npz"
    assert job.rows(key(other)) == {}
    job.start(order_of(some[1:]))
    part(job, other)
    assert (other.predicted, sorted(job.rows(key(other))), job.rows(key(model))) == (3, [1, 2, 3], {})


def test_half_a_line_of_a_dead_worker_is_computed_again(tmp_path: Path) -> None:
    some, model = images(tmp_path, 3), Counting()
    job = ordered(tmp_path, some)
    part(job, model)
    file = job.folder / "rows.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert sorted(job.rows(key(model))) == [0, 1]
    job.start(order_of(some))
    part(job, model)
    assert sorted(job.rows(key(model))) == [0, 1, 2]
    assert [json.loads(line)["uid"] for line in file.read_text().splitlines()[1:]] == [0, 1, 2]


def test_a_part_ends_in_time_and_the_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some, model = images(tmp_path, 5), Counting()
    job = ordered(tmp_path, some)
    clock = iter(range(1000))
    monkeypatch.setattr("picasso.jobs.predictor.time.perf_counter", lambda: 0.6 * next(clock))
    part(job, model)
    assert (job.state(), len(job.rows(key(model)))) == ("running", 2)
    part(job, model)
    part(job, model)
    assert (job.state(), model.predicted, job.progress().computed) == ("finished", 5, 5)


def test_cancelling_stops_after_a_batch_and_starting_goes_on(tmp_path: Path) -> None:
    some, model = images(tmp_path, 5), Counting()
    job = ordered(tmp_path, some)
    with pytest.raises(Cancelled):
        part(job, model, job.cancel)
    assert (job.state(), len(job.rows(key(model)))) == ("cancelled", 2)
    with pytest.raises(Cancelled):
        part(job, model)
    job.start(order_of(some))
    part(job, model)
    assert (job.state(), model.predicted) == ("finished", 5)


def test_an_image_that_is_gone_does_not_stop_the_others(tmp_path: Path) -> None:
    some, model = images(tmp_path, 3), Counting()
    Path(some[1]["path"]).unlink()
    job = ordered(tmp_path, some)
    part(job, model)
    rows = job.rows(key(model))
    assert (job.state(), rows[1]["top"], rows[1]["error"]) == (
        "finished",
        [],
        "The image was removed before it was predicted.",
    )
    assert rows[2]["top"]


def test_the_worker_writes_what_fails_and_stops_silently_if_deleted(tmp_path: Path) -> None:
    job = ordered(tmp_path, images(tmp_path, 2))
    broken = config.build({}, None, fake_settings(MODEL_CLS_NAME="NoSuchModel"))
    job.start(Order(worker.reference(broken), job.order().images))
    worker.run_predictions(str(job.folder))
    assert job.state() == "failed"
    assert "NoSuchModel" in cast(dict[str, str], job.error())["message"]
    (job.folder / job.document).unlink()
    worker.run_predictions(str(job.folder))
    with pytest.raises(NotFound):
        assert job.created


class Idle:
    """An engine that does nothing."""

    def __init__(self) -> None:
        self.promised: list[Future[None]] = []

    def predict(self, folder: Path) -> Future[None]:
        self.promised.append(Future())
        return self.promised[-1]

    def model_status(self) -> dict[str, Any]:
        return {"state": "ready"}


@pytest.fixture
def engine() -> Idle:
    return Idle()


@pytest.fixture
def runner(engine: Idle) -> JobQueue:
    return JobQueue(cast(Engine, engine), Registry(), {"file": None, "overrides": {}}, capacity=1)


def test_the_queue_asks_for_parts_until_all_is_done(runner: JobQueue, engine: Idle, tmp_path: Path) -> None:
    some, job = images(tmp_path, 2), Predictions.create(tmp_path / "predictions")
    with pytest.raises(BadRequest):
        runner.start_predictions(job, list)
    runner.start_predictions(job, lambda: some[:1])
    # Images that are added meanwhile need no place in the queue.
    runner.start_predictions(job, lambda: some)
    with pytest.raises(Busy):
        runner.start_predictions(Predictions.create(tmp_path / "others"), lambda: some)
    job.report(Progress(1, 2, 1, 1.0))
    engine.promised[-1].set_result(None)
    assert (len(engine.promised), job.state()) == (2, "running")
    job.report(Progress(2, 2, 2, 2.0))
    job.finish(job.progress(), job.order())
    engine.promised[-1].set_result(None)
    assert (len(engine.promised), job.state(), runner.position(job)) == (2, "finished", 0)
    runner.start_predictions(job, lambda: some)


def test_images_added_when_the_last_part_has_just_ended_get_their_own(
    runner: JobQueue, engine: Idle, tmp_path: Path
) -> None:
    some, job = images(tmp_path, 2), Predictions.create(tmp_path / "predictions")
    runner.start_predictions(job, lambda: some[:1])
    job.report(Progress(1, 1, 1, 1.0))
    job.finish(job.progress(), job.order())
    runner.start_predictions(job, lambda: some)
    engine.promised[-1].set_result(None)
    assert (len(engine.promised), job.state()) == (2, "waiting")
    # The same if they were cancelled before their turn.
    job.cancel()
    engine.promised[-1].cancel()
    assert job.state() == "cancelled"
    runner.start_predictions(job, lambda: some)
    assert (len(engine.promised), job.state()) == (3, "waiting")


def test_the_end_of_an_earlier_order_is_not_that_of_the_latest(tmp_path: Path) -> None:
    """The worker reads an order, and finishes it while the next one is being stored."""
    some, model = images(tmp_path, 3), Counting()
    job = ordered(tmp_path, some[:2])

    class Late(Predictions):
        def finish(self, progress: Progress, order: Order) -> None:
            job.start(order_of(some))
            super().finish(progress, order)

    part(Late(job.folder), model)
    assert (job.state(), job.progress().done, job.is_done()) == ("waiting", 0, False)
    part(job, model)
    assert (job.state(), sorted(job.rows(key(model)))) == ("finished", [0, 1, 2])


def test_the_images_are_read_in_turn(runner: JobQueue, tmp_path: Path) -> None:
    """Of two callers at the same time, the one that comes later can't order fewer images than the first."""
    some, job = images(tmp_path, 2), Predictions.create(tmp_path / "predictions")
    listed, held, other = some[:1], threading.Event(), threading.Event()

    def slowly() -> list[StoredImage]:
        found = list(listed)
        held.set()
        other.wait(0.3)
        return found

    first = threading.Thread(target=runner.start_predictions, args=(job, slowly))
    first.start()
    assert held.wait(5)
    listed = some
    second = threading.Thread(target=runner.start_predictions, args=(job, lambda: listed))
    second.start()
    first.join()
    second.join()
    assert job.order().images == some


def test_parts_without_progress_and_crashes_end_the_predictions(runner: JobQueue, engine: Idle, tmp_path: Path) -> None:
    some, job = images(tmp_path, 2), Predictions.create(tmp_path / "predictions")
    runner.start_predictions(job, lambda: some)
    engine.promised[-1].set_result(None)
    assert job.state() == "failed"
    runner.start_predictions(job, lambda: some)
    engine.promised[-1].set_exception(WorkerCrashed("It crashed."))
    assert (job.state(), job.error()) == ("failed", {"code": "worker_died", "message": "It crashed."})
    runner.start_predictions(job, lambda: some)
    job.cancel()
    # The place of cancelled predictions is free at once.
    runner.start_predictions(Predictions.create(tmp_path / "others"), lambda: some)
    assert job.state() == "cancelled"
