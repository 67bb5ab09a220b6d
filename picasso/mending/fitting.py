"""Fit the last layer of a classifier to frozen features: regularised logistic regression, chosen by cross-validation.

The last layer of a network that learned a shortcut can often be retrained on its frozen features (Kirichenko et al.,
2023, arXiv 2204.02937), here with counterfactual images instead of images of rare groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from picasso.models.head import HeadWeights, Link

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

# Strengths of the L2 penalty that are tried; the mean squared length of the features is 1 (see Scale).
PENALTIES = (2.6e-4, 6.4e-5, 1.6e-5, 4e-6, 1e-6)
# The number of parts of the folder, each of which is predicted by a head that was fitted to the others.
FOLDS = 4
# The largest number of steps of the optimizer, and the number of images at which worst groups count as equal.
STEPS, TIE = 200, 0.01
# Penalties weaker than one whose loss on held-out images is this many times the smallest are not tried.
WORSE = 1.1


@dataclass(frozen=True, eq=False)
class Rows:
    """The features of images, original and changed.

    Attributes:
        features: ``(n, D)`` float32.
        targets: the indices of the classes, ``(n,)``.
        groups: the number of the group of each row, ``(n,)``: the images of one class after one change.
        folds: the part of the folder of each row, ``(n,)``; an image and its changed versions are in the same.
        changed: whether the shortcut is that of another class, ``(n,)``.
    """

    features: NDArray[np.float32]
    targets: Numbers
    groups: Numbers
    folds: Numbers
    changed: NDArray[np.bool_]

    @property
    def weights(self) -> Values:
        """The weight of each row in the loss, ``(n,)``; the sum is 1.

        All classes weigh the same. Of each class, the images as they are and all changed images weigh the same, so that
        the shortcut says nothing about the class; among the changed images, the groups do.
        """
        weights = np.zeros(len(self.targets))
        for target in np.unique(self.targets):
            ours = self.targets == target
            sides = [side for side in (ours & ~self.changed, ours & self.changed) if side.any()]
            for side in sides:
                _, places, counts = np.unique(self.groups[side], return_inverse=True, return_counts=True)
                weights[side] = 1 / (counts[places] * len(counts) * len(sides))
        return np.asarray(weights / weights.sum(), np.float64)


@dataclass(frozen=True)
class Choice:
    """A penalty of the fit.

    Attributes:
        penalty: the strength of the L2 penalty.
        towards_old: whether it pulls the weights to the old ones instead of zero.
    """

    penalty: float
    towards_old: bool


@dataclass(frozen=True, eq=False)
class Fit:
    """A head that was fitted, and how it does on images that it was not fitted to.

    Attributes:
        weights: the head, fitted to all rows.
        folds: the heads that were fitted without one part of the folder each.
        choice: the penalty.
        worst: the accuracy of the worst group, on held-out images.
        mean: the mean accuracy of the groups, on held-out images.
    """

    weights: HeadWeights
    folds: tuple[HeadWeights, ...]
    choice: Choice
    worst: float
    mean: float

    def held_out(self, features: NDArray[np.floating], folds: Numbers) -> Values:
        """Return the logits ``(n, K)`` of each row by the head that was fitted without its part of the folder."""
        found = np.empty((len(features), len(self.weights.bias)))
        for fold, weights in enumerate(self.folds):
            found[folds == fold] = weights.logits(features[folds == fold])
        return found


@dataclass(frozen=True, eq=False)
class Scale:
    """Centres features and divides them, so that their mean squared length is 1."""

    centre: Values
    size: float

    @classmethod
    def of(cls, features: NDArray[np.floating], centred: bool) -> Scale:
        """Return the scale of features; without a bias, the centre is zero."""
        centre = features.mean(axis=0, dtype=np.float64) if centred else np.zeros(features.shape[1])
        return cls(centre, float(np.sqrt(np.mean(((features - centre) ** 2).sum(axis=1)))) or 1.0)

    def apply(self, features: NDArray[np.floating]) -> Values:
        """Return scaled features."""
        return np.asarray((features - self.centre) / self.size, np.float64)

    def scaled(self, weights: HeadWeights) -> HeadWeights:
        """Return the weights that give the same logits for scaled features."""
        return HeadWeights(weights.kernel * self.size, weights.bias + self.centre @ weights.kernel)

    def unscaled(self, weights: HeadWeights) -> HeadWeights:
        """Return the weights that give the same logits for features as they are."""
        kernel = weights.kernel / self.size
        return HeadWeights(kernel, weights.bias - self.centre @ kernel)


def assign_folds(count: int, target: int, seed: int) -> Numbers:
    """Return the part of the folder that each image of a class belongs to, ``(count,)``."""
    return np.asarray(np.random.default_rng([seed, target]).permutation(count) % FOLDS, np.int64)


def best_fit(
    rows: Rows,
    old: HeadWeights,
    link: Link,
    *,
    has_bias: bool = True,
    only: Choice | None = None,
    between: Callable[[float], None],
) -> Fit:
    """Fit a head with the penalty that is best on held-out images: the worst group first, then the loss.

    Columns of classes without images stay as they are.

    Args:
        rows: the features of original and changed images.
        old: the weights of the head so far.
        link: the function after the head.
        has_bias: whether the head has a bias.
        only: the penalty to use, instead of choosing one.
        between: called with the completed fraction.

    Examples:
        The second feature is a shortcut: it follows the class in the images, but not in the changed images.

        >>> import numpy as np
        >>> from picasso.mending.fitting import Rows, best_fit
        >>> from picasso.models.head import HeadWeights, Link
        >>> generator = np.random.default_rng(0)
        >>> targets = np.repeat([0, 1], 80)
        >>> own = 2.0 * targets - 1 + generator.normal(0, 0.3, 160)
        >>> shortcut = np.concatenate([2.0 * targets[::2] - 1, 1 - 2.0 * targets[1::2]])
        >>> features = np.stack([own, shortcut], axis=1).astype(np.float32)
        >>> groups = 2 * targets + (np.arange(160) % 80 >= 40)
        >>> rows = Rows(features, targets, groups, np.arange(160) % 4, groups % 2 == 1)
        >>> old = HeadWeights(np.array([[-1.0, 1.0], [-9.0, 9.0]]), np.zeros(2))
        >>> fit = best_fit(rows, old, Link.SOFTMAX, between=lambda fraction: None)
        >>> bool(abs(fit.weights.kernel[1]).max() < 0.1 * abs(fit.weights.kernel[0]).max()), fit.worst
        (True, 1.0)
    """
    weights, scale = rows.weights, Scale.of(rows.features, has_bias)
    features, start = scale.apply(rows.features), scale.scaled(old)
    active = np.unique(rows.targets)
    # Without images of some classes, only the old weights say anything about them.
    centres: Sequence[bool] = (True,) if len(active) < len(old.bias) else (False, True)
    penalties: Sequence[float] = PENALTIES
    if only:
        centres, penalties = (only.towards_old,), (only.penalty,)
    problem = Problem(features, rows.targets, weights, active, link, has_bias)
    tried: dict[Choice, tuple[list[HeadWeights], float, float, float]] = {}
    total, done = len(centres) * len(penalties) * FOLDS, 0
    for towards_old in centres:
        centre = start if towards_old else neutral(start, active)
        heads = [centre] * FOLDS
        for penalty in penalties:
            for fold in range(FOLDS):
                # The fit before, with a stronger penalty, is a good start.
                heads[fold] = problem.fit(rows.folds != fold, centre, penalty, heads[fold])
                done += 1
                between(done / (total + 1))
            found = measured(problem, rows, heads)
            tried[Choice(penalty, towards_old)] = (list(heads), *found)
            # Weaker penalties take longest, and overfit even more.
            if found[2] > WORSE * min(loss for *_, loss in tried.values()):
                break
    choice = max(tried, key=lambda one: (round(tried[one][1] / TIE), -tried[one][3]))
    heads, worst, mean, _ = tried[choice]
    centre = start if choice.towards_old else neutral(start, active)
    whole = problem.fit(np.ones(len(features), bool), centre, choice.penalty, heads[0])
    between(1.0)
    return Fit(scale.unscaled(whole), tuple(map(scale.unscaled, heads)), choice, worst, mean)


def neutral(weights: HeadWeights, active: Numbers) -> HeadWeights:
    """Return weights with zeros for the active classes."""
    kernel, bias = weights.kernel.copy(), weights.bias.copy()
    kernel[:, active], bias[active] = 0, 0
    return HeadWeights(kernel, bias)


def measured(problem: Problem, rows: Rows, heads: Sequence[HeadWeights]) -> tuple[float, float, float]:
    """Return the accuracy of the worst group, the mean over groups, and the loss, each row by the head without it."""
    logits = np.empty((len(rows.targets), len(heads[0].bias)))
    for fold, weights in enumerate(heads):
        held = rows.folds == fold
        logits[held] = weights.logits(problem.features[held])
    right = logits.argmax(axis=1) == rows.targets
    by_group = accuracies(right, rows.groups)
    losses, _ = problem.losses(logits, np.ones(len(logits), bool))
    return float(by_group.min()), float(by_group.mean()), float((problem.weights * losses).sum())


def accuracies(right: NDArray[np.bool_], groups: Numbers) -> Values:
    """Return the share of right answers of each group."""
    _, places = np.unique(groups, return_inverse=True)
    return np.asarray(np.bincount(places, right) / np.bincount(places), np.float64)


@dataclass(frozen=True, eq=False)
class Problem:
    """A regularised logistic regression.

    Attributes:
        features: ``(n, D)``, scaled.
        targets: the classes, ``(n,)``.
        weights: of the rows, ``(n,)``.
        active: the classes whose columns are fitted.
        link: the function after the head: softmax over the classes, or a sigmoid for each.
        has_bias: whether there is a bias, which is not regularised.
    """

    features: Values
    targets: Numbers
    weights: Values
    active: Numbers
    link: Link
    has_bias: bool

    def losses(self, logits: Values, chosen: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Return the loss of each chosen row, and its gradient with respect to the logits ``(n, K)``."""
        one_hot = np.eye(logits.shape[1])[self.targets[chosen]]
        if self.link is Link.SIGMOID:
            losses = (np.logaddexp(0, logits) - one_hot * logits)[:, self.active].sum(axis=1)
            return losses, special.expit(logits) - one_hot
        total = special.logsumexp(logits, axis=1)
        losses = total - logits[np.arange(len(logits)), self.targets[chosen]]
        return losses, np.exp(logits - total[:, None]) - one_hot

    def fit(self, chosen: NDArray[np.bool_], centre: HeadWeights, penalty: float, start: HeadWeights) -> HeadWeights:
        """Return the weights that minimise the weighted loss of the chosen rows plus the penalty (L-BFGS)."""
        features, weights, active = self.features[chosen], self.weights[chosen], self.active
        weights = weights / weights.sum()
        rest = np.setdiff1d(np.arange(len(centre.bias)), active)
        fixed = np.empty((len(features), len(centre.bias)))
        fixed[:, rest] = features @ centre.kernel[:, rest] + centre.bias[rest]
        shape = (features.shape[1] + 1, len(active))
        own = centre.kernel[:, active]

        def loss(flat: Values) -> tuple[float, Values]:
            parameters = flat.reshape(shape)
            logits = fixed.copy()
            logits[:, active] = features @ parameters[:-1] + parameters[-1]
            losses, slopes = self.losses(logits, chosen)
            slopes = (weights[:, None] * slopes)[:, active]
            off = parameters[:-1] - own
            gradient = np.vstack([features.T @ slopes + penalty * off, slopes.sum(axis=0) * self.has_bias])
            return float((weights * losses).sum() + 0.5 * penalty * (off**2).sum()), gradient.ravel()

        first = np.vstack([start.kernel[:, active], start.bias[active]]).ravel()
        found = optimize.minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x.reshape(shape)
        kernel, bias = centre.kernel.copy(), centre.bias.copy()
        kernel[:, active], bias[active] = found[:-1], found[-1]
        return HeadWeights(kernel, bias)
