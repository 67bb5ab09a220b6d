"""What is counted of channels while the images pass by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from picasso.inside.effects import changed_answers, score_changes
from picasso.inside.exemplars import Largest
from picasso.inside.looking import require_finite
from picasso.models import Edit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Classification
from picasso.targets.predictions import phrase


@dataclass
class Tally:
    """What is counted of one channel."""

    edit: Edit
    by_activation: Largest
    by_relevance: Largest
    total: float = 0.0
    shifts: float = 0.0
    changed: Counter[tuple[int, int]] = field(default_factory=Counter)


@dataclass
class Answers:
    """What is known of the images."""

    images: int = 0
    predicted: Counter[int] = field(default_factory=Counter)
    said: dict[int, str] = field(default_factory=dict)


def look(model: Model, indices: Sequence[int], inputs: Array, answers: Answers, tallies: Sequence[Tally]) -> None:
    """Take note of the values of channels in one batch, and of what happens if each of them is changed."""
    layer, classifies = tallies[0].edit.layer, isinstance(model.spec, Classification)
    passed = model.layer_pass(inputs, layer, differentiate=classifies)
    outputs, scores = passed.outputs, passed.scores
    require_finite(scores, "The score")
    answers.images += len(inputs)
    for index, found in zip(indices, model.decode(outputs), strict=True):
        if found:
            answers.said[index] = found[0]["name"] if classifies else phrase(found[0])
    gradients = None
    if classifies:
        best = outputs.argmax(axis=1)
        answers.predicted.update(best.tolist())
        gradients = passed.gradients(best)
    for tally, edited in zip(tallies, passed.edits([tally.edit for tally in tallies]), strict=True):
        (channel,) = tally.edit.channels
        maps = passed.maps[..., channel]
        require_finite(maps, f"Channel {channel} of layer {layer}")
        require_finite(edited.scores, f"The score after the change of channel {channel}")
        tally.total += float(maps.mean(axis=(1, 2), dtype=np.float64).sum())
        for index, values in zip(indices, maps, strict=True):
            tally.by_activation.add(index, values)
        tally.shifts += float(score_changes(model, outputs, scores, edited).sum())
        tally.changed.update(changed_answers(model, outputs, edited))
        if gradients is None:
            continue
        slopes = gradients[..., channel]
        require_finite(slopes, f"The gradient of channel {channel} of layer {layer}")
        for index, relevance in zip(indices, maps * slopes, strict=True):
            tally.by_relevance.add(index, relevance)
