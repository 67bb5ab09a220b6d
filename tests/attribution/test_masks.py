"""RISE's masks: their share, their smoothness, their independence."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from picasso.attribution.masks import MaskedMeans, random_mask


@pytest.mark.parametrize("size", [(28, 28), (13, 40), (3, 2)])
def test_masks_lie_between_hidden_and_shown_and_show_their_share(size: tuple[int, int]) -> None:
    masks = np.stack([random_mask(0, index, size, 7, 0.3) for index in range(3000)])
    assert masks.shape == (3000, *size)
    assert masks.min() >= 0
    assert masks.max() <= 1
    # Each pixel is shown with the probability of a cell: 3000 draws err by less than 0.05.
    assert np.abs(masks.mean(axis=0) - 0.3).max() < 0.05


def test_a_mask_depends_on_its_seed_and_number_alone() -> None:
    np.testing.assert_array_equal(random_mask(3, 5, (9, 6), 4, 0.5), random_mask(3, 5, (9, 6), 4, 0.5))
    assert (random_mask(3, 5, (9, 6), 4, 0.5) != random_mask(3, 6, (9, 6), 4, 0.5)).any()
    assert (random_mask(3, 5, (9, 6), 4, 0.5) != random_mask(4, 5, (9, 6), 4, 0.5)).any()


def test_everything_or_nothing() -> None:
    assert (random_mask(0, 0, (9, 6), 4, 1.0) == 1).all()
    assert (random_mask(0, 0, (9, 6), 4, 0.0) == 0).all()


@pytest.mark.parametrize("sizes", [[60], [1] * 60, [7, 50, 3]])
def test_means_over_what_is_shown(sizes: list[int]) -> None:
    generator = np.random.default_rng(0)
    masks, scores = generator.random((60, 2, 3)).astype(np.float32), generator.random((60, 2)).astype(np.float32)
    means, start = MaskedMeans(), 0
    for size in sizes:
        means.add(masks[start : start + size], scores[start : start + size])
        start += size
    expected = np.einsum("nk,nhw->khw", scores, masks) / masks.sum(axis=0)
    assert means.count == 60
    np.testing.assert_allclose(means.means, expected, rtol=1e-5)
    residuals = masks[:, None] * (scores[:, :, None, None] - expected)
    np.testing.assert_allclose(
        means.standard_errors, np.sqrt((residuals**2).sum(axis=0)) / masks.sum(axis=0), rtol=1e-4
    )


def test_a_place_that_was_never_shown_has_no_mean() -> None:
    means = MaskedMeans()
    means.add(np.array([[[0, 1]]], np.float32), np.array([[0.5]], np.float32))
    assert means.means.tolist() == [[[0, 0.5]]]
    assert means.standard_errors.tolist() == [[[0, 0]]]


@pytest.mark.parametrize("size", [(28, 28), (224, 300), (5, 7)])
@pytest.mark.parametrize("cells", [2, 7])
def test_masks_are_enlarged_as_pillow_does(size: tuple[int, int], cells: int) -> None:
    generator = np.random.default_rng([3, 4])
    shown = (generator.random((cells, cells)) < 0.5).astype(np.float32)
    height, width = (-(-side // cells) for side in size)
    top, left = int(generator.integers(height)), int(generator.integers(width))
    enlarged = Image.fromarray(shown).resize(((cells + 1) * width, (cells + 1) * height), Image.Resampling.BILINEAR)
    expected = np.asarray(enlarged)[top : top + size[0], left : left + size[1]]
    np.testing.assert_allclose(random_mask(3, 4, size, cells, 0.5), expected, atol=1e-6)
