"""What the tests of a map found, for one image and for several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from picasso.grading.curves import EDGES, MAP, RANDOM, Curve
from picasso.grading.wording import sentence

# A map is better than a control if its score is higher by this fraction of the range of all curves.
MARGIN = 0.05


@dataclass(frozen=True)
class WeightLevel:
    """What happens to a map when the kernels next to the output are random.

    Attributes:
        kernels: how many are random.
        agreement: the rank correlation with the map of the original weights, -1..1; None if the new map is flat, so
            that nothing is left of the original.
    """

    kernels: int
    agreement: float | None


@dataclass(frozen=True)
class WeightTest:
    """Whether a map depends on the weights.

    Attributes:
        total: the number of kernels of the model.
        levels: from the output on; in the last, all kernels are random.
        entropy: the entropy of the histogram of the map, in bits.
        random_entropy: that of the map with all kernels random; None if it is flat.
    """

    total: int
    levels: tuple[WeightLevel, ...]
    entropy: float
    random_entropy: float | None

    @property
    def rise(self) -> float | None:
        """The relative rise of the entropy, the measure eMPRT; None if it is not defined.

        Hedström et al., *Sanity checks revisited*, arXiv 2401.06465: a map that follows the weights gets more complex.
        """
        if self.random_entropy is None or self.entropy == 0:
            return None
        return (self.random_entropy - self.entropy) / self.entropy

    @property
    def agreement(self) -> float:
        """The largest magnitude of the agreement over all levels, 0..1; 0 for flat maps."""
        return max(abs(level.agreement or 0.0) for level in self.levels)

    def as_dict(self) -> dict[str, Any]:
        """Return the test as JSON-ready values."""
        levels = [vars(level) for level in self.levels]
        entropies = {"entropy": self.entropy, "random_entropy": self.random_entropy, "entropy_rise": self.rise}
        return {"total": self.total, "levels": levels, **entropies, "agreement": self.agreement}


@dataclass(frozen=True)
class FillTest:
    """Whether a map depends on the fill.

    Attributes:
        fill: the fill of the settings.
        other: another one.
        agreement: the rank correlation of both maps, -1..1; None if the map with the other fill is flat.
    """

    fill: str
    other: str
    agreement: float | None


@dataclass(frozen=True)
class FlipTest:
    """Whether the map of the flipped image is the flipped map.

    Attributes:
        agreement: the rank correlation of both, -1..1; None if the map of the flipped image is flat.
    """

    agreement: float | None


@dataclass(frozen=True)
class ImageGrade:
    """What the tests found for the map of one image.

    Attributes:
        image: the name of the image.
        target: what the map explains, as text for a request.
        name: the name of the target.
        quantity: what the values of the curves are, with their unit.
        curves: those of the map, of a random map and of an edge detector; empty if they could not be measured.
        weights: the test with random weights, or None if it could not be made.
        fills: the test with two fills, or None.
        flip: the test with the flipped image, or None.
        untested: a sentence for each test that could not be made, with the reason.

    Examples:
        >>> from picasso.grading.curves import Curve
        >>> from picasso.grading.outcome import ImageGrade
        >>> best = Curve("map", (1.0, 0.0, 0.0), (0.0, 1.0, 1.0))
        >>> others = (Curve(name, (1.0, 0.5, 0.0), (0.0, 0.5, 1.0)) for name in ("random map", "edge detector"))
        >>> grade = ImageGrade("a.png", "1", "bright", "probability", (best, *others))
        >>> grade.beats("edge detector"), grade.score
        (True, 0.5)
    """

    image: str
    target: str
    name: str
    quantity: str
    curves: tuple[Curve, ...] = ()
    weights: WeightTest | None = None
    fills: FillTest | None = None
    flip: FlipTest | None = None
    untested: tuple[str, ...] = ()

    def curve(self, order: str) -> Curve | None:
        """Return the curves of an order, or None if they were not measured."""
        return next((one for one in self.curves if one.order == order), None)

    @property
    def score(self) -> float | None:
        """The insertion area minus the deletion area of the map, or None."""
        own = self.curve(MAP)
        return own.score if own else None

    def beats(self, order: str) -> bool | None:
        """Tell whether the map is clearly better than a control; None if that was not measured."""
        own, control = self.curve(MAP), self.curve(order)
        if own is None or control is None:
            return None
        values = [value for one in self.curves for value in (*one.deletion, *one.insertion)]
        return own.score - control.score > MARGIN * (max(values) - min(values))

    @property
    def sentence(self) -> str:
        """What the tests say about the map, for a person."""
        return sentence([self])

    def as_dict(self) -> dict[str, Any]:
        """Return the grade as JSON-ready values."""
        return {
            "image": self.image,
            "target": {"text": self.target, "name": self.name},
            "quantity": self.quantity,
            "sentence": self.sentence,
            "score": self.score,
            "beats": {"random": self.beats(RANDOM), "edges": self.beats(EDGES)},
            "curves": [one.as_dict() for one in self.curves],
            "weights": self.weights.as_dict() if self.weights else None,
            "fills": vars(self.fills) if self.fills else None,
            "flip": vars(self.flip) if self.flip else None,
            "untested": list(self.untested),
        }


@dataclass(frozen=True)
class Grade:
    """What the tests found for the maps of several images.

    Attributes:
        visualization: the name of the visualization.
        settings: its settings.
        images: the grade of each image.
        unreadable: a sentence for each image that could not be read.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> ramp = np.tile(np.arange(0, 256, 32, dtype=np.uint8), (8, 1))
        >>> grade = picasso.grade(model, "PartialOcclusion", ramp, targets="bright", Strides=5)
        >>> [len(curve.deletion) for curve in grade.images[0].curves]
        [65, 65, 65]
    """

    visualization: str
    settings: dict[str, Any]
    images: tuple[ImageGrade, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What the tests say about the maps, for a person."""
        return sentence(self.images)

    @property
    def score(self) -> float | None:
        """The mean score of the images whose curves were measured, or None."""
        scores = [one.score for one in self.images if one.score is not None]
        return sum(scores) / len(scores) if scores else None

    def as_dict(self) -> dict[str, Any]:
        """Return the grade as JSON-ready values."""
        return {
            "visualization": self.visualization,
            "settings": self.settings,
            "sentence": self.sentence,
            "score": self.score,
            "images": [one.as_dict() for one in self.images],
            "unreadable": list(self.unreadable),
        }
