"""Runs as folders: states, idempotent shards, cancelling, and what a worker writes."""

from __future__ import annotations

import errno
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from picasso import config, fileio
from picasso.errors import BadRequest, NotFound, RunError
from picasso.explanation.inputs import NamedImage
from picasso.explanation.result import Result
from picasso.imaging import decode
from picasso.jobs import worker
from picasso.jobs.run import Run, Spec, StoredImage, images_by_name
from picasso.models.base import Model
from picasso.web.presentation import remaining
from tests.conftest import PLUGINS, fake_settings, noise_image


def make_run(folder: Path, visualization: str = "PartialOcclusion", count: int = 3, **settings: Any) -> Run:
    images = []
    for uid in range(count):
        file = folder / f"{uid}.png"
        file.write_bytes(decode.encode(noise_image(uid)))
        images.append(StoredImage(uid=uid, name=f"p{uid}", filename=file.name, path=str(file)))
    configured = {"file": None, "overrides": fake_settings(PLUGIN_DIRS=[str(PLUGINS)])}
    return Run.create(folder, Spec(visualization, settings, images, 2, configured, time.time()))


def test_a_run_from_waiting_to_finished(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert run.spec().shards == 2
    assert run.state()["state"] == "waiting"
    worker.run_shard(str(run.folder), 0)
    state = run.state()
    assert (state["state"], state["done"], state["total"], state["fraction"]) == ("running", 2, 3, 0.6667)
    worker.run_shard(str(run.folder), 1)
    state = run.state()
    assert (state["state"], state["done"], state["fraction"], state["error"]) == ("finished", 3, 1.0, None)
    assert [result["image"] for result in run.results()] == ["p0", "p1", "p2"]
    assert state["seconds"] >= sum(result["seconds"] for result in run.results()) > 0


def test_what_is_compiled_says_nothing_of_what_is_left(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.report(0, 0.0, 0.0, 7.0)
    state = run.state()
    assert (state["state"], state["fraction"], state["compiling"]) == ("running", 0.0, 7.0)
    # A third of one shard of two in 10 seconds, of which 7 went into what happens once.
    run.report(0, 0.3, 10.0, 7.0)
    state = run.state()
    assert (state["fraction"], state["compiling"]) == (0.2, 7.0)
    assert remaining(state["fraction"], state["seconds"] - state["compiling"]) == 12.0


def test_shards_can_be_repeated_after_any_interruption(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    worker.run_shard(str(run.folder), 0)
    kept = (run.result_folder(0) / "result.json").stat().st_mtime_ns
    # As if the worker had been killed between its first result and the end of the shard.
    (run.folder / "done-0").unlink()
    for file in run.result_folder(1).iterdir():
        file.unlink()
    run.result_folder(1).rmdir()
    worker.run_shard(str(run.folder), 0)
    assert (run.result_folder(0) / "result.json").stat().st_mtime_ns == kept
    assert run.state()["done"] == 2
    worker.run_shard(str(run.folder), 0)
    assert run.finished(0)


def test_cancelled_before_it_starts(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.cancel()
    worker.run_shard(str(run.folder), 0)
    assert run.state()["state"] == "cancelled"
    assert run.state()["done"] == 0


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("raise", "Trouble failed on p0: ZeroDivisionError"),
        ("exit", "The run failed: SystemExit: 3"),
        ("nan", "NaN or infinite"),
    ],
)
def test_failures_are_written_down(tmp_path: Path, kind: str, message: str) -> None:
    run = make_run(tmp_path, "Trouble", Kind=kind)
    worker.run_shard(str(run.folder), 0)
    state = run.state()
    assert state["state"] == "failed"
    assert state["error"] is not None
    assert message in state["error"]["message"]
    worker.run_shard(str(run.folder), 1)  # the rest of a failed run is not computed
    assert not run.finished(1)


def test_a_image_that_was_removed_meanwhile(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (tmp_path / "1.png").unlink()
    worker.run_shard(str(run.folder), 0)
    error = run.state()["error"]
    assert error is not None
    assert error["message"] == "The image p1 was removed before it was processed."


def test_a_run_that_was_cancelled_does_not_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)

    def removed(*arguments: object) -> None:
        run.cancel()
        raise RunError("The image p1 was removed before it was processed.")

    monkeypatch.setattr(worker, "compute", removed)
    worker.run_shard(str(run.folder), 0)
    assert (run.state()["state"], run.state()["error"]) == ("cancelled", None)


def test_the_first_reason_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.fail(RunError("first"))
    run.fail(RunError("second"))
    error = run.state()["error"]
    assert error == {"code": "run_failed", "message": "first"}


def test_a_folder_that_vanishes_harms_nobody(tmp_path: Path) -> None:
    import shutil

    run = make_run(tmp_path)
    shutil.rmtree(run.folder)
    worker.run_shard(str(run.folder), 0)
    assert not run.folder.exists()


def test_a_run_that_is_deleted_while_it_computes_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from picasso.explanation.result import Result

    run, save = make_run(tmp_path), Result.save

    def delete_first(result: Result, folder: Path) -> None:
        shutil.rmtree(run.folder)
        save(result, folder)

    monkeypatch.setattr(Result, "save", delete_first)
    worker.run_shard(str(run.folder), 0)
    assert not run.folder.exists()


def test_a_folder_that_survives_its_deletion_holds_no_run(tmp_path: Path) -> None:
    # Progress that is written in that moment keeps the folder, but not the mark of the cancellation.
    run = make_run(tmp_path)
    (run.folder / "run.json").unlink()
    assert run.is_stopped()
    with pytest.raises(NotFound):
        run.state()


def test_files_of_results_cannot_be_reached_from_outside(tmp_path: Path) -> None:
    run = make_run(tmp_path, count=1)
    worker.run_shard(str(run.folder), 0)
    assert run.file("0", "result.json")
    (run.result_folder(0) / "link.png").symlink_to("/etc/passwd")
    for position, name in [
        ("0", "../run.json"),
        ("0", "link.png"),
        ("0", ""),
        ("x", "result.json"),
        ("-1", "a"),
        ("9" * 9, "a"),
    ]:
        assert run.file(position, name) is None


def test_documents_are_json_without_nan(tmp_path: Path) -> None:
    run = make_run(tmp_path, count=1)
    worker.run_shard(str(run.folder), 0)
    json.loads(json.dumps(list(run.results()), allow_nan=False))


def test_a_model_that_can_not_be_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The traceback of the operator's own code is logged; of all else the server says the sentence."""
    code = tmp_path / "own.py"
    code.write_text("def prepare(images):\n    raise ValueError('no mean')\n")
    for overrides, message, logged in [
        ({"MODEL": "missing.keras"}, "There is no model file", False),
        ({"PREPROCESS": f"{code}:prepare"}, "preprocess() of the model failed: ValueError: no mean.", True),
    ]:
        caplog.clear()
        told = worker.initialize({"file": None, "overrides": fake_settings(**overrides)})
        assert told["state"] == "failed"
        assert message in told["error"]
        assert ("own.py" in caplog.text and "Traceback" in caplog.text) == logged


def counting_model(folder: Path) -> tuple[dict[str, Any], Path]:
    """Return settings of a model that notes each time that it is loaded, and the file where it does."""
    loads = folder / "loads"
    (folder / "counting.py").write_text(
        "from tests.fakes import LinearModel\n\n\n"
        "class CountingModel(LinearModel):\n"
        "    def load(self, **arguments):\n"
        "        super().load()\n"
        f"        with open({str(loads)!r}, 'a') as file:\n"
        "            file.write(arguments.get('called', 'x'))\n"
    )
    return {"MODEL_CLS_PATH": str(folder / "counting.py"), "MODEL_CLS_NAME": "CountingModel"}, loads


def test_each_model_is_loaded_once(tmp_path: Path) -> None:
    """By whoever asks for it: the start, a run, one that compares, a question, an audit."""
    model, loads = counting_model(tmp_path)
    overrides = fake_settings(**model, COMPARE={"other": {"MODEL_LOAD_ARGS": {"called": "y"}}})
    configured = worker.reference(config.build({}, None, overrides))
    key = json.dumps(configured, sort_keys=True)
    assert worker.initialize(configured)["state"] == "ready"
    assert worker.model_of(key) is worker.model_of(key, "")
    images = make_run(tmp_path, count=1).spec().images
    for models in ([], ["other"], ["other"]):
        run = Run.create(tmp_path, Spec("ClassProbabilities", {}, images, 2, configured, time.time(), (), models))
        worker.run_shard(str(run.folder), 0)
        assert run.state()["state"] == "finished"
    assert worker.reply(key, {"kind": "estimate", "visualization": "ClassProbabilities", "settings": {}})
    assert sorted(loads.read_text()) == ["x", "y"]


def test_of_many_models_a_few_stay_in_memory(tmp_path: Path) -> None:
    """The model itself always does."""
    model, loads = counting_model(tmp_path)
    names = [chr(ord("a") + number) for number in range(worker.MODELS_IN_MEMORY + 1)]
    others = {name: {"MODEL_LOAD_ARGS": {"called": name}} for name in names}
    configured = worker.reference(config.build({}, None, fake_settings(**model, COMPARE=others)))
    images = make_run(tmp_path, count=1).spec().images
    for name in ["", *names, *names[-2:], names[0]]:
        run = Run.create(tmp_path, Spec("SaliencyMaps", {}, images, 2, configured, time.time(), model=name))
        worker.run_shard(str(run.folder), 0)
        (result,) = run.results()
        assert result["compared"] == {}
        assert {panel["group"] for panel in result["panels"]} == {""}
    assert loads.read_text() == "".join(["x", *names, names[0]])


def test_what_is_known_of_a_image_is_shown_until_its_result_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PREVIEW_SECONDS", -1)
    run = make_run(tmp_path, count=1, Strides=30)
    seen: list[dict[str, Any]] = []
    kept: list[str] = []
    original = Run.report

    def look(self: Run, shard: int, fraction: float, seconds: float, compiling: float = 0.0) -> None:
        original(self, shard, fraction, seconds, compiling)
        for document in [] if list(self.results()) else self.results(previews=True):
            seen.append(document)
            kept.append(self.state()["preview"])
            assert self.file(document["place"], document["panels"][1]["file"]) is not None

    monkeypatch.setattr(Run, "report", look)
    worker.run_shard(str(run.folder), 0)
    assert [document["place"] for document in seen] == [f"0p{number}" for number in range(len(seen))]
    assert len(seen) > 1
    assert kept[-1] == f"0p{len(seen) - 2} 0p{len(seen) - 1}", "the last two stay for those who look at them"
    (result,) = run.results(previews=True)
    assert result["place"] == "0"
    assert run.state()["preview"] == ""
    assert not list(run.folder.glob("previews/*"))
    # A page that heard of a preview a moment ago still finds something there.
    name = result["panels"][1]["file"]
    assert run.file("0p0", name) == run.file("0", name) is not None
    for place in ("0p", "p0", "0p0/..", "../0", "1p0", ""):
        assert run.file(place, "view.png") is None


def test_a_run_ends_even_if_there_is_no_room_for_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)

    def full(file: Path, document: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fileio, "write_json", full)
    run.fail(RunError("It failed."))
    assert run.state()["state"] == "cancelled"


def test_a_run_that_finds_the_disk_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, count=1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Result, "save", full)
    worker.run_shard(str(run.folder), 0)
    assert run.error() == {
        "code": "storage_full",
        "message": "The server's disk is full. Delete runs that you do not need, then try again.",
    }


