"""Scores of occluded images: probabilities, their log-odds, and logits where the log-odds are not precise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.base import Model

Floats = NDArray[np.float64]


class Answers:
    """The scores of k classes for n inputs.

    Args:
        model: the model.
        classes: the indices of the k classes.
        count: the number n of inputs.

    Attributes:
        probabilities: ``(n, k)``, 0..1; NaN where not computed yet.
        log_odds: ``ln(p / (1 - p))`` of the probabilities, ``(n, k)``; NaN where not computed yet.
        exact: True where the probabilities are precise enough for the log-odds, ``(n, k)``.
        logits: ``(n, k)``; computed only for classes whose probabilities are not precise enough, NaN elsewhere.
    """

    def __init__(self, model: Model, classes: Sequence[int], count: int) -> None:
        self._model, self._classes = model, list(classes)
        shape = (count, len(classes))
        self.probabilities: Array = np.full(shape, np.nan, np.float32)
        self.log_odds: Floats = np.full(shape, np.nan)
        self.exact: NDArray[np.bool_] = np.ones(shape, np.bool_)
        self.logits: Array = np.full(shape, np.nan, np.float32)

    def add(self, members: NDArray[np.int64], probabilities: Array) -> None:
        """Store the probabilities ``(m, K)`` of all K classes for the m inputs with the indices ``members``."""
        self.probabilities[members] = probabilities[:, self._classes]
        self.log_odds[members], self.exact[members] = self._model.log_odds(probabilities, self._classes)

    def ask_logits(self, members: NDArray[np.int64], inputs: Array, some: Sequence[int]) -> None:
        """Compute and store the logits of some of the k classes for m inputs ``(m, H, W, C)``.

        Args:
            members: the indices of the inputs, ``(m,)``.
            inputs: the inputs themselves.
            some: the positions of the classes among the k.
        """
        logits = self._model.logits(inputs)[:, self._classes]
        for index in some:
            self.logits[members, index] = logits[:, index]

    def asked(self, index: int) -> bool:
        """Tell whether the logits of one of the k classes are computed for all inputs."""
        return bool(np.isfinite(self.logits[:, index]).all())


def filled(values: NDArray[Any]) -> Floats:
    """Return values ``(S * S,)`` of a grid of windows, with each NaN replaced by the value of the nearest window."""
    unknown, complete = np.isnan(values), values.astype(np.float64)
    if unknown.any() and not unknown.all():
        side = round(len(values) ** 0.5)
        rows, columns = np.divmod(np.arange(side * side), side)
        known = np.flatnonzero(~unknown)
        distances = (rows[:, None] - rows[known]) ** 2 + (columns[:, None] - columns[known]) ** 2
        complete = complete[known[distances.argmin(axis=1)]]
    return complete
