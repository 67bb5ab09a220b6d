"""What a visualization makes: maps of values and pictures, as arrays with the words that explain them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from picasso.models.card import Prediction


@dataclass(frozen=True)
class Panel:
    """One map or one picture.

    Attributes:
        title: what the reader sees above it; the class's name for a map of a class.
        array: a map ``(h, w)`` of float32, or a picture ``(h, w)``/``(h, w, 3)`` of uint8. A map covers the
            whole picture as the model sees it, whatever its own resolution.
        quantity: what the values of a map are, with their unit, for its legend.
        value_range: the values at the two ends of the colour scale; None takes those of the array.
        signed: True if zero is the middle of the scale.
        transparency: how strongly the picture shows through the map, 0..1.
        class_index: the class that a map belongs to, or None.
        probability: the probability of that class on the whole picture, 0..1, or None.
        note: a sentence below it, for those who want to know more.
        group: where several things are compared, which of them it belongs to, such as a model; "" otherwise.
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

    @classmethod
    def of_class(cls, prediction: Prediction, array: NDArray[Any], **attributes: Any) -> Self:
        """Return the map of a predicted class, titled with its name."""
        index, probability = prediction["index"], prediction["prob"]
        return cls(title=prediction["name"], array=array, class_index=index, probability=probability, **attributes)

    @property
    def kind(self) -> str:
        """``"picture"`` for pixels, ``"map"`` for values."""
        return "picture" if self.array.dtype == np.uint8 else "map"

    def scale(self) -> tuple[float, float]:
        """Return the values at the ends of the colour scale; symmetric about zero if signed."""
        if self.value_range is not None:
            return self.value_range
        low, high = float(self.array.min()), float(self.array.max())
        if self.signed:
            high = max(abs(low), abs(high))
            return -high, high
        # Maps of magnitudes start at zero, so that "nothing" is always drawn as nothing.
        return min(0.0, low), high

    def describe(self) -> dict[str, Any]:
        """Return everything but the array as JSON-ready values; maps say if they are flat."""
        document: dict[str, Any] = {
            "title": self.title,
            "kind": self.kind,
            "shape": list(self.array.shape),
            "class_index": self.class_index,
            "probability": self.probability,
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
                "flat": bool(self.array.min() == self.array.max()),
            }
        return document

    @classmethod
    def from_description(cls, document: dict[str, Any], array: NDArray[Any]) -> Self:
        """Rebuild a panel from :meth:`describe` and its array."""
        names = ("title", "quantity", "signed", "transparency", "class_index", "probability", "note", "group")
        known = {key: document[key] for key in names if key in document}
        scale = document.get("value_range")
        return cls(array=array, value_range=(scale[0], scale[1]) if scale else None, **known)
