"""Rank correlation of maps: cases that can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.attribution.rank_agreement import rank_correlation, ranks


def test_the_same_order_of_places_agrees_whatever_the_values() -> None:
    values = np.random.default_rng(0).random((5, 7))
    assert rank_correlation(values, np.exp(9 * values)) == 1
    assert rank_correlation(values, -values) == -1


def test_a_known_answer() -> None:
    # Ranks 0 1 2 3 and 1 0 3 2: 1 - 6 * (1 + 1 + 1 + 1) / (4 * 15) = 0.6
    assert rank_correlation(np.array([[1, 2], [3, 4]]), np.array([[2, 1], [4, 3]])) == pytest.approx(0.6)


def test_equal_values_share_their_mean_rank() -> None:
    np.testing.assert_array_equal(ranks(np.array([5, 1, 5, 9])), [1.5, 0, 1.5, 3])


def test_a_flat_map_agrees_with_nothing() -> None:
    assert rank_correlation(np.ones((3, 3)), np.arange(9).reshape(3, 3)) is None


def test_the_finer_map_is_averaged() -> None:
    coarse = np.array([[1.0, 2.0], [4.0, 3.0]])
    fine = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1) + np.tile([[-0.4, 0.4], [0.4, -0.4]], (8, 8))
    assert rank_correlation(coarse, fine) == 1


def test_a_map_that_is_constant_up_to_rounding_agrees_with_nothing() -> None:
    values = np.random.default_rng(1).random((6, 6))
    constant = 0.5 + 2e-9 * np.random.default_rng(2).standard_normal((6, 6))
    assert rank_correlation(values, constant) is None
    assert rank_correlation(values, 2e-9 * values, (0.0, 1e-6)) is None


def test_places_that_differ_by_rounding_only_are_ties() -> None:
    one, two = np.zeros((2, 8, 8))
    one[2:4, 2:4] = two[2:4, 2:4] = 1
    noise = 1e-8 * np.random.default_rng(3).standard_normal((2, 8, 8))
    assert rank_correlation(one + noise[0], two + noise[1], (1e-6, 1e-6)) == 1
    without = rank_correlation(one + noise[0], two + noise[1])
    assert without is not None
    assert without < 0.5
