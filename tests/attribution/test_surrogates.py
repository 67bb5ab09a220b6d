"""Kernel SHAP equals Shapley values by their definition; LIME equals its regression, solved by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from picasso.attribution.regions import Coalitions
from picasso.attribution.surrogates import (
    Design,
    Fit,
    Floats,
    kernel_shap,
    lime,
    lime_coalitions,
    lime_weights,
    shap_design,
    weighted_least_squares,
)
from picasso.errors import RunError

PARTS = 8


def game(coalitions: Coalitions) -> Floats:
    """Answers of two classes, far from linear in the regions: products, a maximum and a squashed sum."""
    z = coalitions.astype(np.float64)
    first = z[:, 0] * z[:, 1] - 2 * z[:, 2] * z[:, 3] * z[:, 4] + np.maximum(z[:, 5], z[:, 6])
    slopes = np.linspace(-1, 2, z.shape[1])
    return np.column_stack([first, 1 / (1 + np.exp(1 - z @ slopes))])


def shapley(parts: int) -> Floats:
    """Shapley values by their definition, the mean of what a region adds to all coalitions without it."""
    values = np.zeros((2, parts))
    for part in range(parts):
        others = [one for one in range(parts) if one != part]
        for size in range(parts):
            weight = math.factorial(size) * math.factorial(parts - size - 1) / math.factorial(parts)
            for members in itertools.combinations(others, size):
                without = np.isin(np.arange(parts), members)
                with_it = without | (np.arange(parts) == part)
                before, after = game(np.stack([without, with_it]))
                values[:, part] += weight * (after - before)
    return values


def fitted(design: Design) -> Fit:
    parts = design.coalitions.shape[1]
    nothing, everything = game(np.repeat([[False], [True]], parts, axis=1))
    return kernel_shap(design, game(design.coalitions), nothing, everything)


def test_kernel_shap_over_all_coalitions_gives_shapley_values() -> None:
    design = shap_design(PARTS, 2**PARTS - 2, seed=0)
    assert design.exact
    assert len(np.unique(design.coalitions, axis=0)) == 2**PARTS - 2
    fit = fitted(design)
    np.testing.assert_allclose(fit.values, shapley(PARTS), atol=1e-8)
    assert not fit.errors.any()


@pytest.mark.parametrize("seed", [0, 1])
def test_sampled_kernel_shap_approaches_shapley_values(seed: int) -> None:
    design = shap_design(PARTS, 200, seed)
    assert not design.exact
    rough, fine = fitted(design), fitted(sampled(20_000, seed))
    exact = shapley(PARTS)
    assert np.abs(fine.values - exact).max() < 0.02
    assert np.abs(fine.values - exact).max() < np.abs(rough.values - exact).max() < 0.2


def sampled(samples: int, seed: int) -> Design:
    """Coalitions of eight parts, drawn a little at a time so that they are not enumerated."""
    designs = [shap_design(PARTS, 250, seed=1000 * seed + part) for part in range(samples // 250)]
    coalitions = np.concatenate([one.coalitions for one in designs])
    return Design(coalitions, np.ones(len(coalitions)), exact=False)


@pytest.mark.parametrize("samples", [100, 254])
def test_the_values_sum_to_the_difference_that_is_shared_out(samples: int) -> None:
    nothing, everything = game(np.repeat([[False], [True]], PARTS, axis=1))
    sums = fitted(shap_design(PARTS, samples, 3)).values.sum(axis=1)
    np.testing.assert_allclose(sums, everything - nothing, atol=1e-14)


def test_coalitions_are_drawn_with_their_complements_and_by_the_kernel() -> None:
    design = shap_design(30, 20_000, seed=4)
    np.testing.assert_array_equal(design.coalitions[::2], ~design.coalitions[1::2])
    sizes = np.arange(1, 30)
    expected = 1 / (sizes * (30 - sizes))
    counts = np.bincount(design.coalitions.sum(axis=1), minlength=31)[1:30]
    np.testing.assert_allclose(counts / 20_000, expected / expected.sum(), atol=0.01)
    # Every region is in half of them.
    np.testing.assert_array_equal(design.coalitions.mean(axis=0), 0.5)


def test_standard_errors_of_kernel_shap_are_the_spread_over_seeds() -> None:
    fits = [fitted(shap_design(12, 400, seed)) for seed in range(80)]
    spread = np.std([fit.values for fit in fits], axis=0)
    stated = np.mean([fit.errors for fit in fits], axis=0)
    ratios = stated[spread > 1e-9] / spread[spread > 1e-9]
    assert ratios.min() > 0.7
    assert ratios.max() < 1.4


def test_a_linear_function_is_found_exactly_from_samples() -> None:
    slopes = np.linspace(-1, 1, 20)
    design = shap_design(20, 200, seed=0)
    answers = 0.3 + design.coalitions @ slopes[:, None]
    fit = kernel_shap(design, answers, np.array([0.3]), np.array([0.3 + slopes.sum()]))
    np.testing.assert_allclose(fit.values[0], slopes, atol=1e-10)
    np.testing.assert_allclose(fit.determination, 1)
    assert fit.errors.max() < 1e-10


@pytest.mark.parametrize("parts", [1, 2])
def test_one_and_two_regions_share_the_whole_difference(parts: int) -> None:
    design = shap_design(parts, 50, 0)
    answers = np.array([[0.2], [0.6]])[: len(design.coalitions)]
    fit = kernel_shap(design, answers, np.array([0.1]), np.array([0.9]))
    # Two regions: each is worth the mean of what it adds to nothing and to the other.
    expected = [0.8] if parts == 1 else [(0.1 + 0.3) / 2, (0.5 + 0.7) / 2]
    np.testing.assert_allclose(fit.values, [expected])


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(RunError, match="too few for the 100 regions .* at least 400"):
        shap_design(100, 398, 0)
    shap_design(100, 400, 0)


def test_lime_coalitions_begin_with_the_image_itself() -> None:
    coalitions = lime_coalitions(40, 5000, seed=2)
    assert coalitions[0].all()
    np.testing.assert_allclose(coalitions.mean(axis=0), 0.5, atol=0.03)


def test_lime_weights_fall_with_the_cosine_distance() -> None:
    coalitions = np.array([[True] * 4, [True, False, False, False], [False] * 4])
    np.testing.assert_allclose(lime_weights(coalitions), [1, math.exp(-((0.5 / 0.25) ** 2)), math.exp(-16)])


def test_lime_is_a_ridge_regression_with_a_free_intercept() -> None:
    coalitions = lime_coalitions(6, 300, seed=1)
    answers = game(np.hstack([coalitions, coalitions[:, :1]]))
    # The same by the normal equations with a column of ones, whose penalty is zero.
    columns = np.column_stack([np.ones(300), coalitions])
    weights = np.diag(lime_weights(coalitions))
    penalty = np.diag([0.0, 1, 1, 1, 1, 1, 1])
    expected = np.linalg.solve(columns.T @ weights @ columns + penalty, columns.T @ weights @ answers)
    np.testing.assert_allclose(lime(coalitions, answers).values, expected[1:].T, atol=1e-10)


def test_lime_recovers_a_linear_function_but_for_the_shrinkage() -> None:
    slopes = np.array([0.5, -0.2, 0.0, 0.1])
    coalitions = lime_coalitions(4, 20_000, seed=0)
    fit = lime(coalitions, 0.2 + coalitions @ slopes[:, None])
    np.testing.assert_allclose(fit.values[0], slopes, atol=2e-3)
    assert abs(fit.values[0, 0]) < 0.5
    assert fit.determination[0] > 0.9999


def test_r_squared_tells_a_linear_function_from_noise() -> None:
    coalitions = lime_coalitions(5, 2000, seed=0)
    noise = np.random.default_rng(0).normal(size=(2000, 1))
    assert lime(coalitions, noise).determination[0] < 0.05
    constant = lime(coalitions, np.full((2000, 1), 0.3))
    assert constant.determination.tolist() == [1.0]
    assert not constant.values.any()


def test_standard_errors_of_lime_are_the_spread_over_seeds() -> None:
    coalitions = [lime_coalitions(10, 400, seed) for seed in range(80)]
    fits = [lime(some, game(some)) for some in coalitions]
    ratios = np.mean([fit.errors for fit in fits], axis=0) / np.std([fit.values for fit in fits], axis=0)
    assert ratios.min() > 0.7
    assert ratios.max() < 1.4


def test_weights_count_as_repetitions() -> None:
    generator = np.random.default_rng(0)
    inputs, outputs = generator.normal(size=(9, 2)), generator.normal(size=(9, 1))
    counts = np.array([1, 2, 3] * 3)
    slopes, _ = weighted_least_squares(inputs, outputs, counts.astype(np.float64))
    expected, *_ = np.linalg.lstsq(inputs.repeat(counts, axis=0), outputs.repeat(counts, axis=0))
    np.testing.assert_allclose(slopes, expected.T)
