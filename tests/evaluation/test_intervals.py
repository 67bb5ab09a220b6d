"""Wilson's interval, with answers that are published."""

from __future__ import annotations

import pytest

from picasso.evaluation.intervals import interval


@pytest.mark.parametrize(
    ("right", "count", "expected"),
    [
        # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (0, 0, (0.0, 1.0)),
    ],
)
def test_known_intervals(right: int, count: int, expected: tuple[float, float]) -> None:
    assert interval(right, count) == pytest.approx(expected, abs=5e-5)
