"""What a check says of a model, and what it warns of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso.evaluation import model_check
from picasso.explanation.inputs import NamedImage
from picasso.models.arrays import Array
from picasso.models.preprocessing import Preprocessing
from tests.conftest import noise_image, png
from tests.fakes import BlackBoxModel, LinearModel

IMAGES = [NamedImage(f"{index}.png", noise_image(index)) for index in range(6)]


class Stubborn(LinearModel):
    """Always gives the same answer, whatever it sees."""

    def batch_probabilities(self, inputs: Array) -> Array:
        return np.tile(np.eye(self.num_classes, dtype=np.float32)[3], (len(inputs), 1))


class Labels(LinearModel):
    """Gives labels that may hold together."""

    def batch_probabilities(self, inputs: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-self.batch_logits(inputs))), np.float32)


def test_a_sound_model(linear: LinearModel) -> None:
    report = model_check.check(linear, IMAGES)
    assert report.warnings == ()
    lines = dict(report.lines())
    assert list(lines) == [
        "model", "format", "checkpoint", "input", "images", "task", "classes", "logits", "can give", "layer",
        "answer",
    ]  # fmt: skip
    assert lines["task"] == "classification (as the model's class says)"
    assert lines["classes"] == "7: ant, bee, cat <b>, dog, elk, fox, gnu"
    assert lines["input"] == "6 x 9 pixels, 3 channels"
    first = json.loads(json.dumps(report.as_dict()))["answers"][0]
    assert first["image"] == "0.png"
    probabilities = linear.predict(linear.inputs_of([IMAGES[0].image]))[0]
    assert [one["prob"] for one in first["predictions"]] == pytest.approx(np.sort(probabilities)[:-6:-1])


def test_what_a_model_lacks_is_said() -> None:
    model = BlackBoxModel()
    model.load()
    lines = dict(model_check.check(model, []).lines())
    assert (lines["can give"], lines["can't give"]) == ("predictions", "feature maps, gradients")


@pytest.mark.parametrize(
    ("cls", "warning"),
    [(Stubborn, "All 6 images are answered with dog"), (Labels, "The probabilities of an image sum to")],
)
def test_smells(cls: type[LinearModel], warning: str) -> None:
    model = cls()
    model.load()
    (found,) = model_check.check(model, IMAGES).warnings
    assert found.startswith(warning)
    assert model_check.check(model, IMAGES[:0]).warnings == ()


def test_labels_that_can_hold_together_need_no_sum_once_somebody_says_so() -> None:
    model = Labels()
    model.load()
    model.output_kind = "sigmoid"
    assert model_check.check(model, IMAGES).warnings == ()


def test_a_guessed_range_is_said() -> None:
    model = LinearModel()
    model.load()
    model.preprocessing = Preprocessing()
    (found,) = model_check.check(model, IMAGES).warnings
    assert "is a guess" in found


def test_a_labelled_folder(linear: LinearModel, tmp_path: Path) -> None:
    truth = linear.predict(linear.inputs_of([one.image for one in IMAGES])).argmax(axis=1)
    names = linear.class_names()
    for shift, folder in ((0, tmp_path / "right"), (1, tmp_path / "shifted")):
        for one, target in zip(IMAGES, truth, strict=True):
            file = folder / names[(target + shift) % len(names)] / one.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(one.image))
    report = model_check.check(linear, [], tmp_path / "right")
    assert report.warnings == ()
    assert ("accuracy", "1.000: 6 of 6 images are answered right") in report.lines()
    report = model_check.check(linear, [], tmp_path / "shifted")
    assert report.as_dict()["accuracy"]["right"] == 0
    assert report.warnings[0].startswith("0 of 6 right is what guessing among 7 classes gives")


class Shade(LinearModel):
    """Answers the class whose brightness is nearest: the classes lie 20 levels of 0..255 apart."""

    preprocessing = Preprocessing("0..255")
    places = (0, 1, 2, 3, 4, 5, 6)

    def class_names(self) -> list[str]:
        return [str(index) for index in range(7)]

    def batch_probabilities(self, inputs: Array) -> Array:
        distances = np.abs(inputs.mean(axis=(1, 2, 3))[:, None] - 20 * np.arange(7))
        return np.asarray(np.eye(7)[np.argsort(self.places)[distances.argmin(axis=1)]], np.float32)


def shades(folder: Path) -> Path:
    """Write images of seven brightnesses into folders 0 to 6."""
    for target in range(7):
        (folder / str(target)).mkdir(parents=True)
        for index in range(4):
            value = 20 * target + index
            Image.new("RGB", (9, 6), (value, value, value)).save(folder / str(target) / f"{index}.png")
    return folder


def test_an_order_is_named_rather_than_a_value_range(tmp_path: Path) -> None:
    model, folder = Shade(), shades(tmp_path)
    model.load()
    assert model_check.check(model, [], folder).warnings == ()
    # Labels in another order: whatever a value range would gain by chance, the order explains more.
    model.places = (5, 6, 3, 4, 0, 2, 1)
    report = model_check.check(model, [], folder)
    (warning,) = report.warnings
    assert warning.startswith("The labels are in another order than the model's outputs: output 0 is 5 (labelled 0)")
    assert report.as_dict()["accuracy"]["label_order"] == ["5", "6", "3", "4", "0", "2", "1"]


def test_a_value_range_is_advised_where_it_explains_all_and_both_where_neither_does_alone(tmp_path: Path) -> None:
    model, folder = Shade(), shades(tmp_path)
    model.load()
    model.preprocessing = Preprocessing()
    report = model_check.check(model, [], folder)
    assert report.label_order == ()
    assert report.warnings[-1].endswith('right, instead of 14%: try preprocess="0..255" for load_model().')
    model.places = (5, 6, 3, 4, 0, 2, 1)
    report = model_check.check(model, [], folder)
    assert report.warnings[-1].startswith('With values 0..255 (preprocess="0..255" for load_model()): The labels are')
    assert report.label_order == ("5", "6", "3", "4", "0", "2", "1")


def test_unreadable_samples_are_told_and_left_out(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.png", tmp_path / "b.png"
    good.write_bytes(png(noise_image()))
    bad.write_bytes(b"")
    images, problems = model_check.read({"bee/a.png": good, "b.png": bad}, LinearModel())
    assert [one.name for one in images] == ["bee/a.png"]
    assert problems == ["b.png is not a supported image. Use PNG, JPEG, WEBP, GIF, BMP, TIFF."]
