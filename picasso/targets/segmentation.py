"""Segmentation: class probabilities for every pixel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import BadRequest
from picasso.targets import odds
from picasso.targets.base import (
    Array,
    Context,
    Floats,
    LogOdds,
    OutputSpec,
    OutputTask,
    Target,
    Wanted,
    explaining,
    limited,
)
from picasso.targets.class_names import AGAINST, by_name, numbers
from picasso.targets.classification import not_probabilities
from picasso.targets.predictions import Prediction

# "person@120,80" is a pixel, "person@10,20,60,80" a rectangle; without a class, the one predicted there.
PLACE = re.compile(r"(?P<name>.*)@(?P<numbers>\s*\d+(\.\d+)?(\s*,\s*\d+(\.\d+)?){1,3})\s*", re.DOTALL)
RATHER = " rather than "
# The usual name of what belongs to no class; it is explained after the classes.
BACKGROUND = "background"
# Regions that cover less of the predictions than this are not explained unless the user asks.
SMALLEST = 0.001


@dataclass(frozen=True)
class MaskedMean(Target):
    """The mean logit of a class over a region; its value is the mean probability there.

    Vinogradova, Dibrov & Myers, *Towards interpretable semantic segmentation via gradient-weighted class activation
    mapping*, arXiv 2002.11434, equation 2: the score is summed over a set of pixels. The mean differs by a factor.

    With a second class, the score is the mean difference of the logits, "one rather than the other", and the value is
    the mean probability of the first among the two.

    Attributes:
        index: the index of the class.
        mask: the region, ``(h, w)`` with the resolution of the output.
        other: the index of the second class, or None.

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import MaskedMean
        >>> left = MaskedMean("road@0,0", "road", 1, np.array([[True, False]]))
        >>> probabilities = np.array([[[[0.25, 0.75], [0.5, 0.5]]]], np.float32)
        >>> left.value(probabilities).tolist()
        [0.75]
    """

    index: int
    mask: NDArray[np.bool_] = field(compare=False)
    other: int | None = None

    @property
    def quantity(self) -> str:
        """A mean, unless the region is one pixel."""
        return "probability" if self.mask.sum() == 1 else "mean probability"

    @property
    def score_quantity(self) -> str:
        """A mean, unless the region is one pixel."""
        score = "logit" if self.other is None else "difference of the logits"
        return score if self.mask.sum() == 1 else f"mean {score}"

    def value(self, outputs: Array) -> Floats:
        """Return the mean probability of the class over the region, among the two classes if there are two."""
        pixels = outputs[:, self.mask].astype(np.float64)
        one = pixels[..., self.index]
        if self.other is not None:
            total = one + pixels[..., self.other]
            one = np.divide(one, total, out=np.full_like(one, 0.5), where=total > 0)
        return np.asarray(one.mean(axis=1))

    def score(self, scores: Array) -> Floats:
        """Return the mean logit of the class over the region, minus that of the second class."""
        pixels = scores[:, self.mask].astype(np.float64)
        less = 0.0 if self.other is None else pixels[..., self.other]
        return np.asarray((pixels[..., self.index] - less).mean(axis=1))

    def cotangent(self, scores: Array) -> Array:
        """Return 1 / n for the class at the n pixels of the region, -1 / n for the second class, and 0 elsewhere."""
        zeros = np.zeros_like(scores, np.float32)
        zeros[:, self.mask, self.index] = 1 / self.mask.sum()
        if self.other is not None:
            zeros[:, self.mask, self.other] = -1 / self.mask.sum()
        return zeros

    def log_odds(self, outputs: Array) -> LogOdds:
        """Return the mean of ``ln(p / (1 - p))`` over the region, or of ``ln(p_a / p_b)``."""
        pixels = outputs[:, self.mask]
        flat = pixels.reshape(-1, pixels.shape[-1])
        if self.other is None:
            values, known = odds.log_odds(flat, [self.index])
        else:
            exact = flat.astype(np.float64)
            values, known = odds.of_shares(exact[:, self.index], exact[:, self.other])
        shape = pixels.shape[:2]
        means: Floats = values.reshape(shape).mean(axis=1)
        return means, np.asarray(known.reshape(shape).all(axis=1))

    def region(self, size: tuple[int, int]) -> NDArray[np.bool_] | None:
        """Return the region with the resolution of the image; None if it is the whole image."""
        if self.mask.all():
            return None
        return np.asarray(Image.fromarray(self.mask).resize(size, Image.Resampling.NEAREST))


@dataclass(frozen=True)
class Segmentation(OutputSpec):
    """Class probabilities ``(h, w, K)``; h and w may be smaller than the image.

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import Segmentation
        >>> left_is_road = np.array([[[[0.1, 0.9], [0.8, 0.2]]]], np.float32)
        >>> ((first, _),) = Segmentation((1, 2, 2)).decode(left_is_road, ["grass", "road"], top=5)
        >>> first
        {'index': 0, 'name': 'grass', 'share': 0.5}
    """

    task = OutputTask.SEGMENTATION

    def wrong(self, outputs: Array) -> str:
        """Check that all outputs are probabilities."""
        return not_probabilities(outputs)

    def decode(self, outputs: Array, names: Sequence[str], top: int) -> list[tuple[Prediction, ...]]:
        """Return the predicted classes, those with the most pixels first."""
        found = []
        for winners in outputs.argmax(axis=-1):
            counts = np.bincount(winners.ravel(), minlength=self.shape[-1])
            order = [index for index in np.argsort(-counts, kind="stable") if counts[index]]
            shares = [(int(index), counts[index] / winners.size) for index in order]
            found.append(tuple(Prediction(index=k, name=str(names[k]), share=float(share)) for k, share in shares))
        return found

    def mask(self, output: Array) -> NDArray[np.uint16]:
        """Return the most probable class of every pixel, ``(h, w)``, from the output of one image."""
        return np.asarray(output.argmax(axis=-1), np.uint16)

    def arrays(self, output: Array) -> dict[str, NDArray[Any]]:
        """Return the most probable class of every pixel as ``mask (h, w)``."""
        return {"mask": self.mask(output)}

    def defaults(self, predictions: Sequence[Prediction], context: Context) -> tuple[Target, ...]:
        """Return the predicted classes, each over all of its pixels; the smallest regions are left out."""
        regions = predictions
        large = [one for one in regions if one["share"] >= SMALLEST] or list(regions[:1])
        large.sort(key=lambda one: one["name"].lower() == BACKGROUND)
        return tuple(self._everywhere(one["index"], context=context) for one in large[: context.top])

    def parse(self, wanted: Sequence[str | int], names: Sequence[str]) -> list[Wanted]:
        """Return texts such as "person", "person@120,80" and "@120,80" after checking the names."""
        limited(wanted)
        known, found = by_name(names), dict[Wanted, None]()
        for one in wanted:
            name, place = (one, "") if isinstance(one, int) else split(one.strip(), known)
            with explaining(syntax(names)):
                classes = [] if name == "" and place else pair(names, name)
                numbers_of(place)
            shown = AGAINST.join(names[index] if len(known[names[index]]) == 1 else str(index) for index in classes)
            found[f"{shown}@{place}" if place else shown] = None
        return list(found)

    def target(self, wanted: Wanted, context: Context) -> Target:
        """Return a class over all pixels predicted as this class, over a pixel or over a rectangle.

        Without a class, the text of the target names the class that most pixels there have.
        """
        known = by_name(context.names)
        if not isinstance(wanted, str | int):
            raise BadRequest(syntax(context.names), field="target")
        name, place = (str(wanted), "") if isinstance(wanted, int) else split(wanted, known)
        if not place:
            return self._everywhere(*pair(context.names, name), context=context)
        mask = self._place(numbers_of(place), context)
        winners = context.output.argmax(axis=-1)
        classes = pair(context.names, name) if name else [int(np.bincount(winners[mask]).argmax())]
        names = [str(context.names[index]) for index in classes]
        text = str(wanted) if name else f"{names[0] if len(known[names[0]]) == 1 else classes[0]}@{place}"
        return MaskedMean(text, f"{RATHER.join(names)} at {place.replace(',', ', ')}", classes[0], mask, *classes[1:])

    def _everywhere(self, *classes: int, context: Context) -> MaskedMean:
        """Return a class, or one rather than another, over all pixels predicted as the first, or over all pixels."""
        names = [str(context.names[index]) for index in classes]
        mask, title = context.output.argmax(axis=-1) == classes[0], RATHER.join(names)
        if not mask.any():
            mask, title = np.ones_like(mask), f"{title} (predicted nowhere: all pixels)"
        return MaskedMean(AGAINST.join(names), title, classes[0], mask, *classes[1:])

    def _place(self, numbers: Sequence[float], context: Context) -> NDArray[np.bool_]:
        """Return the pixels of the output under a point or a rectangle of the image."""
        (width, height), (rows, columns) = context.size, self.shape[:2]
        left, top, right, bottom = (*numbers, *numbers) if len(numbers) == 2 else numbers
        if not (left < width and top < height):
            raise BadRequest(
                f"The place {', '.join(f'{one:g}' for one in numbers)} is not inside the image, which is {width} x "
                f"{height} pixels.",
                field="target",
            )
        x = (np.arange(columns) + 0.5) * width / columns
        y = (np.arange(rows) + 0.5) * height / rows
        within = np.outer((y >= top) & (y < bottom), (x >= left) & (x < right))
        if not within.any():
            within[min(int(top * rows / height), rows - 1), min(int(left * columns / width), columns - 1)] = True
        return np.asarray(within)


def syntax(names: Sequence[str]) -> str:
    """Return how targets are written, with one of the model's classes as the example."""
    name = example(names)
    return (
        f"A target is a class ({name}), a class at a pixel, x and y from the top left corner ({name}@120,80), or in a "
        f"rectangle, left, top, right and bottom ({name}@10,20,60,80)."
    )


