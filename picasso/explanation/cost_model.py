"""How long something will take with this model on this machine, from what the model was seen to take."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.visualizations.base import BaseVisualization

# Seconds that one image takes to go through each model, once that was measured.
PACES: weakref.WeakKeyDictionary[Model, float] = weakref.WeakKeyDictionary()
# Seconds that the first map of each model took more, for what was compiled, once that was measured.
FIRST: weakref.WeakKeyDictionary[Model, float] = weakref.WeakKeyDictionary()
# The names of the visualizations of which everything is compiled, by model.
COMPILED: weakref.WeakKeyDictionary[Model, set[str]] = weakref.WeakKeyDictionary()
# So often it is measured, unless that takes long.
ROUNDS, LONG_SECONDS = 3, 5.0


def measure(model: Model) -> None:
    """Note how long an image takes to go through a model in a full batch: the fastest of a few, or of one if slow."""
    inputs = np.zeros((model.batch_size, *model.input_shape), np.float32)
    # The first time, memory is taken and kernels are chosen.
    model.predict(inputs)
    seconds: list[float] = []
    while not seconds or (len(seconds) < ROUNDS and sum(seconds) < LONG_SECONDS):
        started = time.perf_counter()
        model.predict(inputs)
        seconds.append(time.perf_counter() - started)
    PACES[model] = min(seconds) / len(inputs)


def seconds_per_image(
    model: Model, visualization: type[BaseVisualization[Any]], settings: Mapping[str, object]
) -> float | None:
    """Return about how many seconds a visualization takes for one image, or None while that is not known.

    Raises:
        BadRequest: a setting is wrong.
    """
    pace = PACES.get(model)
    checked = visualization.ALLOWED_SETTINGS.parse(settings)
    return None if pace is None else pace * visualization.passes(model, checked)


def took(model: Model, seconds: float) -> None:
    """Note how many seconds the first map of a model took more than it takes later, for what was compiled."""
    FIRST[model] = seconds


def compiled(model: Model, visualization: type[BaseVisualization[Any]]) -> None:
    """Note that a visualization was computed with a model once, so that nothing of it is left to compile."""
    COMPILED.setdefault(model, set()).add(visualization.__name__)


def compiling(model: Model, visualization: type[BaseVisualization[Any]]) -> float:
    """Return about how many seconds the first run of a visualization takes more, for what is compiled then.

    What is not known yet counts as nothing, and so does what only takes predictions, which are compiled at the start.
    """
    known = visualization.__name__ in COMPILED.get(model, ())
    return 0.0 if known or not visualization.NEEDS - {Capability.PREDICTIONS} else FIRST.get(model, 0.0)


class Pace:
    """How much of the time that a run took was for compiling, which happens once and says nothing of the rest.

    Args:
        expected: seconds that compiling will take; 0 where everything is compiled.
    """

    def __init__(self, expected: float) -> None:
        self.expected = expected
        self._first: tuple[float, float] | None = None

    def compiling(self, fraction: float, seconds: float) -> float:
        """Return how many seconds of those so far were for compiling, or will be, when a fraction is done."""
        if not self.expected or fraction <= 0:
            return self.expected
        if self._first is None:
            self._first = fraction, seconds
        done, took = self._first
        # What came after the first chunk tells how long that would have taken alone.
        alone = done * (seconds - took) / (fraction - done) if fraction > done else 0.0
        return max(0.0, took - alone)
