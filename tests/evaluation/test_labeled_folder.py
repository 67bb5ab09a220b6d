"""Accuracy on images in folders named after their classes, against counts known beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso.errors import BadRequest, ModelError
from picasso.evaluation import labeled_folder
from picasso.evaluation.labeled_folder import Accuracy, ClassAccuracy, by_class
from picasso.models.arrays import Array
from picasso.models.preprocessing import Preprocessing
from tests.fakes import LinearModel


class Brightness(LinearModel):
    """Answers the class whose number is nearest to the mean value of its input, times ten; trained on 0..255."""

    preprocessing = Preprocessing("0..255")

    def batch_logits(self, inputs: Array) -> Array:
        means = inputs.mean(axis=(1, 2, 3))
        return np.asarray(-((means[:, None] - 10 * np.arange(self.num_classes)) ** 2), np.float32)


def write(file: Path, value: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), (value, value, value)).save(file)


@pytest.fixture
def model() -> Brightness:
    model = Brightness()
    model.load()
    return model


def test_counts_by_class(model: Brightness, tmp_path: Path) -> None:
    for index, value in enumerate([10, 11, 9, 50]):
        write(tmp_path / "Bee" / f"{index}.png", value)
    for index, value in enumerate([50, 51]):
        write(tmp_path / "5" / "deep" / f"{index}.jpg", value)
    (tmp_path / "Bee" / "broken.png").write_bytes(b"no image")
    (tmp_path / "Bee" / "notes.txt").write_text("not looked at")
    (tmp_path / ".hidden").mkdir()
    seen: list[float] = []
    accuracy = labeled_folder.measure(model, labeled_folder.find(model, tmp_path), seen.append)
    assert accuracy.classes == (ClassAccuracy("bee", 4, 3, "fox"), ClassAccuracy("fox", 2, 2))
    assert (accuracy.right, accuracy.images, accuracy.fraction) == (5, 6, 5 / 6)
    assert accuracy.unreadable == ("broken.png is not a supported image. Use PNG, JPEG, WEBP, GIF, BMP, TIFF.",)
    assert seen == sorted(seen)


def test_names_that_people_write_in_many_ways() -> None:
    names = {labeled_folder.plain(name) for name in ("Golden_Retriever", "golden  retriever", "golden-retriever")}
    assert names == {"golden retriever"}
    assert labeled_folder.abridged([str(index) for index in range(10)]) == "0, 1, 2, 3, 4, 5, ... 9"


def test_a_negative_number_is_no_class() -> None:
    numbered = labeled_folder.Classes(["0", "1", "2"])
    assert [numbered.target(folder) for folder in ("1", "01", "-1", " - 1", "-2x")] == [1, 1, None, None, None]
    assert labeled_folder.Classes(["-1", "+1"]).target("-1") == 0


def test_names_that_differ_in_case_and_those_of_two_classes() -> None:
    classes = labeled_folder.Classes(["Apple", "apple", "crane", "crane", "black bear"])
    assert [classes.target(folder) for folder in ("Apple", "apple", "3", "Black_bear")] == [0, 1, 3, 4]
    for folder, numbers in (("crane", "2, 3"), ("APPLE", "0, 1")):
        with pytest.raises(BadRequest, match=f"The folder {folder} has the name of 2 classes: {numbers}. Call it by"):
            classes.target(folder)


def test_paths_that_no_system_has_are_refused() -> None:
    classes = labeled_folder.Classes(["ant", "bee"])
    assert classes.innermost("/" * 3_990 + "bee") == 1
    with pytest.raises(BadRequest, match="The path of a folder has at most 4,000 characters"):
        classes.innermost("/" * 2_000_000)


def test_folders_that_do_not_fit(model: Brightness, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="There is no folder"):
        labeled_folder.find(model, tmp_path / "none")
    with pytest.raises(BadRequest, match="There are no images in subfolders of"):
        labeled_folder.find(model, tmp_path)
    write(tmp_path / "whale" / "0.png", 3)
    with pytest.raises(BadRequest, match="whale is named after no class; the classes are ant, bee, cat <b>, dog"):
        labeled_folder.find(model, tmp_path)
    (tmp_path / "whale").rename(tmp_path / "gnu")
    (tmp_path / "gnu" / "0.png").write_bytes(b"")
    with pytest.raises(ModelError, match=r"None of the 1 images can be read: 0\.png is not a supported image"):
        labeled_folder.measure(model, labeled_folder.find(model, tmp_path))


def test_folders_of_a_model_without_labels_are_listed_as_keras_sorts_them(tmp_path: Path) -> None:
    class Unlabelled(Brightness):
        def class_names(self) -> list[str]:
            return [str(index) for index in range(self.num_classes)]

    model = Unlabelled()
    model.load()
    for name in ("apple", "Banana", "cherry", "10", "9", "Zebra", "yak"):
        write(tmp_path / name / "0.png", 3)
    with pytest.raises(BadRequest, match="No labels are known. .* order 10, 9, Banana, Zebra, apple, cherry, yak"):
        labeled_folder.find(model, tmp_path)


@pytest.mark.parametrize(("right", "near"), [(0, True), (10, True), (16, True), (17, False), (100, False)])
def test_near_chance_is_two_deviations(right: int, near: bool) -> None:
    # 100 images, 10 classes: 10 by chance, with a deviation of 3.
    assert Accuracy((ClassAccuracy("", 100, right),)).near_chance(10) is near


def test_a_better_value_range_is_found_and_nothing_is_changed(model: Brightness, tmp_path: Path) -> None:
    for target, name in enumerate(model.class_names()[:2] + model.class_names()[3:]):
        value = target if target < 2 else target + 1
        for index in range(8):
            write(tmp_path / name / f"{index}.png", 10 * value + index % 3)
    images = labeled_folder.find(model, tmp_path)
    assert labeled_folder.better_values(labeled_folder.by_values(model, images)) is None
    model.preprocessing = Preprocessing("", "crop")
    assert labeled_folder.better_values(labeled_folder.by_values(model, images)) == ("0..255", 1.0, 1 / 6)
    assert model.preprocessing == Preprocessing("", "crop")


def test_of_equally_frequent_mistakes_the_first_class_is_named() -> None:
    """Whatever the order of the images."""
    names = ["ant", "bee", "cat"]
    for predicted in ([2, 1, 0], [1, 2, 0]):
        assert by_class({0: predicted, 1: [1]}, names) == (
            ClassAccuracy("ant", 3, 1, "bee"),
            ClassAccuracy("bee", 1, 1),
        )
