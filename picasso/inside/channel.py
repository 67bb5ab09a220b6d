"""What a channel responds to in a folder of images, and what happens to the predictions without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from picasso.errors import BadRequest, ModelError
from picasso.explanation.inputs import image_from, named
from picasso.explanation.walk import batches
from picasso.inside.card import Change, ChannelCard, Shown
from picasso.inside.effects import changed_answers, score_changes
from picasso.inside.exemplars import Exemplar, Largest
from picasso.inside.looking import Progress, change_of, given, looked_at, require_finite, silently
from picasso.inside.preferred import preferred_input
from picasso.models import Edit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Classification
from picasso.targets.predictions import phrase

# The number of exemplars, and of the steps of the search for the preferred input.
EXEMPLARS, STEPS = 10, 64
# The share of the progress for the images.
IMAGES = 0.5


@dataclass
class Tally:
    """What is counted while the images pass by."""

    images: int = 0
    total: float = 0.0
    shifts: float = 0.0
    predicted: Counter[int] = field(default_factory=Counter)
    changed: Counter[tuple[int, int]] = field(default_factory=Counter)
    answers: dict[int, str] = field(default_factory=dict)


def channel_card(
    model: Model,
    layer: str | None,
    channel: int,
    images: Any,
    *,
    scale: float | None = None,
    value: float | None = None,
    exemplars: int = EXEMPLARS,
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress = silently,
) -> ChannelCard:
    """Return what a channel of a layer responds to in images, and how the predictions change without it.

    Exemplars are found by activation, and by relevance, which is activation times gradient, as the maximization of
    relevance by Achtibat et al., 2023, arXiv 2206.03208, does with another rule. The effect is measured: the network is
    computed again from the layer on, with the channel changed. The preferred input is found by activation maximization.

    Args:
        model: the model.
        layer: the name of a layer with feature maps; None for the last one before the head.
        channel: the index of the channel, from 0.
        images: files, folders, PIL images or arrays.
        scale: multiplies the channel; 0, which switches it off, if neither this nor ``value`` is given.
        value: replaces the value of the channel everywhere.
        exemplars: the number of exemplars of each kind.
        steps: the number of steps of the search for the preferred input; 0 for none.
        seed: its random seed.
        progress: called with the finished fraction.

    Raises:
        BadRequest: there are no images, a source is not one, or the number of exemplars is not positive.
        ModelError: the model has no feature maps, no such layer or no such channel, its numbers are not finite, or no
            image can be read.

    Examples:
        The channels of this model's layer are the colours of its image:

        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> images = np.zeros((2, 8, 8, 3), np.uint8)
        >>> images[1, 3:5, 3:5] = 255, 0, 0
        >>> card = picasso.channel_card(model, None, 0, images)
        >>> card.by_activation[0].image, card.by_activation[0].box
        ('image 1', (3, 3, 4, 4))
        >>> card.sentences()[-1]
        'Without channel 0, no predicted class changes.'
    """
    described = looked_at(model, layer)
    edit = change_of(described, channel, scale, value)
    if exemplars < 1:
        raise BadRequest(f"exemplars must be 1 or more, not {exemplars}.")
    sources = given(images, model)
    names, unreadable = named(sources), list[str]()
    tally, by_activation, by_relevance = Tally(), Largest(exemplars), Largest(exemplars)
    for indices, inputs, _ in batches(model, sources, unreadable, names):
        look(model, edit, indices, inputs, tally, by_activation, by_relevance)
        progress((IMAGES if steps else 1.0) * (indices[-1] + 1) / len(sources))
    preferred, note = None, ""
    if steps:
        try:
            preferred = preferred_input(
                model, described, channel, steps, seed, lambda done: progress(IMAGES + (1 - IMAGES) * done / steps)
            )
        # The rest of the card is worth showing.
        except (BadRequest, ModelError) as error:
            note = error.message

    def shown(one: Exemplar) -> Shown:
        image = image_from(sources[one.index], one.index, names[one.index], model)
        view = model.view(image.image)
        answer = tally.answers.get(one.index, "")
        return Shown(image.name, one.value, one.box(described, view.size), answer, one.crop(described, view))

    classes = [str(one) for one in model.class_names()]
    changes = (
        Change(classes[before], classes[after], count, tally.predicted[before])
        for (before, after), count in tally.changed.most_common()
    )
    image, highest = preferred or (None, 0.0)
    return ChannelCard(
        described,
        edit.channels[0],
        tally.images,
        tally.total / tally.images,
        tuple(map(shown, by_activation.found())),
        tuple(map(shown, by_relevance.found())),
        edit,
        tuple(changes),
        tally.shifts / tally.images,
        isinstance(model.spec, Classification),
        tuple(unreadable),
        image,
        highest,
        note,
    )


def look(
    model: Model,
    edit: Edit,
    indices: Sequence[int],
    inputs: Array,
    tally: Tally,
    by_activation: Largest,
    by_relevance: Largest,
) -> None:
    """Take note of the values of a channel in one batch, and of what happens if it is changed."""
    (channel,) = edit.channels
    maps = model.feature_maps(inputs, edit.layer)[..., channel]
    outputs, scores = model.predict(inputs), model.logits(inputs)
    (edited,) = model.edits(inputs, [edit])
    classifies = isinstance(model.spec, Classification)
    require_finite(maps, f"Channel {channel} of layer {edit.layer}")
    require_finite(scores, "The score")
    require_finite(edited.scores, "The score after the change of the channel")
    tally.images += len(inputs)
    tally.total += float(maps.mean(axis=(1, 2), dtype=np.float64).sum())
    for index, values in zip(indices, maps, strict=True):
        by_activation.add(index, values)
    for index, found in zip(indices, model.decode(outputs), strict=True):
        if found:
            tally.answers[index] = found[0]["name"] if classifies else phrase(found[0])
    tally.shifts += float(score_changes(model, outputs, scores, edited).sum())
    tally.changed.update(changed_answers(model, outputs, edited))
    if not classifies:
        return
    best = outputs.argmax(axis=1)
    tally.predicted.update(best.tolist())
    gradients = model.feature_gradients(inputs, best.tolist(), edit.layer)[..., channel]
    require_finite(gradients, f"The gradient of channel {channel} of layer {edit.layer}")
    for index, relevance in zip(indices, maps * gradients, strict=True):
        by_relevance.add(index, relevance)
