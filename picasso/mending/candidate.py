"""A mended copy of a model before it is accepted, with what is known about it on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picasso.audit import audit
from picasso.audit.audit import Audit
from picasso.audit.dataset import encoded, logits
from picasso.audit.properties import Images
from picasso.audit.trial import TrialContext
from picasso.errors import ModelError
from picasso.mending.counterfactuals import Alarm
from picasso.mending.fitting import Values
from picasso.mending.measuring import Answer, alarms_of, effects, features_of
from picasso.mending.outcome import Progress, WorstGroup
from picasso.models.base import Model
from picasso.models.head import Head, HeadWeights

# The largest difference between the predictions of the written file and those expected, and the images compared.
TOLERANCE, COMPARED = 1e-5, 32

# Applied to a mended model before it is used.
Wrap = Callable[[Model], Model]
Chosen = Mapping[int, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mended copy of a model.

    Attributes:
        file: the copy.
        audit: its audit, with the images of the first audit.
        held: which images the new weights were not fitted to, by class.
        held_logits: the logits of all images, by class; for images in ``held``, by weights not fitted to them.
        held_answer: returns such logits for changed images of a class.
        worst: the accuracy of the groups of held-out images.
        deep: whether the whole network was trained.
    """

    file: Path
    audit: Audit
    held: Chosen
    held_logits: Mapping[int, Values]
    held_answer: Answer
    worst: WorstGroup
    deep: bool = False

    def same_effects(self, context: TrialContext, alarms: Sequence[Alarm]) -> dict[tuple[Alarm, int], float]:
        """Return the effects of the changes of the first audit, by alarm and class."""
        known = {one: np.asarray(some, np.float64) for one, some in self.audit.folder.logits.items()}
        return effects(context, alarms, lambda views, _: answered(self.audit.model, views), known)

    def held_effects(self, context: TrialContext, alarms: Sequence[Alarm]) -> dict[tuple[Alarm, int], float]:
        """Return the same on held-out images."""
        return effects(context, alarms, self.held_answer, self.held_logits, self.held)

    def rank(self, known: Sequence[Alarm]) -> tuple[float, ...]:
        """Return a key that is smaller for better candidates: the largest effect with an alarm, then accuracy."""
        found = self.audit.verdict.alarms
        return (max((one.size for one in found), default=0.0), len(alarms_of(self.audit)), -self.worst.after)


def answered(model: Model, views: Images) -> Values:
    """Return the logits of a model, ``(n, K)`` float64."""
    return np.asarray(logits(model, views), np.float64)


def verify(model: Model, head: Head, weights: HeadWeights, first: Audit) -> None:
    """Compare the predictions of a written model with those of its head on features.

    Args:
        model: the model in the file that was written.
        head: the head whose features are used.
        weights: the weights that were written.
        first: provides images.

    Raises:
        ModelError: they differ, so the file is not what was measured.
    """
    for views in first.folder.views.values():
        some = views[:COMPARED]
        expected = head.probabilities(weights.logits(features_of(head, first.model, some)))
        if np.abs(model.predict(encoded(model, some)) - expected).max() > TOLERANCE:
            raise ModelError(
                "The mended model predicts otherwise after it was written and loaded again, so it was deleted. Its "
                "layers may depend on something that a .keras file does not store."
            )


def audited(model: Model, first: Audit, progress: Progress, what: str) -> Audit:
    """Audit a mended model with the images in memory, pairs and interventions of the first audit.

    Of large folders, these are the first block, while an effect of the first audit may be that of several.
    """
    known = {target: logits(model, views) for target, views in first.folder.views.items()}
    images = replace(first.folder, logits=known, blocks=None)
    context = TrialContext(model, images, first.context.seed, first.context.interventions)
    plan = audit.Plan(tuple(first.trials), first.left, {})
    return audit.run(context, plan, progress=lambda fraction: progress(fraction, what))
