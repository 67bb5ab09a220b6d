"""Occlusion: a model that reads one patch changes exactly where the window touches the patch."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from picasso import explain
from picasso.attribution.occlusion_scores import filled
from picasso.explanation import comparison
from picasso.explanation.inputs import NamedImage, prepare
from picasso.imaging.masking import filling
from picasso.models.arrays import Array
from picasso.models.info import Capability
from picasso.visualizations.partial_occlusion import FILLS, OcclusionSettings, PartialOcclusion, boxes, sketch, spans
from tests.conftest import noise_image
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
    source = noise_image(4)
    (result,) = explain(patch, source, Window=window, Strides=strides, Occlusion="black", Show="probability")
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
def test_the_map_equals_painting_the_image_by_hand(linear: LinearModel, colour: str, mode: str) -> None:
    source = noise_image(5, mode=mode)
    (result,) = explain(linear, source, Window=0.4, Strides=5, Occlusion=colour, Show="probability")
    value = {"grey": 128, "black": 0, "white": 255}[colour]
    for index, (left, top, right, bottom) in enumerate(boxes(source.size, OcclusionSettings(0.4, 5, colour))):
        pixels = np.array(source.convert("RGB"))
        pixels[top:bottom, left:right] = value
        expected = linear.predict(linear.encode([Image.fromarray(pixels)]))[0]
        for panel in result.panels[1:]:
            assert panel.array[index // 5, index % 5] == pytest.approx(expected[panel.class_index], abs=1e-6)


class Normalizing(LinearModel):
    """Preprocessing that looks at the whole image: replacing numbers is not the same as painting."""

    def encode(self, views: Sequence[Image.Image]) -> Array:
        pixels = np.stack([np.asarray(view, np.float32) for view in views])
        return np.asarray(pixels / pixels.mean(axis=(1, 2, 3), keepdims=True), np.float32)


def test_preprocessing_of_the_whole_image_is_respected() -> None:
    model = Normalizing()
    model.load()
    source = noise_image(6)
    (result,) = explain(model, source, Window=0.5, Strides=2, Occlusion="white", Show="probability")
    pixels = np.array(source)
    pixels[3:, 4:] = 255
    box = boxes(source.size, OcclusionSettings(0.5, 2, "white"))[3]
    pixels = np.array(source)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    expected = model.predict(model.encode([Image.fromarray(pixels)]))[0]
    for panel in result.panels[1:]:
        assert panel.array[1, 1] == pytest.approx(expected[panel.class_index], abs=1e-6)


def recompressed(view: Image.Image) -> Image.Image:
    body = io.BytesIO()
    view.save(body, "JPEG", quality=50)
    return Image.open(body)


def local_contrast(pixels: Array) -> Array:
    """Divide by the deviation of 4 x 4 blocks."""
    blocks = pixels.reshape(6, 4, 7, 4, 3)
    return np.asarray((blocks / (blocks.std(axis=(1, 3), keepdims=True) + 20)).reshape(24, 28, 3), np.float32)


def numbers(view: Image.Image) -> Array:
    return np.asarray(view, np.float32)


# What people do to images that is not done pixel by pixel.
PREPROCESSING: dict[str, Callable[[Image.Image], Array]] = {
    "by the largest": lambda view: numbers(view) / max(1, numbers(view).max()),
    "by the range": lambda view: (numbers(view) - numbers(view).min()) / max(1.0, float(np.ptp(numbers(view)))),
    "less the mean": lambda view: numbers(view) - numbers(view).mean(),
    "standardized": lambda view: (numbers(view) - numbers(view).mean()) / max(1e-3, numbers(view).std()),
    "by the 99th percentile": lambda view: numbers(view) / max(1.0, float(np.percentile(numbers(view), 99))),
    "equalized": lambda view: numbers(ImageOps.equalize(view)) / np.float32(255),
    "autocontrast": lambda view: numbers(ImageOps.autocontrast(view)) / np.float32(255),
    "blurred": lambda view: numbers(view.filter(ImageFilter.GaussianBlur(1))) / np.float32(255),
    "local contrast": lambda view: local_contrast(numbers(view)),
    "JPEG": lambda view: numbers(recompressed(view)) / np.float32(255),
    "pixel by pixel": lambda view: np.sqrt(numbers(view) / np.float32(255)),
}


@pytest.mark.parametrize("middle", ["", "black middle"])
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("kind", PREPROCESSING)
def test_every_window_is_as_if_painted_whatever_preprocessing_does(kind: str, fill: str, middle: str) -> None:
    class Own(LinearModel):
        def encode(self, views: Sequence[Image.Image]) -> Array:
            return np.stack([PREPROCESSING[kind](view) for view in views]).astype(np.float32)

    model = Own()
    model.load(shape=(24, 28, 3))
    model.weights = model.weights / np.abs(model.encode([noisy(middle)])).max() / 10
    view = noisy(middle)
    settings = OcclusionSettings(window=0.2, strides=5, occlusion=fill)
    (result,) = explain(model, view, Window=0.2, Strides=5, Occlusion=fill, Show="probability")
    views = []
    for box in boxes(view.size, settings):
        views.append(view.copy())
        views[-1].paste(filling(view, fill).crop(box), box)
    # One by one: an answer must not depend on its neighbours.
    expected = np.concatenate([model.predict(model.encode([one])) for one in views])
    windows, *panels = result.panels
    for panel in panels:
        np.testing.assert_allclose(panel.array.ravel(), expected[:, panel.class_index], atol=1e-6)
    (given,) = prepare(model, [NamedImage("", view)])
    differ = given.covering(model, fill).differs(boxes(view.size, settings))
    said = windows.note.removeprefix("Computed: a whole image for each window")
    because = "because preprocessing depends on the whole image"
    if differ.all():
        assert said == f", {because}."
    elif differ.any():
        count = "1 window" if differ.sum() == 1 else f"{differ.sum()} windows"
        assert said == f"; a whole image for each of {count}, {because} there."
    else:
        assert said == "."
    assert differ.any() or kind in ("pixel by pixel", "by the largest", "by the range", "autocontrast")


def noisy(middle: str) -> Image.Image:
    """Return a dark image with a few brighter pixels in a corner, and black pixels in the middle if so wanted."""
    pixels = np.random.default_rng(0).integers(5, 100, (24, 28, 3), np.uint8)
    pixels[0:3, 0:4] = 250
    if middle:
        pixels[5:19, 6:22] = 0
    return Image.fromarray(pixels)


class Brightest(LinearModel):
    """Divides by the brightest pixel, which plain black has not."""

    def encode(self, views: Sequence[Image.Image]) -> Array:
        if any(not numbers(view).any() for view in views):
            raise ZeroDivisionError("no light")
        return np.stack([numbers(view) / numbers(view).max() for view in views])


def test_preprocessing_may_fail_on_plain_paint() -> None:
    model = Brightest()
    model.load()
    (result,) = explain(model, noise_image(6), Window=0.5, Strides=2, Occlusion="all")
    said = "Computed: a whole image for each window, because preprocessing depends on the whole image."
    assert result.panels[0].note == said


def test_only_the_windows_that_differ_are_painted() -> None:
    model = Brightest()
    model.load()
    pixels = np.full((6, 9, 3), 10, np.uint8)
    # As bright as the brightest of the noise, and in one window.
    pixels[0, 0] = np.asarray(filling(Image.fromarray(pixels), "noise")).max()
    (result,) = explain(model, Image.fromarray(pixels), Window=0.5, Strides=2, Occlusion="noise")
    because = "because preprocessing depends on the whole image there"
    assert result.panels[0].note == (
        f"Computed: a whole image for each window; a whole image for each of 1 window, {because}."
    )


def test_memory_does_not_grow_with_the_grid() -> None:
    model = LinearModel()
    model.load(shape=(96, 128, 3))
    source = noise_image(7, (128, 96))

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
    probabilities = np.full(16, np.nan, np.float32)
    probabilities[[0, 15]] = [0.1, 0.8]
    grid = filled(probabilities).reshape(4, 4)
    assert [grid[0, 0], grid[3, 3], grid[1, 0], grid[2, 3]] == pytest.approx([0.1, 0.8, 0.1, 0.8])
    assert np.isfinite(grid).all()


class Steep(LinearModel):
    """Logits so far apart that probabilities hardly move."""

    SCALE = 3.0

    def load(self, **arguments: Any) -> None:
        super().load(**arguments)
        self.weights = self.SCALE * self.weights


class Steepest(Steep):
    """Logits so far apart that probabilities in float32 are 0 and 1."""

    SCALE = 200.0


class Independent(Steepest):
    """As many sigmoids, and nothing but their probabilities."""

    capabilities = frozenset({Capability.PREDICTIONS})
    SCALE = 20.0

    def batch_probabilities(self, inputs: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-self.batch_logits(inputs).astype(np.float64))), np.float32)


def made(cls: type[LinearModel]) -> LinearModel:
    model = cls()
    model.load()
    return model


def painted(model: LinearModel, source: Image.Image, **settings: Any) -> Array:
    """Return the logits of an image, and of the same with the window at every position."""
    views = [source]
    for left, top, right, bottom in boxes(source.size, OcclusionSettings(**settings)):
        pixels = np.array(source)
        pixels[top:bottom, left:right] = 128
        views.append(Image.fromarray(pixels))
    return model.logits(model.encode(views))


def odds_of(logits: Array, index: int) -> NDArray[np.float64]:
    exact = logits.astype(np.float64)
    return np.asarray(exact[:, index] - np.logaddexp.reduce(np.delete(exact, index, axis=1), axis=1))


def test_the_drop_is_of_log_odds_where_the_probability_can_not_move() -> None:
    model, source = made(Steep), noise_image(5)
    (result,) = explain(model, source, Strides=5)
    assert result.predictions[0]["prob"] > 0.99
    logits = painted(model, source, strides=5)
    for panel in result.panels[1:]:
        assert panel.quantity.startswith("drop of the log-odds")
        assert panel.class_index is not None
        here, *there = odds_of(logits, panel.class_index)
        np.testing.assert_allclose(panel.array.ravel(), here - np.array(there), atol=2e-4)
        assert panel.scale()[1] == pytest.approx(np.abs(panel.array).max())
    assert "log-odds" in result.panels[1].note


def test_the_drop_is_of_the_probability_where_that_can_move(linear: LinearModel) -> None:
    source = noise_image(11)
    (result,) = explain(linear, source, Strides=5)
    assert result.predictions[0]["prob"] < 0.99
    probabilities = linear.predict(linear.encode([source]))[0]
    (remains,) = explain(linear, source, Strides=5, Show="probability")
    panel, other = result.panels[1], remains.panels[1]
    assert (panel.quantity, panel.signed, panel.note) == ("drop of the probability", True, "")
    np.testing.assert_allclose(panel.array, probabilities[panel.class_index] - other.array, atol=1e-6)
    low, high = panel.scale()
    assert low == -high
    assert high == pytest.approx(float(np.abs(panel.array).max()))


def test_logits_are_asked_for_where_probabilities_have_no_digits_left() -> None:
    model, source = made(Steepest), noise_image(5)
    (result,) = explain(model, source, Strides=5)
    panel = result.panels[1]
    assert panel.quantity == "drop of the model's logit"
    here, *there = painted(model, source, strides=5)[:, panel.class_index]
    np.testing.assert_allclose(panel.array.ravel(), here - np.array(there), rtol=1e-4, atol=1e-2)
    assert not panel.flat


def test_a_model_that_gives_only_saturated_probabilities_says_so() -> None:
    (result,) = explain(made(Independent), noise_image(5), Strides=5)
    assert "rounded to 0 or 1" in result.panels[1].note
    assert all(np.isfinite(panel.array).all() for panel in result.panels[1:])


def test_the_map_of_a_pair_is_the_difference_of_its_logits() -> None:
    model, source = made(Steep), noise_image(5)
    (result,) = explain(model, source, Strides=5, classes=["ant vs bee"])
    panel = result.panels[1]
    logits = painted(model, source, strides=5).astype(np.float64)
    here, *there = logits[:, 0] - logits[:, 1]
    np.testing.assert_allclose(panel.array.ravel(), here - np.array(there), atol=2e-4)


def test_what_is_said_above_the_maps_follows_the_settings() -> None:
    assert "warm (positive) where the covered region raises it" in PartialOcclusion.describe(OcclusionSettings())
    assert "so the model relies on them" in PartialOcclusion.describe(OcclusionSettings(show="probability"))


def test_models_are_compared_by_the_same_quantity(linear: LinearModel) -> None:
    source = noise_image(11)
    for first, second in ((linear, made(Steep)), (made(Steep), linear)):
        (result,) = comparison.explain_each({"": first, "other": second}, source, Strides=5)
        panels = [panel for panel in result.panels if panel.kind == "map"]
        assert len(panels) == 15
        assert {panel.quantity.removeprefix("difference of ") for panel in panels} == {panels[0].quantity}
