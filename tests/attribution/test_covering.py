"""Covering: the numbers where that is known to be the same as painting, else really painted images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.attribution.covering import Covering, blends
from picasso.explanation.inputs import NamedImage, prepare
from picasso.imaging.masking import FILLS, filling
from picasso.models.arrays import Array
from picasso.models.occlusion import Box
from picasso.models.preprocessing import RANGES, Preprocessing
from tests.conftest import noise_image
from tests.fakes import LinearModel

LABELS = np.array([[0, 0, 1], [0, 1, 1]])
BOXES: list[Box] = [(0, 0, 2, 2), (7, 4, 9, 6), (3, 2, 6, 5), (0, 0, 9, 6), (4, 0, 5, 6)]


class Own(LinearModel):
    """Preprocessing by a method of the user's, pixel by pixel."""

    def encode(self, views: Sequence[Image.Image]) -> Array:
        return np.stack([np.asarray(view, np.float32) for view in views]) / np.float32(255)


def test_numbers_are_covered_region_by_region(linear: LinearModel) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    covering = Covering(linear, array, np.full((2, 3, 1), -1, np.float32))
    inputs = covering.seen(np.array([[True, False], [False, True], [True, True]])[:, LABELS])
    assert inputs.dtype == np.float32
    assert inputs[..., 0].tolist() == [
        [[0, 1, -1], [3, -1, -1]],
        [[-1, -1, 2], [-1, 4, 5]],
        [[0, 1, 2], [3, 4, 5]],
    ]
    halves = covering.seen(np.full((1, 2, 3), 0.5, np.float32))
    np.testing.assert_allclose(halves[0], (array - 1) / 2)


@pytest.mark.parametrize("values", RANGES)
def test_all_named_preprocessing_works_pixel_by_pixel(values: str) -> None:
    """So that its numbers may be covered: whichever names there will be."""
    named = Preprocessing(values)
    view = noise_image(3)
    seen = blends(view, filling(view, "noise"), np.stack([mask(box) for box in BOXES]))
    one, *others = named.encode([view, *seen], (6, 9, 3))
    paint = named.encode([filling(view, "noise")], (6, 9, 3))[0]
    for box, other in zip(BOXES, others, strict=True):
        np.testing.assert_array_equal(other, np.where(mask(box)[..., None], one, paint))


@pytest.mark.parametrize("channels", [1, 3])
def test_shares_blend_each_channel_and_are_left_as_they_are(linear: LinearModel, channels: int) -> None:
    generator = np.random.default_rng(0)
    image, plain = generator.random((2, 4, 5, channels), np.float32)
    shares = generator.random((3, 4, 5), np.float32)
    before = shares.copy()
    seen = Covering(linear, image, plain).seen(shares)
    np.testing.assert_array_equal(seen, plain + shares[..., None] * (image - plain))
    np.testing.assert_array_equal(shares, before)


@pytest.mark.parametrize(("mode", "top"), [("RGB", 255), ("L", 255), ("I", 2**31 - 1), ("F", 1000)])
def test_blends_are_those_of_exact_arithmetic(mode: str, top: int) -> None:
    generator = np.random.default_rng(0)
    shape = (31, 40, 3) if mode == "RGB" else (31, 40)
    kind = {"RGB": np.uint8, "L": np.uint8, "I": np.int32, "F": np.float32}[mode]
    view, paint = (Image.fromarray((generator.random(shape) * top).astype(kind)) for _ in range(2))
    assert view.mode == mode
    shares = np.linspace(0, 1, 9, dtype=np.float32)[:, None, None] * generator.random((9, 31, 40), np.float32)
    weights = shares.astype(np.float64).reshape(9, *shape[:2], *[1] * (len(shape) - 2))
    expected = np.asarray(paint) * (1 - weights) + np.asarray(view) * weights
    found = np.stack([np.asarray(one) for one in blends(view, paint, shares)])
    assert found.dtype == kind
    # Halves may be rounded either way.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-3 if mode == "F" else 0.5001)


def mask(box: Box) -> np.ndarray:
    """Return where an image is seen beside a window."""
    seen = np.ones((6, 9), np.bool_)
    left, top, right, bottom = box
    seen[top:bottom, left:right] = False
    return seen


