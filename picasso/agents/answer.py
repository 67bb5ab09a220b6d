"""What a tool answers: a text and images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picasso.errors import BadRequest
from picasso.explanation.result import Result
from picasso.imaging import decode
from picasso.visualizations import Panel

# The largest number of images in an answer.
MAX_SHOWN = 12


@dataclass(frozen=True)
class Answer:
    """The answer of a tool.

    Attributes:
        text: lines of text, or JSON.
        images: PNG files.
    """

    text: str
    images: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any] | Sequence[Any], images: Sequence[bytes] = ()) -> Answer:
        """Return an answer whose text is JSON, with the first of some images."""
        return cls(compact(document), tuple(images[:MAX_SHOWN]))


def compact(document: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return JSON with few line breaks, and its numbers with five digits: agents read every letter."""
    if isinstance(document, Mapping):
        lines = [f"{json.dumps(name)}: {entries(value)}" for name, value in document.items()]
        return "\n".join(["{", ",\n".join(f" {line}" for line in lines), "}"])
    return entries(document)


def entries(value: Any) -> str:
    """Return a value as JSON in a line; of a list of objects, each has its own."""
    many = isinstance(value, Sequence) and len(value) > 1 and all(isinstance(one, Mapping) for one in value)
    if not many:
        return json.dumps(rounded(value), allow_nan=False, ensure_ascii=False)
    return "[\n" + ",\n".join(f"  {entries(one)}" for one in value) + "\n ]"


def rounded(value: Any) -> Any:
    """Return a JSON value with its numbers rounded to five digits."""
    match value:
        case float():
            return float(f"{value:.5g}")
        case Mapping():
            return {name: rounded(one) for name, one in value.items()}
        case list() | tuple():
            return [rounded(one) for one in value]
    return value


def answer_of(result: Result, name: str) -> Answer:
    """Return the answer for a result: its predictions, notes and numbers, and its maps as figures.

    Args:
        result: the result.
        name: the name of its folder in the output folder.
    """
    shown = range(len(result.panels))[:MAX_SHOWN]
    notes = [*result.model.notes, *result.notes]
    if left := len(result.panels) - len(shown):
        notes.append(f"{left} more panels are in {name}.")
    document = {
        "result": name,
        "visualization": result.visualization,
        "settings": result.settings,
        "image": result.image,
        "predictions": list(result.predictions),
        "panels": [described(panel) for panel in result.panels],
        "notes": notes,
        "seconds": round(result.seconds, 3),
        "reference": result.reference,
    }
    return Answer.of(document, [decode.encode(result.figure(index)) for index in shown])


def described(panel: Panel) -> dict[str, Any]:
    """Return the numbers of a panel; of a map, also where it is largest and smallest, in fractions of its sides."""
    document = panel.describe()
    names = (
        "title",
        "kind",
        "target",
        "probability",
        "value",
        "unit",
        "quantity",
        "minimum",
        "maximum",
        "flat",
        "note",
    )
    found = {name: document[name] for name in names if document.get(name) not in (None, "")}
    if panel.kind == "map" and not panel.flat:
        found |= {"largest_at": place(panel, panel.array.argmax()), "smallest_at": place(panel, panel.array.argmin())}
    return found


def place(panel: Panel, index: np.intp) -> list[float]:
    """Return the centre of a cell of a map: x and y in fractions of the width and the height, from the top left."""
    height, width = panel.array.shape[:2]
    row, column = divmod(int(index), width)
    return [round((column + 0.5) / width, 4), round((row + 0.5) / height, 4)]


def require_few(texts: Sequence[str], most: int, what: str) -> None:
    """Raise a BadRequest if a list is longer than allowed."""
    if len(texts) > most:
        raise BadRequest(f"At most {most} {what} are allowed in a call, not {len(texts)}.", field=what)
