"""Gradients at many inputs, and their integral along the straight line from one input to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.base import Model

Progress = Callable[[int, int], None]
Floats = NDArray[np.float64]

# How many megabytes the gradients of one batch may take; what the network holds meanwhile is many times that, and
# larger batches are hardly faster.
BATCH_MB = 16
# How many pieces of the line are begun with, and which share of them is mended in a round.
FIRST, MENDED = 32, 0.25
# What a mended piece costs: its halves, and itself once more, because what it gave is not kept.
PRICE = 3


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


@dataclass(frozen=True)
class Pieces:
    """Pieces of the line from 0 to 1.

    Attributes:
        starts, stops: where each begins and ends, ``(n,)``.
        before, behind: the logits there, ``(n, k)``.
    """

    starts: Floats
    stops: Floats
    before: Floats
    behind: Floats

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def middles(self) -> Floats:
        """Where the middles are, ``(n,)``."""
        return (self.starts + self.stops) / 2

    @property
    def widths(self) -> Floats:
        """How long they are, ``(n,)``."""
        return self.stops - self.starts

    @property
    def rises(self) -> Floats:
        """By how much each logit rises on each, ``(n, k)``."""
        return self.behind - self.before

    def some(self, chosen: NDArray[np.intp]) -> Pieces:
        """Return some of them."""
        return Pieces(self.starts[chosen], self.stops[chosen], self.before[chosen], self.behind[chosen])

    def and_also(self, others: Pieces) -> Pieces:
        """Return these and others."""
        return Pieces(
            np.concatenate([self.starts, others.starts]),
            np.concatenate([self.stops, others.stops]),
            np.concatenate([self.before, others.before]),
            np.concatenate([self.behind, others.behind]),
        )


class Line:
    """The straight line of inputs from a baseline to an image, and the logits of some classes along it."""

    def __init__(self, model: Model, array: Array, baseline: Array, classes: Sequence[int]) -> None:
        self._model, self._baseline, self._classes = model, baseline, list(classes)
        self.difference = array - baseline

    def inputs(self, places: Floats) -> Array:
        """Return the inputs at places from 0, the baseline, to 1, the image: ``(n, H, W, C)``."""
        return np.asarray(self._baseline + places.astype(np.float32)[:, None, None, None] * self.difference)

    def logits(self, places: Floats) -> Floats:
        """Return the logits at places, ``(n, k)``."""
        size = self._model.batch_size
        parts = [self._model.logits(self.inputs(places[start : start + size])) for start in range(0, len(places), size)]
        return np.concatenate(parts)[:, self._classes].astype(np.float64)

    def equal_pieces(self, count: int) -> Pieces:
        """Return so many pieces of one length."""
        ends = np.linspace(0, 1, count + 1)
        logits = self.logits(ends)
        return Pieces(ends[:-1], ends[1:], logits[:-1], logits[1:])

    def halves(self, pieces: Pieces) -> Pieces:
        """Return the halves of some pieces, the first ones before the second ones."""
        middles = pieces.middles
        logits = self.logits(middles)
        first = Pieces(pieces.starts, middles, pieces.before, logits)
        return first.and_also(Pieces(middles, pieces.stops, logits, pieces.behind))

    def integrals(self, pieces: Pieces) -> Iterator[Floats]:
        """Yield the gradient in the middle of each piece times its length, ``(n, k, H, W, C)``, batch by batch."""
        middles, done = pieces.middles, 0
        for batch in gradients(
            self._model, lambda start, stop: self.inputs(middles[start:stop]), len(pieces), self._classes
        ):
            widths = pieces.widths[done : done + len(batch)]
            done += len(batch)
            yield batch * widths[:, None, None, None, None]


def integrated_gradients(
    model: Model,
    array: Array,
    baseline: Array,
    classes: Sequence[int],
    steps: int,
    tolerance: float = 0.0,
    progress: Progress = lambda done, total: None,
) -> tuple[Floats, int]:
    """Return the integrated gradients of some classes, ``(k, H, W, C)``, and how often the gradient was taken.

    Sundararajan, Taly & Yan, *Axiomatic attribution for deep networks*, arXiv 1703.01365, equation 1: the difference to
    the baseline times the mean gradient on the straight line between them. Equation 3 takes the mean at equal
    distances. Here the steps go where they are needed, for many networks decide within the first percent of the way:
    the line is cut into pieces on which the logits rise about equally. The integral of the gradient over a piece must
    be that rise, so its error is known, and the pieces with the largest errors are halved until the whole is exact
    enough.

    Args:
        model: the model.
        array: the input ``(H, W, C)``.
        baseline: an input ``(H, W, C)`` that stands for the absence of what is looked for.
        classes: k classes.
        steps: how often the gradient is taken, at most.
        tolerance: stop where the errors of all classes are smaller, as a fraction of the difference of the logit.
        progress: called with how often the gradient was taken.
    """
    line, spent = Line(model, array, baseline, classes), 0
    total = np.zeros((len(classes), *array.shape))

    def add(pieces: Pieces, sign: int = 1) -> Floats:
        """Add what pieces give to the total, or take it away; return by how much each is off, ``(n, k)``."""
        nonlocal spent
        found = []
        for batch in line.integrals(pieces):
            np.add(total, sign * batch.sum(axis=0), out=total)
            found.append((batch * line.difference).sum(axis=(2, 3, 4)))
            spent += len(batch)
            progress(min(spent, steps), steps)
        off: Floats = np.concatenate(found) - pieces.rises
        return off

    pieces = spread(line, min(FIRST, max(1, steps // 2)))
    rises = np.abs(pieces.rises.sum(axis=0))
    # A class whose logit hardly changes need not be known to a fraction of that.
    scale = np.maximum(rises, max(0.1 * float(rises.max()), 1e-6))
    errors = add(pieces) / scale
    while (count := min((steps - spent) // PRICE, 1 + int(len(pieces) * MENDED))) > 0 and off_by(errors) > tolerance:
        order = np.argsort(-np.abs(errors).max(axis=1), kind="stable")
        worst, rest = pieces.some(order[:count]), order[count:]
        add(worst, -1)
        halves = line.halves(worst)
        errors = np.concatenate([add(halves) / scale, errors[rest]])
        pieces = halves.and_also(pieces.some(rest))
    progress(steps, steps)
    return total * line.difference, spent


def from_several(
    model: Model,
    array: Array,
    baselines: Sequence[Array],
    classes: Sequence[int],
    steps: int,
    tolerance: float = 0.0,
    progress: Progress = lambda done, total: None,
) -> tuple[Floats, int]:
    """Return the mean integrated gradients from several baselines, and how often the gradient was taken in all.

    The arguments are those of :func:`integrated_gradients`; ``steps`` counts for each baseline.
    """
    total, spent = np.zeros((len(classes), *array.shape)), 0
    for index, baseline in enumerate(baselines):

        def told(done: int, count: int, before: int = index) -> None:
            progress(before * count + done, len(baselines) * count)

        attributions, taken = integrated_gradients(model, array, baseline, classes, steps, tolerance, told)
        total, spent = total + attributions / len(baselines), spent + taken
    return total, spent


def off_by(errors: Floats) -> float:
    """Return by how much the worst class is off, from the errors of pieces ``(n, k)``.

    That is their sum, or what it would be if their signs were random: so a lucky sum does not end the search.
    """
    return float(max(np.abs(errors.sum(axis=0)).max(), np.sqrt((errors**2).sum(axis=0)).max()))


def spread(line: Line, count: int) -> Pieces:
    """Return ``count`` pieces of a line, shorter where the logits rise or fall more."""
    pieces = line.equal_pieces(max(1, count // 2))
    while len(pieces) < count:
        # Several at a time, so that the model is asked in batches; those of the largest rises of any class.
        some = min(1 + len(pieces) // 8, count - len(pieces))
        order = np.argsort(-np.abs(pieces.rises).max(axis=1), kind="stable")
        pieces = line.halves(pieces.some(order[:some])).and_also(pieces.some(order[some:]))
    return pieces
