"""Class activation maps: by hand on small arrays, as the definitions say on models, and CAM where it fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.errors import ModelError
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.visualizations.class_activation import ClassActivation, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from picasso.visualizations.score_cam import chosen, enlarged
from tests.conftest import noise_image
from tests.fakes import LinearModel, PatchModel, PooledModel

ALL = ["GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "ScoreCAM"]

# Two channels on an image of 1 x 2 places.
MAPS = np.array([[[1.0, 2.0], [3.0, 0.0]]], np.float32)
GRADIENTS = np.array([[[2.0, -1.0], [0.0, 5.0]]], np.float32)


@pytest.fixture(scope="module")
def pooled() -> PooledModel:
    model = PooledModel()
    model.load()
    return model


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # Mean gradients 1 and 2: 1 * 1 + 2 * 2, 3 * 1 + 0 * 2.
        (GradCAM, [5, 3]),
        (HiResCAM, [1 * 2 - 2 * 1, 0]),
        (LayerCAM, [2, 0]),
        # Sums of the maps 4 and 2; alpha = 4 / (8 + 8 * 4) = 0.1 for the only positive gradient of channel 0 (2), and
        # 25 / (50 + 125 * 2) = 1/12 for that of channel 1 (5): weights 0.2 and 5/12.
        (GradCAMPlusPlus, [0.2 + 2 * 5 / 12, 3 * 0.2]),
    ],
)
def test_by_hand(method: type[ClassActivation], expected: list[float]) -> None:
    np.testing.assert_allclose(method.weigh(MAPS, GRADIENTS), [expected], rtol=1e-6)


def maps(result: Result) -> list[Any]:
    return [panel.array for panel in result.panels]


@pytest.mark.parametrize("rectified", [True, False])
def test_grad_cam_of_a_linear_model_is_computed_by_hand(linear: LinearModel, rectified: bool) -> None:
    (result,) = explain(linear, noise_image(), "GradCAM", Rectified=rectified)
    inputs = linear.preprocess([noise_image()])[0]
    assert len(result.panels) == 5
    for panel in result.panels:
        expected = inputs @ linear.weights[panel.class_index].mean(axis=(0, 1))
        np.testing.assert_allclose(panel.array, np.maximum(expected, 0) if rectified else expected, atol=1e-5)
        assert panel.signed is not rectified


def test_cam_adds_up_to_the_logit_less_the_bias(pooled: PooledModel) -> None:
    (result,) = explain(pooled, noise_image(), "CAM", Rectified=False)
    logits = pooled.logits(pooled.preprocess([noise_image()]))[0]
    features = pooled.feature_maps(pooled.preprocess([noise_image()]))[0]
    for panel in result.panels:
        assert panel.array.shape == (2, 3)
        np.testing.assert_allclose(panel.array, features @ pooled.dense[:, panel.class_index], atol=1e-5)
        assert panel.array.mean() + pooled.bias[panel.class_index] == pytest.approx(logits[panel.class_index], abs=1e-5)


def test_behind_pooling_the_methods_differ_by_a_factor_only(pooled: PooledModel) -> None:
    (by_cam,), (by_grad,), (by_hires,) = (
        explain(pooled, noise_image(2), name, Rectified=False) for name in ("CAM", "GradCAM", "HiResCAM")
    )
    for one, two, three in zip(maps(by_cam), maps(by_grad), maps(by_hires), strict=True):
        np.testing.assert_allclose(one, two * two.size, atol=1e-5)
        np.testing.assert_allclose(two, three, atol=1e-6)


def test_cam_says_where_it_does_not_fit(linear: LinearModel, pooled: PooledModel) -> None:
    assert "CAM" not in Registry().unsuitable(pooled)
    assert Registry().unsuitable(linear)["CAM"].startswith("needs a model that ends in global average pooling")
    with pytest.raises(ModelError, match="CAM needs a model that ends in global average pooling"):
        explain(linear, noise_image(), "CAM")


@pytest.mark.parametrize("name", ALL)
def test_any_layer_by_name(pooled: PooledModel, name: str) -> None:
    (by_default,) = explain(pooled, noise_image(), name)
    (by_name,) = explain(pooled, noise_image(), name, Layer="maps")
    (early,) = explain(pooled, noise_image(), name, Layer="input")
    assert [one.tolist() for one in maps(by_default)] == [one.tolist() for one in maps(by_name)]
    assert {one.shape for one in maps(by_default)} == {(2, 3)}
    assert {one.shape for one in maps(early)} == {(6, 9)}
    assert by_default.panels[0].note.startswith("Layer maps")
    with pytest.raises(ModelError, match="There is no layer 'nose'; the layers are input, maps"):
        explain(pooled, noise_image(), name, Layer="nose")


@pytest.mark.parametrize("name", ["HiResCAM", "LayerCAM"])
def test_maps_peak_in_the_patch_that_is_read(patch: PatchModel, name: str) -> None:
    (result,) = explain(patch, noise_image(4), name)
    for array in maps(result):
        inside = np.zeros_like(array, bool)
        inside[patch.ROWS, patch.COLUMNS] = True
        assert array[inside].sum() == pytest.approx(array.sum(), rel=1e-6)
        assert inside[np.unravel_index(array.argmax(), array.shape)]


# ---- Score-CAM --------------------------------------------------------------------------------------------


def test_score_cam_is_computed_by_hand(pooled: PooledModel) -> None:
    (result,) = explain(pooled, noise_image(3), "ScoreCAM", Rectified=False)
    array = pooled.preprocess([noise_image(3)])[0]
    features = pooled.feature_maps(array[None])[0]
    varying = [index for index in range(4) if features[..., index].std() > 0]
    masks = np.stack([enlarged(features[..., index], (6, 9)) for index in varying])
    scores = np.stack([pooled.logits((array * mask[..., None])[None])[0] for mask in masks]).astype(np.float64)
    for panel in result.panels:
        column = scores[:, panel.class_index]
        weights = np.exp(column) / np.exp(column).sum()
        np.testing.assert_allclose(panel.array, features[..., varying] @ weights, rtol=1e-4)


def test_masks_run_from_0_to_1_and_flat_channels_are_not_tried() -> None:
    features = np.zeros((2, 3, 4), np.float32)
    features[..., 1] = np.arange(6).reshape(2, 3)
    features[..., 3] = 2 * features[..., 1]
    mask = enlarged(features[..., 1], (8, 12))
    assert (mask.min(), mask.max()) == (0, 1)
    assert chosen(features, "all").tolist() == [3, 1]
    assert chosen(features, "1").tolist() == [3]
    assert chosen(np.ones((2, 3, 4), np.float32), "all").tolist() == [0]
