"""What a channel responds to in a folder of images, and what happens to the predictions without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from picasso.errors import BadRequest, ModelError
from picasso.explanation.inputs import Source, image_from, named
from picasso.explanation.walk import batches
from picasso.inside.card import ChannelCard, Shown, changes_of
from picasso.inside.exemplars import Exemplar, Largest
from picasso.inside.looking import Progress, change_of, given, looked_at, require_whole, silently
from picasso.inside.preferred import Preferred, preferred_input
from picasso.inside.tally import Answers, Tally, look
from picasso.models.base import Model
from picasso.models.info import Layer
from picasso.targets import Classification

# The number of exemplars, and of the steps of the search for the preferred input.
EXEMPLARS, STEPS = 10, 64
# The share of the progress for the images.
IMAGES = 0.5


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
        BadRequest: there are no images, a source is not one, or a number is not valid.
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
    (card,) = channel_cards(
        model,
        layer,
        [channel],
        images,
        scale=scale,
        value=value,
        exemplars=exemplars,
        steps=steps,
        seed=seed,
        progress=progress,
    )
    return card


def channel_cards(
    model: Model,
    layer: str | None,
    channels: Sequence[int],
    images: Any,
    *,
    scale: float | None = None,
    value: float | None = None,
    exemplars: int = EXEMPLARS,
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress = silently,
) -> list[ChannelCard]:
    """Return the cards of several channels of a layer; see :func:`channel_card`.

    Each image is read and passed through the model once for all of them, if the model can.

    Args:
        model: the model.
        layer: the name of a layer with feature maps; None for the last one before the head.
        channels: the indices of the channels.
        images: files, folders, PIL images or arrays.
        scale: as in :func:`channel_card`.
        value: as there.
        exemplars: as there.
        steps: as there.
        seed: as there.
        progress: called with the finished fraction.

    Raises:
        BadRequest: as there, or there are no channels.
        ModelError: as there.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> image = np.full((1, 8, 8, 3), (0, 51, 102), np.uint8)
        >>> cards = picasso.channel_cards(model, None, [0, 1, 2], image, steps=0)
        >>> [round(card.mean, 3) for card in cards]
        [0.0, 0.2, 0.4]
    """
    described = looked_at(model, layer)
    if not channels:
        raise BadRequest("There are no channels. Give the index of one at least.")
    edits = [change_of(described, channel, scale, value) for channel in channels]
    for name, number, least in (("exemplars", exemplars, 1), ("steps", steps, 0), ("seed", seed, 0)):
        require_whole(name, number, least)
    sources = given(images, model)
    names, unreadable, answers = named(sources), list[str](), Answers()
    tallies = [Tally(edit, Largest(exemplars), Largest(exemplars)) for edit in edits]
    share = IMAGES if steps else 1.0
    for indices, inputs, _ in batches(model, sources, unreadable, names):
        look(model, indices, inputs, answers, tallies)
        progress(share * (indices[-1] + 1) / len(sources))
    cards = []
    for number, tally in enumerate(tallies):
        (channel,) = tally.edit.channels
        preferred, note = None, ""
        if steps:
            first, part = share + (1 - share) * number / len(tallies), (1 - share) / (steps * len(tallies))
            try:
                preferred = preferred_input(
                    model,
                    described,
                    channel,
                    steps,
                    seed,
                    lambda done, first=first, part=part: progress(first + done * part),  # type: ignore[misc]
                )
            # The rest of the card is worth showing.
            except (BadRequest, ModelError) as error:
                note = error.message
        cards.append(card_of(model, described, sources, names, answers, tally, unreadable, preferred, note))
    return cards


def card_of(
    model: Model,
    layer: Layer,
    sources: Sequence[Source],
    names: Sequence[str | None],
    answers: Answers,
    tally: Tally,
    unreadable: Sequence[str],
    preferred: Preferred | None,
    note: str,
) -> ChannelCard:
    """Return the card of a channel from what was counted."""

    def shown(one: Exemplar) -> Shown:
        image = image_from(sources[one.index], one.index, names[one.index], model)
        view = model.view(image.image)
        said = answers.said.get(one.index, "")
        return Shown(image.name, one.value, one.box(layer, view.size), said, one.crop(layer, view))

    classes = [str(one) for one in model.class_names()]
    image, highest, mean = preferred or (None, 0.0, False)
    return ChannelCard(
        layer,
        tally.edit.channels[0],
        answers.images,
        tally.total / answers.images,
        tuple(map(shown, tally.by_activation.found())),
        tuple(map(shown, tally.by_relevance.found())),
        tally.edit,
        changes_of(classes, tally.changed, answers.predicted),
        tally.shifts / answers.images,
        isinstance(model.spec, Classification),
        tuple(unreadable),
        image,
        highest,
        mean,
        note,
    )
