"""Partial occlusion: cover each part of the picture in turn and watch the probabilities.

Zeiler & Fergus, *Visualizing and understanding convolutional networks*, arXiv 1311.2901, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from picasso.attribution.covering import Covering
from picasso.hiding import filling
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.card import Prediction
from picasso.models.occlusion import Box, Occlusion, Part, batches
from picasso.visualizations import BaseVisualization, Input, Panel, Task, VisualizationSettings, choice

FILLS = ("grey", "black", "white", "mean", "blur", "noise")
ALL = "all"
# Probabilities that lie farther apart than this are said to disagree.
DISAGREE = 0.2


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
    occlusion: str = choice(
        *FILLS, ALL, help="What is seen in the window; all of them, one after the other, show where the paint decides."
    )
    show: str = choice(
        "probability", "drop", help="The probability that remains, or by how much it drops: high where it matters."
    )

    @property
    def fills(self) -> tuple[str, ...]:
        """What is seen in the window."""
        return FILLS if self.occlusion == ALL else (self.occlusion,)


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


def occlude(model: Model, picture: Input, settings: OcclusionSettings, fill: str) -> Occlusion:
    """Return the class probabilities behind the window at every position, row by row.

    What is computed is what the model answers to a picture on which the window is painted. Where preprocessing
    works pixel by pixel, replacing the covered numbers by those of a picture of nothing but paint is the same and much
    faster. Where a model class of the user's does it, each painted window is compared with the replaced numbers, and
    where they differ the model is asked about the painted one.
    """
    covering, windows = picture.covering(model, fill), boxes(picture.view.size, settings)
    if covering.view is None:
        return model.occlude(covering.array, covering.plain, windows)
    occlusion = Occlusion((), "")
    occlusion.parts = compared(occlusion, covering, windows)
    return occlusion


def compared(occlusion: Occlusion, covering: Covering, windows: list[Box]) -> Iterator[Part]:
    """Yield the answers for windows that are painted where that makes a difference, and say how in ``occlusion``."""
    model, size, must = covering.model, covering.model.batch_size, np.ones(len(windows), np.bool_)
    for members in batches(len(windows), size):
        must[members] = covering.differs([windows[index] for index in members])
        if must[members].all():
            # Preprocessing looks at all of a picture at once; the others are painted unseen, which is never wrong.
            break
        # Whoever asked can report and stop.
        yield np.zeros(0, np.int64), np.zeros((0, model.num_classes), np.float32)
    painted, replaced = np.flatnonzero(must), np.flatnonzero(~must)
    because = "because preprocessing looks at all of a picture at once"
    if len(replaced):
        fast = model.occlude(covering.array, covering.plain, [windows[index] for index in replaced])
        there = f"; a whole picture for each of {len(painted)} windows, {because} there" if len(painted) else ""
        for members, part in fast.parts:
            occlusion.method = fast.method + there
            yield replaced[members], part
        occlusion.method = fast.method + there
    else:
        occlusion.method = f"a whole picture for each window, {because}"
    for members in batches(len(painted), size):
        yield painted[members], model.predict(covering.windows([windows[index] for index in painted[members]]))


def sketch(view: Image.Image, settings: OcclusionSettings) -> Image.Image:
    """Return the picture, enlarged, with the grid of window centres and one example window."""
    scale = max(1, 320 // max(view.size))
    picture = view.convert("RGB").resize((view.width * scale, view.height * scale), Image.Resampling.NEAREST)
    windows = boxes(view.size, settings)
    left, top, right, bottom = (side * scale for side in windows[len(windows) // 2 + settings.strides // 2])
    paint = filling(view, settings.fills[0]).convert("RGB").resize(picture.size, Image.Resampling.NEAREST)
    picture.paste(paint.crop((left, top, right, bottom)), (left, top))
    painter = ImageDraw.Draw(picture)
    painter.rectangle((left, top, right - 1, bottom - 1), outline=(220, 60, 40), width=max(1, scale // 4))
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
    FAMILY = "Perturbation"
    ALLOWED_SETTINGS = OcclusionSettings

    @classmethod
    def passes(cls, model: Model, settings: OcclusionSettings) -> float:
        """Return how many whole pictures the windows are worth, and one for the picture itself."""
        height, width, _ = model.input_shape
        return 1 + len(settings.fills) * model.occlusion_passes(boxes((width, height), settings))

    def make_visualization(self, task: Task[OcclusionSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the sketch of the windows, then one map per class, all on the same scale.

        With several fills the maps show the mean, and behind them follow those of how far the fills are apart.
        """
        settings, cells = task.settings, task.settings.strides**2
        for picture in task.inputs:
            task.progress(0, 1)
            answers: list[Array] = []
            occlusions: list[Occlusion] = []
            sketched = np.asarray(sketch(picture.view, settings))
            for fill in settings.fills:
                occlusion, done = occlude(task.model, picture, settings, fill), 0
                probabilities = np.full((cells, len(picture.classes)), np.nan, np.float32)
                answers.append(probabilities)
                occlusions.append(occlusion)
                for members, part in occlusion.parts:
                    probabilities[members] = part[:, picture.classes]
                    done += len(members)
                    task.progress((len(answers) - 1) * cells + done, len(settings.fills) * cells)
                    task.preview(partial(so_far, shown(sketched, occlusions), picture.predictions, answers, settings))
            windows = shown(sketched, occlusions)
            yield [windows, *maps(picture.predictions, answers, settings), *spreads(picture.predictions, answers)]


