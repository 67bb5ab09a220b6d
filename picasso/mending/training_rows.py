"""The features of original and counterfactual images, and how the old model predicts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from picasso.audit.trial import TrialContext
from picasso.mending.counterfactuals import (
    DRAWS,
    Alarm,
    Counterfactual,
    affordable,
    counterfactuals,
    total,
    unchanged,
)
from picasso.mending.fitting import Numbers, Rows, Values, assign_folds
from picasso.mending.measuring import by_group, features_of
from picasso.mending.outcome import GroupAccuracy, Progress
from picasso.models.head import Head

# The largest number of values of all features, in memory.
MAX_VALUES = 60_000_000


class TrainingRows:
    """Collects the features of images; further alarms add more.

    Args:
        context: the model, the images and the interventions.
        head: the head of the model.
    """

    def __init__(self, context: TrialContext, head: Head) -> None:
        self._context, self._head = context, head
        self.folds = {
            target: assign_folds(len(views), target, context.seed) for target, views in context.folder.views.items()
        }
        self._features: list[NDArray[np.float32]] = []
        self._targets: list[Numbers] = []
        self._groups: list[Numbers] = []
        self._changed: list[NDArray[np.bool_]] = []
        self._names: dict[tuple[str, int], int] = {}
        for one in unchanged(context):
            self._add(one)

    def _add(self, images: Counterfactual) -> None:
        count = len(images.views)
        group = self._names.setdefault((images.change, images.target), len(self._names))
        self._features.append(features_of(self._head, self._context.model, images.views))
        self._targets.append(np.full(count, images.target))
        self._groups.append(np.full(count, group))
        self._changed.append(np.full(count, images.changed))

    def add(self, context: TrialContext, alarms: Sequence[Alarm], progress: Progress) -> None:
        """Add the counterfactual images of alarms.

        Args:
            context: that of the audit that raised the alarms, whose attention maps locate the object.
            alarms: the alarms.
            progress: called after each set of images.
        """
        draws = affordable(context, alarms, DRAWS, self._features[0].shape[1], MAX_VALUES)
        every, done = total(context, alarms, draws), 0
        for one in counterfactuals(context, alarms, draws):
            self._add(one)
            done += len(one.views)
            progress(min(1.0, done / every), f"changing images: {one.change}")

    def rows(self) -> Rows:
        """Return all rows."""
        targets = np.concatenate(self._targets)
        folds = np.concatenate([self.folds[int(some[0])] for some in self._targets])
        groups, changed = np.concatenate(self._groups), np.concatenate(self._changed)
        return Rows(np.concatenate(self._features), targets, groups, folds, changed)

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(map(len, self._targets))

    def accuracy(self, logits: Values | None = None) -> GroupAccuracy:
        """Return the accuracy in the groups of rows.

        Args:
            logits: of all rows, ``(n, K)``; by default those of the old model.
        """
        rows = self.rows()
        found = self._head.weights.logits(rows.features) if logits is None else logits
        return by_group(found.argmax(axis=1) == rows.targets, rows.targets, rows.groups, rows.changed)
