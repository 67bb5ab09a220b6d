"""Values of targets for occluded images, their log-odds, and logits where the log-odds are not precise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Target

Floats = NDArray[np.float64]


class Answers:
    """The values of k targets for n inputs.

    Args:
        model: the model.
        targets: the k targets.
        count: the number n of inputs.

    Attributes:
        values: ``(n, k)``, such as probabilities; NaN where not computed yet.
        log_odds: ``ln(p / (1 - p))`` of probabilities, ``(n, k)``; NaN where not computed yet or not defined.
        exact: True where the probabilities are precise enough for the log-odds, ``(n, k)``.
        logits: ``(n, k)``; computed only for targets whose probabilities are not precise enough, NaN elsewhere.
    """

    def __init__(self, model: Model, targets: Sequence[Target], count: int) -> None:
        self._model, self._targets = model, list(targets)
        shape = (count, len(targets))
        self.values: Array = np.full(shape, np.nan, np.float32)
        self.log_odds: Floats = np.full(shape, np.nan)
        self.exact: NDArray[np.bool_] = np.ones(shape, np.bool_)
        self.logits: Array = np.full(shape, np.nan, np.float32)

    def add(self, members: NDArray[np.int64], outputs: Array) -> None:
        """Store the values for the m inputs with the indices ``members``, from the model's outputs ``(m, ...)``."""
        if not len(members):
            return
        for index, target in enumerate(self._targets):
            self.values[members, index] = target.value(outputs)
            if odds := target.log_odds(outputs):
                self.log_odds[members, index], self.exact[members, index] = odds

    def ask_logits(self, members: NDArray[np.int64], inputs: Array, some: Sequence[int]) -> None:
        """Compute and store the scores of some of the k targets for m inputs ``(m, H, W, C)``.

        Args:
            members: the indices of the inputs, ``(m,)``.
            inputs: the inputs themselves.
            some: the positions of the targets among the k.
        """
        self.add_scores(members, self._model.logits(inputs), some)

    def add_scores(self, members: NDArray[np.int64], scores: Array, some: Sequence[int]) -> None:
        """Store the scores of some of the k targets, from those of the model ``(m, ...)`` for m inputs."""
        for index in some:
            self.logits[members, index] = self._targets[index].score(scores)

    def asked(self, index: int) -> bool:
        """Tell whether the logits of one of the k targets are computed for all inputs."""
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
