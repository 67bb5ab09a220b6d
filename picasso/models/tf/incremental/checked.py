"""Incremental occlusion with checks: its results are verified, and predictions of whole images are the fallback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from picasso.errors import reason
from picasso.models.arrays import Array, Shape
from picasso.models.occlusion import Box, Occlusion, Part, covered
from picasso.models.tf.incremental.occlusion import Incremental
from picasso.models.tf.incremental.plan import Plan
from picasso.models.tf.incremental.steps import Unsupported
from picasso.targets import OutputSpec

log = logging.getLogger(__name__)

# The minimum planned gain. Below it, whole images may be as fast, because plans for small inputs overestimate the gain
# by up to 1.45 times (ResNet50 at 64 x 64).
MIN_GAIN = 1.4
# The maximum difference of probabilities between the two computations, and of other numbers as a fraction of the
# largest; rounding errors are smaller.
TOLERANCE = 3e-5

#: Predicts whole images for windows of an input ``(H, W, C)`` covered with a fill.
Plain = Callable[[Array, Array, Sequence[Box]], Occlusion]


class WrongAnswerError(Exception):
    """The incremental results differ from predictions of whole images; the message states how."""


class Checked:
    """Occlusion of one model by incremental computation, with predictions of whole images as the fallback.

    Errors of the incremental computation never end a run, and its results are verified: they are compared with whole
    images when it is built, and in every run for windows of the first and the last chunk.

    Args:
        label: the name of the model in the log.
        build: returns the incremental computation, or raises any exception.
        plain: predicts whole images for windows.
        predict: returns the outputs ``(N, *spec.shape)`` of inputs ``(N, H, W, C)``, by exact arithmetic.
        probe: returns two very different inputs ``(H, W, C)``: an image, and the fill of its windows.
        memory: the approximate maximum memory, in bytes.
        spec: what the output means.
        tolerance: the maximum difference; see :data:`TOLERANCE`. Fast arithmetic needs a larger one.
    """

    def __init__(
        self,
        label: str,
        build: Callable[[], Incremental],
        plain: Plain,
        predict: Callable[[Array], Array],
        probe: Callable[[], tuple[Array, Array]],
        memory: int,
        spec: OutputSpec,
        tolerance: float = TOLERANCE,
    ) -> None:
        self._tolerance = tolerance
        self._label, self._plain, self._predict, self._memory, self._spec = label, plain, predict, memory, spec
        #: The incremental computation, or None if it is not available.
        self.engine: Incremental | None = None
        #: The reason why it is not available, as the end of a sentence; "" if it is.
        self.reason = ""
        try:
            engine = build()
            self._prove(engine, *probe())
            self.engine = engine
        except Unsupported as error:
            self._disable(str(error))
        except Exception as error:
            self._give_up(error)

    def plan(self, boxes: Sequence[Box]) -> Plan | None:
        """Return the plan of the incremental computation for windows, or None if it is not available."""
        if self.engine is None:
            return None
        try:
            return self.engine.plan(boxes, self._memory)
        except Exception as error:
            self._give_up(error)
            return None

    def passes(self, boxes: Sequence[Box]) -> float:
        """Return the cost of windows, as a number of predictions of whole images."""
        plan = self.plan(boxes)
        return len(boxes) / (plan.gain if plan and plan.gain >= MIN_GAIN else 1.0)

    def occlude(self, image: Array, fill: Array, boxes: Sequence[Box]) -> Occlusion:
        """Return the outputs for windows, incrementally if possible and faster, else by whole images."""
        plain, plan = self._plain(image, fill, boxes), self.plan(boxes)
        engine = self.engine
        if engine is None or plan is None:
            plain.method += f", because {self.reason}"
            return plain
        if plan.gain < MIN_GAIN:
            plain.method += ", because computing only what a window changes would save nothing"
            return plain
        parts = self._run(engine, image, fill, boxes, plan)
        try:
            first = list(islice(parts, 2))
            self._compare(first, image, fill, boxes)
        except Exception as error:
            self._give_up(error)
            plain.method += f", because {self.reason}"
            return plain
        occlusion = Occlusion((), f"only what a window changes, {plan.gain:.1f} times less work")
        occlusion.parts = self._rescued(occlusion, chain(first, parts), image, fill, boxes)
        return occlusion

    def _run(self, engine: Incremental, image: Array, fill: Array, boxes: Sequence[Box], plan: Plan) -> Iterator[Part]:
        """Yield the results of the incremental computation in the shape of the model's outputs."""
        for members, part in engine.run(image, fill, boxes, plan):
            yield members, part.reshape(-1, *self._spec.shape)

    def _rescued(
        self, occlusion: Occlusion, parts: Iterator[Part], image: Array, fill: Array, boxes: Sequence[Box]
    ) -> Iterator[Part]:
        """Yield the parts; after an error, predict whole images for the remaining windows."""
        left = np.ones(len(boxes), np.bool_)
        try:
            for members, part in parts:
                self._require_valid(part)
                left[members] = False
                yield members, part
            if left.any():
                raise WrongAnswerError(f"{left.sum()} windows were not computed")
        except Exception as error:
            self._give_up(error)
            rest: NDArray[np.int64] = np.flatnonzero(left)
            share = f"{len(rest)} of {len(boxes)} windows"
            occlusion.method += f"; a whole image for each of {share}, because {self.reason}"
            for members, part in self._plain(image, fill, [boxes[index] for index in rest]).parts:
                yield rest[members], part

    def _prove(self, engine: Incremental, image: Array, fill: Array) -> None:
        """Compare both computations for small and large windows at corners and borders, one plan per group."""
        for boxes in proofs((image.shape[0], image.shape[1], image.shape[2])):
            parts = list(self._run(engine, image, fill, boxes, engine.plan(boxes, self._memory)))
            self._compare(parts, image, fill, boxes, every=True)

    def _compare(
        self, parts: Sequence[Part], image: Array, fill: Array, boxes: Sequence[Box], *, every: bool = False
    ) -> None:
        """Raise WrongAnswerError if the results differ from whole images.

        Compared are the first and the last window and the last one of the first part, or, with ``every``, all windows.
        """
        members, answers = (np.concatenate(side) for side in zip(*parts, strict=True))
        self._require_valid(answers)
        some = np.arange(len(members)) if every else np.unique([0, len(parts[0][0]) - 1, len(members) - 1])
        expected = self._predict(covered(image, fill, [boxes[index] for index in members[some]]))
        error = float(np.abs(answers[some] - expected).max(initial=0))
        if not error < self._tolerance * max(1.0, float(np.abs(expected).max(initial=0))):
            raise WrongAnswerError(f"its results are off by {error:.2g}")

    def _require_valid(self, answers: Array) -> None:
        """Raise WrongAnswerError unless all answers are finite and such as the model returns."""
        if not answers.size:
            return
        # NaN is the minimum and the maximum wherever it occurs. Two numbers are checked faster than large maps.
        ends = np.array([answers.min(), answers.max()], np.float32)
        if not np.isfinite(ends).all():
            raise WrongAnswerError("its results are not finite")
        if wrong := self._spec.wrong(ends):
            raise WrongAnswerError(f"its results have {wrong}")

    def _give_up(self, error: Exception) -> None:
        """Use whole images from now on, and log the reason."""
        log.error(
            "Occlusion of %s by computing only what a window changes failed; whole images are computed from now on.",
            self._label,
            exc_info=error,
        )
        self._disable(f"computing only what it changes failed ({reason(error, 120)})")

    def _disable(self, why: str) -> None:
        self.engine, self.reason = None, why


def proofs(shape: Shape) -> list[list[Box]]:
    """Return groups of windows of equal size: the corners and the centre, single pixels, and a border."""
    height, width, _ = shape
    down, across = max(1, height // 4), max(1, width // 4)
    corners = [(x, y) for y in (0, height - down) for x in (0, width - across)]
    places = [*corners, ((width - across) // 2, (height - down) // 2)]
    return [
        [(x, y, x + across, y + down) for x, y in places],
        [(0, 0, 1, 1), (width - 1, height - 1, width, height)],
        [(width - across, 0, width, height)],
    ]
