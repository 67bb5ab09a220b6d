"""What happens to predictions if channels are changed, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.explanation.inputs import named
from picasso.explanation.walk import batches
from picasso.inside.looking import Progress, change_of, given, looked_at, require_finite, silently
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.edits import Edited
from picasso.targets import Classification


@dataclass(frozen=True)
class ChannelEffect:
    """What happens without a channel.

    Attributes:
        channel: the index of the channel.
        mean: its mean value.
        changed: the number of images whose predicted class changes; 0 for models that are no classifiers.
        shift: the mean change of the score of the predicted class; for other models, the mean absolute change of the
            scores.
        strength: the mean absolute change of that score.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> image = np.zeros((1, 8, 8, 3), np.uint8) + np.uint8([60, 255, 140])
        >>> [(one.channel, one.changed) for one in picasso.channel_effects(model, None, image).channels]
        [(1, 1), (2, 1), (0, 0)]
    """

    channel: int
    mean: float
    changed: int
    shift: float
    strength: float


@dataclass(frozen=True)
class ChannelEffects:
    """What happens without each channel of a layer.

    Attributes:
        layer: the name of the layer.
        images: how many images were looked at.
        channels: the channels, that with the largest strength first.
        classifies: whether the model predicts classes.
        unreadable: a sentence for each image that could not be read.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> effects = picasso.channel_effects(model, None, np.full((2, 8, 8, 3), 140, np.uint8))
        >>> effects.lines(1)[-1]
        '      0       0.549     -0.7320  2 of 2'
    """

    layer: str
    images: int
    channels: tuple[ChannelEffect, ...]
    classifies: bool
    unreadable: tuple[str, ...] = ()

    def lines(self, count: int) -> list[str]:
        """Return the first channels as a table in plain text; changed answers are counted for classifiers alone."""
        rows = [
            f"{one.channel:>7}  {one.mean:>10.4g}  {one.shift:>+10.4f}"
            + (f"  {one.changed} of {self.images}" if self.classifies else "")
            for one in self.channels[:count]
        ]
        return ["channel        mean       shift" + ("  changed answers" if self.classifies else ""), *rows]

    def as_dict(self) -> dict[str, Any]:
        """Return the effects as JSON-ready values."""
        return {**vars(self), "channels": [vars(one) for one in self.channels], "unreadable": list(self.unreadable)}


def channel_effects(
    model: Model,
    layer: str | None,
    images: Any,
    *,
    scale: float | None = None,
    value: float | None = None,
    progress: Progress = silently,
) -> ChannelEffects:
    """Return what happens without each channel of a layer, the channel with the strongest effect first.

    What comes before the layer is computed once for each image, and the rest once for each channel.

    Args:
        model: the model.
        layer: the name of a layer with feature maps; None for the last one before the head.
        images: files, folders, PIL images or arrays.
        scale: multiplies the channel; 0, which switches it off, if neither this nor ``value`` is given.
        value: replaces the value of the channel everywhere.
        progress: called with the finished fraction.

    Raises:
        BadRequest: there are no images, or a source is not one.
        ModelError: the model has no feature maps or no such layer, or no image can be read.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> image = np.zeros((1, 8, 8, 3), np.uint8) + np.uint8([60, 255, 140])
        >>> [(one.channel, round(one.shift, 2)) for one in picasso.channel_effects(model, None, image).channels]
        [(1, -1.33), (2, -0.73), (0, -0.31)]
    """
    described = looked_at(model, layer)
    sources = given(images, model)
    count = described.shape[-1]
    edits = [change_of(described, channel, scale, value) for channel in range(count)]
    seen, unreadable = 0, list[str]()
    means, shifts, strengths = np.zeros((3, count))
    changed = np.zeros(count, np.int64)
    for indices, inputs, _ in batches(model, sources, unreadable, named(sources)):
        passed = model.layer_pass(inputs, described.name, differentiate=False)
        outputs, scores = passed.outputs, passed.scores
        require_finite(scores, "The score")
        means += passed.maps.mean(axis=(1, 2), dtype=np.float64).sum(axis=0)
        for channel, edited in enumerate(passed.edits(edits)):
            require_finite(edited.scores, f"The score after the change of channel {channel}")
            changes = score_changes(model, outputs, scores, edited)
            shifts[channel] += changes.sum()
            strengths[channel] += np.abs(changes).sum()
            changed[channel] += len(changed_answers(model, outputs, edited))
        seen += len(inputs)
        progress((indices[-1] + 1) / len(sources))
    found = [
        ChannelEffect(channel, mean / seen, flips, shift / seen, strength / seen)
        for channel, (mean, flips, shift, strength) in enumerate(
            zip(means.tolist(), changed.tolist(), shifts.tolist(), strengths.tolist(), strict=True)
        )
    ]
    found.sort(key=lambda one: (-one.strength, one.channel))
    return ChannelEffects(described.name, seen, tuple(found), isinstance(model.spec, Classification), tuple(unreadable))


def score_changes(model: Model, outputs: Array, scores: Array, edited: Edited) -> NDArray[np.float64]:
    """Return by how much the score of the predicted class changes, ``(N,)``.

    For models that are no classifiers, it is the mean absolute change of all scores.
    """
    changes = (edited.scores.astype(np.float64) - scores).reshape(len(scores), -1)
    if not isinstance(model.spec, Classification):
        return np.asarray(np.abs(changes).mean(axis=1), np.float64)
    return np.asarray(changes[np.arange(len(scores)), outputs.argmax(axis=1)], np.float64)


def changed_answers(model: Model, outputs: Array, edited: Edited) -> list[tuple[int, int]]:
    """Return the predicted class before and after, for each image for which they differ."""
    if not isinstance(model.spec, Classification):
        return []
    before, after = outputs.argmax(axis=1), edited.outputs.argmax(axis=1)
    return [(int(one), int(other)) for one, other in zip(before, after, strict=True) if one != other]
