"""The card of a channel, as data, in words and as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from picasso import fileio
from picasso.errors import BadRequest
from picasso.models import Edit
from picasso.models.info import Layer

# The side of an exemplar in a sheet, and the distance of two, in pixels.
SIDE, GAP = 160, 6


@dataclass(frozen=True)
class Change:
    """Images whose answer changes without the channel.

    Attributes:
        before: the name of the predicted class.
        after: that without the channel.
        images: how many images have this change.
        among: how many images are predicted as ``before``.
    """

    before: str
    after: str
    images: int
    among: int


def changes_of(
    classes: Sequence[str], changed: Counter[tuple[int, int]], predicted: Mapping[int, int]
) -> tuple[Change, ...]:
    """Return the predicted classes that change, the most frequent first.

    Args:
        classes: the names of the classes.
        changed: how many images have each predicted class before and after.
        predicted: how many images have each predicted class before.
    """
    return tuple(
        Change(classes[before], classes[after], count, predicted[before])
        for (before, after), count in changed.most_common()
    )


@dataclass(frozen=True)
class Shown:
    """An exemplar as people see it.

    Attributes:
        image: the name of the image.
        value: the value of the channel, or its relevance.
        box: the part of the image that it depends on: left, top, right, bottom in pixels of the model's view.
        prediction: what the model predicts for the image: the class; for other models, the first value or object.
        crop: that part of the image.
    """

    image: str
    value: float
    box: tuple[int, int, int, int]
    prediction: str
    crop: Image.Image


@dataclass(frozen=True)
class ChannelCard:
    """What a channel responds to, and what happens without it.

    Attributes:
        layer: the layer.
        channel: the index of the channel.
        images: how many images were looked at.
        mean: the mean value of the channel.
        by_activation: the images in which its value is largest.
        by_relevance: the images in which its value times the gradient of the score of the predicted class is largest.
        edit: the change of the channel.
        changes: the predicted classes that change, the most frequent first; empty for models that are no classifiers.
            Of several labels, the most probable one counts.
        shift: the mean change of the score of the predicted class; for other models, the mean absolute change of the
            scores.
        classifies: whether the model predicts classes.
        unreadable: a sentence for each image that could not be read.
        preferred: an image for which the channel is high, or None; see
            :func:`picasso.inside.preferred.preferred_input`.
        preferred_value: the value of the channel for it.
        preferred_mean: whether this is the mean over all cells, and not the value of one of them.
        note: why there is no such image, or "".

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> card = picasso.channel_card(model, None, 2, np.full((1, 8, 8, 3), 140, np.uint8))
        >>> [(one.before, one.after, one.images) for one in card.changes]
        [('bright', 'dark', 1)]
    """

    layer: Layer
    channel: int
    images: int
    mean: float
    by_activation: tuple[Shown, ...]
    by_relevance: tuple[Shown, ...]
    edit: Edit
    changes: tuple[Change, ...]
    shift: float
    classifies: bool
    unreadable: tuple[str, ...] = ()
    preferred: Image.Image | None = None
    preferred_value: float = 0.0
    preferred_mean: bool = False
    note: str = ""

    @property
    def edited(self) -> str:
        """What was done to the channel, such as "without channel 3"."""
        if self.edit.scale == 0:
            return f"without channel {self.channel}"
        if self.edit.scale is not None:
            return f"with channel {self.channel} multiplied by {self.edit.scale:g}"
        return f"with channel {self.channel} set to {self.edit.value}"

    def sentences(self) -> list[str]:
        """Return the card in words."""
        height, width, channels = self.layer.shape
        about = f"Channel {self.channel} of {channels} of layer {self.layer.name} ({height} x {width} cells)"
        lines = [f"{about}, mean value {self.mean:.3g} in {counted(self.images, 'image')}."]
        if self.by_activation:
            best = ", ".join(f"{one.image} ({one.value:.3g})" for one in self.by_activation[:3])
            lines.append(f"Its value is largest in {best}.")
        else:
            lines.append("It is 0 or less in all images.")
        if self.preferred:
            what = "mean value" if self.preferred_mean else "value"
            lines.append(f"Its {what} for the preferred input is {self.preferred_value:.3g}.")
        if self.note:
            lines.append(f"There is no preferred input: {self.note}")
        start = self.edited[0].upper() + self.edited[1:]
        return [*lines, *effect_lines(start, self.changes, self.shift, self.classifies)]

    def as_dict(self) -> dict[str, Any]:
        """Return the card as JSON-ready values."""
        return {
            "layer": self.layer.name,
            "shape": list(self.layer.shape),
            "receptive_field": self.layer.receptive_field and list(self.layer.receptive_field),
            "channel": self.channel,
            "images": self.images,
            "mean": self.mean,
            "by_activation": listed(self.by_activation),
            "by_relevance": listed(self.by_relevance),
            "edit": {"scale": self.edit.scale, "value": self.edit.value},
            "changes": [vars(one) for one in self.changes],
            "shift": self.shift,
            "classifies": self.classifies,
            "unreadable": list(self.unreadable),
            "preferred_value": self.preferred_value if self.preferred else None,
            "preferred_mean": self.preferred_mean if self.preferred else None,
            "note": self.note,
        }

    def save(self, folder: Path | str) -> None:
        """Write ``card.json``, ``by-activation.png``, ``by-relevance.png`` and ``preferred.png`` to a new folder.

        Raises:
            BadRequest: the folder exists, or can't be written.
        """
        with written(folder) as draft:
            (draft / "card.json").write_text(json.dumps(self.as_dict(), indent=1), encoding="utf-8")
            for name, shown in (("by-activation", self.by_activation), ("by-relevance", self.by_relevance)):
                if shown:
                    sheet([one.crop for one in shown]).save(draft / f"{name}.png")
            if self.preferred:
                self.preferred.save(draft / "preferred.png")


def effect_lines(
    start: str,
    changes: Sequence[Change],
    shift: float,
    classifies: bool,
    score: str = "the score of the predicted class",
) -> list[str]:
    """Return what a change does to the predictions, in words.

    Args:
        start: the change, such as "Without channel 3".
        changes: the predicted classes that change.
        shift: the mean change of the score; for models that are no classifiers, the mean absolute change.
        classifies: whether the model predicts classes.
        score: the score of a classifier that is meant.
    """
    if not classifies:
        return [f"{start}, the mean absolute change of the scores is {shift:.3g}."]
    lines = [f"{start}, {score} changes by {shift:+.3g} on average."]
    for one in changes:
        become = "becomes" if one.images == 1 else "become"
        share = f"{one.images} of {counted(one.among, 'image')}"
        lines.append(f"{start}, {share} predicted as {one.before} {become} {one.after}.")
    return lines if changes else [*lines, f"{start}, no predicted class changes."]


def listed(shown: Sequence[Shown]) -> list[dict[str, Any]]:
    """Return exemplars as JSON-ready values, without their images."""
    return [
        {"image": one.image, "value": one.value, "box": list(one.box), "prediction": one.prediction} for one in shown
    ]


@contextmanager
def written(folder: Path | str) -> Iterator[Path]:
    """Yield a draft of a new folder to write into; it becomes the folder when all is written.

    Raises:
        BadRequest: the folder exists, or can't be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise BadRequest(f"{folder} exists already. Choose another folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with fileio.whole_folder(folder) as draft:
            yield draft
    except OSError as error:
        raise BadRequest(f"{folder} can't be written: {error.strerror}.") from error


def sheet(crops: Sequence[Image.Image]) -> Image.Image:
    """Return images side by side, enlarged or reduced to one size."""
    found = Image.new("RGB", (len(crops) * (SIDE + GAP) - GAP, SIDE), "white")
    for number, crop in enumerate(crops):
        share = SIDE / max(crop.size)
        size = max(1, round(crop.width * share)), max(1, round(crop.height * share))
        method = Image.Resampling.NEAREST if share > 1 else Image.Resampling.LANCZOS
        found.paste(crop.resize(size, method), (number * (SIDE + GAP), 0))
    return found


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
