"""Places and weights of integrals: exact for straight lines, more places where the error is."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.attribution.quadrature import divided, refined, trapezoidal


@pytest.mark.parametrize("count", [2, 3, 4, 9, 16])
def test_both_rules_are_exact_for_a_straight_line(count: int) -> None:
    places = np.sort(np.append(np.random.default_rng(count).random(count - 2), [0, 1]))
    for rule in trapezoidal(places):
        assert rule.sum() == pytest.approx(1)
        assert rule @ (2 * places + 3) == pytest.approx(4)
        assert (rule >= 0).all()


def test_the_coarse_rule_leaves_out_every_other_place() -> None:
    fine, coarse = trapezoidal(np.linspace(0, 1, 6))
    np.testing.assert_allclose(fine, np.array([1, 2, 2, 2, 2, 1]) / 10)
    np.testing.assert_allclose(coarse, np.array([2, 0, 4, 0, 3, 1]) / 10)


def test_intervals_are_divided_where_that_takes_most_away() -> None:
    assert divided(np.array([1.0, 0.0, 8.0]), 0).tolist() == [1, 1, 1]
    parts = divided(np.array([1.0, 0.0, 8.0]), 97)
    assert parts.sum() == 100
    assert parts[1] == 1
    # The smallest sum of (error / m)^2 has m proportional to error^(2/3).
    assert parts[2] / parts[0] == pytest.approx(4, rel=0.05)


def test_places_are_kept() -> None:
    places = np.array([0, 0.25, 1])
    ends, known = refined(places, np.array([1, 3]))
    np.testing.assert_allclose(ends, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(ends[known], places)
