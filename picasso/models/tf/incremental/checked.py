"""The fast way behind checks: it proves itself, and whatever goes wrong with it, whole images take over."""

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

log = logging.getLogger(__name__)

# Below this gain, as it is planned, whole images may be as fast: plans for small inputs promise up to 1.45 times too
# much (ResNet50 at 64 x 64).
MIN_GAIN = 1.4
# By how much probabilities may differ between two ways of computing them; rounding stays below.
TOLERANCE = 3e-5

#: Answers windows of an input ``(H, W, C)`` with a fill by whole images.
Plain = Callable[[Array, Array, Sequence[Box]], Occlusion]


class WrongAnswerError(Exception):
    """The fast way gave something else than whole images do; the message says what."""


class Checked:
    """Occlusion of one model by recomputing only what changes, with whole images where that fails.

    Nothing that goes wrong here ends a run, and nothing is believed: the fast way is compared with whole images when
    it is built, and in every run for windows of the first and the last chunk.

    Args:
        label: how the log names the model.
        build: returns the fast way; it may raise anything.
        plain: answers by whole images.
        predict: gives the probabilities ``(N, K)`` for inputs ``(N, H, W, C)``.
        probe: two inputs ``(H, W, C)`` that are nothing alike: an image, and what is seen in its windows.
        memory: about how many bytes may be taken at once.
    """

    def __init__(
        self,
        label: str,
        build: Callable[[], Incremental],
        plain: Plain,
        predict: Callable[[Array], Array],
        probe: Callable[[], tuple[Array, Array]],
        memory: int,
    ) -> None:
        self._label, self._plain, self._predict, self._memory = label, plain, predict, memory
        #: The fast way, or None where there is none.
        self.engine: Incremental | None = None
        #: Why there is no fast way, as the end of a sentence; "" where there is one.
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
        """Return how windows are computed the fast way, or None where there is none."""
        if self.engine is None:
            return None
        try:
            return self.engine.plan(boxes, self._memory)
        except Exception as error:
            self._give_up(error)
            return None

    def passes(self, boxes: Sequence[Box]) -> float:
        """Return how many whole images windows are worth."""
        plan = self.plan(boxes)
        return len(boxes) / (plan.gain if plan and plan.gain >= MIN_GAIN else 1.0)

    def occlude(self, image: Array, fill: Array, boxes: Sequence[Box]) -> Occlusion:
        """Answer windows the fast way where it is one, and by whole images where not."""
        plain, plan = self._plain(image, fill, boxes), self.plan(boxes)
        engine = self.engine
        if engine is None or plan is None:
            plain.method += f", because {self.reason}"
            return plain
        if plan.gain < MIN_GAIN:
            plain.method += ", because computing only what a window changes would save nothing"
            return plain
        parts = engine.run(image, fill, boxes, plan)
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

    def _rescued(
        self, occlusion: Occlusion, parts: Iterator[Part], image: Array, fill: Array, boxes: Sequence[Box]
    ) -> Iterator[Part]:
        """Yield the parts; should they end in an error, whole images answer the windows that are left."""
        left = np.ones(len(boxes), np.bool_)
        try:
            for members, part in parts:
                require_probabilities(part)
                left[members] = False
                yield members, part
            if left.any():
                raise WrongAnswerError(f"{left.sum()} windows were left out")
        except Exception as error:
            self._give_up(error)
            rest: NDArray[np.int64] = np.flatnonzero(left)
            share = f"{len(rest)} of {len(boxes)} windows"
            occlusion.method += f"; a whole image for each of {share}, because {self.reason}"
            for members, part in self._plain(image, fill, [boxes[index] for index in rest]).parts:
                yield rest[members], part

    def _prove(self, engine: Incremental, image: Array, fill: Array) -> None:
        """Compare both ways on windows at corners and borders, small and large, of which each group is one plan."""
        for boxes in proofs((image.shape[0], image.shape[1], image.shape[2])):
            parts = list(engine.run(image, fill, boxes, engine.plan(boxes, self._memory)))
            self._compare(parts, image, fill, boxes, every=True)

    def _compare(
        self, parts: Sequence[Part], image: Array, fill: Array, boxes: Sequence[Box], *, every: bool = False
    ) -> None:
        """Raise WrongAnswerError where the first and the last window, or every one, should have another answer."""
        members, answers = (np.concatenate(side) for side in zip(*parts, strict=True))
        require_probabilities(answers)
        some = np.arange(len(members)) if every else np.unique([0, len(parts[0][0]) - 1, len(members) - 1])
        expected = self._predict(covered(image, fill, [boxes[index] for index in members[some]]))
        error = float(np.abs(answers[some] - expected).max(initial=0))
        if not error < TOLERANCE:
            raise WrongAnswerError(f"its probabilities are off by {error:.2g}")

    def _give_up(self, error: Exception) -> None:
        """Take whole images from now on, and log why."""
        log.error(
            "Occlusion of %s by computing only what a window changes failed; whole images are taken from now on.",
            self._label,
            exc_info=error,
        )
        self._disable(f"computing only what it changes failed ({reason(error, 120)})")

    def _disable(self, why: str) -> None:
        self.engine, self.reason = None, why


def require_probabilities(answers: Array) -> None:
    """Raise WrongAnswerError where answers are no finite numbers from 0 to 1."""
    if not np.isfinite(answers).all():
        raise WrongAnswerError("its answers are not finite numbers")
    if answers.size and (answers.min() < -1e-4 or answers.max() > 1 + 1e-4):
        raise WrongAnswerError(f"its answers lie between {answers.min():.3g} and {answers.max():.3g}")


def proofs(shape: Shape) -> list[list[Box]]:
    """Return groups of windows of one size each: the corners and the middle, single pixels, and a border."""
    height, width, _ = shape
    down, across = max(1, height // 4), max(1, width // 4)
    corners = [(x, y) for y in (0, height - down) for x in (0, width - across)]
    places = [*corners, ((width - across) // 2, (height - down) // 2)]
    return [
        [(x, y, x + across, y + down) for x, y in places],
        [(0, 0, 1, 1), (width - 1, height - 1, width, height)],
        [(width - across, 0, width, height)],
    ]
