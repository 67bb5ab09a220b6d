"""Boxes in COCO's format: what they become, and a sentence for each fault."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso.errors import BadRequest
from picasso.evaluation.truth import files
from picasso.evaluation.truth.coco import boxes

NAMES = ("dog", "traffic light", "cat")
DOCUMENT: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "a.png"},
        {"id": "x", "file_name": "val2017/deep/b.png"},
        {"id": 9, "file_name": "elsewhere.png"},
        {"id": 10, "file_name": "empty.png"},
    ],
    "categories": [{"id": 3, "name": "cat"}, {"id": 10, "name": "Traffic_Light"}, {"id": 11, "name": "zebra"}],
    "annotations": [
        {"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40.5]},
        {"image_id": "x", "category_id": 10, "bbox": [0, 0, 5, 5], "iscrowd": 1},
        {"image_id": 7, "category_id": 10, "bbox": [1, 2, 0, 4], "iscrowd": 0},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "deep/b.png", "other/b.png", "unnamed.png", "empty.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    return tmp_path


def write(folder: Path, document: Any, name: str = "annotations.json") -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(document))


@pytest.mark.parametrize("name", ["annotations.json", "instances_val2017.json", "annotations/instances_val2017.json"])
def test_boxes_of_images(folder: Path, name: str) -> None:
    write(folder, DOCUMENT, name)
    truth = boxes(folder, NAMES)
    assert list(truth.of) == [folder / "a.png", folder / "deep" / "b.png", folder / "empty.png"]
    first, second, empty = truth.of.values()
    np.testing.assert_array_equal(first.boxes, [[10, 20, 40, 60.5], [1, 2, 1, 6]])
    np.testing.assert_array_equal(first.classes, [2, 1])
    np.testing.assert_array_equal(first.crowd, [False, False])
    np.testing.assert_array_equal(second.crowd, [True])
    assert (empty.boxes.shape, empty.classes.shape, empty.crowd.shape) == ((0, 4), (0,), (0,))
    assert truth.notes == (
        "2 images without truth: other/b.png, unnamed.png.",
        "1 entry without an image: elsewhere.png.",
    )


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["images"], {}, "must have a list of objects 'images'"),
        (["annotations"], [1], "must have a list of objects 'annotations'"),
        (["images", 1, "file_name"], 5, "image 1 must have an id and a file_name; it is"),
        (["images", 1, "id"], [7], "image 1 must have an id"),
        (["images", 1, "id"], 7, "image 1 has the id 7 of another one"),
        (["images", 1, "file_name"], "a.png", "two images have the file_name a.png"),
        (["images", 1, "file_name"], "./a.png", "the image a.png: the image a.png has two entries"),
        (["images", 1, "file_name"], "b.png", "the image b.png: 2 images are called b.png"),
        (["categories", 0, "name"], None, "category 0 must have an id and a name"),
        (["categories", 1, "id"], 3, "category 1 has the id 3 of another one"),
        (
            ["annotations", 2, "category_id"],
            11,
            '"zebra" is no class; the classes are dog, traffic light, cat',
        ),
        (["annotations", 2, "category_id"], 12, "annotation 2 has the category_id 12, but no category has"),
        (["annotations", 2, "category_id"], [3], "annotation 2 has the category_id \\[3\\]"),
        (["annotations", 1, "image_id"], 8, "annotation 1 has the image_id 8, but no image has"),
        (["annotations", 1, "image_id"], {}, "annotation 1 has the image_id {}"),
        (["annotations", 0, "bbox"], [1, 2, 3], r"annotation 0 must have a bbox of four numbers.* it is \[1, 2, 3\]"),
        (["annotations", 0, "bbox"], [1, 2, -3, 4], "annotation 0 must have a bbox"),
        (["annotations", 0, "bbox"], [1, 2, True, 4], "annotation 0 must have a bbox"),
        (["annotations", 0, "bbox"], [1, 2, 10**400, 4], "annotation 0 must have a bbox"),
        (["annotations", 0, "bbox"], None, "annotation 0 must have a bbox"),
        (["annotations", 0, "iscrowd"], 2, "annotation 0 has the iscrowd 2. Valid are 0 and 1"),
    ],
)
def test_each_fault_has_a_sentence(folder: Path, path: list[Any], value: Any, message: str) -> None:
    write(folder, changed(path, value))
    with pytest.raises(BadRequest, match=message) as error:
        boxes(folder, NAMES)
    assert "annotations.json" in error.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "annotations.json can't be read as JSON: JSONDecodeError"),
        ("[" * 100_000, "can't be read as JSON: RecursionError"),
        ('{"images": NaN}', "can't be read as JSON: ValueError: NaN is no number"),
        ("\udc80", "can't be read as JSON: UnicodeDecodeError"),
        ("[]", "must have a list of objects 'images'"),
    ],
)
def test_what_is_no_document(folder: Path, text: str, message: str) -> None:
    (folder / "annotations.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadRequest, match=message):
        boxes(folder, NAMES)


def test_one_file_of_limited_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadRequest, match=r"There is no file of boxes in .*: annotations.json or instances\*.json or"):
        boxes(folder, NAMES)
    write(folder, DOCUMENT)
    write(folder, DOCUMENT, "instances_val.json")
    with pytest.raises(BadRequest, match="several files of boxes in .*: annotations.json, instances_val.json. Keep"):
        boxes(folder, NAMES)
    (folder / "instances_val.json").unlink()
    monkeypatch.setattr(files, "MAX_BYTES", 99)
    with pytest.raises(BadRequest, match="more than 0 MB, the maximum"):
        boxes(folder, NAMES)


def test_a_document_for_other_images(folder: Path) -> None:
    write(folder, DOCUMENT | {"images": [{"id": 1, "file_name": "../../etc/b.jpg"}], "annotations": []})
    with pytest.raises(BadRequest, match="names none of the 5 images. Its first entry is etc/b.jpg, and the first"):
        boxes(folder, NAMES)
