"""Partial occlusion: cover each part of the picture in turn and watch the probabilities.

Zeiler & Fergus, *Visualizing and understanding convolutional networks*, arXiv 1311.2901, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.visualizations import BaseVisualization, Input, Panel, Task, VisualizationSettings, choice

GREY = {"grey": 128, "black": 0, "white": 255}

Box = tuple[int, int, int, int]


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


class Occluder:
    """Makes the model's input for any window, as if it were painted on the picture and preprocessed.

    Where preprocessing works pixel by pixel, replacing the covered numbers by those of a picture of plain
    paint is the same and much faster; a probe decides. Where it looks at the whole picture, each window is
    really painted.
    """

    def __init__(self, model: Model, picture: Input, colour: str) -> None:
        self._model, self._picture = model, picture
        self._paint = fill(picture.view, colour)
        plain = Image.new(picture.view.mode, picture.view.size, self._paint)
        self._plain: Array = model.encode([plain])[0]
        width, height = picture.view.size
        probe = [(width // 4, height // 4, width // 2 + 1, height // 2 + 1)]
        self.by_pixel = not picture.exact_view or np.allclose(self._replaced(probe), self._painted(probe), atol=1e-6)

    def inputs(self, windows: Sequence[Box]) -> Array:
        """Return ``(len(windows), H, W, C)``."""
        return self._replaced(windows) if self.by_pixel else self._painted(windows)

    def _replaced(self, windows: Sequence[Box]) -> Array:
        inputs = np.repeat(self._picture.array[None], len(windows), axis=0)
        for one, (left, top, right, bottom) in zip(inputs, windows, strict=True):
            one[top:bottom, left:right] = self._plain[top:bottom, left:right]
        return inputs

    def _painted(self, windows: Sequence[Box]) -> Array:
        views = []
        for box in windows:
            view = self._picture.view.copy()
            view.paste(self._paint, box)
            views.append(view)
        return self._model.encode(views)


def occlude(model: Model, picture: Input, settings: OcclusionSettings, task: Task[OcclusionSettings]) -> Array:
    """Return the class probabilities at every window position, ``(strides, strides, K)``.

    Only one batch of covered pictures exists at a time, so memory does not grow with the grid.
    """
    windows = boxes(picture.view.size, settings)
    occluder = Occluder(model, picture, settings.occlusion)
    parts = []
    for start in range(0, len(windows), model.batch_size):
        task.progress(start, len(windows))
        parts.append(model.predict(occluder.inputs(windows[start : start + model.batch_size])))
    return np.concatenate(parts).reshape(settings.strides, settings.strides, -1)


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

    def make_visualization(self, task: Task[OcclusionSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the sketch of the windows, then one map per top class, all on the same 0..1 scale."""
        for picture in task.inputs:
            probabilities = occlude(task.model, picture, task.settings, task)
            windows = Panel(title="Windows", array=np.asarray(sketch(picture.view, task.settings)))
            maps = [
                Panel.of_class(
                    prediction,
                    array=probabilities[..., prediction["index"]],
                    quantity="probability if covered",
                    value_range=(0.0, 1.0),
                )
                for prediction in picture.predictions
            ]
            yield [windows, *maps]
