"""Integrated gradients: what a linear model's pixels add, from any baseline, with the gap that is left."""

from __future__ import annotations

import re

import numpy as np
import pytest

from picasso import explain
from picasso.imaging.masking import filling
from picasso.visualizations.integrated_gradients import SEVERAL, accuracy
from tests.conftest import noise_image
from tests.fakes import LinearModel, PatchModel


@pytest.mark.parametrize("baseline", ["black", "grey", "white", "mean", "blur", "noise"])
def test_of_a_linear_model_maps_are_weights_times_the_difference(linear: LinearModel, baseline: str) -> None:
    (result,) = explain(linear, noise_image(1), "IntegratedGradients", Baseline=baseline, Steps=8)
    difference = linear.preprocess([noise_image(1)])[0] - linear.encode([filling(noise_image(1), baseline)])[0]
    for panel in result.panels:
        np.testing.assert_allclose(panel.array, (linear.weights[panel.class_index] * difference).sum(-1), atol=1e-5)
        assert panel.signed
        assert re.search(r"\(0\.0\d%\)", panel.note)


def test_several_baselines_are_averaged(linear: LinearModel) -> None:
    (several,) = explain(linear, noise_image(), "IntegratedGradients", Baseline="several", Steps=8)
    each = [explain(linear, noise_image(), "IntegratedGradients", Baseline=one, Steps=8)[0] for one in SEVERAL]
    for index, panel in enumerate(several.panels):
        mean = np.mean([one.panels[index].array for one in each], axis=0)
        np.testing.assert_allclose(panel.array, mean, atol=1e-5)


def test_the_seed_chooses_the_noise(linear: LinearModel) -> None:
    one, same, other = (
        explain(linear, noise_image(), "IntegratedGradients", Baseline="noise", Steps=8, Seed=seed)[0].panels[0].array
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_maps_lie_in_the_patch_that_is_read(patch: PatchModel) -> None:
    (result,) = explain(patch, noise_image(4), "IntegratedGradients", Steps=8)
    for panel in result.panels:
        outside = panel.array.copy()
        outside[patch.ROWS, patch.COLUMNS] = 0
        assert not outside.any()
        assert panel.array.any()


def test_the_error_is_said_as_it_is() -> None:
    assert accuracy("logit", 3.9, 4.0, 9, 0.0314) == (
        "The logit differs from the baseline's by 4; 0.1 of it (2.50%) is missing from the map. "
        "With half of the 9 gradients, the map would differ by 3.1%."
    )
    assert accuracy("logit", 0.0, 0.0, 9, 0.0) == (
        "The logit differs from the baseline's by 0; 0 of it is missing from the map. "
        "With half of the 9 gradients, the map would differ by 0.0%."
    )
