"""LIME: only regions that the model reads have weight; a seed gives a map; flat, grey and tiny images work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.attribution.surrogates import lime_coalitions, lime_weights
from picasso.errors import BadRequest
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.visualizations import lime
from picasso.visualizations.lime import LIME, LIMESettings, regions_panel
from picasso.visualizations.panel import Panel
from tests.conftest import noise_image
from tests.fakes import BlackBoxModel, GreyModel, LinearModel, PatchModel

# Blocks of 2 x 3 pixels: nine regions, of which those numbered 4 and 5 hold the patch.
BLOCKS = np.arange(6)[:, None] // 2 * 3 + np.arange(9) // 3


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lime, "superpixels", lambda view, count: BLOCKS)


def maps(model: Model, image: Image.Image | None = None, **settings: Any) -> list[Panel]:
    (result,) = explain(model, image or noise_image(), LIME, **settings)
    return list(result.panels)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("fill", ["region mean", "mean", "black", "noise"])
def test_only_regions_that_the_model_reads_have_weight(patch: PatchModel, fill: str) -> None:
    # Seed 0 would draw the very pixels of the image as noise.
    _, *classes = maps(patch, Fill=fill, Seed=7, Error=0)
    for panel in classes:
        assert panel.array.shape == (6, 9)
        assert panel.array.dtype == np.float32
        assert panel.signed
        touched = np.isin(BLOCKS, [4, 5])
        largest = np.abs(panel.array[touched]).max()
        assert largest > 0
        assert np.abs(panel.array[~touched]).max() < 0.1 * largest


@pytest.mark.usefixtures("blocks")
def test_the_map_is_the_regression_on_painted_images(linear: LinearModel) -> None:
    panel = maps(linear, Fill="grey", Samples=60, Seed=3)[1]
    coalitions = lime_coalitions(9, 60, 3)
    painted = []
    for coalition in coalitions:
        pixels = np.asarray(noise_image()).copy()
        pixels[~coalition[BLOCKS]] = 128
        painted.append(Image.fromarray(pixels))
    probabilities = linear.predict(linear.encode(painted))[:, panel.class_index].astype(np.float64)
    columns, weights = np.column_stack([np.ones(60), coalitions]), lime_weights(coalitions)[:, None]
    penalty = np.diag([0.0, *[1.0] * 9])
    expected = np.linalg.solve(columns.T @ (weights * columns) + penalty, columns.T @ (weights[:, 0] * probabilities))
    np.testing.assert_allclose(panel.array, expected[1:][BLOCKS], atol=1e-5)


def test_a_seed_gives_a_map_and_another_seed_another(linear: LinearModel) -> None:
    one, same, other = (maps(linear, Fill="grey", Samples=50, Seed=seed)[1].array for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_classes_share_the_samples(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    predict = LinearModel.predict

    def counted(self: LinearModel, inputs: Array) -> Array:
        asked.append(len(inputs))
        return predict(self, inputs)

    monkeypatch.setattr(LinearModel, "predict", counted)
    panels = maps(linear, Samples=300, Error=0)
    assert [panel.class_index is None for panel in panels] == [True] + [False] * 5
    assert sum(asked) == 301 == LIME.passes(linear, LIMESettings(samples=300))
    assert max(asked) <= linear.batch_size


def test_progress_is_told_after_each_batch(linear: LinearModel) -> None:
    told: list[float] = []
    explain(linear, noise_image(), LIME, progress=told.append, Samples=600, Error=0)
    assert told == sorted(told)
    assert 256 / 600 in told


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("cls", [BlackBoxModel, GreyModel])
def test_models_that_only_predict_and_grey_ones(cls: type[Model], mode: str) -> None:
    model = cls()
    model.load()
    shown, *classes = maps(model, noise_image(mode=mode), Regions=4)
    assert shown.kind == "image"
    assert len(classes) == 5
    assert "R²" in classes[0].note


def test_a_flat_image_has_a_flat_map_for_its_own_colour(linear: LinearModel) -> None:
    _, *classes = maps(linear, Image.new("RGB", (9, 6), (9, 99, 199)))
    for panel in classes:
        np.testing.assert_allclose(panel.array, 0, atol=1e-6)


def test_a_image_of_one_region_is_said_to_be_so(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lime, "superpixels", lambda view, count: np.zeros((6, 9), np.int64))
    shown, panel, *_ = maps(linear)
    assert "one region" in shown.note
    assert np.ptp(panel.array) == 0


def test_the_boundaries_lie_between_the_regions() -> None:
    panel = regions_panel(Image.new("L", (448, 2), 7), np.arange(2 * 448).reshape(2, 448) % 448 // 224)
    marked = (panel.array == lime.BOUNDARY).all(axis=-1)
    assert np.argwhere(marked).tolist() == [[0, 224], [1, 224]]
    assert (panel.array[~marked] == 7).all()
    assert panel.note == "2 regions."


def test_settings_out_of_bounds_are_refused(linear: LinearModel) -> None:
    for settings in ({"Regions": 3}, {"Samples": 49}, {"Seed": -1}, {"Fill": "image"}):
        with pytest.raises(BadRequest):
            maps(linear, **settings)


def test_it_stops_when_the_error_is_small_enough(linear: LinearModel) -> None:
    counts = []
    for error in (0.2, 0.05, 0):
        panels = maps(linear, Fill="grey", Samples=5000, Error=error)[1:]
        (count,) = {int(panel.note.removesuffix(" samples.").rpartition(" ")[2]) for panel in panels}
        counts.append(count)
    assert counts[0] < counts[1] < counts[2] == 5000
