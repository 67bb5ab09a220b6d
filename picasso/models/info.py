"""The description of a model: its capabilities, its layers, its predictions, its identity."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from picasso.targets.predictions import Prediction as Prediction


class Capability(StrEnum):
    """A capability of a model; each visualization lists those that it needs.

    Examples:
        >>> from picasso.models.info import Capability
        >>> [capability.value for capability in Capability]
        ['predictions', 'gradients', 'feature maps', 'attention', 'token dropping']
    """

    PREDICTIONS = "predictions"
    GRADIENTS = "gradients"
    FEATURE_MAPS = "feature maps"
    ATTENTION = "attention"
    DROPPING = "token dropping"


#: The capabilities that only transformers have.
OF_TRANSFORMERS = frozenset({Capability.ATTENTION, Capability.DROPPING})


@dataclass(frozen=True)
class Place:
    """The position of the cells of a feature map in the image.

    The centre of cell (i, j) is ``start + (i, j) * step`` pixels from the top left corner of the input, as determined
    by the strides, padding and cropping before the layer. The centre of the first pixel is 0.5.

    Attributes:
        start: the centre of the first cell, (down, right), in pixels.
        step: the distance between neighbouring cells, (down, right), in pixels; negative if the model flips the image.
        transposed: true if the rows of the map correspond to columns of the image; i then steps to the right.
    """

    start: tuple[float, float]
    step: tuple[float, float]
    transposed: bool = False


@dataclass(frozen=True)
class Layer:
    """A layer with feature maps.

    Attributes:
        name: its name in the model.
        shape: ``(height, width, channels)`` of its feature maps.
        default: whether it is used by default.
        parameters: the number of its weights; a normalization counts as a factor and an offset per channel.
        receptive_field: the region of the image that one value depends on, ``(height, width)`` in pixels; null for
            the whole image or if it is not known.
        place: where in the image its cells lie; null if it is not known.
    """

    name: str
    shape: tuple[int, int, int]
    default: bool = False
    parameters: int = 0
    receptive_field: tuple[int, int] | None = None
    place: Place | None = None


@dataclass(frozen=True, repr=False)
class ModelInfo:
    """The description of a model.

    Attributes:
        name: the name of the model, such as that of its class.
        framework: what computes its predictions, such as "keras".
        format: the format of its file.
        checkpoint: the name of its file or checkpoint.
        checkpoint_time: when that was last changed.
        input_shape: height, width and channels of its input.
        classes: the number of its classes.
        capabilities: the values of :class:`Capability` that it has.
        logits: where its logits come from.
        output: what its output values mean, and how that is known.
        preprocessing: what is done to an image first.
        notes: remarks on how the model was read.
        fingerprint: the SHA-256 of its files, or "" if they are not known.
        versions: the versions of the packages that compute its predictions.
        task: what its output means, see :meth:`picasso.targets.OutputSpec.as_dict`.
        guessed: what neither its file nor the settings state, with how to settle it: "value range", "task" and
            "meaning of the output".
        precision: its arithmetic, "exact" or "fast"; a note tells how much fast arithmetic differs.
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
    task: dict[str, Any] = field(default_factory=dict, hash=False)
    guessed: dict[str, str] = field(default_factory=dict, hash=False)
    precision: str = "exact"

    def __repr__(self) -> str:
        """Return the name, the checkpoint, and the sizes of the input and the output."""
        size = " x ".join(map(str, self.input_shape))
        checkpoint = f" {self.checkpoint}" if self.checkpoint else ""
        return f"<ModelInfo: {self.name}{checkpoint}, input {size}, {self.classes} outputs>"

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
