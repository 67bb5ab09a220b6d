"""Samples of cells, their factorization, and total Sobol indices against analytic values."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.inside import factors
from picasso.inside.factors import Factors, Sample, factorized
from picasso.inside.sobol import masks, total_variances


def test_a_sample_is_bounded_and_fair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "CELLS", 2000)
    sample = Sample(2, seed=0)
    for number in range(50):
        sample.add(np.full((20, 20, 2), number, np.float32))
        assert len(sample.cells) == min(2000, 400 * (number + 1))
    counts = np.bincount(sample.cells[:, 0].astype(int), minlength=50)
    # 40 of each image are expected, with a standard deviation of 6.
    assert counts.min() >= 20
    assert counts.max() <= 60


def test_a_sample_of_many_channels_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "VALUES", 600)
    sample = Sample(30, seed=0)
    sample.add(np.ones((5, 10, 30), np.float32))
    assert sample.cells.shape == (20, 30)


def test_coefficients_are_the_nearest_ones_that_are_not_negative() -> None:
    from scipy.optimize import nnls

    random = np.random.default_rng(0)
    cells = random.random((300, 8)).astype(np.float32)
    for signed in (False, True):
        found = factorized(cells - 0.4 if signed else cells, 3, seed=0)
        assert found.signed is signed
        np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1, rtol=0, atol=1e-5)
        maps = random.random((2, 3, 4, 8)).astype(np.float32) - (0.4 if signed else 0)
        strengths = found.coefficients(maps)
        assert strengths.shape == (2, 3, 4, 3)
        for row, cell in zip(strengths.reshape(-1, 3), maps.reshape(-1, 8), strict=True):
            both = np.concatenate([np.maximum(cell, 0), np.maximum(-cell, 0)]) if signed else cell
            truth, _ = nnls(found.parts.T.astype(float), both.astype(float))
            np.testing.assert_allclose(row, truth, rtol=0, atol=1e-3)


def test_directions_have_signs() -> None:
    known = Factors(np.array([[0.6, 0, 0, 0.8]], np.float32), 2)
    np.testing.assert_allclose(known.directions, [[0.6, -0.8]])
    np.testing.assert_allclose(known.coefficients(np.array([[[[3, -4]]]], np.float32)), [[[[5]]]], rtol=1e-4)


def test_total_indices_are_the_analytic_ones() -> None:
    designs = 4096
    points = masks(3, seed=1, designs=designs)
    assert points.shape == (designs, 5, 3)
    flat = points.reshape(-1, 3).astype(float)
    linear, product = flat @ [[3.0], [1.0], [0.0]], (flat[:, :1] * flat[:, 1:2])
    for values, truth, variance in (
        (linear, [0.9, 0.1, 0], 10 / 12),
        (product, [4 / 7, 4 / 7, 0], 7 / 144),
        # Of two functions, the variances are added.
        (np.hstack([linear, product]), [(9 / 12 + 1 / 36) / (10 / 12 + 7 / 144), None, 0], 10 / 12 + 7 / 144),
    ):
        parts, whole = total_variances(values, 3)
        assert whole == pytest.approx(variance, rel=5e-3)
        for part, share in zip(parts / whole, truth, strict=True):
            if share is not None:
                assert part == pytest.approx(share, abs=3e-3)


def test_the_default_number_of_points_suffices() -> None:
    """The standard deviation of an index over seeds, for five concepts of equal importance."""
    found = []
    for seed in range(30):
        parts, whole = total_variances(masks(5, seed).reshape(-1, 5) @ np.ones((5, 1)), 5)
        found.append(parts / whole)
    assert np.mean(found) == pytest.approx(0.2, abs=0.005)
    assert np.std(found) < 0.01