def test_images_are_found_by_name_and_by_number() -> None:
    names = ["a.png", "b.png", "b.png", "1"]
    images = [StoredImage(uid=uid, name=name, filename=name, path=f"/{uid}") for uid, name in enumerate(names)]
    # A name takes precedence over a number.
    found = images_by_name(["a.png", "2", "1"], images)
    assert {name: image["uid"] for name, image in found.items()} == {"a.png": 0, "2": 2, "1": 3}
    with pytest.raises(BadRequest, match=r"2 images are called b\.png: 1, 2\. Specify the number"):
        images_by_name(["b.png"], images)
    with pytest.raises(BadRequest, match=r"There is no image '9' in this session\."):
        images_by_name(["9"], images)


def test_other_images_are_read_once_for_all_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, "SaliencyMaps")
    spec = run.spec()
    overrides = {**spec.configuration["overrides"], "MODEL_CLS_NAME": "EmbeddingModel"}
    configured = {**spec.configuration, "overrides": overrides}
    asked = replace(
        spec, configuration=configured, targets=["like:p1"], references={"p1": spec.images[1]}, shard_size=3
    )
    run = Run.create(tmp_path, asked)
    read: list[str] = []
    load = worker.load_image

    def count(image: StoredImage, model: Model) -> NamedImage:
        read.append(image["name"])
        return load(image, model)

    monkeypatch.setattr(worker, "load_image", count)
    worker.run_shard(str(run.folder), 0)
    assert run.state()["state"] == "finished", run.state()
    values = [result["panels"][0]["value"] for result in run.results()]
    assert values[1] == pytest.approx(1, abs=1e-6)
    assert abs(values[0]) < 1
    assert sorted(read) == ["p0", "p1", "p1", "p2"]
