"""Saliency: a linear model's map is the absolute value of its weights."""

from __future__ import annotations

import numpy as np

from picasso import explain
from picasso.visualizations.saliency_maps import saliency
from tests.conftest import picture
from tests.fakes import LinearModel


def test_the_map_of_a_linear_model_is_its_weights(linear: LinearModel) -> None:
    (result,) = explain(linear, picture(), "SaliencyMaps")
    assert [panel.class_index for panel in result.panels] == [one["index"] for one in result.predictions]
    for panel in result.panels:
        expected = np.abs(linear.weights[panel.class_index]).max(axis=-1)
        assert panel.array.shape == (6, 9)
        np.testing.assert_allclose(panel.array, expected, atol=1e-6)


def test_the_absolute_value_comes_before_the_maximum() -> None:
    gradients = np.array([[[[-3.0, 1.0, 2.0]]]], np.float32)
    assert saliency(gradients).tolist() == [[[3.0]]]


def test_each_picture_has_maps_of_its_own_classes(linear: LinearModel) -> None:
    together = explain(linear, [picture(seed) for seed in range(6)], "SaliencyMaps", Transparency=0.5)
    for seed, result in enumerate(together):
        (alone,) = explain(linear, picture(seed), "SaliencyMaps", Transparency=0.5)
        assert result.predictions == alone.predictions
        for one, other in zip(result.panels, alone.panels, strict=True):
            np.testing.assert_array_equal(one.array, other.array)
            assert one.transparency == 0.5


def test_the_channel_of_grey_models(linear: LinearModel) -> None:
    from tests.fakes import GreyModel

    model = GreyModel()
    model.load()
    (result,) = explain(model, picture(), "SaliencyMaps")
    best = result.panels[0]
    np.testing.assert_allclose(best.array, np.abs(model.weights[best.class_index][..., 0]), atol=1e-6)
