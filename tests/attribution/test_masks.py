"""RISE's masks: their share, their smoothness, their pairs; and the mean scores while a pixel is shown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from picasso.attribution.masks import BLOCK, MaskedMeans, RandomMasks, averaging
from picasso.models.arrays import Array

SIZE = (5, 6)


def every_mask(size: tuple[int, int], probability: float) -> Iterator[tuple[float, Array]]:
    """Yield each mask of 2 x 2 cells with its probability, enlarged by Pillow."""
    height, width = (-(-side // 2) for side in size)
    for cells in itertools.product((0, 1), repeat=4):
        likelihood = probability ** sum(cells) * (1 - probability) ** (4 - sum(cells))
        small = Image.fromarray(np.array(cells, np.float32).reshape(2, 2))
        large = np.asarray(small.resize((3 * width, 3 * height), Image.Resampling.BILINEAR))
        for top, left in itertools.product(range(height), range(width)):
            yield likelihood / height / width, large[top : top + size[0], left : left + size[1]]


def scores_of(masks: Array) -> Array:
    """Return two scores of masks: products of what several pixels show, which no linear function explains."""
    both, exponential = masks[:, 1, 1] * masks[:, 4, 4], np.exp(-3 * masks[:, 2, 2])
    return np.stack([both + masks[:, 0, 3] ** 2, exponential], axis=1)


@pytest.mark.parametrize("size", [(28, 28), (13, 40), (3, 2)])
def test_masks_lie_between_hidden_and_shown_and_show_their_share(size: tuple[int, int]) -> None:
    masks = RandomMasks(0, size, 7, 0.3).draw(0, 3000)
    assert masks.shape == (3000, *size)
    assert masks.min() >= 0
    assert masks.max() <= 1
    # Each pixel is shown with the probability of a cell: 3000 draws err by less than 0.05.
    assert np.abs(masks.mean(axis=0) - 0.3).max() < 0.05


def test_a_mask_depends_on_its_seed_and_number_alone() -> None:
    masks = RandomMasks(3, (9, 6), 4, 0.5)
    drawn = masks.draw(0, 3 * BLOCK)
    for start, stop in ((0, 1), (5, 6), (BLOCK - 1, BLOCK + 1), (BLOCK, 2 * BLOCK), (7, 3 * BLOCK)):
        np.testing.assert_array_equal(masks.draw(start, stop), drawn[start:stop])
    np.testing.assert_array_equal(masks.draw(0, 9, step=4), drawn[:9, ::4, ::4])
    assert len({one.tobytes() for one in drawn}) > 2 * BLOCK
    assert (RandomMasks(4, (9, 6), 4, 0.5).draw(0, 9) != drawn[:9]).any()


def test_the_second_of_a_pair_shows_what_the_first_one_hides() -> None:
    drawn = RandomMasks(0, (9, 6), 4, 0.5).draw(0, 100)
    np.testing.assert_allclose(drawn[::2] + drawn[1::2], 1, atol=1e-6)
    # With more that is shown, parts that the first one hides are shown by the second, and others by both.
    drawn = RandomMasks(0, (9, 6), 4, 0.8).draw(0, 100)
    assert (drawn[::2] + drawn[1::2] >= 1 - 1e-6).all()


def test_everything_is_shown() -> None:
    assert (RandomMasks(0, (9, 6), 4, 1.0).draw(0, 9) == 1).all()


@pytest.mark.parametrize("size", [(28, 28), (224, 300), (5, 7)])
@pytest.mark.parametrize("cells", [2, 7])
def test_masks_are_enlarged_as_pillow_does(size: tuple[int, int], cells: int) -> None:
    masks = RandomMasks(3, size, cells, 0.5)
    shown, offsets = masks._block(0)
    height, width = (-(-side // cells) for side in size)
    for mask, grid, (top, left) in zip(masks.draw(0, 6), shown, offsets, strict=False):
        enlarged = Image.fromarray(grid).resize(((cells + 1) * width, (cells + 1) * height), Image.Resampling.BILINEAR)
        expected = np.asarray(enlarged)[top : top + size[0], left : left + size[1]]
        np.testing.assert_allclose(mask, expected, atol=1e-6)


@pytest.mark.parametrize("side", [3, 7, 28, 100])
def test_areas_have_equal_lengths(side: int) -> None:
    weights = averaging(side)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=0), 7 / side, rtol=1e-5)


@pytest.mark.parametrize("probability", [0.5, 0.3])
def test_covariances_are_those_of_all_masks(probability: float) -> None:
    factors = np.random.default_rng(0).normal(size=(49, 2))
    rows, columns = map(averaging, SIZE)
    expected = np.zeros((2, *SIZE))
    for likelihood, mask in every_mask(SIZE, probability):
        areas = (rows @ mask @ columns.T).ravel() - probability
        expected += likelihood * (areas @ factors)[:, None, None] * (mask - probability)
    masks = RandomMasks(0, SIZE, 2, probability)
    np.testing.assert_allclose(masks.covariances(factors), expected, atol=1e-6)
    np.testing.assert_allclose(masks.covariances(factors, 2), expected[:, ::2, ::2], atol=1e-6)


@pytest.mark.parametrize("count", [30, 31, 400])
@pytest.mark.parametrize("probability", [0.5, 0.3])
def test_means_are_unbiased_and_their_errors_true(count: int, probability: float) -> None:
    exact, scores = np.zeros((2, *SIZE)), np.zeros(2)
    for likelihood, mask in every_mask(SIZE, probability):
        (found,) = scores_of(mask[None])
        exact += likelihood * found[:, None, None] * mask / probability
        scores += likelihood * found
    differences, errors = [], []
    for seed in range(300):
        masks = RandomMasks(seed, SIZE, 2, probability)
        means, given = MaskedMeans(masks), scores_of(masks.draw(0, count))
        for some in np.array_split(given, 3):
            means.add(some)
        estimate = means.estimate()
        # The errors are those of the differences from the mean over all masks.
        differences.append(estimate.means - given.mean(axis=0)[:, None, None])
        errors.append(estimate.errors)
    spread = np.std(differences, axis=0)
    expected = exact - scores[:, None, None]
    # The mean of 300 estimates errs by 1 / sqrt(300) of the spread of one; neighbouring pixels err alike.
    assert (np.abs(np.mean(differences, axis=0) - expected) < 4.5 * spread / np.sqrt(300)).all()
    ratio = np.sqrt(np.mean(np.square(errors), axis=0)) / spread
    assert 0.85 < ratio.min() <= ratio.max() < 1.2


def test_the_control_variate_reduces_the_error() -> None:
    masks = RandomMasks(0, (28, 28), 7, 0.5)
    drawn = masks.draw(0, 400)
    # A score that is almost a linear function of what is shown, like that of a logit.
    scores = drawn[:, 4:10, 4:10].mean(axis=(1, 2)) - drawn[:, 15:22, 10:20].mean(axis=(1, 2))
    means = MaskedMeans(masks)
    means.add(scores[:, None] + 0.05 * scores[:, None] ** 2)
    (error,) = means.estimate().errors
    # Without: the products of the score and a mask, half of which are independent.
    plain = ((scores - scores.mean())[:, None, None] * (drawn - 0.5)).std(axis=0) / 0.5 / np.sqrt(200)
    assert error.mean() < 0.3 * plain.mean()


def test_constant_scores_have_no_error() -> None:
    means = MaskedMeans(RandomMasks(0, (8, 8), 4, 0.5))
    means.add(np.full((200, 1), 0.25))
    found = means.estimate()
    np.testing.assert_allclose(found.means, 0.25, rtol=1e-6)
    assert found.errors.max() < 1e-7
