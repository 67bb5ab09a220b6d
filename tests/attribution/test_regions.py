"""Regions: labels without gaps for images of any kind, covering, and XRAI's greedy order on three segments."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from picasso.attribution import regions
from picasso.attribution.covering import Covering
from picasso.attribution.regions import (
    SCALES,
    answers,
    greedy_density,
    painted,
    region_means,
    renumbered,
    segments,
    superpixels,
)
from tests.conftest import noise_image
from tests.fakes import LinearModel

FLAT = Image.new("RGB", (9, 6), (128, 128, 128))
# Two regions of a 2 x 3 image.
LABELS = np.array([[0, 0, 1], [0, 1, 1]])


def halves(size: tuple[int, int] = (48, 32), mode: str = "RGB") -> Image.Image:
    """A dark left half and a bright right half."""
    image = Image.new("RGB", size, (30, 30, 30))
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill=(220, 220, 220))
    return image.convert(mode)


def without_gaps(labels: np.ndarray) -> bool:
    return bool((np.unique(labels) == np.arange(labels.max() + 1)).all())


ALL = [noise_image(), noise_image(mode="L"), FLAT, FLAT.convert("L"), halves(), halves(mode="L")]


@pytest.mark.parametrize("image", ALL)
@pytest.mark.parametrize("count", [4, 50, 300])
def test_superpixels_are_numbered_without_gaps(image: Image.Image, count: int) -> None:
    labels = superpixels(image, count)
    assert labels.shape == image.size[::-1]
    assert labels.dtype == np.int64
    assert without_gaps(labels)


def test_no_superpixel_lies_on_both_sides_of_a_strong_edge() -> None:
    labels = superpixels(halves(), 12)
    assert not set(labels[:, :24].ravel()) & set(labels[:, 24:].ravel())
    assert 6 <= labels.max() + 1 <= 24


def test_grey_and_colour_of_one_image_have_the_same_superpixels() -> None:
    grey = noise_image(size=(48, 32), mode="L")
    np.testing.assert_array_equal(superpixels(grey, 20), superpixels(grey.convert("RGB"), 20))


@pytest.mark.parametrize("image", [noise_image(), noise_image(mode="L"), halves(), FLAT])
def test_the_segments_of_each_scale_cover_the_image(image: Image.Image) -> None:
    masks = segments(image)
    assert masks.dtype == np.bool_
    assert masks.shape[1:] == image.size[::-1]
    assert (masks.sum(axis=0) >= len(SCALES)).all()


@pytest.mark.parametrize(("side", "grown"), [(224, 5), (90, 2), (10, 0)])
def test_segments_are_grown_in_proportion_to_the_image(side: int, grown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Unsmoothed, so that the edge itself is no segment: two halves at each scale.
    monkeypatch.setattr(regions, "SIGMA", 0)
    masks = segments(halves((side, side)))
    assert len(masks) == 2 * len(SCALES)
    assert set(masks.any(axis=1).sum(axis=1).tolist()) == {side // 2 + grown}


def test_a_flat_image_is_one_segment() -> None:
    assert segments(FLAT).all()


def test_gaps_in_labels_are_closed() -> None:
    assert renumbered(np.array([[7, 3], [3, 9]])).tolist() == [[1, 0], [0, 2]]


def test_region_means_are_taken_channel_by_channel() -> None:
    array = np.stack([np.arange(6.0).reshape(2, 3), np.ones((2, 3))], axis=-1).astype(np.float32)
    means = region_means(array, LABELS)
    np.testing.assert_allclose(means[..., 0], [[4 / 3, 4 / 3, 11 / 3], [4 / 3, 11 / 3, 11 / 3]], rtol=1e-6)
    assert (means[..., 1] == 1).all()


def test_painting_gives_each_pixel_the_value_of_its_region() -> None:
    maps = painted(np.array([[2.0, -1.0], [0.0, 5.0]]), LABELS)
    assert maps.dtype == np.float32
    assert maps.tolist() == [[[2, 2, -1], [2, -1, -1]], [[0, 0, 5], [0, 5, 5]]]


def test_answers_come_in_batches_and_are_those_of_the_covered_inputs(
    linear: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LinearModel, "batch_size", 4)
    array, hidden = np.random.default_rng(0).random((2, 6, 9, 3)).astype(np.float32)
    labels = np.arange(54).reshape(6, 9) // 18
    coalitions = np.random.default_rng(1).random((10, 3)) < 0.5
    seen: list[tuple[int, int]] = []
    covering = Covering(linear, array, hidden)
    given = answers(covering, labels, coalitions, [5, 2], lambda *done: seen.append(done))
    np.testing.assert_array_equal(given, linear.predict(covering.seen(coalitions[:, labels]))[:, [5, 2]])
    assert seen == [(4, 10), (8, 10), (10, 10)]


# Mean attributions 2 (columns 0 and 1), 3 (columns 1 and 2), -1 (column 4); column 3 is in no segment.
ATTRIBUTION = np.tile([[1.0, 3.0, 3.0, 0.5, -1.0]], (4, 1))
MASKS = np.zeros((3, 4, 5), np.bool_)
MASKS[0, :, 0:2] = MASKS[1, :, 1:3] = MASKS[2, :, 4:] = True


def test_the_densest_segment_is_added_first_and_the_rest_by_what_is_new() -> None:
    densities, order = greedy_density(ATTRIBUTION, MASKS)
    assert order.tolist() == [1, 0, 2]
    assert densities.tolist() == [[1, 3, 3, 0.5, -1]] * 4
    # The map shares the attribution out anew: nothing is lost.
    assert densities.sum() == ATTRIBUTION.sum()


def test_segments_with_too_few_new_pixels_are_left_to_the_rest() -> None:
    densities, order = greedy_density(ATTRIBUTION, MASKS, fewest=5)
    assert order.tolist() == [1]
    rest = (1 + 0.5 - 1) / 3
    np.testing.assert_allclose(densities, [[rest, 3, 3, rest, rest]] * 4, rtol=1e-6)


def test_the_order_is_that_of_a_plain_search() -> None:
    generator = np.random.default_rng(5)
    attribution, masks = generator.normal(size=(8, 9)), generator.random((12, 8, 9)) < 0.3
    left, fresh, expected = set(range(12)), np.ones((8, 9), np.bool_), []
    while left := {one for one in left if (masks[one] & fresh).sum() >= 3}:
        best = max(left, key=lambda one: attribution[masks[one] & fresh].mean())
        expected.append(best)
        fresh &= ~masks[best]
        left.remove(best)
    assert greedy_density(attribution, masks, 3)[1].tolist() == expected


def test_scikit_image_is_imported_only_where_it_is_used() -> None:
    modules = "picasso.attribution.surrogates, picasso.visualizations.kernel_shap, picasso.visualizations.xrai"
    code = f"import sys, {modules}; sys.exit('skimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
