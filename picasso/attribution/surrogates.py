"""Linear models that stand in for an image classifier near one image: LIME, and Kernel SHAP's Shapley values.

Both hide regions of the image at random and fit, by weighted least squares, a number for each region to what the
classifier answers. They differ in the weights. Ribeiro, Singh & Guestrin, *"Why should I trust you?"*, arXiv
1602.04938; Lundberg & Lee, *A unified approach to interpreting model predictions*, arXiv 1705.07874.

A coalition is a set of regions that are seen, a row of True and False. Computations are in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.regions import Coalitions
from picasso.errors import RunError

Floats = NDArray[np.float64]

# The width of LIME's kernel and the penalty of its ridge regression, as in its authors' code for images.
WIDTH, PENALTY = 0.25, 1.0
# With fewer pairs of coalitions than twice the unknown numbers, neither they nor their errors can be trusted.
PAIRS_PER_REGION = 2


@dataclass(frozen=True)
class Fit:
    """A number for each region and class, and how good it is.

    Attributes:
        values: ``(k, R)``, in units of probability.
        errors: the standard errors of the values ``(k, R)``: how far they are expected to be from those of infinitely
            many coalitions; 0 where all coalitions were asked for.
        determination: R², ``(k,)``: the share of the weighted variance of the answers that the linear model explains,
            at most 1.
    """

    values: Floats
    errors: Floats
    determination: Floats


@dataclass(frozen=True)
class Design:
    """Coalitions to ask the classifier about.

    Attributes:
        coalitions: ``(n, R)``, neither the empty nor the full one; where they are drawn, each is followed by its
            complement.
        weights: the weight of each in the regression, ``(n,)``.
        exact: whether these are all coalitions that there are.
    """

    coalitions: Coalitions
    weights: Floats
    exact: bool


def shap_design(regions: int, samples: int, seed: int) -> Design:
    """Return coalitions for :func:`kernel_shap`: all of them if they are no more than ``samples``, or else some.

    Lundberg & Lee, theorem 2: a coalition of s of the R regions weighs ``(R - 1) / (C(R, s) s (R - s))``. Where not
    all are taken, a size is drawn with the weight of all coalitions of that size, then one of that size, all equally
    probable; so each that is drawn has the same weight. Its complement is taken with it, which cancels much of the
    noise (Covert & Lee, *Improving KernelSHAP*, arXiv 2012.01536, section 4.2).

    Raises:
        RunError: ``samples`` are too few for so many regions.
    """
    if 2**regions - 2 <= samples:
        numbers = np.arange(1, 2**regions - 1)
        coalitions = (numbers[:, None] >> np.arange(regions)) % 2 == 1
        sizes = np.arange(1, regions)
        weight = {s: (regions - 1) / (math.comb(regions, s) * s * (regions - s)) for s in sizes.tolist()}
        weights = np.array([weight[size] for size in coalitions.sum(axis=1).tolist()], np.float64)
        return Design(coalitions, weights, exact=True)
    pairs = samples // 2
    if pairs < PAIRS_PER_REGION * regions:
        needed = 2 * PAIRS_PER_REGION * regions
        raise RunError(
            f"{samples} samples are too few for the {regions} regions of this image; set Samples to at least "
            f"{needed}, or ask for fewer Regions."
        )
    generator = np.random.default_rng(seed)
    sizes = np.arange(1, regions)
    chances = 1 / (sizes * (regions - sizes))
    drawn = generator.choice(sizes, pairs, p=chances / chances.sum())
    ranks = generator.random((pairs, regions)).argsort(axis=1).argsort(axis=1)
    seen = ranks < drawn[:, None]
    both = np.stack([seen, ~seen], axis=1).reshape(2 * pairs, regions)
    return Design(both, np.ones(2 * pairs), exact=False)


def kernel_shap(design: Design, answers: Floats, nothing: Floats, everything: Floats) -> Fit:
    """Return the Shapley values of the regions: exact if the design is, estimates otherwise.

    They are the weighted least squares solution among all numbers that sum to ``everything - nothing``. That they do is
    exact, not fitted: the last region's value is written as what the others leave, which rids the problem of it.

    Args:
        design: of :func:`shap_design`.
        answers: what the classifier answers for its coalitions, ``(n, k)``.
        nothing: the answer where no region is seen, ``(k,)``.
        everything: the answer where all are seen, ``(k,)``.
    """
    seen = design.coalitions.astype(np.float64)
    total = everything - nothing
    others, last = seen[:, :-1] - seen[:, -1:], seen[:, -1:]
    if not others.size:
        return Fit(total[:, None], np.zeros((len(total), 1)), np.ones(len(total)))
    slopes, covariances = weighted_least_squares(
        others, answers - nothing - last * total, design.weights, together=2, robust=not design.exact
    )
    values = np.column_stack([slopes, total - slopes.sum(axis=1)])
    variances = np.column_stack([np.diagonal(covariances, axis1=1, axis2=2), covariances.sum(axis=(1, 2))])
    # Rounding may leave a variance of nothing a little below zero.
    return Fit(
        values,
        np.sqrt(np.maximum(variances, 0)),
        determination(answers, nothing + seen @ values.T, design.weights),
    )


def lime_coalitions(regions: int, samples: int, seed: int) -> Coalitions:
    """Return coalitions ``(samples, R)`` for :func:`lime`: the full one first, then each region seen at even chance."""
    coalitions = np.random.default_rng(seed).random((samples, regions)) < 0.5
    coalitions[0] = True
    return coalitions


def lime_weights(coalitions: Coalitions) -> Floats:
    """Return the weights ``(n,)`` of coalitions ``(n, R)``, in 0..1: more where more is seen.

    Ribeiro, Singh & Guestrin, section 3.4: ``exp(-d² / width²)``. The distance is that of the authors' code for
    images, 1 less the cosine of the angle to the full coalition: ``1 - sqrt(s / R)`` where s of R regions are seen.
    """
    distances = 1 - np.sqrt(coalitions.mean(axis=1))
    return np.asarray(np.exp(-((distances / WIDTH) ** 2)), np.float64)


def lime(coalitions: Coalitions, answers: Floats) -> Fit:
    """Return the weights of the regions in a linear model of the answers: ridge regression with a free intercept.

    Args:
        coalitions: of :func:`lime_coalitions`.
        answers: what the classifier answers for them, ``(n, k)``.
    """
    weights, seen = lime_weights(coalitions), coalitions.astype(np.float64)
    # The intercept absorbs it, and answers that are all the same give weights of exactly 0, not of rounding errors.
    answers = answers - answers[0]
    means = np.average(seen, axis=0, weights=weights), np.average(answers, axis=0, weights=weights)
    # About the weighted means the intercept is zero, so it is neither fitted nor penalized.
    values, covariances = weighted_least_squares(seen - means[0], answers - means[1], weights, penalty=PENALTY)
    fitted = means[1] + (seen - means[0]) @ values.T
    errors = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return Fit(values, errors, determination(answers, fitted, weights))


def weighted_least_squares(
    inputs: Floats, outputs: Floats, weights: Floats, *, penalty: float = 0.0, together: int = 1, robust: bool = True
) -> tuple[Floats, Floats]:
    """Return the slopes ``(k, p)`` and their covariances ``(k, p, p)``.

    The covariance is that of White, *A heteroskedasticity-consistent covariance matrix estimator* (1980), times
    ``n / (n - p)``: it holds although the errors are those of a linear model that is wrong, not noise.

    Args:
        inputs: ``(n, p)``.
        outputs: ``(n, k)``.
        weights: ``(n,)``.
        penalty: what is added to the squares for each squared slope.
        together: so many rows in turn were drawn as one, such as a coalition and its complement.
        robust: False leaves the covariances zero, where nothing was drawn at random.
    """
    count, unknowns = inputs.shape
    weighted = inputs * weights[:, None]
    inverse = np.linalg.pinv(inputs.T @ weighted + penalty * np.eye(unknowns), hermitian=True)
    slopes = outputs.T @ weighted @ inverse
    covariances = np.zeros((len(slopes), unknowns, unknowns))
    if robust:
        draws = count // together
        factor = draws / max(1, draws - unknowns)
        for covariance, residuals in zip(covariances, (outputs - inputs @ slopes.T).T, strict=True):
            scores = (weighted * residuals[:, None]).reshape(draws, together, unknowns).sum(axis=1)
            covariance[:] = factor * inverse @ (scores.T @ scores) @ inverse
    return slopes, covariances


def determination(answers: Floats, fitted: Floats, weights: Floats) -> Floats:
    """Return the weighted R² ``(k,)`` of fitted answers ``(n, k)``; 1 for answers that are all the same."""
    left = weights @ (answers - fitted) ** 2
    spread = weights @ (answers - np.average(answers, axis=0, weights=weights)) ** 2
    return np.asarray(1 - left / np.where(spread > 1e-18, spread, np.inf))
