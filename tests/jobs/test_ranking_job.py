"""A ranking of methods as a job: its parts, its progress, its end, and what stops it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

import picasso
from picasso import config
from picasso.errors import BadRequest, NotFound, WorkerCrashed, WorkerDied
from picasso.explanation.registry import Registry
from picasso.grading.maps import Subject
from picasso.grading.methods import controls_of, graded
from picasso.grading.ranking import MapScore
from picasso.jobs import ranker, reporting_job, worker
from picasso.jobs.engine import Engine
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.ranking_job import MethodRanking, RankingOrder
from picasso.jobs.request_checks import MAX_RANKED
from picasso.jobs.run import StoredImage
from tests.conftest import fake_settings, noise_image
from tests.fakes import LinearModel

METHODS = {"PartialOcclusion": "Partial occlusion", "SaliencyMaps": "Saliency maps"}


def images_in(folder: Path, count: int) -> list[StoredImage]:
    found = []
    for uid in range(count):
        file = folder / f"{uid}.png"
        noise_image(uid).save(file)
        found.append(StoredImage(uid=uid, name=f"number {uid}", filename=file.name, path=str(file)))
    return found


def made(folder: Path, count: int = 2, **changes: Any) -> MethodRanking:
    order: dict[str, Any] = {
        "configuration": worker.reference(config.build({}, None, fake_settings())),
        "images": images_in(folder, count),
        "methods": METHODS,
        "default": "PartialOcclusion",
        "model": "linear",
        "created": time.time(),
    }
    return MethodRanking.create(folder / "rankings", RankingOrder(**{**order, **changes}))


def end(ranking: MethodRanking, checkpoint: Callable[[], None] = lambda: None) -> int:
    """Compute all parts; gives their number."""
    parts = 0
    while ranking.at_work():
        worker.run_ranking(str(ranking.folder), checkpoint)
        parts += 1
        assert parts < 50
    return parts


def test_each_part_grades_some_maps_until_all_are_graded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranker, "PART_SECONDS", 0.0)
    monkeypatch.setattr(reporting_job, "REPORT_SECONDS", -1.0)
    ranking, seen = made(tmp_path), list[float]()
    assert (ranking.state(), ranking.at_work(), ranking.preference()) == ("waiting", True, None)
    worker.run_ranking(str(ranking.folder))
    # All methods on the first image come before the second image.
    assert (ranking.state(), ranking.progress()[0]) == ("running", 0.25)
    assert [one.measured for one in ranking.standings()] == [1, 0]
    assert end(ranking, lambda: seen.append(ranking.progress()[0])) == 3
    assert seen == sorted(seen)
    assert (ranking.state(), ranking.progress()[0], ranking.at_work()) == ("finished", 1, False)
    assert ranking.computed() > 0
    preference = ranking.preference()
    assert preference is not None
    assert (preference.visualization, "at least 5 images" in preference.sentence) == ("", True)
    # The scores are those of Python.
    model = LinearModel()
    model.load()
    for standing in ranking.standings():
        grade = picasso.grade(model, standing.visualization, [noise_image(0), noise_image(1)])
        assert standing.scores == pytest.approx([one.score for one in grade.images], abs=1e-6)


def test_the_controls_of_an_image_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def counted(subject: Subject, report: Callable[[float], None]) -> Any:
        measured.append(subject.named.name)
        return controls_of(subject, report)

    monkeypatch.setattr(ranker, "controls_of", counted)
    end(made(tmp_path))
    assert measured == ["number 0", "number 1"]


def test_a_removed_image_is_named_and_the_others_count(tmp_path: Path) -> None:
    ranking = made(tmp_path)
    (tmp_path / "0.png").unlink()
    end(ranking)
    assert ranking.state() == "finished"
    for standing in ranking.standings():
        assert standing.untested == ("number 0: It was removed before it was graded.",)
        assert [score is None for score in standing.scores] == [True, False]


@pytest.mark.parametrize("error", [SystemExit(3), TypeError("unready")])
def test_whatever_a_method_raises_the_others_are_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    original = graded

    def fail(subject: Subject, *given: Any) -> Any:
        if subject.visualization.__name__ == "SaliencyMaps":
            raise error
        return original(subject, *given)

    monkeypatch.setattr(ranker, "graded", fail)
    ranking = made(tmp_path, 1)
    end(ranking)
    assert (ranking.state(), ranking.error()) == ("finished", None)
    fine, failed = ranking.standings()
    assert (fine.measured, failed.measured) == (1, 0)
    (why,) = failed.untested
    assert why.startswith(f"number 0: SaliencyMaps failed: {type(error).__name__}")


def test_a_full_disk_fails_the_ranking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MethodRanking, "keep_controls", full)
    ranking = made(tmp_path, 1)
    end(ranking)
    assert (ranking.state(), "disk is full" in (ranking.error() or {})["message"]) == ("failed", True)


def test_a_cancelled_ranking_stops_at_the_next_report_and_keeps_what_it_found(tmp_path: Path) -> None:
    ranking = made(tmp_path)

    def checkpoint() -> None:
        if ranking.score(0, "PartialOcclusion"):
            ranking.cancel()

    end(ranking, checkpoint)
    assert (ranking.state(), ranking.preference()) == ("cancelled", None)
    assert [one.measured for one in ranking.standings()] == [1, 0]


def test_a_deleted_ranking_leaves_nothing(tmp_path: Path) -> None:
    ranking = made(tmp_path)
    worker.run_ranking(str(ranking.folder), lambda: (ranking.folder / ranking.document).unlink(missing_ok=True))
    assert not ranking.at_work()
    assert ranking.error() is None
    with pytest.raises(NotFound, match="no such ranking"):
        ranking.order()


class Promising:
    """An engine whose tasks end as the test says."""

    parallel = False

    def __init__(self, **report: Any) -> None:
        self.promised: list[Future[None]] = []
        self._report = report

    def rank(self, folder: Path) -> Future[None]:
        self.promised.append(Future())
        return self.promised[-1]

    def model_status(self) -> dict[str, Any]:
        task = LinearModel().spec.as_dict()
        return {"state": "ready", "report": {"class_names": ["a", "b"], "model": {"task": task}}, **self._report}


def queue_of(engine: Promising) -> JobQueue:
    return JobQueue(
        cast(Engine, engine), Registry(), worker.reference(config.build({}, None, fake_settings())), capacity=1
    )


def test_a_map_that_no_worker_survives_is_left_out(tmp_path: Path) -> None:
    engine = Promising()
    ranking = queue_of(engine).start_ranking(tmp_path / "rankings", images_in(tmp_path, 1), list(METHODS), "linear")
    ranking.begin(0, "PartialOcclusion")
    engine.promised[0].set_exception(WorkerCrashed("The worker process died."))
    assert ranking.state() == "waiting"
    assert ranking.score(0, "PartialOcclusion") == MapScore(
        untested=("The worker process died while this map was graded.",)
    )
    worker.run_ranking(str(ranking.folder))
    engine.promised[1].set_result(None)
    assert (ranking.state(), len(engine.promised)) == ("finished", 2)
    assert [one.measured for one in ranking.standings()] == [0, 1]


def test_a_worker_that_can_not_even_begin_fails_the_ranking(tmp_path: Path) -> None:
    engine = Promising()
    queue = queue_of(engine)
    ranking = queue.start_ranking(tmp_path / "rankings", images_in(tmp_path, 1), list(METHODS), "linear")
    engine.promised[0].set_exception(WorkerCrashed("The worker process died."))
    assert (ranking.state(), ranking.error() or {}) == (
        "failed",
        {"code": "worker_died", "message": "The worker process died."},
    )
    assert queue.at_work(tmp_path) == []


def test_one_that_had_to_be_stopped_has_failed(tmp_path: Path) -> None:
    engine = Promising()
    ranking = queue_of(engine).start_ranking(tmp_path / "rankings", images_in(tmp_path, 1), list(METHODS), "linear")
    ranking.begin(0, "PartialOcclusion")
    engine.promised[0].set_exception(WorkerDied("The ranking exceeded the time limit of 120 minutes."))
    assert (ranking.state(), len(engine.promised)) == ("failed", 1)
    assert (ranking.error() or {})["message"] == (
        "The ranking exceeded the time limit of 120 minutes. It was grading the map of number 0 by Partial occlusion. "
        "If that happens again, rank the other methods without it."
    )


def test_a_part_without_progress_ends_the_ranking(tmp_path: Path) -> None:
    engine = Promising()
    queue = queue_of(engine)
    ranking = queue.start_ranking(tmp_path / "rankings", images_in(tmp_path, 1), list(METHODS), "linear")
    engine.promised[0].set_result(None)
    assert (ranking.state(), len(engine.promised)) == ("failed", 1)
    assert "ended without a result" in (ranking.error() or {})["message"]
    assert queue.at_work(tmp_path) == []


def test_mistakes_are_explained(tmp_path: Path) -> None:
    queue = queue_of(Promising(unsuitable={"CAM": "It needs a model that ends in pooling."}))
    images = images_in(tmp_path, 1)
    for names, given, words in (
        (["CAM"], images, "CAM can't be ranked. It needs a model that ends in pooling."),
        (["ClassProbabilities"], images, "Predictions can't be ranked. It makes no maps of an image."),
        ([], images, "There are no visualizations to rank"),
        (["RISE"], [], "There are no images"),
        (["RISE"], images * (MAX_RANKED + 1), "at most 100 images, not 101"),
    ):
        with pytest.raises(BadRequest, match=words):
            queue.start_ranking(tmp_path / "rankings", given, names, "linear")
    with pytest.raises(NotFound, match="Nope"):
        queue.start_ranking(tmp_path / "rankings", images, ["Nope"], "linear")
    # All that make maps and can be used.
    ranking = queue.start_ranking(tmp_path / "rankings", images, None, "linear")
    assert {"PartialOcclusion", "RISE", "SaliencyMaps"} <= set(ranking.order().methods)
    assert not {"CAM", "ClassProbabilities", "ActivationMaximization"} & set(ranking.order().methods)
