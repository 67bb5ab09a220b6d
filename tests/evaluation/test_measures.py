"""How well models of each task do on folders with truth, against scores that follow from how the truth was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import BadRequest, ModelError
from picasso.evaluation import measures, metrics, model_check
from picasso.evaluation.measured import Measured
from picasso.evaluation.measures import detection
from picasso.evaluation.metrics import TrueBoxes
from picasso.explanation.inputs import NamedImage
from picasso.models.arrays import Array
from picasso.models.preprocessing import Preprocessing
from picasso.targets.boxes import Detection as Found
from picasso.targets.boxes import suppressed
from picasso.targets.decoders import FLOOR
from tests.conftest import noise_image
from tests.task_models import SHAPE, TaskModel, loaded

WIDTH, HEIGHT = SHAPE[1], SHAPE[0]


def images(folder: Path, count: int = 6, size: tuple[int, int] = (WIDTH, HEIGHT)) -> list[Path]:
    """Write images of noise with large pixels, and return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{index}.png" for index in range(count)]
    for index, file in enumerate(files):
        noise_image(index, (4, 3)).resize(size, Image.Resampling.NEAREST).save(file)
    return files


def outputs(model: TaskModel, files: Sequence[Path]) -> Array:
    """Return the outputs of a model for images in files."""
    return model.predict(model.inputs_of([Image.open(file) for file in files]))


def measure(model: TaskModel, folder: Path) -> Measured:
    measured = measures.measure(model, folder, lambda fraction: None)
    json.dumps(measured.as_dict(), allow_nan=False)
    return measured


def numbers(measured: Measured) -> dict[str, float | None]:
    return {score.name: score.known for score in measured.scores}


def of_row(measured: Measured, name: str) -> dict[str, float | None]:
    (row,) = (row for row in measured.rows if row.name == name)
    return {score.name: score.known for score in row.scores}


# ---- segmentation -----------------------------------------------------------------------------------------------


def predicted_masks(model: TaskModel, files: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """Return the predicted class of each pixel of images that have the size of the input."""
    return [one.argmax(axis=-1).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1) for one in outputs(model, files)]


def write_masks(folder: Path, masks: Sequence[NDArray[Any]]) -> None:
    (folder / "masks").mkdir(exist_ok=True)
    for index, mask in enumerate(masks):
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")


