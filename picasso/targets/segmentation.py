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
from picasso.targets.base import Array, Context, Floats, LogOdds, OutputSpec, OutputTask, Target, Wanted
from picasso.targets.class_names import by_name, number
from picasso.targets.classification import not_probabilities
from picasso.targets.predictions import Prediction

# "person@120,80" is a pixel, "person@10,20,60,80" a rectangle; without a class, the one predicted there.
PLACE = re.compile(r"(?P<name>.*)@(?P<numbers>\s*\d+(\.\d+)?(\s*,\s*\d+(\.\d+)?){1,3})\s*", re.DOTALL)
# The usual name of what belongs to no class; it is explained after the classes.
BACKGROUND = "background"
# Regions that cover less of the predictions than this are not explained unless the user asks.
SMALLEST = 0.001


@dataclass(frozen=True)
class MaskedMean(Target):
    """The mean logit of a class over a region; its value is the mean probability there.

    Vinogradova, Dibrov & Myers, *Towards interpretable semantic segmentation via gradient-weighted class activation
    mapping*, arXiv 2002.11434, equation 2: the score is summed over a set of pixels. The mean differs by a factor.

    Attributes:
        index: the index of the class.
        mask: the region, ``(h, w)`` with the resolution of the output.

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

    @property
    def quantity(self) -> str:
        """A mean, unless the region is one pixel."""
        return "probability" if self.mask.sum() == 1 else "mean probability"

    @property
    def score_quantity(self) -> str:
        """A mean, unless the region is one pixel."""
        return "logit" if self.mask.sum() == 1 else "mean logit"

    def value(self, outputs: Array) -> Floats:
        """Return the mean probability of the class over the region."""
        return np.asarray(outputs[:, self.mask, self.index].mean(axis=1, dtype=np.float64))

    def score(self, scores: Array) -> Floats:
        """Return the mean logit of the class over the region."""
        return self.value(scores)

    def cotangent(self, scores: Array) -> Array:
        """Return 1 / n for the class at the n pixels of the region, and 0 elsewhere."""
        zeros = np.zeros_like(scores, np.float32)
        zeros[:, self.mask, self.index] = 1 / self.mask.sum()
        return zeros

    def log_odds(self, outputs: Array) -> LogOdds:
        """Return the mean of ``ln(p / (1 - p))`` over the region."""
        pixels = outputs[:, self.mask]
        values, known = odds.log_odds(pixels.reshape(-1, pixels.shape[-1]), [self.index])
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
        return tuple(self._everywhere(one["index"], context) for one in large[: context.top])

    def parse(self, wanted: Sequence[str | int], names: Sequence[str]) -> list[Wanted]:
        """Return texts such as "person", "person@120,80" and "@120,80" after checking the names."""
        known, found = by_name(names), dict[Wanted, None]()
        for one in wanted:
            name, place = (one, "") if isinstance(one, int) else split(one.strip(), known)
            index = "" if name == "" and place else number(names, known, name)
            shown = index if isinstance(index, str) or len(known[names[index]]) > 1 else names[index]
            found[f"{shown}@{place}" if place else str(shown)] = None
        return list(found)

    def target(self, wanted: Wanted, context: Context) -> Target:
        """Return a class over all pixels predicted as this class, over a pixel or over a rectangle.

        Without a class, the text of the target names the class that most pixels there have.
        """
        known = by_name(context.names)
        if not isinstance(wanted, str | int):
            raise BadRequest("A region is named by a class and a place, such as person@120,80.", field="target")
        name, place = (str(wanted), "") if isinstance(wanted, int) else split(wanted, known)
        if not place:
            return self._everywhere(number(context.names, known, name), context)
        mask = self._place([float(part) for part in place.split(",")], context)
        winners = context.output.argmax(axis=-1)
        index = number(context.names, known, name) if name else int(np.bincount(winners[mask]).argmax())
        named = str(context.names[index])
        text = str(wanted) if name else f"{named if len(known[named]) == 1 else index}@{place}"
        return MaskedMean(text, f"{named} at {place.replace(',', ', ')}", index, mask)

    def _everywhere(self, index: int, context: Context) -> MaskedMean:
        """Return a class over all pixels predicted as this class, or over all pixels if there is none."""
        mask, name = context.output.argmax(axis=-1) == index, str(context.names[index])
        if mask.any():
            return MaskedMean(name, name, index, mask)
        return MaskedMean(name, f"{name} (predicted nowhere: all pixels)", index, np.ones_like(mask))

    def _place(self, numbers: Sequence[float], context: Context) -> NDArray[np.bool_]:
        """Return the pixels of the output under a point or a rectangle of the image."""
        (width, height), (rows, columns) = context.size, self.shape[:2]
        if len(numbers) == 3:
            raise BadRequest("A place has two numbers (a pixel) or four (a rectangle).", field="target")
        left, top, right, bottom = (*numbers, *numbers) if len(numbers) == 2 else numbers
        if not (0 <= left <= right and 0 <= top <= bottom and left < width and top < height):
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


def split(text: str, known: object) -> tuple[str, str]:
    """Return the class and the place, without blanks, of a text such as "person@120,80"; the place may be ""."""
    match = PLACE.fullmatch(text)
    # A class may be called like that.
    if match is None or (isinstance(known, dict) and text in known):
        return text, ""
    return match["name"].strip(), "".join(match["numbers"].split())
