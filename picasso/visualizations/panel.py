"""The output of visualizations: maps and images, as arrays with titles, quantities and notes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.rank_agreement import ROUNDING, is_flat
from picasso.models.info import Prediction

# The rounding errors of a network accumulate; for a quantity of size 1, they reach about this.
NETWORK_ROUNDING = 1e-6
# The scale of a map spans at least this many times the rounding error, so that rounding errors stay pale.
HEADROOM = 10.0
# Words in the quantities of maps that are computed from differences of predicted values.
VALUES = ("drop of", "while covered", "while visible", "linear model of", "Shapley value")


def rounding(magnitude: float, scale: float = 1.0) -> float:
    """Return the rounding error of a quantity that a float32 network has computed.

    Args:
        magnitude: the magnitude of the numbers involved: 1 for probabilities, the largest logit for logits, the
            largest value for a regression.
        scale: the least magnitude: 1, or 0 for numbers in any unit; see :attr:`picasso.targets.Target.scale`.
    """
    return NETWORK_ROUNDING * max(scale, abs(magnitude))


@dataclass(frozen=True)
class Panel:
    """One map or one image.

    Attributes:
        title: the text above it; for a map of a class, the class name.
        array: a map ``(h, w)`` of float32, or an image ``(h, w)``/``(h, w, 3)`` of uint8. A map covers the
            whole image as the model sees it, whatever its own resolution.
        quantity: the quantity that a map shows, with its unit, for the legend.
        value_range: the values at both ends of the colour scale; None for the extremes of the array.
        signed: True if zero is the middle of the scale.
        transparency: how strongly the image shows through the map, 0..1.
        class_index: the class that a map belongs to, or None.
        probability: the probability of that class for the whole image, 0..1, or None.
        target: the text of the target that a map explains, or "".
        value: the value of the target for the whole image, or None.
        unit: what ``value`` is, with its unit, or "".
        context: the share of the map outside of the region that the target is about, 0..1, or None.
        note: a sentence below it, with details.
        group: the group that it belongs to in a comparison, such as a model; "" otherwise.
        noise: the rounding error of the values of a map; smaller values and smaller differences are not shown.
            None stands for :data:`ROUNDING`. See :func:`rounding`.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> panel = picasso.Panel("bright", np.array([[-1, 0], [0, 3]], np.float32), quantity="gradient", signed=True)
        >>> panel.kind, panel.scale()
        ('map', (-3.0, 3.0))
    """

    title: str
    array: NDArray[Any]
    quantity: str = ""
    value_range: tuple[float, float] | None = None
    signed: bool = False
    transparency: float = 0.0
    class_index: int | None = None
    probability: float | None = None
    note: str = ""
    group: str = ""
    noise: float | None = None
    target: str = ""
    value: float | None = None
    unit: str = ""
    context: float | None = None

    @classmethod
    def of_class(cls, prediction: Prediction, array: NDArray[Any], **attributes: Any) -> Self:
        """Return the map of a predicted class, titled with its name."""
        index, probability = prediction["index"], prediction["prob"]
        return cls(
            title=prediction["name"],
            array=array,
            class_index=index,
            probability=probability,
            target=str(index),
            value=probability,
            unit="probability",
            **attributes,
        )

    def above_chance(self, noise: float, logit_noise: float = 0.0) -> Self:
        """Return the map without the differences that the randomness of the model explains.

        The :attr:`quantity` tells whether the values are differences of predicted values or of logits.

        Args:
            noise: by how much the predictions for one image differ between repeated predictions.
            logit_noise: the same for the logits.
        """
        # Gradients of the logit are not differences.
        of_logits = "drop" in self.quantity and "logit" in self.quantity
        of_values = "probability" in self.quantity or any(word in self.quantity for word in VALUES)
        several = 2 if "difference of the logits" in self.quantity else 1
        chance = several * logit_noise if of_logits else noise if of_values else 0.0
        if self.kind != "map" or not chance:
            return self
        values = "probabilities" if "probability" in self.quantity else "predictions"
        array, unit = self.array, "logits" if of_logits else values
        if self.signed:
            array = np.where(np.abs(array) <= chance, 0, array).astype(array.dtype)
        elif self.value is not None and "while covered" in self.quantity:
            # The value that remains: if it is close to that of the whole image, chance explains the difference.
            near = np.abs(array - self.value) <= chance
            array = np.where(near, self.value, array).astype(array.dtype)
        said = f"The model's {unit} vary at random by up to {chance:.2g}; smaller differences are treated as 0."
        note = f"{self.note} {said}".strip()
        return replace(self, array=array, note=note, noise=max(self.noise_level, chance))

    @property
    def kind(self) -> str:
        """``"image"`` for pixels, ``"map"`` for values."""
        return "image" if self.array.dtype == np.uint8 else "map"

    @property
    def noise_level(self) -> float:
        """The rounding error of the values."""
        return ROUNDING if self.noise is None else self.noise

    @property
    def empty(self) -> bool:
        """Whether no value of a map exceeds the rounding error."""
        return self.kind == "map" and bool(np.abs(self.array).max() <= self.noise_level)

    @property
    def flat(self) -> bool:
        """Whether the values of a map differ by no more than the rounding error."""
        return self.kind == "map" and (self.empty or is_flat(self.array, self.noise_level))

    def scale(self) -> tuple[float, float]:
        """Return the values at the ends of the colour scale; symmetric about zero if signed.

        It spans several times the rounding error, however small the values are.
        """
        least = HEADROOM * self.noise_level
        if self.value_range is not None:
            low, high = self.value_range
            missing = max(0.0, least - (high - low))
            return (low - missing / 2, high + missing / 2) if self.signed else (low, high + missing)
        low, high = float(self.array.min()), float(self.array.max())
        if self.signed:
            high = max(abs(low), abs(high), least)
            return -high, high
        # Maps of magnitudes start at zero, so that zero always has the same colour.
        low = min(0.0, low)
        return low, max(high, low + least)

    def describe(self) -> dict[str, Any]:
        """Return everything except the array as JSON-ready values; for maps, also whether they are flat."""
        document: dict[str, Any] = {
            "title": self.title,
            "kind": self.kind,
            "shape": list(self.array.shape),
            "class_index": self.class_index,
            "probability": self.probability,
            "target": self.target,
            "value": self.value,
            "unit": self.unit,
            "context": self.context,
            "note": self.note,
            "group": self.group,
        }
        if self.kind == "map":
            low, high = self.scale()
            document |= {
                "quantity": self.quantity,
                "signed": self.signed,
                "transparency": self.transparency,
                "value_range": [low, high],
                "minimum": float(self.array.min()),
                "maximum": float(self.array.max()),
                "flat": self.flat,
                "empty": self.empty,
                "noise": self.noise_level,
            }
        return document

    @classmethod
    def from_description(cls, document: dict[str, Any], array: NDArray[Any]) -> Self:
        """Rebuild a panel from :meth:`describe` and its array."""
        names = (
            "title", "quantity", "signed", "transparency", "class_index", "probability", "note", "group", "noise",
            "target", "value", "unit", "context",
        )  # fmt: skip
        known = {key: document[key] for key in names if key in document}
        scale = document.get("value_range")
        return cls(array=array, value_range=(scale[0], scale[1]) if scale else None, **known)
