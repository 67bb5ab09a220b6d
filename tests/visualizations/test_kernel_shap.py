"""KernelSHAP: Shapley values of a model that reads one patch, by their definition; sums, seeds and errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain
from picasso.attribution.surrogates import Floats
from picasso.errors import RunError
from picasso.models.base import Model
from picasso.visualizations import kernel_shap
from picasso.visualizations.kernel_shap import KernelSHAP, KernelSHAPSettings
from picasso.visualizations.panel import Panel
from tests.conftest import noise_image
from tests.fakes import BlackBoxModel, GreyModel, LinearModel, PatchModel
from tests.visualizations.test_lime import BLOCKS


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_shap, "superpixels", lambda view, count: BLOCKS)


def maps(model: Model, image: Image.Image | None = None, **settings: Any) -> list[Panel]:
    (result,) = explain(model, image or noise_image(), KernelSHAP, **settings)
    return list(result.panels)


def painted(model: Model, seen: tuple[int, ...]) -> Floats:
    """The probabilities where only these of the blocks are seen, the others being black."""
    pixels = np.asarray(noise_image()).copy()
    pixels[~np.isin(BLOCKS, seen)] = 0
    return np.asarray(model.predict(model.encode([Image.fromarray(pixels)]))[0], np.float64)


@pytest.mark.usefixtures("blocks")
def test_two_regions_that_hold_the_patch_share_it_by_shapley(patch: PatchModel) -> None:
    # Only the blocks 4 and 5 matter: each is worth the mean of what it adds to nothing and to the other.
    none, four, five, both = (painted(patch, seen) for seen in ((), (4,), (5,), (4, 5)))
    _, *classes = maps(patch, Fill="black", Samples=2**9 - 2)
    for panel in classes:
        k = panel.class_index
        expected = np.zeros(9)
        expected[4] = (four - none + both - five)[k] / 2
        expected[5] = (five - none + both - four)[k] / 2
        np.testing.assert_allclose(panel.array, expected[BLOCKS], atol=1e-6)
        assert panel.array.shape == (6, 9)
        assert panel.signed
        assert "Exact: all 512 coalitions were evaluated" in panel.note


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("fill", ["mean", "grey", "white", "blur", "noise", "region mean"])
def test_samples_find_the_patch_and_share_out_the_whole_difference(patch: PatchModel, fill: str) -> None:
    # Seed 0 would draw the very pixels of the image as noise.
    panel = maps(patch, Fill=fill, Samples=300, Seed=7)[1]
    values = [panel.array[block == BLOCKS][0] for block in range(9)]
    largest = np.abs(values).max()
    assert np.abs([*values[:4], *values[6:]]).max() < 0.15 * largest
    assert np.argmax(np.abs(values)) in (4, 5)
    assert f"sum to {sum(values):.2g}"[:-1] in panel.note
    assert re.search("Standard errors: .* on average, at most .*, after 254 samples.$", panel.note)


def test_a_seed_gives_a_map_and_another_seed_another(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_shap, "superpixels", lambda view, count: BLOCKS)
    one, same, other = (maps(linear, Samples=100, Seed=seed)[1].array for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("cls", [BlackBoxModel, GreyModel])
def test_models_that_only_predict_and_grey_ones(cls: type[Model], mode: str) -> None:
    model = cls()
    model.load()
    shown, *classes = maps(model, noise_image(mode=mode), Regions=4)
    assert shown.kind == "image"
    assert len(classes) == 5


def test_a_image_of_one_region_gets_the_whole_difference(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_shap, "superpixels", lambda view, count: np.zeros((6, 9), np.int64))
    shown, panel, *_ = maps(linear, Fill="black")
    assert "one region" in shown.note
    black, whole = linear.predict(np.stack([np.zeros((6, 9, 3), np.float32), linear.encode([noise_image()])[0]]))
    np.testing.assert_allclose(panel.array, (whole - black)[panel.class_index], atol=1e-6)


def test_a_flat_image_has_regions_too(linear: LinearModel) -> None:
    _, panel, *_ = maps(linear, Image.new("RGB", (9, 6), (128, 128, 128)), Regions=4, Fill="grey")
    assert not panel.array.any()


def test_too_few_samples_are_refused(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_shap, "superpixels", lambda view, count: np.arange(54).reshape(6, 9))
    with pytest.raises(RunError, match="too few"):
        maps(linear, Samples=100)


def test_passes_are_those_of_the_coalitions(linear: LinearModel) -> None:
    assert KernelSHAP.passes(linear, KernelSHAPSettings(samples=500)) == 503
    assert KernelSHAP.passes(linear, KernelSHAPSettings(regions=5, samples=500)) == 33
    assert list(KernelSHAPSettings.controls()) == ["Regions", "Fill", "Samples", "Error", "Seed", "Transparency"]
