"""What Picasso understood of a model, and what about it smells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from picasso.models.base import Model
from picasso.models.card import ModelCard
from picasso.results import Result

# Fewer pictures than this say nothing about a model that always answers the same.
ENOUGH_PICTURES = 5


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes:
        card: the model in words.
        layers: the layers with feature maps, first to last.
        default_layer: the one that is used where none is named, or "".
        answers: the predictions for the pictures looked at.
        warnings: what the user should look into.
    """

    card: ModelCard
    layers: tuple[str, ...]
    default_layer: str
    answers: tuple[Result, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        answers = [{"picture": result.picture, "predictions": list(result.predictions)} for result in self.answers]
        return {
            "model": self.card.as_dict(),
            "layers": list(self.layers),
            "default_layer": self.default_layer,
            "answers": answers,
            "warnings": list(self.warnings),
        }

    def lines(self) -> list[tuple[str, str]]:
        """Return the report as names and values, one line each."""
        height, width, channels = self.card.input_shape
        lines = [
            ("model", f"{self.card.name} ({self.card.framework})"),
            ("checkpoint", f"{self.card.checkpoint}, written {self.card.checkpoint_time}"),
            ("input", f"{height} x {width} pixels, {channels} channel{'s' if channels > 1 else ''}"),
            ("pictures", self.card.preprocessing),
            ("classes", str(self.card.classes)),
            ("logits", self.card.logits),
            ("can give", ", ".join(self.card.capabilities)),
            ("layer", f"{self.default_layer or 'none'} (of {len(self.layers)} with feature maps)"),
        ]
        for result in self.answers:
            best = ", ".join(f"{one['name']} {one['prob']:.3f}" for one in result.predictions)
            lines.append(("answer", f"{result.picture}: {best}"))
        return lines


def check(model: Model, answers: Sequence[Result]) -> Report:
    """Describe a loaded model and look at its predictions for some pictures."""
    layers = model.layers()
    default = next((layer.name for layer in layers if layer.default), "")
    warnings = list(model.card().notes)
    best = {result.predictions[0]["name"] for result in answers}
    if len(answers) >= ENOUGH_PICTURES and len(best) == 1:
        warnings.append(
            f"All {len(answers)} pictures are answered with {best.pop()}: the value range of the input may be wrong."
        )
    return Report(model.card(), tuple(layer.name for layer in layers), default, tuple(answers), tuple(warnings))
