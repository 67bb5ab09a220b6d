"""Which tokens windows and masks hide, and the maps of a model whose answer without tokens is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from picasso.attribution.dropping import DROPPED, Dropping, dropping_passes
from picasso.errors import ModelError
from picasso.examples.brightness import BrightnessModel
from picasso.models.info import Place
from picasso.models.tokens import TokenGrid
from picasso.targets import ClassLogit
from picasso.visualizations import Input, Task
from picasso.visualizations.partial_occlusion import OcclusionSettings, PartialOcclusion
from picasso.visualizations.rise import RISE, RISESettings
from tests.fakes import HEIGHT, WIDTH, LinearModel


@pytest.fixture
def model() -> LinearModel:
    found = LinearModel()
    found.load()
    return found


def grid(extra: int = 0, transposed: bool = False) -> TokenGrid:
    """Return a grid of patches of 3 x 3 pixels on the image of 6 x 9."""
    rows, columns = (3, 2) if transposed else (2, 3)
    return TokenGrid(6 + extra, extra, rows, columns, Place((1.5, 1.5), (3.0, 3.0), transposed))


def test_windows_hide_the_tokens_that_they_cover_by_half(model: LinearModel) -> None:
    dropping = Dropping(model, grid())
    windows = [
        (0, 0, 3, 3),
        # One third and two thirds.
        (2, 0, 5, 3),
        # Less than half of any: the one that is covered most.
        (2, 2, 3, 3),
        (5, 2, 7, 4),
        (0, 0, 9, 3),
    ]
    found = dropping.by_windows(windows).astype(int).tolist()
    assert found == [
        [[1, 0, 0], [0, 0, 0]],
        [[0, 1, 0], [0, 0, 0]],
        [[1, 0, 0], [0, 0, 0]],
        [[0, 1, 1], [0, 1, 1]],
        [[1, 1, 1], [0, 0, 0]],
    ]


def test_a_window_where_there_are_no_patches_hides_none(model: LinearModel) -> None:
    # Patches of 4 x 4 pixels leave two rows and a column of the image of 6 x 9.
    dropping = Dropping(model, TokenGrid(2, 0, 1, 2, Place((2.0, 2.0), (4.0, 4.0))))
    found = dropping.by_windows([(0, 4, 9, 6), (8, 0, 9, 6), (8, 4, 9, 6), (3, 3, 4, 6)])
    assert found.astype(int).tolist() == [[[0, 0]], [[0, 0]], [[0, 0]], [[1, 0]]]


def test_a_transposed_grid(model: LinearModel) -> None:
    windows = [(0, 0, 3, 3), (6, 3, 9, 6), (3, 0, 9, 3)]
    plain, turned = (Dropping(model, grid(transposed=one)).by_windows(windows) for one in (False, True))
    np.testing.assert_array_equal(turned, plain.swapaxes(1, 2))
    masks = np.random.default_rng(0).random((5, HEIGHT, WIDTH), np.float32)
    plain, turned = (Dropping(model, grid(transposed=one)).by_masks(masks) for one in (False, True))
    np.testing.assert_array_equal(turned, plain.swapaxes(1, 2))
    assert plain.any()


def test_masks_hide_the_tokens_of_which_they_show_less_than_half(model: LinearModel) -> None:
    shown = np.zeros((1, HEIGHT, WIDTH), np.float32)
    shown[0, :3, :3], shown[0, :3, 3:6], shown[0, 3:, 6:] = 0.6, 0.4, 1
    hidden = Dropping(model, grid()).by_masks(shown)
    assert hidden.astype(int).tolist() == [[[0, 1, 1], [1, 1, 0]]]


def test_one_token_is_left_where_there_are_no_others(model: LinearModel) -> None:
    shown = np.zeros((1, HEIGHT, WIDTH), np.float32)
    shown[0, 3:, 3:6] = 0.2
    assert Dropping(model, grid()).by_masks(shown).astype(int).tolist() == [[[1, 1, 1], [1, 0, 1]]]
    assert Dropping(model, grid(extra=1)).by_masks(shown).all()
    assert Dropping(model, grid()).by_windows([(0, 0, WIDTH, HEIGHT)]).sum() == 5


def test_the_cost_counts_equal_choices_once() -> None:
    hidden = np.zeros((4, 2, 3), np.bool_)
    hidden[:2, 0] = True
    assert dropping_passes(hidden) == pytest.approx(0.5 + 1)


def task(model: LinearModel, settings: OcclusionSettings | RISESettings) -> Task:  # type: ignore[type-arg]
    pixels = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    image = Image.fromarray(pixels)
    array = model.inputs_of([image])[0]
    output = model.predict(array[None])[0]
    targets = [ClassLogit("2", "cat", 2), ClassLogit("4", "elk", 4)]
    one = Input("image", image, image, array, targets=targets, output=output)
    return Task(model, [one], settings, lambda done, total: None, lambda make: None)


def test_the_occlusion_map_is_that_of_the_patches(model: LinearModel) -> None:
    # The windows are 3 pixels high and 4 wide: each covers one patch, and a third of another.
    settings = OcclusionSettings(window=0.50, strides=2, occlusion=DROPPED, show="drop of probability")
    asked = task(model, settings)
    ((windows, *maps),) = PartialOcclusion().make_visualization(asked)
    assert "tokens of covered patches left out" in windows.note
    array = asked.inputs[0].array
    whole = model.predict(array[None])[0]
    for one, index in zip(maps, (2, 4), strict=True):
        expected = np.zeros((2, 2))
        for row in range(2):
            for column, hidden in enumerate((slice(0, 3), slice(6, 9))):
                covered = array.copy()
                covered[3 * row : 3 * row + 3, hidden] = 0
                expected[row, column] = whole[index] - model.predict(covered[None])[0, index]
        np.testing.assert_allclose(one.array, expected, rtol=0, atol=1e-6)


def test_rise_finds_the_patch_that_matters(model: LinearModel) -> None:
    model.weights = np.zeros_like(model.weights)
    model.weights[2, :3, 3:6] = 1
    settings = RISESettings(masks=400, error=0, cells=3, fill=DROPPED)
    ((first, *_),) = RISE().make_visualization(task(model, settings))
    rows, columns = np.unravel_index(int(first.array.argmax()), first.array.shape)
    assert rows < 3
    assert 3 <= columns < 6


def test_models_without_tokens_say_so() -> None:
    with pytest.raises(ModelError, match="BrightnessModel can't give token dropping"):
        Dropping.of(BrightnessModel())
