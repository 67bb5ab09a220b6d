"""Targets: their values, their gradients with respect to the output, and the texts that name them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso.attribution.masks import MaskedMeans, RandomMasks
from picasso.errors import BadRequest
from picasso.targets import (
    Box,
    Classification,
    ClassLogit,
    Context,
    Contrast,
    Detection,
    Embedding,
    MaskedMean,
    MultiLabel,
    OutputSpec,
    Regression,
    Segmentation,
    Similarity,
    Target,
    Value,
    spec_from,
)

NAMES = ["sky", "road", "car"]
SEGMENTATION = Segmentation((4, 6, 3))
YOLO = Detection((42,), outputs=(("output", (7, 6)),), size=(20, 30), decoder="yolo", classes=3)


def context(spec: OutputSpec, seed: int = 0, names: list[str] = NAMES) -> Context:
    """Return the context of an image of 30 x 20 pixels with a random output."""
    generator = np.random.default_rng(seed)
    output = generator.random(spec.shape, np.float32)
    return Context(output, names, (30, 20), lambda name: generator.normal(size=spec.shape).astype(np.float32))


TARGETS: dict[str, Target] = {
    "class": ClassLogit("1", "road", 1),
    "contrast": Contrast.of(2, 0, NAMES),
    "value": Value("value:1", "road", 1, "m"),
    "mean": MaskedMean("road", "road", 1, np.random.default_rng(0).random((4, 5)) > 0.5),
    "mean difference": MaskedMean("a", "a", 1, np.random.default_rng(0).random((4, 5)) > 0.5, 2),
    "similarity": Similarity("like:a", "like a", np.array([0.5, -1.0, 2.0])),
    "box": Box("box:0", "car", YOLO, (1, 2, 9, 8), np.array([0.1, 0.2, 0.9]), 17),
}
SHAPES = {"mean": (4, 5, 3), "mean difference": (4, 5, 3), "box": (42,)}


@pytest.mark.parametrize("name", TARGETS)
def test_cotangents_are_the_gradients_of_the_scores(name: str) -> None:
    target, generator = TARGETS[name], np.random.default_rng(1)
    scores = generator.normal(size=(2, *SHAPES.get(name, (3,)))).astype(np.float64)
    found, step = target.cotangent(scores.astype(np.float32)), 1e-4
    assert found.shape == scores.shape
    assert found.dtype == np.float32
    for index in itertools.islice(np.ndindex(*scores.shape[1:]), 60):
        low, high = scores.copy(), scores.copy()
        low[(slice(None), *index)] -= step
        high[(slice(None), *index)] += step
        slope = (target.score(high) - target.score(low)) / (2 * step)  # type: ignore[arg-type, operator]
        np.testing.assert_allclose(found[(slice(None), *index)], slope, atol=1e-6, rtol=1e-4)
    again = target.cotangent((scores + 1).astype(np.float32))
    assert np.array_equal(found, again) == target.linear


def test_the_mean_over_a_region() -> None:
    spec = Segmentation((4, 6, 3))
    given = context(spec)
    winners = given.output.argmax(axis=-1)
    road = spec.target("road", given)
    expected = given.output[winners == 1, 1].mean()
    assert road.value(given.output[None]) == pytest.approx(expected)
    region = road.region((30, 20))
    assert region is not None
    np.testing.assert_array_equal(region, np.repeat(np.repeat(winners == 1, 5, axis=0), 5, axis=1))
    pixel = spec.target("car@14.5,2", given)
    assert pixel.value(given.output[None]) == pytest.approx(given.output[0, 2, 2])
    assert (pixel.quantity, pixel.score_quantity) == ("probability", "logit")
    box = spec.target("sky@5,5,20,15", given)
    assert box.value(given.output[None]) == pytest.approx(given.output[1:3, 1:4, 0].mean())
    there = spec.target("@14,2", given)
    assert there.name.startswith(NAMES[winners[0, 2]])
    rather = spec.target("road vs sky", given)
    assert rather.name == "road rather than sky"
    share = given.output[winners == 1, 1] / given.output[winners == 1][:, :2].sum(axis=1)
    assert rather.value(given.output[None]) == pytest.approx(share.mean(), rel=1e-6)
    assert rather.score(given.output[None]) == pytest.approx(
        (given.output[winners == 1, 1] - given.output[winners == 1, 0]).mean(), rel=1e-5
    )
    odds = rather.log_odds(given.output[None])
    assert odds is not None
    assert odds[0] == pytest.approx(np.log(share / (1 - share)).mean(), rel=1e-5)
    found = road.log_odds(given.output[None])
    assert found is not None
    exact = given.output[winners == 1].astype(np.float64)
    np.testing.assert_allclose(found[0], np.log(exact[:, 1] / (1 - exact[:, 1])).mean(), rtol=1e-3)


def test_a_class_that_is_predicted_nowhere_is_explained_everywhere() -> None:
    spec, given = Segmentation((2, 3, 3)), context(Segmentation((2, 3, 3)))
    given.output[..., 2] = 0
    target = spec.target("car", given)
    assert target.name == "car (predicted nowhere: all pixels)"
    assert target.value(given.output[None]) == 0
    assert target.region((30, 20)) is None


def test_the_targets_of_a_segmentation_if_none_is_named() -> None:
    spec = Segmentation((3, 4, 3))
    given = context(spec, names=["background", "road", "car"])
    predictions = spec.decode(given.output[None], given.names, top=5)[0]
    assert sum(one["share"] for one in predictions) == pytest.approx(1)
    assert [target.name for target in spec.defaults(predictions, given)][-1] == "background"


def test_a_box_is_matched_and_measured() -> None:
    raw = np.zeros((7, 6), np.float32)
    raw[:, 0] = 10, 10, 8, 6, 0.1, 0.2, 0.9  # a car from 6, 7 to 14, 13
    raw[:, 1] = 11, 10, 8, 6, 0.1, 0.2, 0.6  # the same, a pixel further right
    raw[:, 2] = 25, 5, 4, 4, 0.8, 0.1, 0.0  # the sky
    given = Context(raw.ravel(), NAMES, (30, 20), lambda name: raw)
    predictions = YOLO.decode(given.output[None], NAMES, top=5)[0]
    assert [(one["name"], one["box"]) for one in predictions] == [("car", [6, 7, 14, 13]), ("sky", [23, 3, 27, 7])]
    first, second = YOLO.defaults(predictions, given)
    assert isinstance(first, Box)
    assert first.place == 6 * 6
    assert first.score(given.output[None]) == pytest.approx(0.9)
    assert first.value(given.output[None]) == pytest.approx(0.9)
    changed = raw.copy()
    changed[:, 0] = 0
    assert first.value(changed.ravel()[None]) == pytest.approx(7 / 9 * 0.6 * cosine(raw[4:, 0], raw[4:, 1]))
    assert second.value(np.zeros((1, 42), np.float32)) == 0
    for text, name in (("car@7,8", "car (box 0)"), ("@24,4", "sky (box 1)"), ("car", "car (box 0)")):
        assert YOLO.target(text, given).name == name
    drawn = YOLO.target("car@6,7,14,10", given)
    assert drawn.value(given.output[None]) == pytest.approx(0.5 * 0.9)
    region = drawn.region((30, 20))
    assert region is not None
    assert region.sum() == 8 * 3
    for text, words in (
        ("box:2", "There is no box 2 in this image; 2 were detected"),
        ("road", "No road was detected in this image"),
        ("car@0,0", "No car was detected at 0,0 in this image"),
    ):
        with pytest.raises(BadRequest, match=words):
            YOLO.target(text, given)


@pytest.mark.parametrize(
    ("spec", "text"), [(YOLO, "car@1;2"), (YOLO, "van"), (SEGMENTATION, "car@1;2"), (SEGMENTATION, "van@1,2")]
)
def test_the_message_about_an_unknown_target_says_how_targets_are_written(spec: Any, text: str) -> None:
    written = f"The model has no class {text.partition('@')[0]}.*sky@120,80.*sky@10,20,60,80"
    with pytest.raises(BadRequest, match=written) as error:
        spec.parse([text], NAMES)
    assert error.value.suggestions == (("car",) if "car" in text else ())


def cosine(one: Any, other: Any) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_the_maps_of_boxes_converge_to_the_exact_expectation() -> None:
    """D-RISE on a grid of 2 x 2 cells: all 16 masks at all 4 offsets, against random ones."""
    spec = Detection((2 * 5,), outputs=(("output", (5, 2)),), size=(4, 4), decoder="yolo", classes=1)

    def detect(images: Any) -> Any:
        """Return two boxes whose scores and places depend on what is visible of the left and of the right half."""
        halves = images.reshape(len(images), 4, 2, 2).mean(axis=(1, 3))
        raw = np.zeros((len(images), 5, 2), np.float32)
        raw[:, 0], raw[:, 1] = [1, 3], 2
        raw[:, 2], raw[:, 3] = 2, 1 + 3 * halves
        raw[:, 4] = halves**2
        return raw.reshape(len(images), -1)

    image = (np.random.default_rng(3).random((4, 4)) / 2 + 0.5).astype(np.float32)
    given = Context(detect(image[None])[0], ["spot"], (4, 4), lambda name: image)
    targets = [spec.target(text, given) for text in ("spot@0,0,2,4", "spot@2,0,4,4")]
    total, weights = np.zeros((2, 4, 4)), np.zeros((4, 4))
    for cells in itertools.product((0, 1), repeat=4):
        large = Image.fromarray(np.array(cells, np.float32).reshape(2, 2)).resize((6, 6), Image.Resampling.BILINEAR)
        for top, left in itertools.product(range(2), repeat=2):
            mask = np.asarray(large)[top : top + 4, left : left + 4]
            values = np.array([target.value(detect((image * mask)[None]))[0] for target in targets])
            total += values[:, None, None] * mask
            weights += mask
    exact, masks = total / weights, RandomMasks(0, (4, 4), 2, 0.5)
    means, outputs = MaskedMeans(masks), detect(image * masks.draw(0, 8000))
    means.add(np.stack([target.value(outputs) for target in targets], axis=1))
    assert np.abs(exact[0] - exact[1]).max() > 0.05
    found = means.estimate()
    # The errors are those of the differences between pixels.
    assert (np.abs(found.means - exact) < 5 * found.errors + 0.005).all()
    assert found.errors.max() < 0.01


PARSED: list[tuple[OutputSpec, list[Any], list[Any]]] = [
    (Classification((3,)), ["road", 2, "car vs sky"], [1, 2, (2, 0)]),
    (MultiLabel((3,)), ["road", "0"], [1, 0]),
    (Regression((3,)), ["value:road", "car", 0], ["value:road", "value:car", "value:sky"]),
    (
        Segmentation((4, 6, 3)),
        ["road", " car @ 3, 4 ", "@5,6", 2, "sky@1,2,3,4", "car vs sky", "0 vs 1@3,4"],
        ["road", "car@3,4", "@5,6", "car", "sky@1,2,3,4", "car vs sky", "sky vs road@3,4"],
    ),
    (YOLO, ["box: 3", "car", "road@1.5,2"], ["box:3", "car", "road@1.5,2"]),
    (Embedding((3,)), ["like:b.png", "c.png"], ["like:b.png", "like:c.png"]),
]


@pytest.mark.parametrize(("spec", "texts", "expected"), PARSED)
def test_texts_of_targets(spec: OutputSpec, texts: list[Any], expected: list[Any]) -> None:
    assert spec.parse(texts, NAMES) == expected
    known = {str(one) for one in spec.parse([*texts, *texts], NAMES)}
    assert len(known) == len(expected), "each once"


@pytest.mark.parametrize(
    ("spec", "text", "words"),
    [
        (Classification((3,)), "dog", r"The model has no class dog\. "),
        (MultiLabel((3,)), "dog", r"The model has no class dog\. "),
        (
            Regression((3,)),
            "value:age",
            r"The model has no value age\. Specify a name \(sky, road, car\), ",
        ),
        (Segmentation((4, 6, 3)), "dog@3,4", r"The model has no class dog\. "),
        (YOLO, "dog@1,2", r"The model has no class dog\. "),
        (Embedding((3,)), "like:", "Name the other image"),
    ],
)
def test_texts_that_name_no_target(spec: OutputSpec, text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        spec.parse([text], NAMES)


@pytest.mark.parametrize("text", ["sky@40,2", "sky@3,20", "sky@30,4,32,9"])
def test_places_outside_of_the_image(text: str) -> None:
    with pytest.raises(BadRequest, match=r"not inside the image, which is 30 x 20"):
        Segmentation((4, 6, 3)).target(text, context(Segmentation((4, 6, 3))))


@pytest.mark.parametrize("spec", [Segmentation((4, 6, 3)), YOLO])
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("3,4,2,9", r"3, 4, 2, 9 are no rectangle .*: right must be larger than left"),
        ("3,9,5,4", "bottom larger than top"),
        ("1,2,3", "two or four numbers, not three"),
    ],
)
def test_places_that_are_none_are_refused_before_an_image_is_known(spec: OutputSpec, place: str, words: str) -> None:
    with pytest.raises(BadRequest, match=f"{words}.* A target is a"):
        spec.parse([f"{NAMES[0]}@{place}"], NAMES)
    with pytest.raises(BadRequest, match=words):
        spec.target(f"{NAMES[0]}@{place}", context(spec))


def test_a_rectangle_without_area_is_the_pixel_there_but_no_box() -> None:
    spec = Segmentation((4, 6, 3))
    assert spec.parse([f"{NAMES[0]}@5,5,5,5"], NAMES)
    with pytest.raises(BadRequest, match="no rectangle"):
        YOLO.parse([f"{NAMES[0]}@5,5,5,5"], NAMES)


def test_a_class_may_be_called_like_a_place() -> None:
    names = ["a@1,2", "b"]
    spec = Segmentation((2, 2, 2))
    assert spec.parse(["a@1,2", "a@1,2@3,4"], names) == ["a@1,2", "a@1,2@3,4"]
    assert spec.target("a@1,2", context(spec, names=names)).name.startswith("a@1,2")


@pytest.mark.parametrize("spec", [one for one, *_ in PARSED])
def test_specifications_travel_as_json(spec: OutputSpec) -> None:
    import json

    assert spec_from(json.loads(json.dumps(spec.as_dict()))) == spec


@pytest.mark.parametrize("spec", [Segmentation((4, 6, 3)), YOLO, Regression((3,)), Embedding((3,))])
def test_requests_for_targets_are_limited(spec: OutputSpec) -> None:
    with pytest.raises(BadRequest, match="101 targets are requested; the maximum is 100"):
        spec.parse([f"road@{index},1" for index in range(101)], NAMES)
    for wrong in (None, 1.5, True):
        with pytest.raises(BadRequest, match=f"A target is a text or a number, not {wrong}"):
            spec.parse([wrong], NAMES)  # type: ignore[list-item]
    with pytest.raises(BadRequest, match="no target is as long as that"):
        spec.parse(["x" * 2000], NAMES)


def test_boxes_outside_of_the_image() -> None:
    with pytest.raises(BadRequest, match="The box 40, 50, 60, 70 is not inside the image"):
        YOLO.target("car@40,50,60,70", context(YOLO))
