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
# The scale of a map ends at this percentile of its magnitudes above the rounding error, so that a few extreme values
# do not make all others pale. A map of fewer than 100 such values ends at its largest.
PERCENTILE = 99.0
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


@dataclass(frozen=True, repr=False)
class Panel:
    """One map or one image.

    Attributes:
        title: the text above it; for a map of a class, the class name.
        array: a map ``(h, w)`` of float32, or an image ``(h, w)``/``(h, w, 3)`` of uint8. A map covers the
            whole image as the model sees it, whatever its own resolution.
        quantity: the quantity that a map shows, with its unit, for the legend.
        value_range: the values at both ends of the colour scale; None for a scale from zero that ends where
            1 % of the values are larger, and, if signed, is symmetric about zero.
        signed: True if zero is the middle of the scale: positive values are warm, negative ones cool.
        centre: the value that says nothing, in the middle of the scale, if it is not zero; None if the map is signed or
            has none. Values on one side of it are warm, on the other side cool.
        falling: True if values below the centre speak for the target, such as what remains of a probability while
            parts are hidden.
        transparency: how strongly the image shows through the strongest values, 0..1; it shows through weaker ones
            more strongly.
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
        uncertainty: the standard error of the values if they are estimated from random samples; 0.0 otherwise.
            Values that differ less from nothing are not shown.
        ends: what the cool and the warm end of the scale mean, for the legend, such as ``("against", "for")``, which is
            the default for signed maps of a target.

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
    transparency: float = 0.25
    class_index: int | None = None
    probability: float | None = None
    note: str = ""
    group: str = ""
    noise: float | None = None
    target: str = ""
    value: float | None = None
    unit: str = ""
    context: float | None = None
    centre: float | None = None
    falling: bool = False
    uncertainty: float = 0.0
    ends: tuple[str, str] | None = None

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
        said = "The model's {what} vary at random by up to {size}; smaller differences are treated as 0."
        return self._beyond(noise, logit_noise, said)

    def above_fast(self, values: float, logits: float) -> Self:
        """Return the map without the differences that fast arithmetic explains.

        Args:
            values: by how much fast predictions differ from exact ones.
            logits: the same for the logits.
        """
        said = "Fast arithmetic changes differences of {what} by up to {size}; smaller ones are treated as 0."
        # Each of the two numbers may be off.
        return self._beyond(2 * values, 2 * logits, said)

    def _beyond(self, noise: float, logit_noise: float, said: str) -> Self:
        """Return the map without smaller differences of predictions, or of logits, and with a note on them."""
        # Gradients of the logit are not differences.
        odds = "log-odds" in self.quantity
        of_logits = "drop" in self.quantity and (odds or "logit" in self.quantity)
        of_values = "probability" in self.quantity or any(word in self.quantity for word in VALUES)
        # The log-odds are a difference of logits, too.
        several = 2 if odds or "difference of the logits" in self.quantity else 1
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
        note = f"{self.note} {said.format(what=unit, size=f'{chance:.2g}')}".strip()
        return replace(self, array=array, note=note, noise=max(self.noise_level, chance))

    def __repr__(self) -> str:
        """Return the title, the size and the quantity."""
        size = " x ".join(map(str, self.array.shape))
        return f"<Panel: {self.title}, {self.kind} of {size}{', ' if self.quantity else ''}{self.quantity}>"

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

    @property
    def middle(self) -> float | None:
        """The value in the middle of the scale, which is not drawn; None if the scale begins at nothing."""
        return 0.0 if self.signed else self.centre

    @property
    def floor(self) -> float:
        """The difference from nothing that rounding or random samples explain; it is not drawn."""
        return max(self.noise_level, self.uncertainty)

    @property
    def meanings(self) -> tuple[str, str]:
        """What the low and the high end of the scale mean, or two empty texts if the quantity says it."""
        both_sides = self.middle is not None and (self.target or self.class_index is not None)
        cool, warm = self.ends or (("against", "for") if both_sides else ("", ""))
        return (warm, cool) if self.falling else (cool, warm)

    def scale(self) -> tuple[float, float]:
        """Return the values at the ends of the colour scale; symmetric about zero if signed.

        It spans several times the rounding error, however small the values are. Values beyond its ends have the
        colours of the ends.
        """
        least = HEADROOM * self.noise_level
        if self.value_range is not None:
            low, high = self.value_range
            missing = max(0.0, least - (high - low))
            return (low - missing / 2, high + missing / 2) if self.signed else (low, high + missing)
        if self.middle is not None:
            reach = max(largest(self.array - self.middle, self.noise_level), least)
            low, high = self.middle - reach, self.middle + reach
            if self.signed or reach == least:
                return low, high
            # A scale of probabilities must not go beyond them.
            return max(low, float(self.array.min())), min(high, float(self.array.max()))
        end = largest(np.maximum(self.array, 0), self.noise_level)
        # Maps of magnitudes start at zero, so that zero is never drawn.
        low = min(0.0, float(self.array.min()))
        return low, max(end, low + least)

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
                "floor": self.floor,
                "centre": self.middle,
                "falling": self.falling,
                "meanings": list(self.meanings),
            }
        return document

    @classmethod
    def from_description(cls, document: dict[str, Any], array: NDArray[Any]) -> Self:
        """Rebuild a panel from :meth:`describe` and its array."""
        names = (
            "title", "quantity", "signed", "transparency", "class_index", "probability", "note", "group", "noise",
            "target", "value", "unit", "context", "falling",
        )  # fmt: skip
        known = {key: document[key] for key in names if key in document}
        scale, (low, high) = document.get("value_range"), document.get("meanings", ("", ""))
        ends = (high, low) if document.get("falling") else (low, high)
        return cls(
            array=array,
            value_range=(scale[0], scale[1]) if scale else None,
            ends=ends if any(ends) else None,
            centre=None if document.get("signed") else document.get("centre"),
            uncertainty=document.get("floor", 0.0),
            **known,
        )


def largest(array: NDArray[Any], noise: float) -> float:
    """Return the :data:`PERCENTILE` of the magnitudes that exceed the rounding error; 0 if none does.

    It is one of the values, never a number between two of them.
    """
    magnitudes = np.abs(array[np.abs(array) > noise])
    return float(np.percentile(magnitudes, PERCENTILE, method="higher")) if magnitudes.size else 0.0
