"""Random samples are drawn until the standard error is small enough, and no longer."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.attribution.stopping import Found, Sampling, shares


def drawn(count: int, spread: float = 1.0) -> Found:
    """Return maps from 0 to 1 and their errors after ``count`` samples."""
    return np.array([[0.0, 1.0], [0.0, 2.0]]), np.full((2, 2), spread / np.sqrt(count))


def test_the_share_is_that_of_the_range_with_zero() -> None:
    maps = np.array([[1.0, 2.0], [-1.0, 3.0], [-4.0, -2.0], [0.0, 0.0], [0.0, 0.0]])
    errors = np.array([[0.1, 0.3]] * 4 + [[0.0, 0.0]])
    np.testing.assert_allclose(shares(maps, errors), [0.1, 0.05, 0.05, np.inf, 0])


@pytest.mark.parametrize(("error", "expected"), [(0.1, 100), (0.05, 400), (0.02, 2000), (0, 2000)])
def test_it_stops_when_every_map_is_good_enough(error: float, expected: int) -> None:
    sampling, count, checks = Sampling(maximum=2000, error=error, minimum=50), 0, []

    def found() -> Found:
        checks.append(count)
        return drawn(count)

    while not sampling.enough(count, found):
        count += 10
    # A check comes at the latest when a fifth more were drawn.
    assert expected <= count <= min(2000, expected * 1.3)
    assert len(checks) < 30
    assert all(one >= 50 for one in checks)


def test_it_expects_as_many_as_the_error_needs() -> None:
    sampling = Sampling(maximum=2000, error=0.05, minimum=50)
    assert sampling.expected == 2000
    assert not sampling.enough(100, lambda: drawn(100))
    assert sampling.expected == 400
    assert not sampling.enough(200, lambda: drawn(200, 10))
    assert sampling.expected == 2000
    assert not sampling.enough(300, lambda: (np.zeros((1, 4)), np.ones((1, 4))))
    assert sampling.expected == 2000
