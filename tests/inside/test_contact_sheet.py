"""The order of a layer's channels for one image: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.errors import BadRequest
from picasso.inside.contact_sheet import ContactSheet, Region, cells_in, contact_sheet
from picasso.models.info import Layer, Place
from picasso.targets import ClassLogit, Contrast
from tests.conftest import noise_image
from tests.fakes import PooledModel


@pytest.fixture
def pooled() -> PooledModel:
    model = PooledModel()
    model.load()
    return model


def test_relevance_is_the_part_of_a_linear_head(pooled: PooledModel) -> None:
    """The logit is the sum of all relevances and the bias, because the head is linear."""
    inputs = pooled.inputs_of([noise_image(3)])
    sheet = contact_sheet(pooled, inputs, None, ClassLogit("2", "2", 2))
    maps = pooled.batch_feature_maps(inputs, "maps")[0]
    assert sheet.relevances is not None
    np.testing.assert_allclose(sheet.relevances, maps.mean(axis=(0, 1)) * pooled.dense[:, 2], rtol=1e-5, atol=1e-7)
    assert float(sheet.relevances.sum()) + pooled.bias[2] == pytest.approx(float(pooled.logits(inputs)[0, 2]), abs=1e-5)
    np.testing.assert_allclose(sheet.activations, maps.mean(axis=(0, 1)), rtol=1e-6)
    for by, values in (
        ("relevance", sheet.relevances),
        ("against", -sheet.relevances),
        ("activation", sheet.activations),
    ):
        ordered = values[sheet.order(by)]
        assert (np.diff(ordered) <= 0).all()


def test_the_channels_that_tell_two_classes_apart(pooled: PooledModel) -> None:
    inputs = pooled.inputs_of([noise_image(3)])
    target = Contrast("2 vs 0", "2 vs 0", 2, 0)
    sheet = contact_sheet(pooled, inputs, None, target)
    expected = sheet.activations * (pooled.dense[:, 2] - pooled.dense[:, 0])
    assert sheet.relevances is not None
    np.testing.assert_allclose(sheet.relevances, expected, rtol=1e-5, atol=1e-7)


def sheet_of(maps: np.ndarray, place: Place | None = None, size: tuple[int, int] = (8, 8)) -> ContactSheet:
    layer = Layer("conv", maps.shape, place=place)
    return ContactSheet(layer, maps, maps.mean(axis=(0, 1), dtype=np.float64), None, size)


def test_a_channel_that_responds_to_a_region_comes_first() -> None:
    maps = np.zeros((4, 4, 4), np.float32)
    maps[..., 0] = 9
    maps[:2, :2, 1] = 1
    maps[2:, 2:, 2] = 100
    # Smaller than the noise of the others.
    maps[0, 0, 3] = 1e-4
    sheet = sheet_of(maps)
    assert sheet.order("region", (0, 0, 0.5, 0.5)).tolist() == [1, 0, 3, 2]
    assert sheet.order("region", (0.6, 0.6, 1, 1)).tolist()[0] == 2
    assert sheet.contrasts((0, 0, 0.5, 0.5))[[0, 3]].tolist() == [0, 0]
    # All of the image: nothing is outside.
    assert sheet.order("region", (0, 0, 1, 1)).tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((0, 0, 0.5, 0.5), [(0, 0), (0, 1), (1, 0), (1, 1)]),
        # Between the centres of the cells: the nearest one.
        ((0.9, 0.1, 0.95, 0.11), [(0, 3)]),
        ((1, 1, 1, 1), [(3, 3)]),
    ],
)
def test_the_cells_in_a_region(region: Region, expected: list[tuple[int, int]]) -> None:
    layer = Layer("conv", (4, 4, 1))
    assert list(zip(*np.nonzero(cells_in(layer, (8, 8), region)), strict=True)) == expected


def test_cells_lie_where_the_layer_says() -> None:
    # The first cell lies to the right, and rows are columns of the image.
    layer = Layer("conv", (2, 2, 1), place=Place((1.0, 5.0), (4.0, 2.0), transposed=True))
    found = cells_in(layer, (8, 8), (0.5, 0.0, 0.7, 0.2))
    assert found.tolist() == [[True, False], [False, False]]
    # Row 1, column 0 is one step to the right of it.
    assert cells_in(layer, (8, 8), (0.8, 0.0, 1.0, 0.2)).tolist() == [[False, False], [True, False]]


def test_what_is_wrong_with_an_order_is_said() -> None:
    sheet = sheet_of(np.zeros((2, 2, 1), np.float32))
    for by, words in (
        ("colour", "must be one of relevance, against, activation, region, not 'colour'"),
        ("region", "needs a region: left, top, right, bottom"),
        ("relevance", "nothing to be relevant for"),
    ):
        with pytest.raises(BadRequest, match=words):
            sheet.order(by)
    for region in ((0.5, 0.0, 0.4, 1.0), (0.0, 0.5, 1.0, 0.4)):
        with pytest.raises(
            BadRequest, match="left, top, right, bottom, with left at most right, and top at most bottom"
        ):
            sheet.order("region", region)
