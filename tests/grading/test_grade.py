"""Grades of maps of models whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import picasso
from picasso.errors import BadRequest, Cancelled
from picasso.examples.brightness import BrightnessModel
from picasso.grading.curves import EDGES, MAP, RANDOM, Curve
from picasso.grading.outcome import FillTest, FlipTest, ImageGrade, WeightLevel, WeightTest
from picasso.grading.wording import sentence
from picasso.visualizations import BaseVisualization, Panel, Task, VisualizationSettings
from picasso.visualizations.partial_occlusion import PartialOcclusion
from tests.fakes import DetectorModel, LinearModel, PatchModel


class Noise(BaseVisualization[VisualizationSettings]):
    """A map that knows nothing."""

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        for image in task.inputs:
            drawn = np.random.default_rng(99).random(image.array.shape[:2], np.float32)
            yield [image.panel(target, drawn) for target in image.targets]


class Truth(BaseVisualization[VisualizationSettings]):
    """The weights of a linear model times the pixels."""

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        for image in task.inputs:
            slopes = task.model.gradients(image.array[None], image.targets)[0]
            yield [
                image.panel(target, (slope * (image.array - 0.5)).sum(axis=-1), signed=True)
                for target, slope in zip(image.targets, slopes, strict=True)
            ]


class Fragile(Truth):
    """Fails for random weights."""

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        if not np.array_equal(vars(task.model)["weights"], ORIGINAL):
            raise ValueError("these weights are wrong")
        yield from super().make_visualization(task)


class Words(BaseVisualization[VisualizationSettings]):
    """Makes no map."""

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        for _ in task.inputs:
            yield [Panel("text", np.zeros((4, 4), np.uint8))]


def noise(side: int, channels: int = 1, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, channels), np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def linear() -> LinearModel:
    model = LinearModel()
    model.load()
    return model


ORIGINAL = linear().weights.copy()


def test_a_random_map_grades_as_random() -> None:
    model = BrightnessModel()
    model.load(side=40)
    images = [np.random.default_rng(seed).integers(150, 256, (40, 40), np.uint8) for seed in range(3)]
    grade = picasso.grade(model, Noise, images, targets="bright")
    for one in grade.images:
        assert one.beats(RANDOM) is False
        own, random = one.curve(MAP), one.curve(RANDOM)
        assert own is not None
        assert random is not None
        assert own.score == pytest.approx(random.score, abs=0.02)
    assert "and a random map on 0" in grade.sentence


def test_the_truth_beats_both_controls_and_follows_the_weights() -> None:
    model = linear()
    image = noise(30, 3)
    grade = picasso.grade(model, Truth, image)
    (one,) = grade.images
    assert one.beats(RANDOM)
    assert one.beats(EDGES)
    assert one.weights is not None
    assert [level.kernels for level in one.weights.levels] == [1]
    assert one.weights.agreement < 0.5
    assert grade.sentence.startswith("Beats an edge detector and a random map; follows the weights (")
    assert "Not tested: two fills, because no setting of the method chooses a fill." in grade.sentence


def test_a_map_that_ignores_the_weights_does_not_follow_them() -> None:
    (one,) = picasso.grade(linear(), Noise, noise(30, 3)).images
    assert one.weights is not None
    assert one.weights.agreement == 1.0
    assert one.weights.rise == 0.0
    assert "hardly follows the weights (agreement with maps of random weights up to 1.00)" in one.sentence


def test_the_weights_stay_the_same_if_a_map_of_random_weights_fails() -> None:
    model = linear()
    grade = picasso.grade(model, Fragile, noise(30, 3))
    assert np.array_equal(model.weights, ORIGINAL)
    assert grade.images[0].weights is None
    assert "random weights, because Fragile failed on image 0: ValueError: these weights are wrong" in grade.sentence


def test_a_flipped_image_gets_the_flipped_map_if_the_model_is_symmetric() -> None:
    model = BrightnessModel()
    model.load()
    ramp = np.tile(np.arange(0, 256, 32, dtype=np.uint8), (8, 1))
    grade = picasso.grade(model, "PartialOcclusion", ramp, targets="bright", Occlusion="black", Strides=5)
    (one,) = grade.images
    assert one.flip is not None
    assert one.flip.agreement == pytest.approx(1, abs=1e-6)
    assert one.fills is not None
    assert (one.fills.fill, one.fills.other) == ("black", "blur")
    assert "a flipped image gets the flipped map (agreement 1.00)" in one.sentence


def test_a_map_of_one_side_is_not_that_of_the_flipped_image() -> None:
    model = PatchModel()
    model.load()
    pixels = np.random.default_rng(1).integers(0, 256, (6, 9, 3), np.uint8)
    (one,) = picasso.grade(model, "PartialOcclusion", pixels, targets=6, Window=0.1, Strides=10).images
    assert one.flip is not None
    assert (one.flip.agreement or 0) < 0.7


def test_a_target_at_a_place_is_not_flipped() -> None:
    model = DetectorModel()
    model.load()
    pixels = np.zeros((6, 9, 3), np.uint8)
    pixels[1:5, 1:4, 0] = 200
    (one,) = picasso.grade(model, "PartialOcclusion", pixels, Strides=5).images
    assert one.flip is None
    assert any("is about a place in the image" in text for text in one.untested)
    assert any(text.startswith("random weights, because the weights of a") for text in one.untested)


def test_a_flat_map_is_not_graded() -> None:
    model = BrightnessModel()
    model.load()
    (one,) = picasso.grade(model, "SaliencyMaps", np.eye(8), targets="bright").images
    assert one.curves == ()
    assert one.sentence == (
        "Not tested: the curves, because the map is flat, so it puts the pixels in no order; random weights, because "
        "the weights of a BrightnessModel can't be replaced by random ones: its class has no random_weights(); two "
        "fills, because no setting of the method chooses a fill; the flipped image, because the map is flat, so it "
        "puts the pixels in no order."
    ).replace("a BrightnessModel", f"a {model.format or 'BrightnessModel'}")


def test_a_method_without_maps_is_refused() -> None:
    with pytest.raises(BadRequest, match="Words makes no map of"):
        picasso.grade(linear(), Words, noise(30, 3))


def test_bad_requests(tmp_path: Path) -> None:
    model = linear()
    with pytest.raises(BadRequest, match="A grade is about one target"):
        picasso.grade(model, Truth, noise(9, 3), targets=[1, 2])
    with pytest.raises(BadRequest, match="Unknown setting 'Size'"):
        picasso.grade(model, Truth, noise(9, 3), Size=3)
    with pytest.raises(BadRequest, match=r"grade\(\) requires a loaded model, not a str"):
        picasso.grade("model.keras", Truth, noise(9, 3))  # type: ignore[arg-type]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(BadRequest, match="broken.png"):
        picasso.grade(model, Truth, broken)
    noise(9, 3).save(tmp_path / "good.png")
    grade = picasso.grade(model, Truth, tmp_path)
    assert [one.image for one in grade.images] == ["good.png"]
    assert len(grade.unreadable) == 1


@pytest.mark.parametrize("seed", [-1, 1.5, "x"])
def test_seeds_are_whole_numbers(seed: Any) -> None:
    with pytest.raises(BadRequest, match="seed is a whole number, 0 or more"):
        picasso.grade(linear(), "PartialOcclusion", noise(8), seed=seed)


def test_progress_rises_and_cancels() -> None:
    seen: list[float] = []
    picasso.grade(linear(), "PartialOcclusion", [noise(9, 3), noise(9, 3, 1)], Strides=5, progress=seen.append)
    assert np.diff(seen).min() > -1e-9
    assert seen[-1] == 1.0

    def cancel(fraction: float) -> None:
        if fraction > 0.7:
            raise Cancelled

    with pytest.raises(Cancelled):
        picasso.grade(linear(), "PartialOcclusion", noise(9, 3), Strides=5, progress=cancel)


def graded(score: float, agreement: float, fill: float | None = None) -> ImageGrade:
    def curve(order: str, value: float) -> Curve:
        return Curve(order, (1.0, 0.5 - value, 0.0), (0.0, 0.5 + value, 1.0))

    return ImageGrade(
        "a.png",
        "1",
        "bright",
        "probability",
        (curve(MAP, score), curve(RANDOM, 0.0), curve(EDGES, 0.2)),
        WeightTest(4, (WeightLevel(2, agreement), WeightLevel(4, None)), 2.0, 3.0),
        None if fill is None else FillTest("grey", "blur", fill),
        FlipTest(0.9),
    )


def test_the_sentence_counts_images() -> None:
    several = [graded(0.4, 0.1, 0.2), graded(0.1, 0.1, 0.4), graded(-0.2, 0.3, 0.3)]
    assert sentence(several) == (
        "Beats an edge detector on 1 of 3 images, and a random map on 2; follows the weights (agreement with maps of "
        "random weights up to 0.17); the fill matters (grey and blur agree by 0.30); a flipped image gets the flipped "
        "map (agreement 0.90)."
    )
    assert "follows the weights in part" in sentence([graded(0.4, -0.6)])
    assert "hardly follows the weights" in sentence([graded(0.4, -0.8)])
    assert sentence([graded(0.1, 0.1)]).startswith("Beats a random map, but not an edge detector;")
    assert sentence([graded(-0.1, 0.1)]).startswith("Beats neither an edge detector nor a random map;")


def test_the_document_has_all_numbers() -> None:
    document = graded(0.4, -0.6, 0.2).as_dict()
    assert document["beats"] == {"random": True, "edges": True}
    assert document["weights"]["entropy_rise"] == 0.5
    assert document["weights"]["agreement"] == 0.6
    assert document["curves"][0]["score"] == pytest.approx(0.4)
    assert document["fills"] == {"fill": "grey", "other": "blur", "agreement": 0.2}


@pytest.mark.parametrize(("strides", "graded"), [(20, 5), (2, 2)])
def test_occlusion_compares_coarser_maps(strides: int, graded: int) -> None:
    settings = PartialOcclusion.ALLOWED_SETTINGS.parse({"Strides": strides, "Occlusion": "black"})
    found = PartialOcclusion.settings_to_grade(settings)
    assert found == {**settings.as_dict(), "Strides": graded}
