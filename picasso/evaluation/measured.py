"""How well a model does on a folder of images with truth, for every task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from picasso.evaluation.labeled_folder import Accuracy
from picasso.targets import OutputTask


@dataclass(frozen=True)
class Score:
    """A number that says how well a model does.

    Attributes:
        name: its name, such as "mean IoU".
        value: the number; NaN or None if it can't be computed.
        detail: an explanation, or "".
        unit: its unit, or "".
        fraction: whether its size is about 1, so that it is shown with three decimals.
    """

    name: str
    value: float | None
    detail: str = ""
    unit: str = ""
    fraction: bool = True

    @property
    def known(self) -> float | None:
        """The number, or None if it can't be computed."""
        return None if self.value is None or not math.isfinite(self.value) else float(self.value)

    @property
    def text(self) -> str:
        """The number with its unit, as text."""
        if self.known is None:
            return "not defined"
        return f"{self.known:.3f}" if self.fraction else f"{self.known:.4g} {self.unit}".strip()

    def as_dict(self) -> dict[str, Any]:
        """Return the score as JSON-ready values."""
        return {"name": self.name, "value": self.known, "unit": self.unit, "detail": self.detail}


@dataclass(frozen=True)
class Row:
    """The scores of one class, label or value.

    Attributes:
        name: its name.
        scores: its scores.
        detail: the text of its line, instead of the scores.
    """

    name: str
    scores: tuple[Score, ...]
    detail: str = ""

    @property
    def text(self) -> str:
        """The row as text."""
        return self.detail or ", ".join(f"{score.name} {score.text}" for score in self.scores)


@dataclass(frozen=True)
class Measured:
    """How well a model does on a folder of images with truth.

    Attributes:
        task: the task of the truth.
        images: the number of images that could be read and have truth.
        scores: the scores over all images.
        noun: what a row is about, such as "class".
        rows: the scores of each class, label or value.
        warnings: possible problems.
        unreadable: a sentence for each image that could not be read.
        notes: sentences on images without truth and on truth without images.
    """

    task: OutputTask
    images: int
    scores: tuple[Score, ...]
    noun: str = "class"
    rows: tuple[Row, ...] = ()
    warnings: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """What could not be read or has no truth, and possible problems."""
        return (*self.unreadable, *self.notes, *self.warnings)

    def lines(self) -> list[tuple[str, str]]:
        """Return the scores as names and values, one line each."""
        return [
            *((score.name, f"{score.text}: {score.detail}" if score.detail else score.text) for score in self.scores),
            *((self.noun, f"{row.name}: {row.text}") for row in self.rows),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as JSON-ready values."""
        return {
            "task": str(self.task),
            "images": self.images,
            "scores": [score.as_dict() for score in self.scores],
            "noun": self.noun,
            "rows": [
                {"name": row.name, "scores": [score.as_dict() for score in row.scores], "text": row.text}
                for row in self.rows
            ],
            "unreadable": list(self.unreadable),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class MeasuredClasses(Measured):
    """The accuracy of a classifier.

    Attributes:
        accuracy: the accuracy with its counts.
        label_order: the labels in the order of the outputs, if the folder suggests another order.
    """

    accuracy: Accuracy = Accuracy(())
    label_order: tuple[str, ...] = ()


def near(value: float | None, chance: float, count: int) -> bool:
    """Tell whether a fraction of ``count`` is at most two standard deviations above that expected by chance."""
    return value is not None and value <= chance + 2 * math.sqrt(chance * (1 - chance) / max(1, count))
