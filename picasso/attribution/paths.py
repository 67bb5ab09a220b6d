"""Gradients at many inputs, and integrated gradients along the straight line between two inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.quadrature import divided, refined, trapezoidal
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Target

__all__ = ["gradients", "integrated_gradients"]

Progress = Callable[[int, int], None]
Floats = NDArray[np.float64]

# The maximum size of the gradients of one batch, in megabytes. The network needs many times as much, and larger
# batches are hardly faster.
BATCH_MB = 16
# The number of gradients that are computed and kept first, and how much closer to the baseline they lie: at (i / n)^2.
# Most networks change most where an image begins to appear, so that the error is half that of equal distances.
FIRST, WARP = 16, 2
# The number of gradients after which intervals are no longer divided one by one.
DIVIDED = 64
# The smallest norm of a map that errors are divided by.
TINY = float(np.finfo(np.float32).tiny)


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
class Attributions:
    """Integrated gradients of k targets, with their error.

    Attributes:
        values: the attributions ``(k, H, W, C)``; their sum is about the difference of the score.
        change: how the maps, summed over the channels, change if half of the gradients are left out, ``(k, H, W)``.
        steps: the number of gradients computed.
    """

    values: Floats
    change: Floats
    steps: int

    @property
    def maps(self) -> Floats:
        """The sums over the channels, ``(k, H, W)``."""
        summed: Floats = self.values.sum(axis=-1)
        return summed

    @property
    def errors(self) -> Floats:
        """The relative size of the change of each map, ``(k,)``, from 0: the norm of the change by that of the map.

        The error falls at least as fast as the number of gradients rises, so the maps err by less than this.
        """
        return lengths(self.change) / np.maximum(lengths(self.maps), TINY)


class Line:
    """The straight line of inputs from a baseline to an image, and k scores and their gradients along it."""

    def __init__(self, model: Model, array: Array, baseline: Array, targets: Sequence[Target | int]) -> None:
        self._model, self._baseline, self._targets = model, baseline, list(targets)
        self.difference = array - baseline

    def inputs(self, places: Floats) -> Array:
        """Return the inputs ``(n, H, W, C)`` at ``places`` ``(n,)`` from 0 (the baseline) to 1 (the image)."""
        return np.asarray(self._baseline + places.astype(np.float32)[:, None, None, None] * self.difference)

    def scores(self, places: Floats) -> Floats:
        """Return the scores ``(n, k)`` at ``places`` ``(n,)``."""
        return self._model.scores(self.inputs(places), self._targets)

    def gradients(self, places: Floats) -> Iterator[Array]:
        """Yield the gradients ``(n, k, H, W, C)`` at ``places``, batch by batch."""
        yield from gradients(
            self._model, lambda start, stop: self.inputs(places[start:stop]), len(places), self._targets
        )

    def map_of(self, values: Array | Floats) -> Floats:
        """Return the maps ``(..., H, W)`` of gradients ``(..., H, W, C)``: times the difference, over the channels."""
        return np.asarray(np.einsum("...hwc,hwc->...hw", values, self.difference), np.float64)


class Integral:
    """The integral of the gradients along a line by the trapezoidal rule, at more and more places.

    Args:
        line: the line.
        progress: called with the number of gradients computed so far.

    Attributes:
        spent: the number of gradients computed so far.
        found: the attributions.
        error: the largest error of a map or of its sum, for any target.
    """

    def __init__(self, line: Line, progress: Callable[[int], None]) -> None:
        self._line, self._progress, self.spent = line, progress, 0

    @property
    def intervals(self) -> int:
        """The number of intervals between the places."""
        return len(self._places) - 1

    def begin(self, count: int) -> None:
        """Compute the first ``count`` gradients, which are kept until :meth:`divide`."""
        self._places = (np.arange(count) / (count - 1)) ** WARP
        self._rises = np.diff(self._line.scores(self._places), axis=0)
        total = np.abs(self._rises.sum(axis=0))
        # The lower bound keeps a class whose score hardly changes from demanding a tiny absolute error.
        self._scale = np.maximum(total, max(0.1 * float(total.max()), 1e-6))
        self._first = np.empty((count, self._rises.shape[1], *self._line.difference.shape), np.float32)
        done = 0
        for batch in self._gradients(self._places):
            self._first[done : done + len(batch)] = batch
            done += len(batch)
        # The slope may be infinite at an end of the line, such as that of a root at a black baseline.
        for end, beside in ((0, 1), (-1, -2)):
            if not np.isfinite(self._first[end]).all():
                self._first[end] = self._first[beside]
        self._add_up(*weighted(trapezoidal(self._places), self._first))

    def divide(self, count: int) -> None:
        """Divide the intervals between the first places, those with large errors into more parts: ``count`` places."""
        maps, widths = self._line.map_of(self._first), np.diff(self._places)[:, None]
        changes = widths * lengths(np.diff(maps, axis=0)) / np.maximum(lengths(self.found.maps), TINY)
        explained = widths * (maps[1:] + maps[:-1]).sum(axis=(2, 3)) / 2
        errors = np.sqrt((changes**2 + ((self._rises - explained) / self._scale) ** 2).sum(axis=1))
        self._places, known = refined(self._places, divided(errors, count - len(self._places)))
        rules = trapezoidal(self._places)
        sums = weighted(rules[:, known], self._first)
        del self._first
        self._add_up(*self._added(sums, rules[:, ~known], self._places[~known]))

    def halve(self) -> None:
        """Halve all intervals."""
        middles, widths = (self._places[1:] + self._places[:-1]) / 2, np.diff(self._places)
        (between,) = self._added(np.zeros_like(self._sums)[None], widths[None], middles)
        self._places = np.sort(np.concatenate([self._places, middles]))
        # The trapezoidal rule for the halves is the mean of that for the whole intervals and of the midpoint rule.
        self._add_up((self._sums + between) / 2, self._sums)

    def _gradients(self, places: Floats) -> Iterator[Array]:
        for batch in self._line.gradients(places):
            self.spent += len(batch)
            self._progress(self.spent)
            yield batch

    def _added(self, sums: Floats, rules: Floats, places: Floats) -> Floats:
        """Return sums ``(r, k, H, W, C)`` plus those of the gradients at n places with the weights ``(r, n)``."""
        done = 0
        for batch in self._gradients(places):
            sums += weighted(rules[:, done : done + len(batch)], batch)
            done += len(batch)
        return sums

    def _add_up(self, sums: Floats, coarse: Floats) -> None:
        """Set what was found, from the integral and a coarser one, ``(k, H, W, C)`` each."""
        self._sums = sums
        self.found = Attributions(sums * self._line.difference, self._line.map_of(sums - coarse), self.spent)
        gaps = (self.found.maps.sum(axis=(1, 2)) - self._rises.sum(axis=0)) / self._scale
        self.error = float(np.maximum(self.found.errors, np.abs(gaps)).max())


def integrated_gradients(
    model: Model,
    array: Array,
    baseline: Array,
    targets: Sequence[Target | int],
    steps: int,
    tolerance: float = 0.0,
    progress: Progress = lambda done, total: None,
) -> Attributions:
    """Return the integrated gradients of k targets.

    Sundararajan, Taly & Yan, *Axiomatic attribution for deep networks*, arXiv 1703.01365, equation 1: the difference to
    the baseline times the mean gradient on the straight line between them. Equation 3 approximates the mean with
    equal steps. Here the first gradients lie closer together near the baseline. They show where the maps change
    and where the scores rise by another amount than the gradients explain. The intervals between them are divided so
    that the expected error is smallest, by the trapezoidal rule; a smoother rule gains nothing, because the gradient of
    a network with rectifiers jumps. Then all intervals are halved until the error is small enough.

    Args:
        model: the model.
        array: the input ``(H, W, C)``.
        baseline: an input ``(H, W, C)`` that represents the absence of the object.
        targets: the k targets; an index stands for the logit of a class.
        steps: the maximum number of gradients, at least 2.
        tolerance: the error at which to stop: of the maps (:attr:`Attributions.errors`), and of their sums as a
            fraction of the difference of the score, for all targets.
        progress: called with the number of gradients computed so far and ``steps``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.paths import integrated_gradients
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> black, white = np.zeros((8, 8, 1), np.float32), np.ones((8, 8, 1), np.float32)
        >>> attributions = integrated_gradients(model, white, black, targets=[1], steps=16)
        >>> logits = model.logits(np.stack([black, white]))[:, 1]
        >>> bool(np.isclose(attributions.values.sum(), logits[1] - logits[0]))
        True
    """
    integral = Integral(Line(model, array, baseline, targets), lambda done: progress(done, steps))
    integral.begin(min(FIRST, steps))
    if integral.error > tolerance and steps > FIRST:
        # The error falls at least as fast as the number of gradients rises. Of the numbers that lead to ``steps`` by
        # halving all intervals, the smallest that may suffice is tried.
        wanted = min(DIVIDED, FIRST * integral.error / tolerance if tolerance else np.inf)
        count = steps
        while (count + 1) // 2 >= wanted:
            count = (count + 1) // 2
        integral.divide(count)
    while integral.error > tolerance and integral.spent + integral.intervals <= steps:
        integral.halve()
    progress(steps, steps)
    return integral.found


def from_several(
    model: Model,
    array: Array,
    baselines: Sequence[Array],
    targets: Sequence[Target | int],
    steps: int,
    tolerance: float = 0.0,
    progress: Progress = lambda done, total: None,
) -> Attributions:
    """Return the mean integrated gradients of several baselines.

    The arguments are those of :func:`integrated_gradients`; ``steps`` applies to each baseline.
    """
    several = len(baselines)
    values, change, spent = np.zeros((len(targets), *array.shape)), np.zeros((len(targets), *array.shape[:2])), 0
    for index, baseline in enumerate(baselines):

        def report(done: int, count: int, before: int = index) -> None:
            progress(before * count + done, several * count)

        found = integrated_gradients(model, array, baseline, targets, steps, tolerance, report)
        values, change, spent = values + found.values / several, change + found.change / several, spent + found.steps
    return Attributions(values, change, spent)


def weighted(rules: Floats, batch: Array) -> Floats:
    """Return the sums ``(r, ...)`` of gradients ``(n, ...)`` with the weights ``(r, n)``."""
    return np.asarray(np.tensordot(rules.astype(np.float32), batch, (1, 0)), np.float64)


def lengths(maps: Floats) -> Floats:
    """Return the Euclidean norms ``(...)`` of maps ``(..., H, W)``."""
    return np.asarray(np.sqrt(np.einsum("...hw,...hw->...", maps, maps)), np.float64)
