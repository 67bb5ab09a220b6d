"""How long something will take with this model on this machine, from what the model was seen to take."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from picasso.models.base import Model
from picasso.visualizations.base import BaseVisualization

# Seconds that one picture takes to go through each model, once that was measured.
PACES: weakref.WeakKeyDictionary[Model, float] = weakref.WeakKeyDictionary()
ROUNDS = 3


def measure(model: Model) -> None:
    """Note how long a picture takes to go through a model in a full batch: the fastest of a few."""
    inputs = np.zeros((model.batch_size, *model.input_shape), np.float32)
    # The first time, memory is taken and kernels are chosen.
    model.predict(inputs)
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        model.predict(inputs)
        seconds.append(time.perf_counter() - started)
    PACES[model] = min(seconds) / len(inputs)


def seconds_per_picture(
    model: Model, visualization: type[BaseVisualization[Any]], settings: Mapping[str, object]
) -> float | None:
    """Return about how many seconds a visualization takes for one picture, or None while that is not known.

    Raises:
        BadRequest: a setting is wrong.
    """
    pace = PACES.get(model)
    checked = visualization.ALLOWED_SETTINGS.parse(settings)
    return None if pace is None else pace * visualization.passes(model, checked)
