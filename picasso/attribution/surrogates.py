"""Linear models that approximate an image classifier near one image: LIME, and Kernel SHAP's Shapley values.

Both hide regions of the image at random and fit one coefficient per region to the classifier's scores, by weighted
least squares. They differ in the weights. Ribeiro, Singh & Guestrin, *"Why should I trust you?"*, arXiv
1602.04938; Lundberg & Lee, *A unified approach to interpreting model predictions*, arXiv 1705.07874.

A coalition is a set of visible regions, stored as a row of booleans. Computations are in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.regions import Coalitions
from picasso.errors import RunError

__all__ = ["kernel_shap", "lime", "lime_coalitions", "shap_design"]

Floats = NDArray[np.float64]

# The width of LIME's kernel and the penalty of its ridge regression, as in its authors' code for images.
WIDTH, PENALTY = 0.25, 1.0
# With fewer pairs of coalitions per region, neither the values nor their standard errors are reliable.
PAIRS_PER_REGION = 2


@dataclass(frozen=True)
class Fit:
    """A value for each region and class, with its standard error and the goodness of fit.

    Attributes:
        values: ``(k, R)``, in units of probability.
        errors: the standard errors of the values that come from sampling coalitions, ``(k, R)``; 0 if all coalitions
            were evaluated.
        determination: the weighted R² of the linear model, ``(k,)``, at most 1.
    """

    values: Floats
    errors: Floats
    determination: Floats


@dataclass(frozen=True)
class Design:
    """The coalitions to evaluate.

    Attributes:
        coalitions: ``(n, R)``, without the empty and the full one; if they are sampled, each is followed by its
            complement.
        weights: the weights in the regression, ``(n,)``.
        exact: True if these are all possible coalitions.
    """

    coalitions: Coalitions
    weights: Floats
    exact: bool


def shap_design(regions: int, samples: int, seed: int) -> Design:
    """Return the coalitions for :func:`kernel_shap`: all of them if there are at most ``samples``, or else a sample.

    Lundberg & Lee, theorem 2: the weight of a coalition of s of the R regions is ``(R - 1) / (C(R, s) s (R - s))``.
    To sample, a size is drawn with the total weight of the coalitions of that size, then a coalition of that size
    uniformly, so that all sampled coalitions have the same weight in the regression. The complement of each is
    included too, which reduces the variance (Covert & Lee, *Improving KernelSHAP*, arXiv 2012.01536, section 4.2).

    Args:
        regions: the number R of regions.
        samples: the maximum number of coalitions.
        seed: the random seed.

    Raises:
        RunError: ``samples`` are too few for so many regions.

    Examples:
        >>> from picasso.attribution.surrogates import shap_design
        >>> design = shap_design(regions=3, samples=100, seed=0)
        >>> design.exact, design.coalitions.shape
        (True, (6, 3))
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
    """Return the Shapley values of the regions: exact if the design is exact, estimates otherwise.

    They are the weighted least squares solution under the constraint that they sum to ``everything - nothing``. The
    constraint holds exactly: the last region's value is eliminated, as that sum less the other values.

    Args:
        design: the coalitions from :func:`shap_design`.
        answers: the classifier's probabilities for the first n of these coalitions, ``(n, k)``; n is even if they are
            sampled.
        nothing: the probabilities if no region is visible, ``(k,)``.
        everything: the probabilities if all regions are visible, ``(k,)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.surrogates import kernel_shap, shap_design
        >>> design = shap_design(regions=3, samples=100, seed=0)
        >>> answers = design.coalitions @ np.array([[0.1], [0.2], [0.3]])  # each region adds to the probability
        >>> fit = kernel_shap(design, answers, nothing=np.zeros(1), everything=np.array([0.6]))
        >>> fit.values.round(6).tolist()
        [[0.1, 0.2, 0.3]]
    """
    seen, weights = design.coalitions[: len(answers)].astype(np.float64), design.weights[: len(answers)]
    total = everything - nothing
    others, last = seen[:, :-1] - seen[:, -1:], seen[:, -1:]
    if not others.size:
        return Fit(total[:, None], np.zeros((len(total), 1)), np.ones(len(total)))
    slopes, covariances = weighted_least_squares(
        others, answers - nothing - last * total, weights, together=2, robust=not design.exact
    )
    values = np.column_stack([slopes, total - slopes.sum(axis=1)])
    variances = np.column_stack([np.diagonal(covariances, axis1=1, axis2=2), covariances.sum(axis=(1, 2))])
    # Rounding can make a zero variance slightly negative.
    return Fit(
        values,
        np.sqrt(np.maximum(variances, 0)),
        determination(answers, nothing + seen @ values.T, weights),
    )