def test_masks_as_predicted_and_half_wrong(tmp_path: Path) -> None:
    model, files = loaded("segmentation"), images(tmp_path)
    masks = predicted_masks(model, files)
    write_masks(tmp_path, masks)
    measured = measure(model, tmp_path)
    assert numbers(measured) == {"mean IoU": 1.0, "pixel accuracy": 1.0}
    assert measured.all_warnings == ()
    assert measured.lines()[0] == ("mean IoU", "1.000: the mean over 3 classes")
    # Every right pixel of the left half is left out, and those of the right half are of the class after the predicted.
    wrong = [np.where(np.arange(WIDTH) < WIDTH // 2, 255, (mask + 1) % 3).astype(np.uint8) for mask in masks]
    write_masks(tmp_path, wrong)
    measured = measure(model, tmp_path)
    assert numbers(measured) == {"mean IoU": 0.0, "pixel accuracy": 0.0}
    assert measured.warnings[0].startswith("A mean IoU of 0.000 is what guessing gives")
    # One class is right, and the two others are exchanged.
    exchanged = [np.array([0, 2, 1], np.uint8)[mask] for mask in masks]
    write_masks(tmp_path, exchanged)
    measured = measure(model, tmp_path)
    assert of_row(measured, "brick") == {"IoU": 1.0}
    assert of_row(measured, "sky") == {"IoU": 0.0}
    right = np.mean([mask == 0 for mask in masks])
    assert numbers(measured) == {"mean IoU": pytest.approx(1 / 3), "pixel accuracy": pytest.approx(right)}


@pytest.mark.parametrize("resize", ["crop", "fit", "stretch", "crop 0.5"])
@pytest.mark.parametrize("size", [(64, 24), (20, 60)])
def test_masks_are_compared_where_the_model_sees_them(resize: str, size: tuple[int, int], tmp_path: Path) -> None:
    model = loaded("segmentation")
    model.preprocessing = Preprocessing.parse(f"0..1 nearest {resize}")
    files, masks = images(tmp_path, 3, size), []
    # What the model sees of an image whose pixels are numbered says which of them each pixel of the input shows.
    numbers_of = np.arange(size[0] * size[1]).reshape(size[::-1])
    low, high = (
        np.asarray(model.view(Image.fromarray((part % 256).astype(np.uint8)).convert("RGB")), int)[..., 0]
        for part in (numbers_of, numbers_of // 256)
    )
    bars = np.asarray(model.view(Image.new("RGB", size, "white")))[..., 0] == 0
    for one in predicted_masks(model, files):
        mask = np.full(size[0] * size[1], 255, np.uint8)
        mask[(low + 256 * high)[~bars]] = one[~bars]
        masks.append(mask.reshape(size[::-1]))
    write_masks(tmp_path, masks)
    measured = measure(model, tmp_path)
    assert numbers(measured) == {"mean IoU": 1.0, "pixel accuracy": 1.0}
    # Pixels that the model does not see do not count.
    write_masks(tmp_path, [np.where(mask == 255, 1, mask).astype(np.uint8) for mask in masks])
    part = model.part(size)
    assert part is not None
    left, top, right, bottom = part
    area = (min(right, size[0]) - max(left, 0)) * (min(bottom, size[1]) - max(top, 0))
    seen = int(measure(model, tmp_path).scores[1].detail.split()[0].replace(",", ""))
    # Pixels at the edge of the input are seen if their centres are.
    assert seen == pytest.approx(3 * area, rel=0.07)


def test_strange_masks_are_told(tmp_path: Path) -> None:
    model, files = loaded("segmentation"), images(tmp_path)
    masks = predicted_masks(model, files)
    write_masks(tmp_path, [np.where(mask == 1, 255, 0).astype(np.uint8) for mask in masks])
    (warning,) = measure(model, tmp_path).warnings
    assert warning.startswith("All pixels of the masks are of the class brick, except those with the value 255")
    model.dense[:] = 0
    write_masks(tmp_path, masks)
    (warning,) = measure(model, tmp_path).warnings
    assert warning == "All pixels are predicted as brick: the value range of the input may be wrong."


def test_a_view_of_its_own_is_said(tmp_path: Path) -> None:
    class Own(TaskModel):
        def view(self, image: Image.Image) -> Image.Image:
            return image.resize((WIDTH, HEIGHT))

    model, files = Own(), images(tmp_path)
    model.load("segmentation")
    write_masks(tmp_path, predicted_masks(model, files))
    measured = measure(model, tmp_path)
    assert numbers(measured)["mean IoU"] == 1.0
    assert measured.warnings[0].startswith("The model's class has its own view()")


# ---- detection --------------------------------------------------------------------------------------------------


def coco(folder: Path, boxes: Sequence[Sequence[tuple[Sequence[float], int]]], names: Sequence[str]) -> None:
    """Write boxes (left, top, right, bottom) of the images in COCO's format."""
    document = {
        "images": [{"id": index, "file_name": f"{index}.png"} for index in range(len(boxes))],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(names)],
        "annotations": [
            {
                "image_id": image,
                "category_id": index + 1,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            }
            for image, some in enumerate(boxes)
            for box, index in some
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(document))


def detected(model: TaskModel, files: Sequence[Path], *, most: int = 100) -> list[list[tuple[Any, int]]]:
    """Return the detections in images."""
    found = []
    for candidates in model.spec.candidates(outputs(model, files)):  # type: ignore[attr-defined]
        some = suppressed(candidates, minimum=FLOOR)[:most]
        found.append([(one.box, one.index) for one in some])
    return found


def test_boxes_as_detected_in_another_order_and_elsewhere(tmp_path: Path) -> None:
    model, files, names = loaded("detection"), images(tmp_path), ["cat", "dog"]
    found = detected(model, files)
    # The boxes of this detector may lie partly outside of the image, where truth does not count.
    edges = (WIDTH, HEIGHT)
    inside = [[one for one in some if min(one[0]) >= 0 and np.all(one[0][2:] <= edges)] for some in found]
    coco(tmp_path, inside, names)
    measured = measure(model, tmp_path)
    ap50, ap = numbers(measured).values()
    assert ap50 is not None
    assert ap is not None
    assert 0.5 < ap <= ap50 + 1e-9
    assert {row.name for row in measured.rows} == set(names)
    assert measured.warnings == ()
    coco(tmp_path, [[((0, 0, 0.5, 0.5), index) for _, index in some[:1]] for some in inside], names)
    (warning,) = measure(model, tmp_path).warnings
    assert warning.startswith("Hardly any object is detected (AP50 0.000). The decoder, the value range")


def test_right_boxes_of_wrong_classes_are_told() -> None:
    box = (1.0, 1.0, 5.0, 6.0)
    truth = TrueBoxes(np.array([box]), np.array([0]), np.array([False]))
    for index, said in ((0, []), (1, ["the labels may be in another order than the model's outputs"])):
        found = [[Found(box, index, 0.9, 0)]]
        half = metrics.mean(metrics.average_precisions([truth], found, 2)[:, 0])
        warnings = detection.warnings_of(loaded("detection"), [truth], found, half)
        assert [one.split("AP50 of 1.000: ")[1].rstrip(".") for one in warnings] == said


def test_boxes_are_compared_where_the_model_sees_them(tmp_path: Path) -> None:
    model, names = loaded("detection"), ["cat", "dog"]
    model.preprocessing = Preprocessing.parse("0..1 crop nearest")
    files = images(tmp_path, 4, (64, 24))
    views = tmp_path / "views"
    views.mkdir()
    for file in files:
        model.view(Image.open(file)).save(views / file.name)
    truth = detected(model, files, most=6)
    coco(views, truth, names)
    expected = measure(model, views)
    # The input shows the middle of an image that is twice as large: 32 x 24 of 64 x 24 pixels.
    moved = [
        [([16 + 2 * box[0], 2 * box[1], 16 + 2 * box[2], 2 * box[3]], index) for box, index in some] for some in truth
    ]
    # The model does not see the last object, which is therefore not expected to be found.
    coco(tmp_path, [[*some, ([0, 0, 16, 24], 0)] for some in moved], names)
    for file in views.iterdir():
        file.unlink()
    measured = measure(model, tmp_path)
    assert [row.text for row in measured.rows] == [row.text for row in expected.rows]
    assert numbers(measured)["AP"] == pytest.approx(numbers(expected)["AP"])
    assert measured.scores[0].detail == expected.scores[0].detail


def test_a_detector_without_detections(tmp_path: Path) -> None:
    model, files = loaded("detection"), images(tmp_path, 2)
    coco(tmp_path, [[((0, 0, 4, 4), 0)] for _ in files], ["cat"])
    model.dense[:, :2] = -100
    model.mixing[:] = 1
    files[0].write_bytes(b"broken")
    Image.new("RGB", (WIDTH, HEIGHT), "white").save(files[1])
    measured = measure(model, tmp_path)
    assert measured.warnings == ("Nothing is detected in any of 1 images: the value range of the input may be wrong.",)
    assert measured.unreadable == ("0.png is not a supported image. Use PNG, JPEG, WEBP, GIF, BMP, TIFF.",)


# ---- regression -------------------------------------------------------------------------------------------------


def table(folder: Path, heading: str, rows: Any) -> None:
    lines = [heading, *(",".join(map(str, [f"{index}.png", *row])) for index, row in enumerate(rows))]
    (folder / "truth.csv").write_text("\n".join(lines))


def test_values_and_their_errors(tmp_path: Path) -> None:
    model = loaded("regression", unit="years")
    model.SCALE, model.OFFSET = 1000.0, 4000.0
    values = outputs(model, images(tmp_path, 8)).astype(np.float64)
    table(tmp_path, "image,age,income", values + [3, -20] * np.resize([1, -1], (8, 1)))
    measured = measure(model, tmp_path)
    assert of_row(measured, "age")["mean error"] == pytest.approx(3, rel=1e-3)
    assert of_row(measured, "income")["mean error"] == pytest.approx(20, rel=1e-3)
    assert numbers(measured)["mean error"] == pytest.approx(11.5, rel=1e-3)
    assert measured.lines()[0] == ("mean error", "11.5 years: the mean absolute error in 8 images")
    assert of_row(measured, "age")["R²"] == pytest.approx(1 - 9 / values[:, 0].var(), rel=0.05)
    assert measured.all_warnings == ()
    table(tmp_path, "image,income,age", values[::-1])
    (warning,) = measure(model, tmp_path).warnings
    assert "no better than always predicting the mean" in warning


def test_a_constant_value_and_images_without_truth(tmp_path: Path) -> None:
    model = loaded("regression")
    model.SCALE, model.OFFSET = 0.0, 7.0
    images(tmp_path, 4)
    table(tmp_path, "image,age,income", [[1, 2], [3, 3], [5, 9]])
    measured = measure(model, tmp_path)
    assert measured.notes == ("1 image without truth: 3.png.",)
    assert measured.images == 3
    assert [one.split(":")[0] for one in measured.warnings] == [
        "age is predicted as 7 for all 3 images",
        "income is predicted as 7 for all 3 images",
    ]
    assert of_row(measured, "age") == {"mean error": pytest.approx(4), "R²": pytest.approx(1 - 56 / 8, abs=5)}


def test_one_image_has_no_r_squared(tmp_path: Path) -> None:
    model = loaded("regression")
    images(tmp_path, 1)
    table(tmp_path, "image,age,income", [[1, 2]])
    measured = measure(model, tmp_path)
    assert numbers(measured)["R²"] is None
    assert (
        "R²",
        "not defined: 1 for perfect predictions, 0 if no better than the mean of the true values",
    ) in measured.lines()


# ---- several labels ---------------------------------------------------------------------------------------------


def test_labels_and_a_model_that_guesses(tmp_path: Path) -> None:
    model = loaded("multi-label")
    scores = outputs(model, images(tmp_path, 12))
    middle = np.median(scores, axis=0)
    table(tmp_path, "image,indoor,night,people", (scores > middle).astype(int))
    measured = measure(model, tmp_path)
    assert numbers(measured)["mean AP"] == pytest.approx(1.0)
    accuracy = ((scores > middle) == (scores >= 0.5)).mean(axis=0)
    assert [of_row(measured, name)["accuracy"] for name in model.labels] == pytest.approx(accuracy)
    assert measured.noun == "label"
    assert measured.all_warnings == ()
    assert "in 6 of 12 images" in measured.rows[0].text
    table(tmp_path, "image,indoor,night,people", (scores <= middle).astype(int))
    (warning,) = measure(model, tmp_path).warnings
    assert warning.startswith("The mean average precision of ")


def test_folders_of_labels_are_measured_as_classes(tmp_path: Path) -> None:
    model = loaded("multi-label")
    for name in ("indoor", "night"):
        images(tmp_path / name, 2)
    report = model_check.check(model, [], tmp_path)
    assert report.as_dict()["accuracy"]["images"] == 4
    (tmp_path / "empty").mkdir()
    images(tmp_path / "loose")
    with pytest.raises(BadRequest, match=r"There is no file of labels in .*: \*\.csv"):
        measure(model, tmp_path / "loose")


# ---- embeddings -------------------------------------------------------------------------------------------------


def test_retrieval(tmp_path: Path) -> None:
    model = loaded("embedding")
    for index, name in enumerate(("red", "blue", "green")):
        (tmp_path / name).mkdir()
        for number in range(4):
            pixels = np.random.default_rng([index, number]).integers(0, 60, (HEIGHT, WIDTH, 3))
            pixels[..., index] += 190
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"{number}.png")
    images(tmp_path / "single", 1)
    noise_image().save(tmp_path / "loose.png")
    measured = measure(model, tmp_path)
    assert numbers(measured) == {"retrieval@1": 1.0}
    assert ("class", "blue: 4 of 4") in measured.lines()
    assert measured.notes == (
        "1 image without truth: loose.png.",
        "1 class with a single image, which is not counted: single.",
    )
    assert measured.warnings == ()
    for mixing in (-1, 0):
        model.mixing[:] = mixing
        (warning,) = measure(model, tmp_path).warnings
        assert warning == "The embeddings of all 13 images have the same direction: the value range may be wrong."


def test_a_retrieval_by_chance_and_of_one_class(tmp_path: Path) -> None:
    model, generator = loaded("embedding"), np.random.default_rng(1)
    for number in range(40):
        folder = tmp_path / f"class {number % 2}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)).save(folder / f"{number}.png")
    (warning,) = measure(model, tmp_path).warnings
    assert "is what guessing gives (0.487)" in warning
    for file in (tmp_path / "class 1").iterdir():
        file.unlink()
    (warning,) = measure(model, tmp_path).warnings
    assert warning.startswith("All images are of one class")
    for file in sorted((tmp_path / "class 0").iterdir())[1:]:
        file.unlink()
    with pytest.raises(BadRequest, match="No class in .* has two images that can be read"):
        measure(model, tmp_path)
    with pytest.raises(BadRequest, match="There are no images in subfolders of"):
        measure(model, tmp_path / "class 0")


# ---- all tasks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["segmentation", "detection", "regression", "multi-label", "embedding"])
def test_folders_without_truth_or_readable_images(task: str, tmp_path: Path) -> None:
    model = loaded(task)
    with pytest.raises(BadRequest, match="There is no folder"):
        measure(model, tmp_path / "none")
    (file,) = images(tmp_path / "one", 1)
    with pytest.raises(BadRequest) as caught:
        measure(model, tmp_path / "one")
    assert caught.value.field == "folder"
    truth: dict[str, Callable[[], object]] = {
        "segmentation": lambda: write_masks(file.parent, [np.zeros((HEIGHT, WIDTH), np.uint8)]),
        "detection": lambda: coco(file.parent, [[((0, 0, 4, 4), 0)]], ["cat"]),
        "regression": lambda: table(file.parent, "image,age,income", [[1, 2]]),
        "multi-label": lambda: table(file.parent, "image,labels", [["night"]]),
        "embedding": lambda: images(tmp_path / "one" / "class", 1),
    }
    truth[task]()
    for image in (file, tmp_path / "one" / "class" / "0.png"):
        if image.is_file():
            image.write_bytes(b"broken")
    with pytest.raises(ModelError, match="None of the 1 images can be read: 0.png is not"):
        measure(model, tmp_path / "one")


FACTS = {
    "classification": {"classes": "3: ant, bee, cat"},
    "multi-label": {"labels": "3: indoor, night, people"},
    "regression": {"values": "2: age, income", "unit": "years"},
    "segmentation": {"classes": "3: brick, grass, sky", "shape": "6 x 8 positions"},
    "detection": {
        "classes": "2: cat, dog",
        "shape": "heatmap 6 x 8 x 2, size 6 x 8 x 2, offset 6 x 8 x 2",
        "decoder": "centernet",
    },
    "embedding": {"shape": "5 numbers"},
}


@pytest.mark.parametrize("task", FACTS)
def test_what_was_understood_is_said(task: str) -> None:
    model = loaded(task, unit="years" if task == "regression" else "")
    noise = [NamedImage(f"{index}.png", noise_image(index)) for index in range(5)]
    report = model_check.check(model, noise)
    lines = dict(report.lines())
    assert lines["task"] == f"{task} (as the model's class says)"
    assert FACTS[task].items() <= lines.items()
    document = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert document["task"]["name"] == task
    assert document["measured"] is document["accuracy"] is None
    assert [fact["name"] for fact in document["task"]["facts"]] == list(FACTS[task])
    assert not [one for one in report.warnings if "equal" in one]
    model.reads_task = True
    assert dict(model_check.check(model, []).lines())["task"] == f"{task} (by the model's output)"
    model.task = task
    assert dict(model_check.check(model, []).lines())["task"] == f"{task} (as configured)"


@pytest.mark.parametrize("task", [task for task in FACTS if task not in ("classification", "multi-label")])
def test_equal_outputs_are_told(task: str) -> None:
    model = loaded(task)
    model.mixing[:] = 0
    noise = [NamedImage(f"{index}.png", noise_image(index)) for index in range(5)]
    report = model_check.check(model, noise)
    assert report.warnings == ("The outputs for all 5 images are equal: the value range of the input may be wrong.",)


def test_a_detector_without_detections_says_so() -> None:
    model = loaded("detection")
    model.dense[:, :2] = -100
    model.mixing[:] = 1
    report = model_check.check(model, [NamedImage("a.png", Image.new("RGB", (WIDTH, HEIGHT), "white"))])
    assert ("answer", "a.png: nothing detected") in report.lines()
    report = model_check.check(loaded("detection"), [NamedImage("a.png", noise_image())])
    assert dict(report.lines())["answer"].endswith(" more")
