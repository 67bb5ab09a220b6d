"""Partial occlusion: cover each part of the picture in turn and watch the probabilities.

Zeiler & Fergus, *Visualizing and understanding convolutional networks*, arXiv 1311.2901, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.card import Prediction
from picasso.models.occlusion import Box, Occlusion, batches, covered
from picasso.visualizations import BaseVisualization, Input, Panel, Task, VisualizationSettings, choice

GREY = {"grey": 128, "black": 0, "white": 255}


@dataclass(frozen=True)
class OcclusionSettings(VisualizationSettings):
    """Settings of :class:`PartialOcclusion`."""

    window: float = choice(
        0.50, 0.40, 0.30, 0.20, 0.10, 0.05, help="Side of the window, as a fraction of the picture's side.", digits=2
    )
    strides: int = choice(
        2,
        5,
        10,
        20,
        30,
        help="Window positions along each side: 2 for a quick look, 20 for a good map, 30 for a fine one.",
    )
    occlusion: str = choice("grey", "black", "white", help="What the window is painted with.")


def spans(length: int, fraction: float, count: int) -> list[tuple[int, int]]:
    """Return the pixels ``[start, stop)`` that the window covers along one side, at each of ``count`` positions.

    The side is divided into ``count`` equal cells and a window is centred on each, so that the cells of the
    map lie exactly where the windows were; at the borders the window is cut off.
    """
    side = max(1, round(fraction * length))
    starts = [round((cell + 0.5) * length / count - side / 2) for cell in range(count)]
    # A window that is narrower than a cell must still cover a pixel of the picture.
    starts = [min(max(start, 1 - side), length - 1) for start in starts]
    return [(max(0, start), min(length, start + side)) for start in starts]


def boxes(size: tuple[int, int], settings: OcclusionSettings) -> list[Box]:
    """Return the window at every position as (left, top, right, bottom), row by row; ``size`` is (W, H)."""
    columns, rows = (spans(side, settings.window, settings.strides) for side in size)
    return [(left, top, right, bottom) for top, bottom in rows for left, right in columns]


def fill(view: Image.Image, colour: str) -> int | tuple[int, ...]:
    """Return the paint for a picture's mode."""
    value = GREY[colour]
    return value if view.mode == "L" else (value,) * len(view.getbands())


def occlude(model: Model, picture: Input, settings: OcclusionSettings) -> Occlusion:
    """Return the class probabilities behind the window at every position, row by row.

    What is computed is what the model answers to a picture on which the window is painted. Where preprocessing
    works pixel by pixel, replacing the covered numbers by those of a picture of plain paint is the same and much
    faster; a probe decides. Where it looks at the whole picture, each window is really painted.
    """
    view, paint = picture.view, fill(picture.view, settings.occlusion)
    windows = boxes(view.size, settings)
    plain = model.encode([Image.new(view.mode, view.size, paint)])[0]

    def painted(some: Sequence[Box]) -> Array:
        views = []
        for box in some:
            copy = view.copy()
            copy.paste(paint, box)
            views.append(copy)
        return model.encode(views)

    width, height = view.size
    probe = [(width // 4, height // 4, width // 2 + 1, height // 2 + 1)]
    if not picture.exact_view or np.allclose(covered(picture.array, plain, probe), painted(probe), atol=1e-6):
        return model.occlude(picture.array, plain, windows)
    parts = (
        (members, model.predict(painted([windows[index] for index in members])))
        for members in batches(len(windows), model.batch_size)
    )
    return Occlusion(parts, "a whole picture for each window, because preprocessing looks at all of a picture at once")


def sketch(view: Image.Image, settings: OcclusionSettings) -> Image.Image:
    """Return the picture, enlarged, with the grid of window centres and one example window."""
    scale = max(1, 320 // max(view.size))
    picture = view.convert("RGB").resize((view.width * scale, view.height * scale), Image.Resampling.NEAREST)
    windows = boxes(view.size, settings)
    left, top, right, bottom = (side * scale for side in windows[len(windows) // 2 + settings.strides // 2])
    painter = ImageDraw.Draw(picture)
    paint = (GREY[settings.occlusion],) * 3
    painter.rectangle((left, top, right - 1, bottom - 1), fill=paint, outline=(220, 60, 40), width=max(1, scale // 4))
    cell_width, cell_height = picture.width / settings.strides, picture.height / settings.strides
    radius = min(2.5, cell_width / 5, cell_height / 5)
    for row in range(settings.strides):
        for column in range(settings.strides):
            x, y = (column + 0.5) * cell_width, (row + 0.5) * cell_height
            painter.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(220, 60, 40))
    return picture


class PartialOcclusion(BaseVisualization[OcclusionSettings]):
    """Map the probability that remains while a window covers each part of the picture."""

    DESCRIPTION = "How probable a class remains while a window covers each part: dark where the model needs it."
    REFERENCE_LINK = "https://arxiv.org/abs/1311.2901"
    ALLOWED_SETTINGS = OcclusionSettings

    @classmethod
    def passes(cls, model: Model, settings: OcclusionSettings) -> float:
        """Return how many whole pictures the windows are worth, and one for the picture itself."""
        height, width, _ = model.input_shape
        return 1 + model.occlusion_passes(boxes((width, height), settings))

    def make_visualization(self, task: Task[OcclusionSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the sketch of the windows, then one map per top class, all on the same 0..1 scale."""
        for picture in task.inputs:
            task.progress(0, 1)
            occlusion, side = occlude(task.model, picture, task.settings), task.settings.strides
            probabilities = np.full((side * side, task.model.num_classes), np.nan, np.float32)
            sketched = np.asarray(sketch(picture.view, task.settings))
            windows = Panel(title="Windows", array=sketched, note=f"Computed: {occlusion.method}.")
            done = 0
            for members, part in occlusion.parts:
                probabilities[members] = part
                done += len(members)
                task.progress(done, side * side)
                task.preview(partial(so_far, windows, picture.predictions, probabilities))
            yield [windows, *maps(picture.predictions, probabilities)]


def maps(predictions: Sequence[Prediction], probabilities: Array) -> list[Panel]:
    """Return a map of each predicted class from the probabilities ``(S * S, K)``."""
    side = round(len(probabilities) ** 0.5)
    grid = probabilities.reshape(side, side, -1)
    return [
        Panel.of_class(one, array=grid[..., one["index"]], quantity="probability if covered", value_range=(0.0, 1.0))
        for one in predictions
    ]


def so_far(windows: Panel, predictions: Sequence[Prediction], probabilities: Array) -> list[Panel]:
    """Return the panels of a map that is being computed."""
    return [windows, *maps(predictions, filled(probabilities))]


def filled(probabilities: Array) -> Array:
    """Return probabilities ``(S * S, K)`` with those that are not known yet taken from the nearest window."""
    side = round(len(probabilities) ** 0.5)
    rows, columns = np.divmod(np.arange(side * side), side)
    known = np.flatnonzero(np.isfinite(probabilities[:, 0]))
    distances = (rows[:, None] - rows[known]) ** 2 + (columns[:, None] - columns[known]) ** 2
    return np.asarray(probabilities[known[distances.argmin(axis=1)]])