def lime_coalitions(regions: int, samples: int, seed: int) -> Coalitions:
    """Return the coalitions ``(samples, R)`` for :func:`lime`: the full one, then each region with probability 0.5.

    Examples:
        >>> from picasso.attribution.surrogates import lime_coalitions
        >>> coalitions = lime_coalitions(regions=3, samples=100, seed=0)
        >>> coalitions.shape, coalitions[0].tolist()
        ((100, 3), [True, True, True])
    """
    coalitions = np.random.default_rng(seed).random((samples, regions)) < 0.5
    coalitions[0] = True
    return coalitions


def lime_weights(coalitions: Coalitions) -> Floats:
    """Return the weights ``(n,)`` of coalitions ``(n, R)``, 0..1: larger if more regions are visible.

    Ribeiro, Singh & Guestrin, section 3.4: ``exp(-d² / width²)``. The distance is the cosine distance to the full
    coalition, as in the authors' code for images: ``1 - sqrt(s / R)`` if s of R regions are visible.
    """
    distances = 1 - np.sqrt(coalitions.mean(axis=1))
    return np.asarray(np.exp(-((distances / WIDTH) ** 2)), np.float64)


def lime(coalitions: Coalitions, answers: Floats) -> Fit:
    """Return the coefficients of the regions in a ridge regression of the answers, with an unpenalized intercept.

    Args:
        coalitions: those of :func:`lime_coalitions`.
        answers: the classifier's probabilities for the first n of them, ``(n, k)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.surrogates import lime, lime_coalitions
        >>> coalitions = lime_coalitions(regions=3, samples=500, seed=0)
        >>> fit = lime(coalitions, coalitions @ np.array([[0.1], [0.2], [0.3]]))
        >>> fit.values.argsort().tolist()
        [[0, 1, 2]]
    """
    coalitions = coalitions[: len(answers)]
    weights, seen = lime_weights(coalitions), coalitions.astype(np.float64)
    # The intercept absorbs this shift, and constant answers give coefficients of exactly 0, without rounding errors.
    answers = answers - answers[0]
    means = np.average(seen, axis=0, weights=weights), np.average(answers, axis=0, weights=weights)
    # After subtracting the weighted means the intercept is zero, so it is neither fitted nor penalized.
    values, covariances = weighted_least_squares(seen - means[0], answers - means[1], weights, penalty=PENALTY)
    fitted = means[1] + (seen - means[0]) @ values.T
    errors = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return Fit(values, errors, determination(answers, fitted, weights))


def weighted_least_squares(
    inputs: Floats, outputs: Floats, weights: Floats, *, penalty: float = 0.0, together: int = 1, robust: bool = True
) -> tuple[Floats, Floats]:
    """Return the slopes ``(k, p)`` and their covariances ``(k, p, p)``.

    The covariance is the estimator of White, *A heteroskedasticity-consistent covariance matrix estimator* (1980),
    times ``n / (n - p)``. It is valid although the residuals come from the misfit of the linear model, not from noise.

    Args:
        inputs: ``(n, p)``.
        outputs: ``(n, k)``.
        weights: ``(n,)``.
        penalty: the factor of the squared slopes in the objective (ridge regression).
        together: the number of consecutive rows that form one random draw, such as a coalition and its complement.
        robust: if False, the covariances are zero, for rows that were not drawn at random.
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
    """Return the weighted R² ``(k,)`` of fitted answers ``(n, k)``; 1 for constant answers."""
    left = weights @ (answers - fitted) ** 2
    spread = weights @ (answers - np.average(answers, axis=0, weights=weights)) ** 2
    return np.asarray(1 - left / np.where(spread > 1e-18, spread, np.inf))
