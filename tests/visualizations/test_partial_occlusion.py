"""Occlusion: a model that reads one patch changes exactly where the window touches the patch."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from picasso import explain
from picasso.models.arrays import Array
from picasso.visualizations.partial_occlusion import OcclusionSettings, boxes, filled, sketch, spans
from tests.conftest import picture
from tests.fakes import LinearModel, PatchModel


@given(st.integers(1, 400), st.sampled_from([0.5, 0.4, 0.3, 0.2, 0.1, 0.05]), st.sampled_from([2, 5, 10, 20, 30]))
def test_windows_stay_inside_and_cover_something(length: int, fraction: float, count: int) -> None:
    covered = spans(length, fraction, count)
    assert len(covered) == count
    for start, stop in covered:
        assert 0 <= start < stop <= length
        assert stop - start <= max(1, round(fraction * length))


def test_windows_are_centred_on_equal_cells() -> None:
    assert spans(100, 0.2, 5) == [(0, 20), (20, 40), (40, 60), (60, 80), (80, 100)]
    assert spans(100, 0.2, 10)[:2] == [(0, 15), (5, 25)]
    settings = OcclusionSettings(0.5, 2, "grey")
    assert boxes((8, 4), settings) == [(0, 0, 4, 2), (4, 0, 8, 2), (0, 2, 4, 4), (4, 2, 8, 4)]


@pytest.mark.parametrize("window", [0.5, 0.3, 0.1])
@pytest.mark.parametrize("strides", [2, 5, 10, 20])
def test_only_windows_that_touch_the_patch_change_anything(patch: PatchModel, window: float, strides: int) -> None:
    source = picture(4)
    (result,) = explain(patch, source, Window=window, Strides=strides, Occlusion="black")
    width, height = source.size
    rows, columns = spans(height, window, strides), spans(width, window, strides)
    rows_touch = np.array([top < patch.ROWS.stop and bottom > patch.ROWS.start for top, bottom in rows])
    columns_touch = np.array([left < patch.COLUMNS.stop and right > patch.COLUMNS.start for left, right in columns])
    touches = rows_touch[:, None] & columns_touch
    for panel in result.panels[1:]:
        assert panel.array.shape == (strides, strides)
        assert panel.probability is not None
        np.testing.assert_array_equal(np.abs(panel.array - panel.probability) > 1e-6, touches)
        assert panel.scale() == (0.0, 1.0)


@pytest.mark.parametrize("colour", ["grey", "black", "white"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_map_equals_painting_the_picture_by_hand(linear: LinearModel, colour: str, mode: str) -> None:
    source = picture(5, mode=mode)
    (result,) = explain(linear, source, Window=0.4, Strides=5, Occlusion=colour)
    value = {"grey": 128, "black": 0, "white": 255}[colour]
    for index, (left, top, right, bottom) in enumerate(boxes(source.size, OcclusionSettings(0.4, 5, colour))):
        pixels = np.array(source.convert("RGB"))
        pixels[top:bottom, left:right] = value
        expected = linear.predict(linear.encode([Image.fromarray(pixels)]))[0]
        for panel in result.panels[1:]:
            assert panel.array[index // 5, index % 5] == pytest.approx(expected[panel.class_index], abs=1e-6)


class Normalizing(LinearModel):
    """Preprocessing that looks at the whole picture: replacing numbers is not the same as painting."""

    def encode(self, views: Sequence[Image.Image]) -> Array:
        pixels = np.stack([np.asarray(view, np.float32) for view in views])
        return np.asarray(pixels / pixels.mean(axis=(1, 2, 3), keepdims=True), np.float32)


def test_preprocessing_of_the_whole_picture_is_respected() -> None:
    model = Normalizing()
    model.load()
    source = picture(6)
    (result,) = explain(model, source, Window=0.5, Strides=2, Occlusion="white")
    pixels = np.array(source)
    pixels[3:, 4:] = 255
    box = boxes(source.size, OcclusionSettings(0.5, 2, "white"))[3]
    pixels = np.array(source)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    expected = model.predict(model.encode([Image.fromarray(pixels)]))[0]
    for panel in result.panels[1:]:
        assert panel.array[1, 1] == pytest.approx(expected[panel.class_index], abs=1e-6)


def test_memory_does_not_grow_with_the_grid() -> None:
    model = LinearModel()
    model.load(shape=(96, 128, 3))
    source = picture(7, (128, 96))

    def peak(strides: int) -> int:
        tracemalloc.start()
        explain(model, source, Window=0.1, Strides=strides)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)
    small, large = peak(10), peak(30)
    # Nine times the windows; a batch is 67 of them, so both grids fill at least one.
    assert large < 1.1 * small


def test_the_sketch_shows_centres_and_one_window() -> None:
    settings = OcclusionSettings(0.5, 5, "white")
    drawn = sketch(Image.new("L", (30, 20)), settings)
    assert drawn.size == (300, 200)
    colours = {colour for _, colour in drawn.getcolors(drawn.width * drawn.height) or []}
    assert {(0, 0, 0), (255, 255, 255), (220, 60, 40)} <= colours


def test_what_is_not_known_yet_is_drawn_like_the_nearest_window() -> None:
    probabilities = np.full((16, 2), np.nan, np.float32)
    probabilities[[0, 15]] = [[0.1, 0.9], [0.8, 0.2]]
    grid = filled(probabilities).reshape(4, 4, 2)
    np.testing.assert_array_equal(grid[0, 0], probabilities[0])
    np.testing.assert_array_equal(grid[3, 3], probabilities[15])
    np.testing.assert_array_equal(grid[1, 0], probabilities[0])
    np.testing.assert_array_equal(grid[2, 3], probabilities[15])
    assert np.isfinite(grid).all()
