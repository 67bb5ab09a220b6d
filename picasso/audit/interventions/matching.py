"""Match images of one class with values or images of another, and choose controls that change them equally.

A control must change images as much as the change towards the other class does. Otherwise, an effect could be due to
the size of the change: in a folder whose classes differ in a property, the images of one class are alike in it, so an
exchange within the class would change hardly anything. Most controls are the same step the other way, or differences
within the class that are enlarged to the same size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from picasso.audit.properties import Images, Values

Generator = np.random.Generator
Indices = NDArray[np.intp]

# A step is enlarged by at most this factor, which is found by bisection.
MAX_FACTOR, HALVINGS = 4.0, 10


def quantile_match(values: Values, others: Values) -> Values:
    """Return for each value the one of the same rank among the others."""
    ranks = (stats.rankdata(values) - 0.5) / len(values)
    return np.asarray(np.quantile(others, ranks), np.float64)


def opposite(values: Values, wanted: Values) -> Values:
    """Return the values at the same distance as the wanted ones, on the other side.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.interventions.matching import opposite
        >>> opposite(np.array([0.5, 0.5]), np.array([0.75, 0.25])).tolist()
        [0.25, 0.75]
    """
    return np.asarray(2 * values - wanted, np.float64)


def another(count: int, generator: Generator) -> Indices:
    """Return for each image the index of another one."""
    order = generator.permutation(count)
    partner = np.empty(count, np.intp)
    partner[order] = np.roll(order, 1)
    return partner


def any_of(many: int, count: int, generator: Generator) -> Indices:
    """Return for each of ``count`` images the index of one of ``many`` others, each used equally often."""
    rounds = -(-count // many)
    return np.concatenate([generator.permutation(many) for _ in range(rounds)])[:count].astype(np.intp)


def stepped(images: Images, step: Images, changed: Images) -> Images:
    """Return images moved along a step, by as much as others are changed.

    The step is scaled by at most :data:`MAX_FACTOR`, so that the root mean square of the differences is the same, as
    far as values from 0 to 1 permit.

    Args:
        images: ``(n, ...)`` from 0 to 1.
        step: differences of any size, of the same shape.
        changed: the same images after another change, which determines the size.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.interventions.matching import stepped
        >>> images, changed = np.array([[0.5, 0.5]]), np.array([[0.75, 0.5]])
        >>> stepped(images, np.array([[0.0, -0.1]]), changed).round(2).tolist()
        [[0.5, 0.25]]
    """
    axes, shape = tuple(range(1, images.ndim)), (-1, *[1] * (images.ndim - 1))
    wanted = ((changed - images) ** 2).sum(axis=axes)
    low, high = np.zeros(len(images), np.float32), np.full(len(images), MAX_FACTOR, np.float32)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        there = np.clip(images + middle.reshape(shape) * step, 0, 1) - images
        below = (there**2).sum(axis=axes) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(np.clip(images + high.reshape(shape) * step, 0, 1), np.float32)


def within_class(images: Images, changed: Images, generator: Generator) -> Images:
    """Return images changed towards others of the same class, by the same amount as the changed ones.

    The differences between images of a class are enlarged to this size. The opposite change would not do for parts of
    images: the opposite of removing a mark spoils the mark, too. An image of the same class that differs as much as one
    of the other class would not do either: that is the one without the mark.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.interventions.matching import within_class
        >>> images = np.array([[0.5, 0.25], [0.5, 0.5]])
        >>> within_class(images, np.array([[0.0, 0.25], [0.0, 0.5]]), np.random.default_rng(0)).round(2).tolist()
        [[0.5, 0.75], [0.5, 0.0]]
    """
    step = np.asarray(images[another(len(images), generator)] - images, np.float32)
    return stepped(images, step, changed)


def nearest_in_size(targets: Values, candidates: Values) -> Indices:
    """Return for each target the index of the candidate of its row whose size is closest, ``(n,)`` from ``(n, k)``."""
    return np.asarray(np.abs(candidates - targets[:, None]).argmin(axis=1), np.intp)
