"""Gradients at many inputs, and integrated gradients along the straight line between two inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Target

__all__ = ["gradients", "integrated_gradients"]

Progress = Callable[[int, int], None]
Floats = NDArray[np.float64]

# The maximum size of the gradients of one batch, in megabytes. The network needs many times as much, and larger
# batches are hardly faster.
BATCH_MB = 16
# The initial number of pieces of the line, and the share of them that is halved per round.
FIRST, MENDED = 32, 0.25
# The number of gradients to halve a piece: one for each half, and one to subtract its own contribution, which is not
# stored.
PRICE = 3


def gradients(
    model: Model, points: Callable[[int, int], Array], count: int, targets: Sequence[Target | int]
) -> Iterator[Array]:
    """Yield the gradients of the scores of k targets at many inputs, ``(n, k, H, W, C)``, batch by batch.

    Args:
        model: the model.
        points: a function of ``start`` and ``stop`` that returns these inputs, ``(stop - start, H, W, C)``.
        count: the number of inputs.
        targets: the k targets; an index stands for the logit of a class.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.paths import gradients
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> noise = np.random.default_rng(0).random((300, 8, 8, 1), np.float32)
        >>> batches = gradients(model, lambda start, stop: noise[start:stop], len(noise), targets=[0, 1])
        >>> [batch.shape for batch in batches]
        [(256, 2, 8, 8, 1), (44, 2, 8, 8, 1)]
    """
    size = batch_size(model, len(targets))
    for start in range(0, count, size):
        batch = points(start, min(start + size, count))
        yield model.gradients(batch, targets)


def batch_size(model: Model, targets: int) -> int:
    """Return the number of inputs per batch when the gradients of ``targets`` targets are computed."""
    megabytes = targets * int(np.prod(model.input_shape)) * 4 / 1e6
    return max(1, min(model.batch_size, int(BATCH_MB / megabytes)))


@dataclass(frozen=True)
class Pieces:
    """Intervals of the line parameter, from 0 (baseline) to 1 (image).

    Attributes:
        starts, stops: the ends of each interval, ``(n,)``.
        before, behind: the logits at the starts and at the stops, ``(n, k)``.
    """

    starts: Floats
    stops: Floats
    before: Floats
    behind: Floats

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def middles(self) -> Floats:
        """The midpoints, ``(n,)``."""
        return (self.starts + self.stops) / 2

    @property
    def widths(self) -> Floats:
        """The lengths, ``(n,)``."""
        return self.stops - self.starts

    @property
    def rises(self) -> Floats:
        """The change of each logit over each interval, ``(n, k)``."""
        return self.behind - self.before

    def some(self, chosen: NDArray[np.intp]) -> Pieces:
        """Return the pieces with the given indices."""
        return Pieces(self.starts[chosen], self.stops[chosen], self.before[chosen], self.behind[chosen])

    def and_also(self, others: Pieces) -> Pieces:
        """Return these pieces followed by others."""
        return Pieces(
            np.concatenate([self.starts, others.starts]),
            np.concatenate([self.stops, others.stops]),
            np.concatenate([self.before, others.before]),
            np.concatenate([self.behind, others.behind]),
        )


class Line:
    """The straight line of inputs from a baseline to an image, and the logits of some classes along it."""

    def __init__(self, model: Model, array: Array, baseline: Array, targets: Sequence[Target | int]) -> None:
        self._model, self._baseline, self._targets = model, baseline, list(targets)
        self.difference = array - baseline

    def inputs(self, places: Floats) -> Array:
        """Return the inputs ``(n, H, W, C)`` at ``places`` ``(n,)`` from 0 (the baseline) to 1 (the image)."""
        return np.asarray(self._baseline + places.astype(np.float32)[:, None, None, None] * self.difference)

    def logits(self, places: Floats) -> Floats:
        """Return the logits ``(n, k)`` at ``places`` ``(n,)``."""
        size = self._model.batch_size
        starts = range(0, len(places), size)
        return np.concatenate(
            [self._model.scores(self.inputs(places[start : start + size]), self._targets) for start in starts]
        )

    def equal_pieces(self, count: int) -> Pieces:
        """Return ``count`` pieces of equal length that cover the line."""
        ends = np.linspace(0, 1, count + 1)
        logits = self.logits(ends)
        return Pieces(ends[:-1], ends[1:], logits[:-1], logits[1:])

    def halves(self, pieces: Pieces) -> Pieces:
        """Return the first halves of some pieces, followed by their second halves."""
        middles = pieces.middles
        logits = self.logits(middles)
        first = Pieces(pieces.starts, middles, pieces.before, logits)
        return first.and_also(Pieces(middles, pieces.stops, logits, pieces.behind))

    def integrals(self, pieces: Pieces) -> Iterator[Floats]:
        """Yield the gradient at the midpoint of each piece times its length, ``(n, k, H, W, C)``, batch by batch."""
        middles, done = pieces.middles, 0
        for batch in gradients(
            self._model, lambda start, stop: self.inputs(middles[start:stop]), len(pieces), self._targets
        ):
            widths = pieces.widths[done : done + len(batch)]
            done += len(batch)
            yield batch * widths[:, None, None, None, None]


def integrated_gradients(
    model: Model,
    array: Array,
    baseline: Array,
    targets: Sequence[Target | int],
    steps: int,
    tolerance: float = 0.0,
    progress: Progress = lambda done, total: None,
) -> tuple[Floats, int]:
    """Return the integrated gradients of k targets, ``(k, H, W, C)``, and the number of gradients computed.

    Sundararajan, Taly & Yan, *Axiomatic attribution for deep networks*, arXiv 1703.01365, equation 1: the difference to
    the baseline times the mean gradient on the straight line between them. Equation 3 approximates the mean with
    equal steps. Here the steps are adaptive, because the logits of many networks change mostly within the first
    percent of the line: the line is divided into pieces over which the logits change about equally. The integral of
    the gradient over a piece equals the change of the logit, so the error of each piece is known. The pieces with the
    largest errors are halved until the total error is at most ``tolerance`` or ``steps`` are spent.

    Args:
        model: the model.
        array: the input ``(H, W, C)``.
        baseline: an input ``(H, W, C)`` that represents the absence of the object.
        targets: the k targets; an index stands for the logit of a class.
        steps: the maximum number of gradients.
        tolerance: the error at which to stop, as a fraction of the difference of the score, for all targets.
        progress: called with the number of gradients computed so far and ``steps``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.paths import integrated_gradients
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> black, white = np.zeros((8, 8, 1), np.float32), np.ones((8, 8, 1), np.float32)
        >>> attributions, spent = integrated_gradients(model, white, black, targets=[1], steps=16)
        >>> logits = model.logits(np.stack([black, white]))[:, 1]
        >>> bool(np.isclose(attributions.sum(), logits[1] - logits[0]))
        True
    """
    line, spent = Line(model, array, baseline, targets), 0
    total = np.zeros((len(targets), *array.shape))

    def add(pieces: Pieces, sign: int = 1) -> Floats:
        """Add or subtract the integrals of pieces; return the error of each, ``(n, k)`` in logits."""
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
    # The lower bound keeps a class whose logit hardly changes from demanding a tiny absolute error.
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
    targets: Sequence[Target | int],
    steps: int,
    tolerance: float = 0.0,
    progress: Progress = lambda done, total: None,
) -> tuple[Floats, int]:
    """Return the mean integrated gradients of several baselines, and the total number of gradients computed.

    The arguments are those of :func:`integrated_gradients`; ``steps`` applies to each baseline.
    """
    total, spent = np.zeros((len(targets), *array.shape)), 0
    for index, baseline in enumerate(baselines):

        def report(done: int, count: int, before: int = index) -> None:
            progress(before * count + done, len(baselines) * count)

        attributions, taken = integrated_gradients(model, array, baseline, targets, steps, tolerance, report)
        total, spent = total + attributions / len(baselines), spent + taken
    return total, spent


def off_by(errors: Floats) -> float:
    """Return the estimated error of the worst class, from the errors of n pieces, ``(n, k)``.

    For each class, it is the larger of the absolute sum and the root of the sum of squares, the expected sum for
    random signs. So errors that happen to cancel do not end the refinement.
    """
    return float(max(np.abs(errors.sum(axis=0)).max(), np.sqrt((errors**2).sum(axis=0)).max()))


def spread(line: Line, count: int) -> Pieces:
    """Return ``count`` pieces of a line, shorter where the logits change more."""
    pieces = line.equal_pieces(max(1, count // 2))
    while len(pieces) < count:
        # Several pieces per round, so that the model predicts batches: those with the largest change of any class.
        some = min(1 + len(pieces) // 8, count - len(pieces))
        order = np.argsort(-np.abs(pieces.rises).max(axis=1), kind="stable")
        pieces = line.halves(pieces.some(order[:some])).and_also(pieces.some(order[some:]))
    return pieces
