"""What can be said of a model in words: what it can give, its layers, its predictions, its identity."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self, TypedDict


class Capability(StrEnum):
    """What a model can give; a visualization names those that it needs."""

    PREDICTIONS = "predictions"
    GRADIENTS = "gradients"
    FEATURE_MAPS = "feature maps"


class Prediction(TypedDict):
    """One class of one image: its index in the output, its name and its probability in 0..1."""

    index: int
    name: str
    prob: float


@dataclass(frozen=True)
class Place:
    """Where in the image the cells of a feature map lie.

    Cell (i, j) is centred ``start + (i, j) * step`` pixels from the top left corner of the input, as the strides,
    padding and cropping before the layer have it. The first pixel is centred at 0.5.

    Attributes:
        start: the centre of the first cell, (down, right).
        step: from one cell to the next, (down, right); negative where the model flips the image.
        transposed: whether the rows of the map run over the columns of the image; i then steps to the right.
    """

    start: tuple[float, float]
    step: tuple[float, float]
    transposed: bool = False


@dataclass(frozen=True)
class Layer:
    """A layer with feature maps.

    Attributes:
        name: as its author knows it.
        shape: ``(height, width, channels)`` of its feature maps.
        default: whether it is the one that is used where none is named.
        parameters: how many weights it has; a normalization counts as a factor and an offset per channel.
        receptive_field: the part of the image that one value can depend on, ``(height, width)`` in pixels;
            None for the whole image or where it is not known.
        place: where in the image its cells lie; None where it is not known.
    """

    name: str
    shape: tuple[int, int, int]
    default: bool = False
    parameters: int = 0
    receptive_field: tuple[int, int] | None = None
    place: Place | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What is shown of a model; it travels as JSON between the worker and the web server.

    ``fingerprint`` is the SHA-256 of its files, or "" where they are not known; ``versions`` are those of what
    computes its answers. See :mod:`picasso.models.provenance`.
    """

    name: str
    framework: str
    format: str
    checkpoint: str
    checkpoint_time: str
    input_shape: tuple[int, int, int]
    classes: int
    capabilities: tuple[str, ...]
    logits: str
    output: str = ""
    preprocessing: str = ""
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    versions: dict[str, str] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the card as JSON-ready values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild a card from :meth:`as_dict`."""
        height, width, channels = values["input_shape"]
        shape = (int(height), int(width), int(channels))
        lists = {key: tuple(values[key]) for key in ("capabilities", "notes")}
        return cls(**{**values, **lists, "input_shape": shape})

    def missing(self, needs: frozenset[Capability]) -> list[str]:
        """Return those of ``needs`` that this model can't give."""
        return sorted(need.value for need in needs if need.value not in self.capabilities)


def as_prediction(entry: Any) -> Prediction:
    """Return one entry of decode_prob() with its numbers as numbers, also where they were written as text."""
    return Prediction(index=int(entry["index"]), name=str(entry["name"]), prob=float(entry["prob"]))
