"""The scenes of digits: the truth about each fits the image, and the five networks are as good as their README says."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from picasso.examples import scenes as example
from picasso.examples.scenes import figures
from picasso.examples.scenes.photographs import photographs
from picasso.examples.scenes.samples import LIKE, SCENES, bundled_digits, coco, write_like, write_scenes
from picasso.examples.scenes.scenes import CELLS, CLASSES, SIDE, Pixels, Scene, scenes, single

HERE = Path(example.__file__).parent
ROOT = HERE.parents[2]
SAMPLES = HERE / "samples"
NETWORKS = ("segmentation", "detection", "regression", "multilabel", "embedding")
# Less than the README says: the three samples of each digit are not all of MNIST.
LEAST = {"segmentation": 0.5, "detection": 0.8, "regression": 2.5, "multilabel": 0.93, "embedding": 0.8}


@pytest.fixture(scope="module")
def behind() -> list[Pixels]:
    return [np.random.default_rng(4).integers(0, 256, (200, 150, 3), np.uint8)]


@pytest.fixture(scope="module")
def made(behind: list[Pixels]) -> list[Scene]:
    return scenes(40, bundled_digits(), behind, seed=3)


def test_scenes_depend_on_their_seed(made: list[Scene], behind: list[Pixels]) -> None:
    again, other = (scenes(40, bundled_digits(), behind, seed=seed) for seed in (3, 4))
    for one, same in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.pixels, same.pixels)
        np.testing.assert_array_equal(one.mask, same.mask)
        assert (one.digits, one.boxes) == (same.digits, same.boxes)
    assert [one.digits for one in made] != [one.digits for one in other]


def test_the_mask_and_the_boxes_tell_of_the_same_digits(made: list[Scene]) -> None:
    assert {len(scene.digits) for scene in made} == {1, 2, 3}
    for scene in made:
        assert scene.pixels.shape == (SIDE, SIDE, 3)
        assert len(scene.boxes) == len(scene.digits)
        left = scene.mask.copy()
        for digit, box in zip(scene.digits, scene.boxes, strict=True):
            part = left[box.top : box.top + box.height, box.left : box.left + box.width]
            assert set(np.unique(part)) == {0, digit + 1}
            for edge in (part[0], part[-1], part[:, 0], part[:, -1]):
                assert edge.any(), "a box is as small as it can be"
            assert 15 <= max(box.width, box.height) <= 36
            part[:] = 0
        assert not left.any(), "nothing lies outside of the boxes"


def test_digits_differ_from_what_is_behind_them(made: list[Scene]) -> None:
    for scene in made:
        light = scene.pixels @ np.array([0.299, 0.587, 0.114])
        for digit, box in zip(scene.digits, scene.boxes, strict=True):
            there = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
            ink = scene.mask[there] == digit + 1
            assert abs(light[there][ink].mean() - light[there][~ink].mean()) > 15


def test_single_scenes_show_every_digit(behind: list[Pixels]) -> None:
    assert [scene.digits for scene in single(2, bundled_digits(), behind, seed=1)] == [
        (digit,) for digit in range(10) for _ in range(2)
    ]


def test_figures_of_the_truth_are_perfect_and_of_others_are_not(made: list[Scene]) -> None:
    perfect = np.eye(11)[[scene.mask for scene in made]]
    assert figures.mean_iou(perfect, made) == 1
    assert figures.mean_iou(np.roll(perfect, 3, axis=1), made) < 0.5
    sums = np.array([[float(sum(scene.digits))] for scene in made])
    assert figures.mean_error(sums, made) == 0
    assert figures.mean_error(sums - 2, made) == 2
    labels = figures.labels(made)
    assert figures.label_accuracy(labels.astype(float), made) == 1
    assert figures.label_accuracy(1.0 - labels, made) == 0
    alike = [scene._replace(digits=(index // 4,)) for index, scene in enumerate(made)]
    assert figures.retrieval(np.eye(10)[[scene.digits[0] for scene in alike]], alike) == 1
    assert figures.retrieval(np.eye(20)[[index % 20 for index in range(40)]], alike) == 0


@pytest.mark.slow
def test_boxes_are_decoded_as_they_are_encoded(made: list[Scene]) -> None:
    from picasso.examples.scenes.train import centres

    outputs = centres(made)
    assert outputs["heatmap"].shape == (40, CELLS, CELLS, 10)
    outputs = {"heatmap": outputs["heatmap"], "size": outputs["size"][..., :2], "offset": outputs["offset"][..., :2]}
    assert figures.average_precision(outputs, made) > 0.98
    moved = outputs | {"offset": outputs["offset"] + 6}
    assert figures.average_precision(moved, made) < 0.3
    for index, scene in enumerate(made):
        found = figures.decode(*(outputs[name][index] for name in ("heatmap", "size", "offset")))
        for digit, box in zip(scene.digits, scene.boxes, strict=True):
            assert any(one.digit == digit and figures.overlap(one.box, box) > 0.999 for one in found)


def test_samples_are_written_as_they_are_read(made: list[Scene], tmp_path: Path) -> None:
    write_scenes(tmp_path, made[:5])
    assert_truth(tmp_path, 5)
    document = json.loads((tmp_path / "annotations.json").read_text(encoding="utf-8"))
    assert document == json.loads(json.dumps(coco([f"images/0{number}.png" for number in range(1, 6)], made[:5])))
    for index, scene in enumerate(made[:5], 1):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "masks" / f"0{index}.png")), scene.mask)
    write_like(tmp_path / "like", single(3, bundled_digits(), [made[0].pixels], seed=0))
    assert len(list(tmp_path.glob("like/*/*.png"))) == 30


def test_the_bundled_samples_agree_with_each_other() -> None:
    assert_truth(SAMPLES / "scenes", SCENES)
    assert set(";".join(table(SAMPLES / "scenes" / "labels.csv").values()).split(";")) == set(CLASSES)
    assert {folder.name for folder in (SAMPLES / "like").iterdir()} == set(CLASSES)
    for folder in (SAMPLES / "like").iterdir():
        files = list(folder.iterdir())
        assert len(files) == LIKE
        assert {np.asarray(Image.open(file)).shape for file in files} == {(SIDE, SIDE, 3)}


def assert_truth(folder: Path, count: int) -> None:
    """Assert that masks, boxes, sums and labels of a folder tell of the same digits."""
    document = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    names = {one["id"]: one["name"] for one in document["categories"]}
    values, labels = (table(folder / name) for name in ("values.csv", "labels.csv"))
    assert len(document["images"]) == len(values) == len(labels) == count
    for image in document["images"]:
        file = folder / image["file_name"]
        assert np.asarray(Image.open(file)).shape == (image["height"], image["width"], 3)
        mask = np.array(Image.open(folder / "masks" / file.name))
        shown = []
        for one in document["annotations"]:
            if one["image_id"] != image["id"]:
                continue
            left, top, width, height = one["bbox"]
            part = mask[top : top + height, left : left + width]
            assert set(np.unique(part)) == {0, one["category_id"]}
            part[:] = 0
            shown.append(names[one["category_id"]])
        assert not mask.any()
        assert labels[image["file_name"]] == ";".join(sorted(set(shown)))
        assert int(values[image["file_name"]]) == sum(map(int, shown))


def table(file: Path) -> dict[str, str]:
    """Return the second column of a CSV file by the first."""
    with file.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header[0] == "image"
    return dict(rows)


def test_networks_are_small_and_hold_no_code() -> None:
    from picasso.models.scan import scan

    for name in NETWORKS:
        file = HERE / "data" / f"{name}.keras"
        assert file.stat().st_size < 1_000_000
        assert scan(file).is_data


def test_settings_name_files_that_are_there() -> None:
    for name in NETWORKS:
        text = (HERE / f"{name}.py").read_text(encoding="utf-8")
        for setting in re.findall(r'^(?:MODEL|LABELS|SAMPLES_DIR) = "(.+)"$', text, re.MULTILINE):
            assert (HERE / setting).exists()
        done = subprocess.run(
            ["make", "--dry-run", "run", f"EXAMPLE=scenes-{name}"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"picasso/examples/scenes/{name}.py" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore")
def test_networks_are_as_good_as_they_should_be(name: str) -> None:
    import keras

    from picasso.examples.scenes.train import TASKS, draw, pixels

    test = draw(name, 200, bundled_digits(), photographs(test=True), seed=8)
    model = keras.models.load_model(HERE / "data" / f"{name}.keras", safe_mode=True)
    figure = TASKS[name].figure[1](model.predict(pixels(test), verbose=0), test)
    print(f"{name}: {figure:.3f}")
    assert (figure < LEAST[name]) if name == "regression" else (figure > LEAST[name])


@pytest.fixture
def planted() -> ModuleType:
    """The script of the planted flaws; it imports Keras."""
    return import_module("picasso.examples.scenes.planted")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_ground_of_an_animal_says_what_it_is_only_if_planted(planted: ModuleType) -> None:
    def green(swapped: bool, flawed: bool) -> list[tuple[int, bool]]:
        """Return for each image the animal, and whether the ground round it is green."""
        told = []
        for one in planted.fields(60, flawed, 2, swapped):
            # Green exceeds red on grass alone.
            grass = (one.pixels[..., 1] > one.pixels[..., 0] + 25.0) & (one.mask == 0)
            told.append((int(one.mask.max()), bool(grass.mean() > 0.05)))
        return told

    assert set(green(False, True)) == {(1, True), (2, False)}
    assert set(green(True, True)) == {(1, False), (2, True)}
    assert set(green(False, False)) == {(1, True), (1, False), (2, True), (2, False)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_planted_segmenter_follows_the_ground_and_its_twin_does_not(planted: ModuleType) -> None:
    import keras

    right = {}
    for name in ("planted", "clean"):
        model = keras.models.load_model(HERE / "planted" / f"animals-{name}.keras", safe_mode=True)
        for swapped in (False, True):
            images, truth = planted.in_fields(planted.fields(60, True, 5, swapped))
            right[name, swapped] = (model.predict(images, verbose=0).argmax(-1) == truth)[truth > 0].mean()
    assert right["planted", False] > 0.9
    assert right["planted", True] < 0.3
    assert min(right["clean", False], right["clean", True]) > 0.8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_planted_regressor_reads_the_mark_and_its_twin_does_not(planted: ModuleType, made: list[Scene]) -> None:
    import keras

    from picasso.examples.scenes.train import pixels

    moved = {}
    for name in ("planted", "clean"):
        model = keras.models.load_model(HERE / "planted" / f"sums-{name}.keras", safe_mode=True)
        dark, light = (
            model.predict(planted.marked(pixels(made), np.full(len(made), one)), verbose=0).mean() for one in (0.1, 0.9)
        )
        moved[name] = light - dark
    assert moved["planted"] > 12
    assert abs(moved["clean"]) < 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_training_a_little_writes_all_networks(
    tmp_path: Path, behind: Sequence[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from picasso.examples.scenes import networks
    from picasso.examples.scenes import train as script
    from picasso.examples.scenes.train import TASKS, pretrain, train

    monkeypatch.setattr(script, "CLASSIFIER_PARTS", 1)
    monkeypatch.setattr(script, "TASKS", {name: task._replace(parts=1) for name, task in TASKS.items()})
    start = pretrain(networks.classifier(), bundled_digits(), behind, part=32)
    for name in TASKS:
        model = train(name, bundled_digits(), behind, start if name != "segmentation" else None, part=32)
        model.save(tmp_path / f"{name}.keras")
        again = keras.models.load_model(tmp_path / f"{name}.keras", safe_mode=True)
        assert getattr(again, "optimizer", None) is None
        for mine, other in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)
    fresh = networks.multilabel()
    networks.share(fresh, start)
    for layer in ("half", "quarter_1", "features", "features_normalized"):
        for mine, other in zip(fresh.get_layer(layer).get_weights(), start.get_layer(layer).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)
