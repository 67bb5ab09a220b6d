"""Choose the pairs of many classes by a sample of each, so that only the classes of these pairs need be read.

An audit of 1,000 classes has 499,500 pairs, of which it compares few. What a class contributes, the predictions of its
sample and the mean and variance of each property, is computed once per class and needs no images afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from picasso.audit.class_pairs import covering
from picasso.audit.dataset import FirstLook
from picasso.audit.properties import PROPERTIES, Images
from picasso.audit.selection import CLOSEST, EVERY_CLASSES
from picasso.audit.trial import Pair
from picasso.models.arrays import Array

# The least spread of a property within a class, as a fraction of the usual one: few images may be alike by chance.
LEAST_SPREAD = 0.1

Floats = NDArray[np.float64]


def first_look(samples: Iterable[tuple[int, Images, Array]]) -> FirstLook:
    """Rank the pairs of many classes by a sample of each; only one sample is in memory at a time.

    Three criteria rank the pairs, and a pair is placed by the best of its ranks: how often the model confuses them, as
    in :func:`picasso.audit.class_pairs.confusion`; how similar their mean logits are; and how far apart the values of a
    property are, in standard deviations (Cohen's d). Pairs with a class that no earlier pair has come first.

    Args:
        samples: each class with its images, ``(n, H, W, C)``, and their logits, ``(n, K)``.
    """
    targets: list[int] = []
    predicted: dict[int, NDArray[np.int64]] = {}
    logits: list[Array] = []
    mixed: list[NDArray[np.float32]] = []
    properties: list[Floats] = []
    for target, views, answers in samples:
        targets.append(target)
        predicted[target] = np.asarray(answers.argmax(axis=1), np.int64)
        logits.append(np.asarray(answers.mean(axis=0), np.float32))
        mixed.append((answers > answers[:, [target]]).mean(axis=0, dtype=np.float32))
        measured = np.stack([of.measure(views) for of in PROPERTIES if views.shape[-1] == 3 or not of.coloured])
        properties.append(np.stack([measured.mean(axis=1), measured.var(axis=1)]))
    order = np.argsort(targets)
    columns = np.asarray(targets)[order]
    means = np.stack(logits)[order]
    confused = confusions(means[:, columns], np.stack(mixed)[order][:, columns])
    alike = similarities(means)
    values = np.stack(properties)[order]
    pairs = candidates(confused, alike, values)
    apart = distances(values, pairs)
    ranks = np.stack([places(confused[tuple(pairs.T)]), places(alike[tuple(pairs.T)]), places(apart)])
    best = np.lexsort([*ranks[::-1], ranks.min(axis=0)])
    ranked: list[Pair] = [(int(columns[one]), int(columns[other])) for one, other in pairs[best]]
    most = max(map(len, predicted.values()))
    return FirstLook(tuple(covering(ranked)), len(targets), most, predicted)


def confusions(means: NDArray[np.float32], mixed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how often the images of two classes have a larger logit of the other; narrow margins break ties.

    Args:
        means: the mean logits of the classes (rows) for each of them, ``(k, k)``.
        mixed: the shares of their images with a larger logit than that of their own class, ``(k, k)``.
    """
    near = means - means.diagonal()[:, None]
    return np.asarray(mixed + mixed.T + 1e-3 * np.tanh((near + near.T) / 10), np.float32)


def similarities(means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosines of the mean logits of classes, ``(k, K)``, less those of all classes, ``(k, k)``."""
    centred = means - means.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.maximum(lengths, np.float32(1e-12))
    return np.asarray(unit @ unit.T, np.float32)


def candidates(confused: NDArray[np.float32], alike: NDArray[np.float32], properties: Floats) -> NDArray[np.intp]:
    """Return pairs of classes, ``(p, 2)``: all of few classes, or else those that one of the criteria suggests.

    Args:
        confused: how much classes are confused, ``(k, k)``: each is paired with the closest.
        alike: how similar they are, ``(k, k)``: each is paired with the closest.
        properties: the mean and the variance of each property in each class, ``(k, 2, m)``: the classes with the
            smallest means are paired with those with the largest.
    """
    count = len(confused)
    if count <= EVERY_CLASSES:
        return np.stack(np.triu_indices(count, 1), axis=1)
    found = set[Pair]()
    for one in (confused, alike):
        # Without each class itself.
        others = one - np.diag(np.full(count, np.inf, np.float32))
        closest = np.argsort(-others, axis=1, kind="stable")[:, :CLOSEST]
        found.update((min(row, int(other)), max(row, int(other))) for row in range(count) for other in closest[row])
    for ranked in np.argsort(properties[:, 0], axis=0, kind="stable").T:
        found.update((min(one, other), max(one, other)) for one, other in product(*ranked_ends(ranked)))
    return np.asarray(sorted(found), np.intp)


def ranked_ends(ranked: NDArray[np.intp]) -> tuple[list[int], list[int]]:
    """Return the first and the last indices of a ranking."""
    return [int(one) for one in ranked[:CLOSEST]], [int(one) for one in ranked[-CLOSEST:]]


def distances(properties: Floats, pairs: NDArray[np.intp]) -> Floats:
    """Return the largest distance of two classes in a property, in standard deviations within the classes, ``(p,)``.

    Args:
        properties: the mean and the variance of each property in each class, ``(k, 2, m)``.
        pairs: the pairs of classes, ``(p, 2)``.
    """
    means, variances = properties[:, 0], properties[:, 1]
    least = LEAST_SPREAD**2 * np.median(variances, axis=0) + 1e-12
    one, other = pairs.T
    spread = np.sqrt(np.maximum((variances[one] + variances[other]) / 2, least))
    return np.asarray((np.abs(means[one] - means[other]) / spread).max(axis=1), np.float64)


def places(values: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the place of each value in descending order, from 0."""
    found = np.empty(len(values), np.intp)
    found[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return found
