"""Models with invalid predictions: NaN, a wrong number of classes, or logits instead of probabilities."""

from __future__ import annotations

import numpy as np

from picasso.models.arrays import Array
from tests.fakes import CLASSES, LinearModel


class Late(LinearModel):
    """Answers well while it is loaded, and then no more: so the fault comes up in a run."""

    asked = 0

    def wrong(self, inputs: Array) -> Array:
        """Return what is no answer."""
        raise NotImplementedError

    def batch_probabilities(self, inputs: Array) -> Array:
        self.asked += 1
        return super().batch_probabilities(inputs) if self.asked == 1 else self.wrong(inputs)


class NaNModel(Late):
    """Answers what is no number."""

    def wrong(self, inputs: Array) -> Array:
        return np.full((len(inputs), CLASSES), np.nan, np.float32)


class ShapeModel(Late):
    """Answers one class more than it has."""

    def wrong(self, inputs: Array) -> Array:
        return np.full((len(inputs), CLASSES + 1), 0.1, np.float32)


class LogitModel(Late):
    """Answers logits where probabilities are due."""

    def wrong(self, inputs: Array) -> Array:
        return np.full((len(inputs), CLASSES), -7, np.float32)