def shown(sketched: Array, occlusions: Sequence[Occlusion]) -> Panel:
    """Return the panel of the windows, which says how the answers behind them are computed, for each fill."""
    methods = dict.fromkeys(occlusion.method for occlusion in occlusions)
    return Panel(title="Windows", array=sketched, note=f"Computed: {'; '.join(methods)}.")


def maps(predictions: Sequence[Prediction], answers: Sequence[Array], settings: OcclusionSettings) -> list[Panel]:
    """Return a map of each class from the probabilities ``(S * S, k)`` of each fill: their mean."""
    side, drop = settings.strides, settings.show == "drop"
    made = []
    for index, one in enumerate(predictions):
        left = np.mean([answer[:, index] for answer in answers], axis=0).reshape(side, side)
        array, quantity = (one["prob"] - left, "drop of the probability") if drop else (left, "probability if covered")
        span = (-1.0, 1.0) if drop else (0.0, 1.0)
        note = disagreement(answers, index)
        made.append(
            Panel.of_class(
                one, array=array.astype(np.float32), quantity=quantity, value_range=span, signed=drop, note=note
            )
        )
    return made


def spread(answers: Sequence[Array], index: int) -> Array:
    """Return how far apart the probabilities of a class are between fills, ``(S * S)``."""
    return np.asarray(np.ptp([answer[:, index] for answer in answers], axis=0))


def disagreement(answers: Sequence[Array], index: int) -> str:
    """Warn where the probabilities of a class depend on what is seen in the window; "" where they do not."""
    share = float((spread(answers, index) > DISAGREE).mean())
    if not share:
        return ""
    return (
        f"At {share:.0%} of the places the fills disagree by more than {DISAGREE}: there the paint decides as much as "
        "what it covers."
    )


def spreads(predictions: Sequence[Prediction], answers: Sequence[Array]) -> list[Panel]:
    """Return a map of each class of how far the fills are apart, if there are several."""
    if len(answers) == 1:
        return []
    side = round(len(answers[0]) ** 0.5)
    return [
        Panel(
            f"{one['name']}: disagreement",
            spread(answers, index).reshape(side, side),
            quantity="largest less smallest probability of the fills",
            value_range=(0.0, 1.0),
        )
        for index, one in enumerate(predictions)
    ]


def so_far(
    windows: Panel, predictions: Sequence[Prediction], answers: Sequence[Array], settings: OcclusionSettings
) -> list[Panel]:
    """Return the panels of a map that is being computed."""
    return [windows, *maps(predictions, [filled(answer) for answer in answers], settings)]


def filled(probabilities: Array) -> Array:
    """Return probabilities ``(S * S, k)`` with those that are not known yet taken from the nearest window."""
    side = round(len(probabilities) ** 0.5)
    rows, columns = np.divmod(np.arange(side * side), side)
    known = np.flatnonzero(np.isfinite(probabilities[:, 0]))
    distances = (rows[:, None] - rows[known]) ** 2 + (columns[:, None] - columns[known]) ** 2
    return np.asarray(probabilities[known[distances.argmin(axis=1)]])
