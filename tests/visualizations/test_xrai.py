"""XRAI: the map shares out the integrated gradients, which are known for a linear model, among segments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.errors import ModelError
from picasso.models.base import Model
from picasso.visualizations import xrai
from picasso.visualizations.panel import Panel
from picasso.visualizations.xrai import XRAI, XRAISettings
from tests.conftest import noise_image
from tests.fakes import BlackBoxModel, GreyModel, LinearModel, PatchModel
from tests.visualizations.test_lime import BLOCKS


def maps(model: Model, image: Image.Image | None = None, **settings: Any) -> list[Panel]:
    (result,) = explain(model, image or noise_image(), XRAI, **settings)
    return list(result.panels)


def attribution(model: LinearModel, panel: Panel) -> np.ndarray:
    """Integrated gradients of a linear model: weights times the difference, the mean for black and white."""
    pixels = np.asarray(noise_image(), np.float64) / 255
    mean: np.ndarray = (model.weights[panel.class_index] * (pixels - 0.5)).sum(axis=-1)
    return mean


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xrai, "segments", lambda view: np.arange(9)[:, None, None] == BLOCKS)


@pytest.mark.usefixtures("blocks")
def test_each_region_has_the_mean_of_its_integrated_gradients(linear: LinearModel) -> None:
    panels = maps(linear)
    assert len(panels) == 5
    for panel in panels:
        expected = np.array([attribution(linear, panel)[block == BLOCKS].mean() for block in range(9)])
        np.testing.assert_allclose(panel.array, expected[BLOCKS], atol=1e-5)
        assert panel.array.dtype == np.float32
        assert panel.signed
        low, high = panel.scale()
        assert low == -high


@pytest.mark.usefixtures("blocks")
def test_regions_that_the_model_does_not_read_are_zero(patch: PatchModel) -> None:
    for panel in maps(patch):
        touched = np.isin(BLOCKS, [4, 5])
        assert not panel.array[~touched].any()
        assert panel.array[touched].any()


def test_nothing_of_the_integrated_gradients_is_lost(linear: LinearModel) -> None:
    for panel in maps(linear):
        np.testing.assert_allclose(panel.array.sum(), attribution(linear, panel).sum(), atol=1e-4)
        assert f"the map sums to {panel.array.sum():.2g}"[:-1] in panel.note


def test_there_is_nothing_random_in_it(linear: LinearModel) -> None:
    for one, other in zip(maps(linear), maps(linear), strict=True):
        np.testing.assert_array_equal(one.array, other.array)


def test_a_flat_image_is_one_segment_and_a_note_says_so(linear: LinearModel) -> None:
    for panel in maps(linear, Image.new("RGB", (9, 6), (0, 128, 255))):
        assert np.ptp(panel.array) == 0
        assert "one segment" in panel.note


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_grey_models(mode: str) -> None:
    model = GreyModel()
    model.load()
    assert [panel.array.shape for panel in maps(model, noise_image(mode=mode))] == [(6, 9)] * 5


def test_gradients_are_needed() -> None:
    model = BlackBoxModel()
    model.load()
    with pytest.raises(ModelError, match="gradients"):
        maps(model)


def test_progress_runs_once_through_both_baselines(linear: LinearModel) -> None:
    told: list[float] = []
    explain(linear, noise_image(), XRAI, progress=told.append, Steps=300)
    assert told == sorted(told)
    assert 0.5 in told


def test_passes_count_both_baselines(linear: LinearModel) -> None:
    assert XRAI.passes(linear, XRAISettings(steps=10)) == 1 + 20 * 11