def test_who_preprocesses_decides_what_is_covered() -> None:
    for model, known in ((LinearModel(), True), (Own(), False)):
        model.load()
        (given,) = prepare(model, [NamedImage("", noise_image())])
        assert (given.covering(model, "grey").view is None) == known


@pytest.mark.parametrize("fill", [fill for fill in FILLS if fill != "image"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_painting_is_covering_where_preprocessing_works_pixel_by_pixel(fill: str, mode: str) -> None:
    model = Own()
    model.load(shape=(6, 9, 1 if mode == "L" else 3))
    model.view = lambda image: image.convert(mode)  # type: ignore[method-assign]
    own = Own.encode
    model.encode = lambda views: own(model, views).reshape(-1, *model.input_shape)  # type: ignore[method-assign]
    (given,) = prepare(model, [NamedImage("", noise_image())])
    painting = given.covering(model, fill)
    assert painting.view is not None
    numbers = Covering(model, painting.array, painting.plain)
    assert not painting.differs(BOXES).any()
    np.testing.assert_array_equal(painting.windows(BOXES), numbers.windows(BOXES))
    shares = np.random.default_rng(0).random((4, 6, 9)).astype(np.float32)
    np.testing.assert_array_equal(painting.seen(shares > 0.5), numbers.seen(shares > 0.5))
    # A painted image has whole numbers.
    np.testing.assert_allclose(painting.seen(shares), numbers.seen(shares), atol=0.5 / 255 + 1e-6)


# Which windows of BOXES differ. The brightest pixel lies in the first; where all is paint, nothing is left to differ.
WHOLE: dict[str, tuple[Callable[[Array], Array], list[bool]]] = {
    "largest": (lambda a: a / np.maximum(a.max((1, 2, 3), keepdims=True), 1), [True, False, False, False, False]),
    "mean": (lambda a: a - a.mean((1, 2, 3), keepdims=True), [True, True, True, False, True]),
    "no number": (
        lambda a: np.where(a.mean((1, 2, 3), keepdims=True) > 0, np.float32(np.nan), a),
        [True, True, True, False, True],
    ),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_what_looks_at_more_than_a_pixel_is_noticed(kind: str) -> None:
    encode, expected = WHOLE[kind]

    class Whole(Own):
        def encode(self, views: Sequence[Image.Image]) -> Array:
            return encode(super().encode(views) * np.float32(255))

    model = Whole()
    model.load()
    pixels = np.random.default_rng(1).integers(60, 100, (6, 9, 3), np.uint8)
    pixels[0, 0] = 255
    view = Image.fromarray(pixels)
    array, plain = model.encode([view, filling(view, "black")])
    assert Covering(model, array, plain, view, filling(view, "black")).differs(BOXES).tolist() == expected


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("RISE", {"Masks": 50, "Fill": "white"}),
        ("LIME", {"Samples": 50, "Fill": "black"}),
        ("LIME", {"Samples": 50, "Fill": "region mean"}),
        ("KernelSHAP", {"Samples": 400, "Fill": "region mean"}),
    ],
)
def test_methods_that_hide_parts_paint_where_preprocessing_is_not_known(name: str, settings: dict[str, Any]) -> None:
    """Every input that the model is asked about is what preprocessing makes of some image."""
    asked: list[Array] = []

    class Standardized(Own):
        def encode(self, views: Sequence[Image.Image]) -> Array:
            inputs = super().encode(views)
            centred = inputs - inputs.mean((1, 2, 3), keepdims=True)
            return np.asarray(centred / (inputs.std((1, 2, 3), keepdims=True) + 0.01), np.float32)

        def batch_probabilities(self, inputs: Array) -> Array:
            asked.append(inputs)
            return super().batch_probabilities(inputs)

    model = Standardized()
    model.load()
    explain(model, noise_image(), name, **settings)
    inputs = np.concatenate(asked)
    assert len(inputs) > 50
    np.testing.assert_allclose(inputs.mean((1, 2, 3)), 0, atol=1e-5)
    assert inputs.std((1, 2, 3)).max() < 1
