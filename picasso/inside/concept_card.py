"""The concepts of a layer, as data, in words and as files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from picasso.inside.card import GAP, SIDE, Change, Shown, counted, effect_lines, listed, sheet, written
from picasso.inside.factors import Factors
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Layer

# The number of channels that are named for each concept.
CHANNELS = 5


@dataclass(frozen=True)
class Example(Shown):
    """An exemplar of a concept as people see it.

    Attributes:
        heat: the whole image in grey, with the coefficients of the concept over it.
    """

    heat: Image.Image


@dataclass(frozen=True)
class SharedFinding:
    """What a concept shares with a finding of an audit.

    Attributes:
        finding: the name of the finding.
        sentence: what the audit says about it.
        images: the number of images of its evidence.
        share: how far this concept alone moves the predictions as the finding does: the share of the change of the
            margin between the logits of both classes; 1 for all of it.
        together: the same of all concepts together.

    Examples:
        >>> from picasso.inside.concept_card import SharedFinding
        >>> found = SharedFinding("mark", "Everything depends on a mark.", images=6, share=0.9, together=1.0)
        >>> f"{found.share:.0%} of the effect of the mark"
        '90% of the effect of the mark'
    """

    finding: str
    sentence: str
    images: int
    share: float
    together: float


@dataclass(frozen=True)
class Concept:
    """A direction of a layer's channels that explains a part of its feature maps.

    Attributes:
        number: its number, from 1; the most important one is first.
        direction: the weight of each channel; its length is 1.
        importance: the total Sobol index of the score, 0..1: the share of the variance of the score that depends on
            this concept if the strengths of all concepts vary.
        share: its share in the sum of the coefficients of all concepts, 0..1.
        exemplars: the images in which its coefficient is largest.
        changes: the predicted classes that change without it, the most frequent first.
        shift: the mean change of the score of the class without it; for models that are no classifiers, the mean
            absolute change of the scores.
        findings: the findings of an audit whose effect this concept explains better than the other ones.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> image = np.zeros((1, 8, 8, 3), np.uint8)
        >>> image[:, :4] = 0, 30, 40
        >>> (concept,) = picasso.concepts(model, None, image, count=1).concepts
        >>> [(channel, round(weight, 2)) for channel, weight in concept.channels]
        [(2, 0.8), (1, 0.6)]
        >>> concept.exemplars[0].box
        (0, 0, 1, 1)
    """

    number: int
    direction: Array
    importance: float
    share: float
    exemplars: tuple[Example, ...]
    changes: tuple[Change, ...]
    shift: float
    findings: tuple[SharedFinding, ...] = ()

    @property
    def channels(self) -> list[tuple[int, float]]:
        """The channels with the largest weights, and these weights."""
        strongest = sorted(range(len(self.direction)), key=lambda one: -abs(float(self.direction[one])))
        return [(one, float(self.direction[one])) for one in strongest[:CHANNELS] if self.direction[one]]

    def sheet(self) -> Image.Image:
        """Return the exemplars side by side, and below each the whole image with the coefficients over it."""
        rows = [sheet([one.crop for one in self.exemplars]), sheet([one.heat for one in self.exemplars])]
        found = Image.new("RGB", (rows[0].width, 2 * SIDE + GAP), "white")
        for number, row in enumerate(rows):
            found.paste(row, (0, number * (SIDE + GAP)))
        return found


@dataclass(frozen=True)
class Concepts:
    """The concepts of a layer.

    Attributes:
        layer: the layer.
        target: the name of the class whose score is explained; "" for the predicted class of each image.
        images: how many images were looked at.
        measured: for how many of them the importance was measured.
        concepts: the concepts, the most important first.
        error: the share of the squared feature maps that the concepts do not explain, 0..1.
        negative: the share of the squared feature maps that is negative, 0..1.
        classifies: whether the model predicts classes.
        factors: the factorization, whose directions are in the order of the concepts.
        unreadable: a sentence for each image that could not be read.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load(channels=3)
        >>> images = np.zeros((4, 8, 8, 3), np.uint8)
        >>> images[:2, 2:6, :4, 0] = 250
        >>> images[2:, 4:, :, 1:] = 90
        >>> found = picasso.concepts(model, None, images, count=2)
        >>> [[round(float(one), 2) for one in concept.direction] for concept in found.concepts]
        [[0.0, 0.71, 0.71], [1.0, 0.0, 0.0]]
    """

    layer: Layer
    target: str
    images: int
    measured: int
    concepts: tuple[Concept, ...]
    error: float
    negative: float
    classifies: bool
    factors: Factors
    unreadable: tuple[str, ...] = ()

    def maps(self, model: Model, inputs: Array) -> Array:
        """Return the coefficients of the concepts for inputs of the model, ``(N, h, w, r)``.

        Args:
            model: the model.
            inputs: ``(N, H, W, C)``, as :meth:`picasso.models.base.Model.inputs_of` returns them.
        """
        return self.factors.coefficients(model.feature_maps(inputs, self.layer.name))

    def sentences(self) -> list[str]:
        """Return the concepts in words."""
        height, width, channels = self.layer.shape
        among = counted(self.images, "image") + (f" predicted as {self.target}" if self.target else "")
        verb = "explains" if len(self.concepts) == 1 else "explain"
        lines = [
            f"{counted(len(self.concepts), 'concept')} of layer {self.layer.name} ({height} x {width} cells, "
            f"{counted(channels, 'channel')}) {verb} {1 - self.error:.0%} of its squared feature maps in {among}."
        ]
        if self.factors.signed:
            lines.append(
                f"{self.negative:.1%} of the squared feature maps is negative, so each channel counts as two: its "
                "positive and its negative part."
            )
        what = f"the score of {self.target}" if self.target else "the score of the predicted class"
        scores = what if self.classifies else "the scores"
        for one in self.concepts:
            about = f"Concept {one.number} has {one.share:.0%} of all coefficients."
            if one.exemplars:
                best = ", ".join(f"{shown.image} ({shown.value:.3g})" for shown in one.exemplars[:3])
                about += f" It is largest in {best}."
            lines.append(about)
            lines.append(f"Its total Sobol index of {scores} is {one.importance:.2f}.")
            lines += effect_lines(f"Without concept {one.number}", one.changes, one.shift, self.classifies, what)
            lines += [
                f"The finding “{shared.finding}” of the audit is about concept {one.number} more than about others: "
                f"this concept alone, changed as in the {counted(shared.images, 'image')} of the evidence, moves the "
                f"predictions {shared.share:.0%} of the way, all concepts together {shared.together:.0%}."
                for shared in one.findings
            ]
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return the concepts as JSON-ready values."""
        return {
            "layer": self.layer.name,
            "shape": list(self.layer.shape),
            "target": self.target,
            "images": self.images,
            "measured": self.measured,
            "error": self.error,
            "negative": self.negative,
            "classifies": self.classifies,
            "unreadable": list(self.unreadable),
            "concepts": [
                {
                    "number": one.number,
                    "importance": one.importance,
                    "share": one.share,
                    "channels": [{"channel": channel, "weight": weight} for channel, weight in one.channels],
                    "exemplars": listed(one.exemplars),
                    "changes": [vars(change) for change in one.changes],
                    "shift": one.shift,
                    "findings": [asdict(shared) for shared in one.findings],
                }
                for one in self.concepts
            ],
        }

    def save(self, folder: Path | str) -> None:
        """Write ``concepts.json`` and ``concept-1.png`` and so on to a new folder.

        Raises:
            BadRequest: the folder exists, or can't be written.
        """
        with written(folder) as draft:
            (draft / "concepts.json").write_text(json.dumps(self.as_dict(), indent=1), encoding="utf-8")
            for one in self.concepts:
                if one.exemplars:
                    one.sheet().save(draft / f"concept-{one.number}.png")
