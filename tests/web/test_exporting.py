"""A run to take away: nothing is lost, nothing executes, nothing leaves its folder."""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import picasso
from picasso.config import PACKAGE
from picasso.errors import NotFound, PicassoError
from picasso.explanation import comparison
from picasso.explanation.result import Result
from picasso.imaging import decode
from picasso.jobs import worker
from picasso.jobs.run import Run, Spec, StoredImage
from picasso.visualizations.panel import Panel
from picasso.web.exporting import COLUMNS, FORMULA, SIDES, archive, folder_of, table
from tests.conftest import PLUGINS, fake_settings, noise_image
from tests.explanation.test_questions import loaded
from tests.fakes import DetectorModel, EmbeddingModel, LinearModel, PatchModel, RegressorModel, SegmenterModel

NAMES = ["rose.png", "../../etc/passwd", 'Übung "1" & <b>.jpg', "rose.png", "=HYPERLINK(1).png", "日本.png"]
CREATED = 1_800_000_000.0


def make_run(folder: Path, names: list[str], visualization: str = "PartialOcclusion", **more: Any) -> Run:
    images = []
    for uid, name in enumerate(names):
        file = folder / f"{uid}.png"
        file.write_bytes(decode.encode(noise_image(uid)))
        images.append(StoredImage(uid=uid, name=name, filename=file.name, path=str(file)))
    compare = {"patch": {"MODEL_CLS_NAME": "PatchModel"}}
    configured = {"file": None, "overrides": fake_settings(PLUGIN_DIRS=[str(PLUGINS)], COMPARE=compare)}
    return Run.create(folder, Spec(visualization, {}, images, 100, configured, CREATED, **more))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of hostile names that compares two models."""
    made = make_run(tmp_path_factory.mktemp("run"), NAMES, targets=[2, 0], models=["patch"])
    worker.run_shard(str(made.folder), 0)
    assert made.state()["state"] == "finished", made.state()
    return made


def packed(run: Run, extra: Mapping[str, bytes] | None = None) -> zipfile.ZipFile:
    target = io.BytesIO()
    archive(run, target, extra or {})
    return zipfile.ZipFile(target)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


# ---- the table ------------------------------------------------------------------------------------------------------


def test_every_prediction_and_map_has_a_row_with_all_digits(linear: LinearModel) -> None:
    results = picasso.explain(linear, [noise_image(0), noise_image(1)], "SaliencyMaps")
    text = table(result.as_dict() for result in results)
    assert text.startswith(",".join(COLUMNS) + "\r\n")
    assert text.replace("\r\n", "").count("\n") == 0
    found = rows(text)
    expected: list[dict[str, Any]] = []
    empty = dict.fromkeys(("target", "value", "unit", "share", "length", "left", "top", "right", "bottom"), "")
    for result in results:
        own = {**empty} | {"image": result.image, "uid": "", "visualization": "SaliencyMaps", "model": "linear.npz"}
        for rank, one in enumerate(result.predictions, 1):
            expected.append(
                {**own, "kind": "prediction", "rank": str(rank), "class_index": str(one["index"]), "class": one["name"]}
                | {"probability": repr(one["prob"]), "group": "", "title": "", "quantity": ""}
                | {"minimum": "", "maximum": ""}
            )
        expected += [
            {**own, "kind": "map", "rank": "", "class_index": str(panel.class_index), "class": panel.title}
            | {"probability": repr(panel.probability), "group": "", "title": panel.title, "quantity": panel.quantity}
            | {"minimum": repr(float(panel.array.min())), "maximum": repr(float(panel.array.max()))}
            | {"target": str(panel.class_index), "value": repr(panel.value), "unit": "probability"}
            for panel in result.panels
        ]
    assert found == expected
    assert len(found) == 2 * (5 + 5)


def test_predictions_of_other_tasks_have_their_own_columns() -> None:
    (numbers,) = picasso.explain(loaded(RegressorModel), noise_image(), "SaliencyMaps")
    best, _, of_map, _ = rows(table([numbers.as_dict()]))
    assert {key: best[key] for key in ("class", "value", "unit", "probability", "share", "target")} == {
        "class": "age", "value": repr(numbers.predictions[0]["value"]), "unit": "years", "probability": "",
        "share": "", "target": "",
    }  # fmt: skip
    assert [of_map[key] for key in ("kind", "target", "value", "unit")] == [
        "map", "value:age", repr(numbers.panels[0].value), "age (years)"
    ]  # fmt: skip
    (pixels,) = picasso.explain(loaded(SegmenterModel), noise_image(), "SaliencyMaps", targets=["@2,1"])
    first, *_, of_map = rows(table([pixels.as_dict()]))
    assert (first["class"], first["share"]) == (pixels.predictions[0]["name"], repr(pixels.predictions[0]["share"]))
    assert of_map["target"] == f"{of_map['title'].partition(' at ')[0]}@2,1"
    (found,) = picasso.explain(loaded(DetectorModel), Image.new("RGB", (9, 6), (255, 204, 0)), "PartialOcclusion")
    one, two, *_, of_map = rows(table([found.as_dict()]))
    assert [one[key] for key in ("class", "probability", *SIDES)] == ["cat <b>", "1.0", "1.0", "1.0", "4.0", "5.0"]
    assert two["class"] == "dog"
    assert float(two["probability"]) == pytest.approx(0.8)
    assert of_map["target"] == "box:1"
    (vector,) = picasso.explain(loaded(EmbeddingModel), noise_image(), "ClassProbabilities")
    assert rows(table([vector.as_dict()]))[0]["length"] == repr(vector.predictions[0]["length"])


def test_rows_of_compared_models(linear: LinearModel, patch: PatchModel) -> None:
    (result,) = comparison.explain_each(
        {"": linear, "patch": patch}, noise_image(), "PartialOcclusion", targets=["elk"], Strides=5
    )
    found = rows(table([result.as_dict()]))
    assert [row["model"] for row in found if row["kind"] == "prediction"] == ["linear.npz"] * 5 + ["patch"] * 5
    maps = [row for row in found if row["kind"] == "map"]
    assert [(row["model"], row["group"], row["class"]) for row in maps] == [
        ("linear.npz", "linear.npz", "elk"),
        ("patch", "patch", "elk"),
        ("", "patch minus linear.npz", "elk"),
    ]
    assert maps[2]["quantity"].startswith("difference of ")


def test_rows_of_a_run_name_the_image_by_its_number(run: Run) -> None:
    found = rows(table(run.results()))
    names = {row["uid"]: row["image"] for row in found}
    assert names == {str(uid): f"'{name}" if name[0] == "=" else name for uid, name in enumerate(NAMES)}


def test_images_have_no_row_and_maps_of_no_class_have_no_class(linear: LinearModel) -> None:
    panels = (
        Panel("sketch", np.zeros((2, 2), np.uint8)),
        Panel("mean", np.full((1, 2), 0.1, np.float32), quantity="mean"),
        Panel("ninth", np.zeros((1, 2), np.float32), class_index=6, probability=0.25),
    )
    (result,) = picasso.explain(linear, noise_image(), "ClassProbabilities")
    document = {**result.as_dict(), "panels": [panel.describe() for panel in panels]}
    maps = [row for row in rows(table([document])) if row["kind"] == "map"]
    assert [(row["title"], row["class_index"], row["class"], row["probability"]) for row in maps] == [
        ("mean", "", "", ""),
        ("ninth", "6", next((one["name"] for one in result.predictions if one["index"] == 6), "ninth"), "0.25"),
    ]
    assert float(maps[0]["minimum"]) == np.float32(0.1)


texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['=1+1"', "+1", "-1", "@x", "\tx", "\r=1", "\n=1", "\uff1dx", 'a,"b"\r\n=c', "'=1", "", "a\x00b"]
)


@given(texts, texts, texts, texts)
def test_hostile_texts_come_back_and_are_no_formulas(name: str, title: str, cls: str, other: str) -> None:
    card = {
        **dict.fromkeys(("name", "framework", "format", "checkpoint_time", "logits"), "x"),
        "capabilities": [],
        "notes": [],
        "checkpoint": "m",
        "classes": 2,
        "input_shape": [1, 1, 1],
    }
    prediction = {"index": 0, "name": cls, "prob": 0.1 + 0.2}
    panel = Panel(title, np.full((1, 1), -0.5), class_index=0, quantity=cls, group=title).describe()
    document = {
        "image": name,
        "uid": 3,
        "visualization": "V",
        "predictions": [prediction],
        "panels": [panel],
        "compared": {other or "o": [prediction]},
        "model": card,
    }
    found = rows(table([document]))

    def shown(text: str) -> str:
        return f"'{text}" if text.startswith(FORMULA) else text

    assert [row["kind"] for row in found] == ["prediction", "prediction", "map"] or other == "m"
    assert {row["image"] for row in found} == {shown(name)}
    assert {row["class"] for row in found if row["kind"] == "prediction"} == {shown(cls)}
    assert {row["probability"] for row in found if row["kind"] == "prediction"} == {"0.30000000000000004"}
    assert (found[-1]["title"], found[-1]["quantity"]) == (shown(title), shown(cls))
    assert found[-1]["minimum"] == "-0.5"
    for row in found:
        assert not any(value.startswith(FORMULA) for key, value in row.items() if key != "minimum" and key != "maximum")


# ---- the archive ----------------------------------------------------------------------------------------------------


def test_an_archive_holds_everything(run: Run, tmp_path: Path) -> None:
    whole = packed(run, {"report.html": b"<p>report</p>"})
    assert whole.testzip() is None
    folders = ["0001-rose", "0002-passwd", "0003-Ubung-1-b", "0004-rose", "0005-HYPERLINK-1", "0006-image"]
    assert {name.partition("/")[0] for name in whole.namelist() if "/" in name} == set(folders)
    assert [name for name in whole.namelist() if "/" not in name] == [
        "results.csv", "results.json", "run.json", "report.html",
    ]  # fmt: skip
    assert whole.read("report.html") == b"<p>report</p>"
    assert whole.read("results.csv").decode() == table(run.results())
    whole.extractall(tmp_path)
    for position, folder in enumerate(folders):
        stored = run.result_folder(position)
        assert {file.name for file in stored.iterdir()} == {file.name for file in (tmp_path / folder).iterdir()}
        for file in stored.iterdir():
            assert (tmp_path / folder / file.name).read_bytes() == file.read_bytes()
        ours, theirs = Result.load(tmp_path / folder), Result.load(stored)
        assert ours.as_dict() == theirs.as_dict()
        for one, two in zip(ours.panels, theirs.panels, strict=True):
            np.testing.assert_array_equal(one.array, two.array)
    assert json.loads(whole.read("run.json")) == {
        "visualization": "PartialOcclusion",
        "settings": {},
        "classes": [2, 0],
        "targets": [],
        "models": ["patch"],
        "images": [
            {"name": name, "uid": uid, "folder": folder}
            for uid, (name, folder) in enumerate(zip(NAMES, folders, strict=True))
        ],
        "created": "2027-01-15T08:00:00Z",
    }
    documents = json.loads(whole.read("results.json"))
    assert [document["folder"] for document in documents] == folders
    for document in documents:
        assert (tmp_path / document["folder"] / document["panels"][0]["file"]).is_file()


def test_an_archive_tells_nothing_of_the_server(run: Run) -> None:
    whole = packed(run)
    secrets = [run.id, str(run.folder.parent), str(PACKAGE), str(PLUGINS.parent), str(Path.home()), "/tmp/"]  # noqa: S108
    for name in whole.namelist():
        if name.endswith((".json", ".csv")):
            text = whole.read(name).decode()
            assert [secret for secret in secrets if secret in text] == []
            assert '"filename"' not in text
            assert '"place"' not in text


def test_archives_of_one_run_are_alike_and_images_are_stored(run: Run) -> None:
    one, two = io.BytesIO(), io.BytesIO()
    archive(run, one, {})
    archive(run, two, {})
    assert one.getvalue() == two.getvalue()
    for entry in zipfile.ZipFile(one).infolist():
        kept = entry.filename.endswith((".png", ".npz"))
        assert entry.compress_type == (zipfile.ZIP_STORED if kept else zipfile.ZIP_DEFLATED)
        assert entry.date_time == tuple(time.gmtime(CREATED)[:6])
        assert entry.external_attr >> 16 == 0o644


@pytest.mark.parametrize(("created", "year"), [(0.0, 1980), (5e9, 2107)])
def test_times_that_a_zip_can_not_tell(created: float, year: int, tmp_path: Path) -> None:
    run = Run.create(tmp_path, Spec("X", {}, [], 1, {}, created))
    assert packed(run).infolist()[0].date_time[0] == year


class Pipe(io.RawIOBase):
    """Takes bytes, as an answer that is sent does, and remembers how many at once."""

    def __init__(self) -> None:
        self.body, self.largest = bytearray(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.body += data
        self.largest = max(self.largest, len(data))
        return len(data)


def test_an_archive_goes_through_a_pipe_in_blocks(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / run.id
    shutil.copytree(run.folder, copy)
    large = copy.joinpath("results", "00000", "arrays.npz")
    large.write_bytes(np.random.default_rng(0).bytes(5_000_000))
    pipe = Pipe()
    archive(Run(copy), cast(BinaryIO, pipe), {})
    assert zipfile.ZipFile(io.BytesIO(pipe.body)).read("0001-rose/arrays.npz") == large.read_bytes()
    assert pipe.largest <= 1_000_000


def test_an_archive_of_a_run_that_is_not_finished(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / run.id
    shutil.copytree(run.folder, copy)
    for position in (0, 2, 3, 4, 5):
        shutil.rmtree(copy / "results" / f"{position:05d}")
    whole = packed(Run(copy))
    assert {name.partition("/")[0] for name in whole.namelist() if "/" in name} == {"0002-passwd"}
    images = json.loads(whole.read("run.json"))["images"]
    assert [one["folder"] for one in images] == [None, "0002-passwd", None, None, None, None]


def test_links_and_strange_files_are_left_out(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / run.id
    shutil.copytree(run.folder, copy)
    folder = copy / "results" / "00000"
    (folder / "link.png").symlink_to("/etc/passwd")
    (folder / ".draft").touch()
    (folder / "sub").mkdir()
    names = packed(Run(copy)).namelist()
    assert not any(part in name for name in names for part in ("link", "draft", "sub/"))


def test_a_run_that_is_removed_meanwhile(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / run.id
    shutil.copytree(run.folder, copy)

    def remove(documents: object) -> str:
        shutil.rmtree(copy)
        return ""

    monkeypatch.setattr("picasso.web.exporting.table", remove)
    with pytest.raises(NotFound, match="deleted while its archive was being written"):
        packed(Run(copy))


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "a\\b", "..", "", ".hidden", "results.csv", "run.json", "x\n"])
def test_extra_files_stay_in_the_archive_too(name: str, run: Run) -> None:
    with pytest.raises(PicassoError, match="is not a valid name"):
        packed(run, {name: b""})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80), st.integers(0, 99_999))
def test_hostile_names_never_leave_their_folder(name: str, position: int) -> None:
    folder = folder_of({"image": name, "position": position})
    assert folder.isascii()
    assert folder.startswith(f"{position + 1:04d}-")
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert len(folder) <= 50
    assert folder[-1] != "-"