def example(names: Sequence[str]) -> str:
    """Return the name of a class for examples; not the background if there are others."""
    return next((name for name in names if name.lower() != BACKGROUND), names[0] if names else "0")[:60]


def numbers_of(place: str, *, empty: bool = True) -> list[float]:
    """Return the two numbers of a pixel or the four of a rectangle; none of the place "".

    Args:
        place: numbers with commas between them.
        empty: whether a rectangle without area is valid; it stands for the pixel there.

    Raises:
        BadRequest: there are three numbers, or a rectangle ends before it begins.
    """
    numbers = [float(part) for part in place.split(",")] if place else []
    if len(numbers) == 3:
        raise BadRequest("A place has two or four numbers, not three.", field="target")
    if len(numbers) == 4:
        left, top, right, bottom = numbers
        if right < left or bottom < top or (not empty and (right == left or bottom == top)):
            shown = place.replace(",", ", ")
            raise BadRequest(
                f"The numbers {shown} are no rectangle (left, top, right, bottom): right must be larger than left, and "
                "bottom larger than top.",
                field="target",
            )
    return numbers


def pair(names: Sequence[str], text: str | int) -> list[int]:
    """Return the index of a class, or two for "a vs b"."""
    (found,) = numbers(names, [text])
    return [found] if isinstance(found, int) else list(found)


def split(text: str, known: object) -> tuple[str, str]:
    """Return the class and the place, without blanks, of a text such as "person@120,80"; the place may be ""."""
    match = PLACE.fullmatch(text)
    # A class may be called like that.
    if match is None or (isinstance(known, dict) and text in known):
        return text, ""
    return match["name"].strip(), "".join(match["numbers"].split())
