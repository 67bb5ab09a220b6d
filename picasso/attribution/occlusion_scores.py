"""What a model answers behind windows: probabilities, their log-odds, and logits where these have no digits left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.base import Model

Floats = NDArray[np.float64]


class Answers:
    """What a model answers for n inputs about k classes.

    Args:
        model: the model.
        classes: the numbers of the k classes.
        count: n.

    Attributes:
        probabilities: ``(n, k)``, NaN where they are not known yet.
        log_odds: theirs, ``(n, k)``.
        exact: where the probabilities have enough digits for the log-odds, ``(n, k)``.
        logits: of the classes for which they were asked, because their probabilities have not, ``(n, k)``.
    """

    def __init__(self, model: Model, classes: Sequence[int], count: int) -> None:
        self._model, self._classes = model, list(classes)
        shape = (count, len(classes))
        self.probabilities: Array = np.full(shape, np.nan, np.float32)
        self.log_odds: Floats = np.full(shape, np.nan)
        self.exact: NDArray[np.bool_] = np.ones(shape, np.bool_)
        self.logits: Array = np.full(shape, np.nan, np.float32)

    def add(self, members: NDArray[np.int64], probabilities: Array) -> None:
        """Note the probabilities of all classes, ``(m, K)``, for m of the inputs."""
        self.probabilities[members] = probabilities[:, self._classes]
        self.log_odds[members], self.exact[members] = self._model.log_odds(probabilities, self._classes)

    def ask_logits(self, members: NDArray[np.int64], inputs: Array, some: Sequence[int]) -> None:
        """Ask the model for the logits of some of the k classes for some inputs ``(m, H, W, C)``."""
        logits = self._model.logits(inputs)[:, self._classes]
        for index in some:
            self.logits[members, index] = logits[:, index]

    def asked(self, index: int) -> bool:
        """Tell whether the logits of one of the k classes are known."""
        return bool(np.isfinite(self.logits[:, index]).all())


def filled(values: NDArray[Any]) -> Floats:
    """Return values ``(S * S,)`` with those that are not known yet (NaN) taken from the nearest window."""
    unknown, complete = np.isnan(values), values.astype(np.float64)
    if unknown.any() and not unknown.all():
        side = round(len(values) ** 0.5)
        rows, columns = np.divmod(np.arange(side * side), side)
        known = np.flatnonzero(~unknown)
        distances = (rows[:, None] - rows[known]) ** 2 + (columns[:, None] - columns[known]) ** 2
        complete = complete[known[distances.argmin(axis=1)]]
    return complete
