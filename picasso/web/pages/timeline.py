"""A timeline: one image explained by all checkpoints of a training run, with charts of how its value changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from picasso.config import Settings
from picasso.models.checkpoints import in_order
from picasso.web.pages.grid import Cell, Row, agreement

# The size of a chart in units of its view box, without the labels.
WIDTH, HEIGHT = 600, 90


@dataclass(frozen=True)
class Chart:
    """A line chart over the checkpoints.

    Attributes:
        title: what it shows.
        values: one value for each checkpoint, or None where it is not known.
        low: the value at the bottom.
        high: the value at the top.
    """

    title: str
    values: Sequence[float | None]
    low: float
    high: float

    @property
    def points(self) -> list[tuple[int, float, float, float]]:
        """The number of each known value, its place ``(x, y)``, and the value."""
        step, span = WIDTH / max(1, len(self.values) - 1), (self.high - self.low) or 1.0
        return [
            (number, round(number * step, 1), round(HEIGHT * (1 - (value - self.low) / span), 1), value)
            for number, value in enumerate(self.values)
            if value is not None
        ]

    @property
    def lines(self) -> list[str]:
        """The points of each line; it is interrupted where a value is not known."""
        found: list[list[tuple[int, str]]] = []
        for number, x, y, _ in self.points:
            if not found or found[-1][-1][0] != number - 1:
                found.append([])
            found[-1].append((number, f"{x:g},{y:g}"))
        return [" ".join(point for _, point in line) for line in found]


@dataclass(frozen=True)
class Timeline:
    """One image over the checkpoints, the last one last.

    Attributes:
        row: the image with one map for each checkpoint.
        agreements: the agreement of each map with that of the last checkpoint.
        charts: the value of the target, and the agreements, over the checkpoints.
    """

    row: Row
    agreements: Sequence[float | None]
    charts: Sequence[Chart]

    @classmethod
    def of(cls, row: Row) -> Timeline:
        """Compute the timeline of an image from its row in a grid."""
        last = row.shown[-1][1] if row.shown else None
        agreements = [agreement(cell, last) if cell and last else None for cell in row.cells]
        names = {cell.panel["title"] for _, cell in row.shown}
        about = f" of {next(iter(names))}" if len(names) == 1 else ""
        values = [None if cell is None else cell.value for cell in row.cells]
        known, compared = ([one for one in group if one is not None] for group in (values, agreements))
        # Probabilities have a scale of their own, other values that of their range.
        bounded = all(0 <= value <= 1 for value in known)
        low, high = (0.0, 1.0) if bounded else (min(known), max(known))
        unit = unit_of([cell for _, cell in row.shown])
        return cls(
            row,
            agreements,
            [
                Chart(f"{unit}{about}", values, low, high),
                Chart("agreement with the last map", agreements, min([0.0, *compared]), 1.0),
            ],
        )


def unit_of(cells: Sequence[Cell]) -> str:
    """Return what the values of maps are, such as "probability"."""
    return next((str(cell.panel["unit"]) for cell in cells if cell.panel["unit"]), "value")


def order_of_training(settings: Settings) -> list[str]:
    """Return the names of all models, "" for the main one, in the order of their files; see :func:`in_order`.

    Models without a file come first.
    """
    files = {name: file_of(settings.compared(name)) for name in ("", *settings.COMPARE)}
    dated = [file for file in files.values() if file and file.exists()]
    order = {file: place for place, file in enumerate(in_order(dated))}
    return sorted(files, key=lambda name: order.get(files[name] or Path(), -1))


def file_of(settings: Settings) -> Path | None:
    """Return the file whose name and time tell when a model was saved, or None."""
    weights = settings.model_load_args().get("weights")
    if isinstance(weights, str):
        return settings.path(weights)
    return settings.path(settings.MODEL) if settings.MODEL else None
