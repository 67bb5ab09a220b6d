"""What a channel responds to in a folder of images, and what happens to the predictions without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from picasso.errors import BadRequest, ModelError
from picasso.explanation.inputs import Source, image_from, named
from picasso.inside.card import Change, ChannelCard, Shown
from picasso.inside.effects import changed_answers, score_changes
from picasso.inside.exemplars import Exemplar, Largest
from picasso.inside.looking import Progress, batches, given, looked_at, silently
from picasso.inside.preferred import preferred_input
from picasso.models import Edit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Layer
from picasso.targets import Classification

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
        BadRequest: there are no images, or a source is not one.
        ModelError: the model has no feature maps, no such layer or no such channel, or no image can be read.

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
        ('image 2', (3, 3, 4, 4))
        >>> card.sentences()[-1]
        'Without channel 0, no answer changes.'
    """
    described = looked_at(model, layer)
    edit = Edit(described.name, [channel], scale=0.0 if scale is None and value is None else scale, value=value)
    edit.coefficients(described.shape[-1])
    sources = given(images, model)
    tally, unreadable = Tally(), list[str]()
    largest = {True: Largest(exemplars), False: Largest(exemplars)}
    for indices, inputs in batches(model, sources, unreadable):
        look(model, edit, indices, inputs, tally, largest)
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
    names = [one or f"image {index + 1}" for index, one in enumerate(named(sources))]
    by_activation, by_relevance = (
        tuple(shown(model, described, sources, names, tally, one) for one in kind.found()) for kind in largest.values()
    )
    classes = [str(one) for one in model.class_names()]
    changes = (
        Change(classes[before], classes[after], count, tally.predicted[before])
        for (before, after), count in tally.changed.most_common()
    )
    image, highest = preferred or (None, 0.0)
    return ChannelCard(
        described,
        channel,
        tally.images,
        tally.total / tally.images,
        by_activation,
        by_relevance,
        edit,
        tuple(changes),
        tally.shifts / tally.images,
        tuple(unreadable),
        image,
        highest,
        note,
    )


def look(
    model: Model, edit: Edit, indices: Sequence[int], inputs: Array, tally: Tally, largest: dict[bool, Largest]
) -> None:
    """Take note of the values of a channel in one batch, and of what happens if it is changed."""
    (channel,) = edit.channels
    maps = model.feature_maps(inputs, edit.layer)[..., channel]
    outputs, scores = model.predict(inputs), model.logits(inputs)
    (edited,) = model.edits(inputs, [edit])
    tally.images += len(inputs)
    tally.total += float(maps.mean(axis=(1, 2), dtype=np.float64).sum())
    for index, values in zip(indices, maps, strict=True):
        largest[True].add(index, values, values)
    tally.answers |= {
        index: found[0]["name"] for index, found in zip(indices, model.decode(outputs), strict=True) if found
    }
    tally.shifts += float(score_changes(model, outputs, scores, edited).sum())
    tally.changed.update(changed_answers(model, outputs, edited))
    if not isinstance(model.spec, Classification):
        return
    best = outputs.argmax(axis=1)
    tally.predicted.update(best.tolist())
    gradients = model.feature_gradients(inputs, best.tolist(), edit.layer)[..., channel]
    for index, values, relevance in zip(indices, maps, maps * gradients, strict=True):
        largest[False].add(index, relevance, values)


def shown(
    model: Model, layer: Layer, sources: Sequence[Source], names: Sequence[str], tally: Tally, one: Exemplar
) -> Shown:
    """Return an exemplar with its part of the image."""
    view = model.view(image_from(sources[one.index], one.index, model=model).image)
    box, crop = one.box(layer, view.size), one.crop(layer, view)
    return Shown(names[one.index], one.value, box, tally.answers.get(one.index, ""), crop)
