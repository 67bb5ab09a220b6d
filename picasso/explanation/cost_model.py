"""Time estimates for a model on this machine, based on measurements."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.visualizations.base import BaseVisualization

# The measured seconds per image of each model.
PACES: weakref.WeakKeyDictionary[Model, float] = weakref.WeakKeyDictionary()
# The measured additional seconds of each model's first map, for compilation.
FIRST: weakref.WeakKeyDictionary[Model, float] = weakref.WeakKeyDictionary()
# The names of the fully compiled visualizations, by model.
COMPILED: weakref.WeakKeyDictionary[Model, set[str]] = weakref.WeakKeyDictionary()
# The number of measurements, unless they take long.
ROUNDS, LONG_SECONDS = 3, 5.0


def measure(model: Model) -> None:
    """Measure the seconds per image of a model in a full batch: the fastest of a few runs, or one run if it is slow."""
    inputs = np.zeros((model.batch_size, *model.input_shape), np.float32)
    # The first run allocates memory and selects kernels.
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
    """Return the estimated seconds of a visualization per image, or None if the speed is not known yet.

    Raises:
        BadRequest: a setting is invalid.
    """
    pace = PACES.get(model)
    checked = visualization.ALLOWED_SETTINGS.parse(settings)
    return None if pace is None else pace * visualization.passes(model, checked)


def took(model: Model, seconds: float) -> None:
    """Store the additional seconds of a model's first map, for compilation."""
    FIRST[model] = seconds


def compiled(model: Model, visualization: type[BaseVisualization[Any]]) -> None:
    """Mark a visualization as fully compiled for a model."""
    COMPILED.setdefault(model, set()).add(visualization.__name__)


def compiling(model: Model, visualization: type[BaseVisualization[Any]]) -> float:
    """Return the estimated additional seconds of a visualization's first run, for compilation.

    This is 0 if it is not known yet, and for visualizations that need only predictions, which are compiled at start-up.
    """
    known = visualization.__name__ in COMPILED.get(model, ())
    return 0.0 if known or not visualization.NEEDS - {Capability.PREDICTIONS} else FIRST.get(model, 0.0)


class Pace:
    """Separates the compile time of a run, which occurs once, from the rest of its time.

    Args:
        expected: the expected compile time in seconds; 0 if everything is compiled.
    """

    def __init__(self, expected: float) -> None:
        self.expected = expected
        self._first: tuple[float, float] | None = None

    def compiling(self, fraction: float, seconds: float) -> float:
        """Return the compile time within the seconds so far, or the expected one, at a progress of ``fraction``."""
        if not self.expected or fraction <= 0:
            return self.expected
        if self._first is None:
            self._first = fraction, seconds
        done, took = self._first
        # The time after the first chunk shows how long that chunk would have taken without compilation.
        alone = done * (seconds - took) / (fraction - done) if fraction > done else 0.0
        return max(0.0, took - alone)
