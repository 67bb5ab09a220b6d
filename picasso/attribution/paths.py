"""Gradients at many inputs: along a path, and around a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.base import Model

Progress = Callable[[int, int], None]

# How many megabytes the gradients of one batch may take.
BATCH_MB = 64


def gradients(model: Model, points: Callable[[int, int], Array], count: int, classes: Sequence[int]) -> Iterator[Array]:
    """Yield the gradients of the logits of some classes at many inputs, ``(n, k, H, W, C)``, batch by batch.

    Args:
        model: the model.
        points: returns the inputs ``[start, stop)`` of them, ``(n, H, W, C)``; never more than fit into memory.
        count: how many inputs there are.
        classes: k classes.
    """
    size = batch_size(model, len(classes))
    for start in range(0, count, size):
        batch = points(start, min(start + size, count))
        yield model.input_gradients(batch, np.tile(np.array(classes, np.int64), (len(batch), 1)))


def batch_size(model: Model, classes: int) -> int:
    """Return at how many inputs gradients of so many classes are asked for at once."""
    megabytes = classes * int(np.prod(model.input_shape)) * 4 / 1e6
    return max(1, min(model.batch_size, int(BATCH_MB / megabytes)))


def integrated_gradients(
    model: Model,
    array: Array,
    baseline: Array,
    classes: Sequence[int],
    steps: int,
    progress: Progress = lambda done, total: None,
) -> NDArray[np.float64]:
    """Return the integrated gradients of some classes, ``(k, H, W, C)``.

    Sundararajan, Taly & Yan, *Axiomatic attribution for deep networks*, arXiv 1703.01365, equations 1 and 3: the
    difference to the baseline times the mean gradient on the straight line between them. The mean is taken at the
    middles of ``steps`` equal pieces, which errs less than at their ends.

    Args:
        model: the model.
        array: the input ``(H, W, C)``.
        baseline: an input ``(H, W, C)`` that stands for the absence of what is looked for.
        classes: k classes.
        steps: at how many points the gradient is taken.
        progress: called with how many of them are done.
    """
    difference = array - baseline

    def points(start: int, stop: int) -> Array:
        fractions = ((np.arange(start, stop) + 0.5) / steps).astype(np.float32)
        return np.asarray(baseline + fractions[:, None, None, None] * difference)

    total, done = np.zeros((len(classes), *array.shape)), 0
    for batch in gradients(model, points, steps, classes):
        total += batch.sum(axis=0, dtype=np.float64)
        done += len(batch)
        progress(done, steps)
    return total / steps * difference
