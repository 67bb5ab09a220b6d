"""What the output of a model is taken for, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from picasso import remedies
from picasso.evaluation.labeled_folder import abridged
from picasso.models.base import Model
from picasso.targets import Detection, Embedding, OutputTask, Segmentation

# The plurals of OutputSpec.noun.
PLURALS = {"class": "classes", "label": "labels", "value": "values"}


@dataclass(frozen=True)
class Understood:
    """What the output of a model is taken for.

    Attributes:
        task: the task.
        known: how it is known, and how to confirm an assumption.
        facts: names and values: the names of the classes, labels or values, the unit, the shape, the decoder of boxes.
    """

    task: OutputTask
    known: str
    facts: tuple[tuple[str, str], ...]

    def lines(self) -> list[tuple[str, str]]:
        """Return names and values, one line each."""
        return [("task", f"{self.task} ({self.known})"), *self.facts]

    def as_dict(self) -> dict[str, Any]:
        """Return the same as JSON-ready values."""
        facts = [{"name": name, "value": value} for name, value in self.facts]
        return {"name": str(self.task), "known": self.known, "facts": facts}


def understood(model: Model) -> Understood:
    """Return what the output of a model is taken for."""
    spec, facts = model.spec, list[tuple[str, str]]()
    if not isinstance(spec, Embedding):
        names = [str(name) for name in model.class_names()]
        facts.append((PLURALS[spec.noun], f"{model.num_classes}: {abridged(names)}"))
    if isinstance(spec, Segmentation):
        facts.append(("shape", f"{spec.shape[0]} x {spec.shape[1]} positions"))
    elif isinstance(spec, Embedding):
        facts.append(("shape", f"{prod(spec.shape)} numbers"))
    elif isinstance(spec, Detection):
        shapes = [f"{name} {' x '.join(map(str, shape))}" for name, shape in spec.outputs]
        facts += [("shape", abridged(shapes)), ("decoder", spec.decoder)]
    if spec.unit:
        facts.append(("unit", spec.unit))
    return Understood(spec.task, how_known(model), tuple(facts))


def how_known(model: Model) -> str:
    """Return how the task of a model is known; if it is assumed, how to confirm it."""
    if model.task:
        return "as configured"
    if not model.reads_task or hasattr(model, "decode_boxes"):
        return "as the model's class says"
    if "task" in model.guessed():
        return f"assumed; to confirm: {remedies.setting('TASK', str(model.spec.task))}"
    return "by the model's output"
