"""A search for concepts as a job: its progress, its end, and what stops it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from picasso import config
from picasso.errors import NotFound, WorkerCrashed
from picasso.explanation.registry import Registry
from picasso.inside import factors
from picasso.jobs import reporting_job, worker
from picasso.jobs.concept_search import ConceptOrder, ConceptSearch
from picasso.jobs.engine import Engine
from picasso.jobs.job_queue import JobQueue
from picasso.jobs.run import StoredImage
from tests.conftest import fake_settings
from tests.fakes import LinearModel
from tests.inside import planted


def made(folder: Path, **changes: Any) -> ConceptSearch:
    """Return a search in the images of three colours."""
    images = []
    for uid, pixels in enumerate(planted.images()):
        file = folder / f"{uid}.png"
        Image.fromarray(pixels).save(file)
        images.append(StoredImage(uid=uid, name=f"number {uid}", filename=file.name, path=str(file)))
    settings = fake_settings(MODEL_CLS_PATH=str(planted.__file__), MODEL_CLS_NAME="PlantedModel")
    order: dict[str, Any] = {
        "configuration": worker.reference(config.build({}, None, settings)),
        "images": images,
        "layer": "maps",
        "target": None,
        "count": 3,
        "audit": "",
        "model": "planted",
        "created": time.time(),
    }
    return ConceptSearch.create(folder / "concepts", ConceptOrder(**{**order, **changes}))


def test_a_search_reports_its_progress_and_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting_job, "REPORT_SECONDS", -1)
    search, seen = made(tmp_path), list[float]()
    assert (search.state(), search.at_work(), search.found()) == ("waiting", True, None)
    worker.run_concepts(str(search.folder), lambda: seen.append(search.progress()[0]))
    assert seen == sorted(seen)
    assert (len(seen) > 100, seen[0], seen[-1]) == (True, 0, 1)
    assert (search.state(), search.at_work(), search.progress()[0]) == ("finished", False, 1)
    assert search.computed() > 0
    found = search.found()
    assert found is not None
    assert found["concepts"][0]["exemplars"][0]["image"].startswith("number ")
    # Computed again after an interruption, it stays what it is.
    before = (search.folder / "found").stat().st_mtime_ns
    worker.run_concepts(str(search.folder))
    assert (search.folder / "found").stat().st_mtime_ns == before


def test_a_cancelled_search_stops_at_the_next_report(tmp_path: Path) -> None:
    search, calls = made(tmp_path), list[int]()

    def checkpoint() -> None:
        calls.append(1)
        if len(calls) == 3:
            search.cancel()

    worker.run_concepts(str(search.folder), checkpoint)
    assert (search.state(), len(calls), search.found()) == ("cancelled", 3, None)


def test_questions_are_answered_during_the_factorization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The factorization ends only after a checkpoint, so it can't hold up what is asked in the meantime."""
    asked = threading.Event()

    def factorized(*arguments: Any) -> Any:
        assert asked.wait(60)
        return original(*arguments)

    original = factors.factorized
    monkeypatch.setattr(factors, "factorized", factorized)
    search, calls = made(tmp_path), list[int]()

    def checkpoint() -> None:
        calls.append(1)
        if len(calls) > 5:
            asked.set()

    worker.run_concepts(str(search.folder), checkpoint)
    assert search.state() == "finished", search.error()


def test_a_deleted_search_leaves_nothing(tmp_path: Path) -> None:
    search = made(tmp_path)

    def checkpoint() -> None:
        (search.folder / search.document).unlink(missing_ok=True)

    worker.run_concepts(str(search.folder), checkpoint)
    assert not search.at_work()
    assert search.error() is None
    with pytest.raises(NotFound, match="no such search"):
        search.order()


def test_a_failure_is_told(tmp_path: Path) -> None:
    search = made(tmp_path, target=3)
    worker.run_concepts(str(search.folder))
    assert search.state() == "failed"
    assert "None of the 13 images is predicted as" in (search.error() or {})["message"]


def test_what_a_checkpoint_raises_ends_the_waiting() -> None:
    """The factorization is not waited for."""
    held = threading.Event()

    def raising() -> None:
        raise KeyboardInterrupt

    cells = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    original = factors.factorized
    factors.factorized = lambda *given: (held.wait(60), original(*given))[1]
    try:
        with pytest.raises(KeyboardInterrupt):
            factors.factorized_aside(cells, 2, 0, raising)
    finally:
        held.set()
        factors.factorized = original


@pytest.mark.parametrize("parallel", [True, False])
def test_a_search_starts_again_where_others_have_workers_of_their_own(tmp_path: Path, *, parallel: bool) -> None:
    """With one worker, all others would wait for it a second time."""
    promised: list[Future[None]] = []

    class Crashing:
        def __init__(self) -> None:
            self.parallel = parallel

        def search_concepts(self, folder: Path) -> Future[None]:
            promised.append(Future())
            return promised[-1]

        def model_status(self) -> dict[str, Any]:
            task = LinearModel().spec.as_dict()
            report = {"class_names": ["a", "b"], "model": {"task": task}, "layers": [{"name": "maps", "default": True}]}
            return {"state": "ready", "report": report}

    queue = JobQueue(cast(Engine, Crashing()), Registry(), {"file": None, "overrides": {}}, capacity=1)
    (tmp_path / "image.png").touch()
    image = StoredImage(uid=0, name="a", filename="image.png", path=str(tmp_path / "image.png"))
    search = queue.start_search(tmp_path / "concepts", [image], layer="", target=None, count=2, audit="", model="m")
    promised[0].set_exception(WorkerCrashed("The worker process died."))
    assert len(promised) == 1 + parallel
    if parallel:
        assert search.state() == "waiting"
        promised[1].set_exception(WorkerCrashed("The worker process died again."))
    assert (search.state(), queue.at_work(tmp_path.parent)) == ("failed", [])
    assert (search.error() or {})["message"].startswith("The worker process died")
