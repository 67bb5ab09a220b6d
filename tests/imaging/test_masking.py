"""Hiding parts of images: which pixels a shape covers, what is seen there, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import BadRequest
from picasso.imaging.masking import FILLS, MAX_IN_TOTAL, MAX_POINTS, MAX_SHAPES, MaskEdit, Shape, blurred
from tests.conftest import noise_image

Mask = NDArray[np.bool_]
numbers = st.floats(0, 1)


def box(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    return {"box": [left, top, right, bottom]}


def line(*points: tuple[float, float], width: float = 0.1) -> dict[str, Any]:
    return {"line": [list(point) for point in points], "width": width}


def mask(size: tuple[int, int], *shapes: object) -> Mask:
    return MaskEdit.parse(shapes, "grey").mask(size)


# ---- what is accepted -------------------------------------------------------------------------------------


def test_boxes_and_lines_are_read() -> None:
    assert Shape.parse({"box": [0, 0.25, 1, 0.5]}) == Shape(((0.0, 0.25), (1.0, 0.5)))
    assert Shape.parse({"line": [[0, 1], (0.5, 0.5)], "width": 1}) == Shape(((0.0, 1.0), (0.5, 0.5)), 1.0)
    assert MaskEdit.parse([], "mean") == MaskEdit((), "mean")


NO_SHAPES: list[object] = [
    None,
    7,
    "box",
    [],
    [0, 0, 1, 1],
    {},
    {"box": None},
    {"box": [0, 0, 1]},
    {"box": [0, 0, 1, 1, 1]},
    {"box": "0011"},
    {"box": ["0", "0", "1", "1"]},
    {"box": {"0": 0, "0.1": 0, "1": 0, "0.9": 0}},
    {"box": [0, 0, 1, [1]]},
    {"box": [0, 0, 1, None]},
    {"box": [False, False, True, True]},
    {"box": [0, 0, 1, 1.01]},
    {"box": [-0.01, 0, 1, 1]},
    {"box": [0, 0, 1, float("nan")]},
    {"box": [0, 0, 1, float("inf")]},
    {"box": [0, 0, 1, 10**400]},
    {"box": [0, 0, 1, 1], "width": 0.1},
    {"box": [0, 0, 1, 1], "line": [[0, 0]], "width": 0.1},
    {"box": [0, 0, 1, 1], "colour": "red"},
    {"line": [[0, 0], [1, 1]]},
    {"line": [], "width": 0.1},
    {"line": ["01", "10"], "width": 0.1},
    {"line": [[0, 0, 0]], "width": 0.1},
    {"line": [0, 0], "width": 0.1},
    {"line": [[0, [0]]], "width": 0.1},
    {"line": {"01": 1}, "width": 0.1},
    {"line": [[0, 0]], "width": 0},
    {"line": [[0, 0]], "width": -0.1},
    {"line": [[0, 0]], "width": "0.1"},
    {"line": [[0, 0]], "width": True},
    {"line": [[0, 0]], "width": None},
    {"line": [[0, 0]], "width": float("nan")},
    {"line": [[0, float("nan")]], "width": 0.1},
    {"line": [[0, 0]] * (MAX_POINTS + 1), "width": 0.1},
    {"line": [[[[[[[[0]]]]]]]] * 1000, "width": 0.1},
    {1: 2},
]


@pytest.mark.parametrize("document", NO_SHAPES, ids=lambda document: repr(document)[:40])
def test_what_is_no_shape_is_refused_in_one_sentence(document: object) -> None:
    with pytest.raises(BadRequest, match="^A shape is .* with numbers from 0 to 1") as caught:
        Shape.parse(document)
    assert caught.value.field == "shapes"
    assert len(caught.value.message) < 300


ONE = {"box": [0, 0, 1, 1]}


@pytest.mark.parametrize(
    ("shapes", "fill", "field", "message"),
    [
        ([ONE], "pink", "fill", "fill must be one of grey, black, white, mean, blur, noise, image, not pink"),
        ([ONE], None, "fill", "not None"),
        ([ONE], ["grey"], "fill", "fill must be one of"),
        (None, "grey", "shapes", "shapes must be a list of at most 500 shapes"),
        ("box", "grey", "shapes", "shapes must be a list"),
        (ONE, "grey", "shapes", "shapes must be a list"),
        ([ONE] * (MAX_SHAPES + 1), "grey", "shapes", "at most 500 shapes"),
        ([ONE, 3], "grey", "shapes", "A shape is"),
        ([line((0, 0)) | {"line": [[0, 0]] * MAX_POINTS}] * 5, "grey", "shapes", f"more than {MAX_IN_TOTAL} points"),
    ],
)
def test_wrong_requests_are_refused(shapes: object, fill: object, field: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message) as caught:
        MaskEdit.parse(shapes, fill)
    assert caught.value.field == field


def test_as_much_as_is_allowed_is_accepted() -> None:
    MaskEdit.parse([ONE] * MAX_SHAPES, "grey")
    MaskEdit.parse([{"line": [[0, 0]] * MAX_POINTS, "width": 0.1}] * 4, "grey")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
documents = st.recursive(
    scalars | st.sampled_from(list(FILLS)),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["box", "line", "width", "x"]) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(documents, documents)
def test_anything_is_read_or_refused(shapes: object, fill: object) -> None:
    try:
        hidden = MaskEdit.parse(shapes, fill)
    except BadRequest:
        return
    assert hidden.mask((7, 5)).shape == (5, 7)


# ---- which pixels -----------------------------------------------------------------------------------------


@given(numbers, numbers, numbers, numbers, st.integers(1, 30), st.integers(1, 30))
def test_a_box_covers_the_pixels_whose_centres_lie_inside(
    left: float, top: float, right: float, bottom: float, width: int, height: int
) -> None:
    covered = mask((width, height), box(left, top, right, bottom))
    across, down = (np.arange(side) + 0.5 for side in (width, height))
    columns = (across > min(left, right) * width) & (across < max(left, right) * width)
    rows = (down > min(top, bottom) * height) & (down < max(top, bottom) * height)
    if columns.any() and rows.any():
        np.testing.assert_array_equal(covered, rows[:, None] & columns)
    # And something in any case: where the box is.
    assert covered.any()
    y, x = np.argwhere(covered)[0]
    assert min(left, right) * width - 1 <= x <= max(left, right) * width
    assert min(top, bottom) * height - 1 <= y <= max(top, bottom) * height


@pytest.mark.parametrize("size", [(9, 6), (6, 9), (1, 1), (224, 224)])
def test_the_full_box_covers_all(size: tuple[int, int]) -> None:
    assert mask(size, ONE).all()
    assert mask(size, box(1, 1, 0, 0)).all()
    assert not mask(size).any()


def test_corners_and_a_box_within_a_pixel() -> None:
    assert np.argwhere(mask((9, 6), box(1, 1, 1, 1))).tolist() == [[5, 8]]
    assert np.argwhere(mask((9, 6), box(0, 0, 0, 0))).tolist() == [[0, 0]]
    # From 0.6 to 0.8 of the third pixel: that one, not its neighbour.
    assert np.argwhere(mask((10, 10), box(0.26, 0.26, 0.28, 0.28))).tolist() == [[2, 2]]


def test_a_box_of_a_image_that_is_not_square() -> None:
    expected = np.zeros((6, 9), np.bool_)
    expected[2:4, 5:8] = True
    np.testing.assert_array_equal(mask((9, 6), box(5 / 9, 2 / 6, 8 / 9, 4 / 6)), expected)


@pytest.mark.parametrize(("width", "first", "last"), [(0.1, 45, 54), (0.2, 40, 59), (0.02, 49, 50)])
def test_a_stroke_is_as_wide_as_it_says(width: float, first: int, last: int) -> None:
    covered = mask((100, 50), line((0.2, 0.5), (0.8, 0.5), width=width))
    rows = np.flatnonzero(covered[:, 50])
    assert (rows[0], rows[-1]) == (first - 25, last - 25), "a fraction of the longer side"
    np.testing.assert_array_equal(covered, covered[::-1])
    np.testing.assert_array_equal(covered, covered[:, ::-1])
    columns = np.flatnonzero(covered[25])
    assert columns[0] == 20 - (last - first + 1) // 2, "its ends are round"


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4), st.floats(0.001, 0.5))
def test_a_stroke_covers_what_is_near_to_it(points: list[tuple[float, float]], width: float) -> None:
    covered = mask((20, 12), line(*points, width=width))
    radius = max(0.75, width * 10)
    y, x = np.mgrid[:12, :20] + 0.5
    along = np.linspace(0, 1, 200)[:, None, None]
    near = np.full((12, 20), np.inf)
    for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
        distances = np.hypot(x - 20 * (x0 + along * (x1 - x0)), y - 12 * (y0 + along * (y1 - y0)))
        near = np.minimum(near, distances.min(axis=0))
    assert covered[near < radius - 0.01].all()
    assert not covered[near > max(radius, 1) + 0.1].any()


@pytest.mark.parametrize("point", [(0, 0), (1, 1), (0.5, 0.5), (0, 1)])
def test_a_thin_dot_covers_a_pixel_everywhere(point: tuple[float, float]) -> None:
    assert mask((9, 6), line(point, width=0.001)).sum() in (1, 2)


def test_a_thin_stroke_has_no_gaps() -> None:
    covered = mask((40, 40), line((0, 0), (1, 0.37), width=0.001))
    assert covered.any(axis=0).all()
    assert covered.sum() < 100


def test_several_shapes_add_up() -> None:
    one, two = box(0, 0, 0.3, 1), line((0.9, 0.1), (0.9, 0.9))
    np.testing.assert_array_equal(mask((30, 20), one, two), mask((30, 20), one) | mask((30, 20), two))


# ---- what is seen there -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_fill_gives_what_it_says(mode: str) -> None:
    view, other = noise_image(1, (40, 30), mode), noise_image(2, (40, 30), mode)
    pixels = np.asarray(view, np.float64)
    filled = {}
    for fill in FILLS:
        filling = MaskEdit((), fill).filling(view, other)
        assert (filling.mode, filling.size) == (view.mode, view.size)
        filled[fill] = np.asarray(filling, np.float64)
    for fill, value in (("grey", 128), ("black", 0), ("white", 255)):
        assert (filled[fill] == value).all()
    means = np.broadcast_to(pixels.mean(axis=(0, 1)), pixels.shape)
    np.testing.assert_array_equal(filled["mean"], means.round())
    np.testing.assert_array_equal(filled["image"], np.asarray(other))
    np.testing.assert_array_equal(filled["noise"], np.asarray(MaskEdit((), "noise").filling(view)))
    assert filled["noise"].std() > 60
    assert np.abs(filled["blur"].mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 5
    assert filled["blur"].std() < pixels.std() / 4


def test_blurred_numbers_keep_their_mean_and_lose_their_contrast() -> None:
    array = np.random.default_rng(0).normal(3, 2, (40, 30, 4)).astype(np.float32)
    soft = blurred(array)
    assert soft.shape == array.shape
    np.testing.assert_allclose(soft.mean(axis=(0, 1)), array.mean(axis=(0, 1)), atol=0.2)
    assert soft.std() < array.std() / 3
    flat = np.full((3, 3, 1), 5, np.float32)
    np.testing.assert_array_equal(blurred(flat), flat)


def test_the_other_image_is_needed_and_may_have_another_mode() -> None:
    with pytest.raises(BadRequest, match="requires another image") as caught:
        MaskEdit((), "image").filling(noise_image())
    assert caught.value.field == "other"
    grey = noise_image(2, mode="L")
    np.testing.assert_array_equal(MaskEdit((), "image").filling(noise_image(), grey), grey.convert("RGB"))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("fill", FILLS)
def test_only_what_is_hidden_changes(fill: str, mode: str) -> None:
    view, other = noise_image(1, (30, 20), mode), noise_image(2, (30, 20), mode)
    hidden = MaskEdit.parse([box(0.1, 0.2, 0.4, 0.5), line((0.6, 0.9), (0.9, 0.6))], fill)
    where, before = hidden.mask(view.size), np.asarray(view)
    after = np.asarray(hidden.cover(view, other))
    np.testing.assert_array_equal(after[~where], before[~where])
    np.testing.assert_array_equal(after[where], np.asarray(hidden.filling(view, other))[where])
    np.testing.assert_array_equal(before, np.asarray(noise_image(1, (30, 20), mode)), "the view itself is as it was")


def test_nothing_hidden_is_the_image_itself() -> None:
    view = Image.new("L", (3, 2), 7)
    np.testing.assert_array_equal(MaskEdit(()).cover(view), view)
