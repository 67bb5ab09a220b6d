"""Partial occlusion: cover each part of the image in turn and measure how much a prediction changes.

Zeiler & Fergus, *Visualizing and understanding convolutional networks*, arXiv 1311.2901, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from picasso.attribution.covering import Covering
from picasso.attribution.dropping import DROPPED, Dropping, dropping_passes
from picasso.attribution.occlusion_scores import Answers, filled
from picasso.imaging.masking import filling
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.occlusion import Box, Occlusion, Part, batches
from picasso.visualizations import BaseVisualization, Capability, Input, Panel, Task, VisualizationSettings, choice
from picasso.visualizations.panel import rounding

FILLS = ("grey", "black", "white", "mean", "blur", "noise")
ALL = "all"
DROP, OF_PROBABILITY, OF_LOG_ODDS, REMAINS = "drop", "drop of probability", "drop of log-odds", "probability"
# The quantities of maps by the setting Show.
QUANTITIES = {
    OF_PROBABILITY: "drop of the {value}",
    OF_LOG_ODDS: "drop of the log-odds (logit of the {value})",
    REMAINS: "{value} while covered",
}
# Probabilities hardly change if that of the class or of the most probable class exceeds the first bound, or if that of
# the class is below the second.
SATURATED, NEGLIGIBLE = 0.99, 1e-4
# The window positions along each side of the coarser maps of a grade.
GRADED_STRIDES = 5
# Fills disagree if their probabilities differ by more than this.
DISAGREE = 0.2


@dataclass(frozen=True)
class OcclusionSettings(VisualizationSettings):
    """Settings of :class:`PartialOcclusion`."""

    window: float = choice(
        0.50,
        0.40,
        0.30,
        0.20,
        0.10,
        0.05,
        default=0.20,
        help="Side of the window as a fraction of the image's side.",
        digits=2,
    )
    strides: int = choice(
        2,
        5,
        10,
        20,
        30,
        default=20,
        help="Window positions along each side: 2 for a quick preview, 20 for a good map, 30 for a fine one.",
    )
    occlusion: str = choice(
        *FILLS,
        ALL,
        DROPPED,
        help='Fill of the window; "all" tries each fill and shows where the choice matters. "dropped" is for '
        "transformers: the tokens of covered patches are left out.",
        needs={DROPPED: Capability.DROPPING},
    )
    show: str = choice(
        DROP,
        OF_PROBABILITY,
        OF_LOG_ODDS,
        REMAINS,
        help='Show the drop of the predicted value, or the value that remains. "drop" is the drop of a probability, or '
        "of its log-odds if it is so close to 0 or 1 that it hardly changes.",
    )

    @property
    def fills(self) -> tuple[str, ...]:
        """The fills of the window."""
        return FILLS if self.occlusion == ALL else (self.occlusion,)


def spans(length: int, fraction: float, count: int) -> list[tuple[int, int]]:
    """Return the pixels ``[start, stop)`` that the window covers along one side, for each of ``count`` positions.

    The side is divided into ``count`` equal cells and a window is centred on each, so that the cells of the map
    coincide with the window positions. At the borders the window is cut off.
    """
    side = max(1, round(fraction * length))
    starts = [round((cell + 0.5) * length / count - side / 2) for cell in range(count)]
    # A window that is narrower than a cell must still cover a pixel of the image.
    starts = [min(max(start, 1 - side), length - 1) for start in starts]
    return [(max(0, start), min(length, start + side)) for start in starts]


def boxes(size: tuple[int, int], settings: OcclusionSettings) -> list[Box]:
    """Return the window at every position as (left, top, right, bottom), row by row; ``size`` is (W, H)."""
    columns, rows = (spans(side, settings.window, settings.strides) for side in size)
    return [(left, top, right, bottom) for top, bottom in rows for left, right in columns]


def occlude(model: Model, image: Input, settings: OcclusionSettings, fill: str) -> Occlusion:
    """Return the outputs for the image with the window at every position, row by row.

    The result is the model's prediction for an image on which the window is painted. If preprocessing works pixel by
    pixel, the covered values of the input are replaced by those of an image of paint only, which is equivalent and
    much faster. If the user's model class preprocesses images, both inputs are compared for each window; where they
    differ, the model predicts the painted image. With the fill "dropped", nothing is painted: tokens are left out.
    """
    windows = boxes(image.view.size, settings)
    if fill == DROPPED:
        hidden = Dropping.of(model).by_windows(windows)
        left = f"{1 - hidden.mean():.0%} of the tokens on average"
        parts = ((members, outputs) for members, outputs, _ in model.dropped(image.array, hidden))
        return Occlusion(parts, f"the tokens of covered patches left out, so that {left} are computed")
    covering = image.covering(model, fill)
    if covering.view is None:
        return model.occlude(covering.array, covering.plain, windows)
    occlusion = Occlusion((), "")
    occlusion.parts = compared(occlusion, covering, windows)
    return occlusion


def compared(occlusion: Occlusion, covering: Covering, windows: list[Box]) -> Iterator[Part]:
    """Yield the predictions for windows, painted only where that changes the input; set ``occlusion.method``."""
    model, size, must = covering.model, covering.model.batch_size, np.ones(len(windows), np.bool_)
    for members in batches(len(windows), size):
        must[members] = covering.differs([windows[index] for index in members])
        if must[members].all():
            # Preprocessing depends on the whole image. Painting the remaining windows too is always correct.
            break
        # An empty part lets the caller report progress or cancel.
        yield np.zeros(0, np.int64), np.zeros((0, *model.spec.shape), np.float32)
    painted, replaced = np.flatnonzero(must), np.flatnonzero(~must)
    because = "because preprocessing depends on the whole image"
    if len(replaced):
        fast = model.occlude(covering.array, covering.plain, [windows[index] for index in replaced])
        count = f"{len(painted)} window{'s' if len(painted) > 1 else ''}"
        there = f"; a whole image for each of {count}, {because} there" if len(painted) else ""
        for members, part in fast.parts:
            occlusion.method = fast.method + there
            yield replaced[members], part
        occlusion.method = fast.method + there
    else:
        occlusion.method = f"a whole image for each window, {because}"
    for members in batches(len(painted), size):
        yield painted[members], model.predict(covering.windows([windows[index] for index in painted[members]]))


def sketch(view: Image.Image, settings: OcclusionSettings) -> Image.Image:
    """Return the image, enlarged, with the grid of window centres and one example window."""
    scale = max(1, 320 // max(view.size))
    image = view.convert("RGB").resize((view.width * scale, view.height * scale), Image.Resampling.NEAREST)
    windows = boxes(view.size, settings)
    left, top, right, bottom = (side * scale for side in windows[len(windows) // 2 + settings.strides // 2])
    fill = "grey" if settings.occlusion == DROPPED else settings.fills[0]
    paint = filling(view, fill).convert("RGB").resize(image.size, Image.Resampling.NEAREST)
    image.paste(paint.crop((left, top, right, bottom)), (left, top))
    painter = ImageDraw.Draw(image)
    painter.rectangle((left, top, right - 1, bottom - 1), outline=(220, 60, 40), width=max(1, scale // 4))
    cell_width, cell_height = image.width / settings.strides, image.height / settings.strides
    radius = min(2.5, cell_width / 5, cell_height / 5)
    for row in range(settings.strides):
        for column in range(settings.strides):
            x, y = (column + 0.5) * cell_width, (row + 0.5) * cell_height
            painter.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(220, 60, 40))
    return image


class PartialOcclusion(BaseVisualization[OcclusionSettings]):
    """Map the drop of a predicted value while a window covers each part of the image."""

    TITLE = "Partial occlusion"
    DESCRIPTION = (
        "The drop of the predicted value (of a class: its probability) while a window covers each part of the image."
    )
    REFERENCE_LINK = "https://arxiv.org/abs/1311.2901"
    MISLEADS = (
        "If either of two parts is sufficient, hiding one changes nothing, and both look unimportant; the "
        "window itself adds content that the model reacts to."
    )
    DOCUMENTATION = "visualizations/occlusion#partialocclusion"
    FAMILY = "Perturbation"
    ALLOWED_SETTINGS = OcclusionSettings

    @classmethod
    def describe(cls, settings: OcclusionSettings) -> str:
        """Explain which end of the scale marks the regions that the model uses."""
        if settings.show == REMAINS:
            return (
                "The predicted value (of a class: its probability) while a window is centred on each cell. All maps of "
                "probabilities share one scale from 0 to 1. Cells are warm where less than the value of the whole "
                "image remains, so the model relies on them, and cool where more remains."
            )
        return (
            "The drop of the predicted value (of a class: its probability) while a window is centred on each cell: "
            "warm (positive) where the covered region raises it, cool (negative) where the region lowers it, "
            "transparent where it does not matter. Each map has its own scale."
        )

    @classmethod
    def settings_to_compare(cls, settings: OcclusionSettings) -> Mapping[str, object]:
        """Show the same quantity for all models, whatever their probabilities are."""
        return {**settings.as_dict(), "Show": OF_LOG_ODDS if settings.show == DROP else settings.show}

    @classmethod
    def settings_to_grade(cls, settings: OcclusionSettings) -> Mapping[str, object]:
        """Take at most 5 x 5 windows."""
        return {**settings.as_dict(), "Strides": min(settings.strides, GRADED_STRIDES)}

    @classmethod
    def passes(cls, model: Model, settings: OcclusionSettings) -> float:
        """Return the cost of the windows in whole images, plus one for the image itself."""
        height, width, _ = model.input_shape
        windows = boxes((width, height), settings)
        if settings.occlusion == DROPPED:
            return 1 + dropping_passes(Dropping.of(model).by_windows(windows))
        return 1 + len(settings.fills) * model.occlusion_passes(windows)

    def make_visualization(self, task: Task[OcclusionSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the sketch of the windows, then one map per target.

        With several fills, the maps show the mean over the fills, and maps of the disagreement of the fills follow.
        """
        model, settings, cells = task.model, task.settings, task.settings.strides**2
        for image in task.inputs:
            task.progress(0, 1)
            whole = Answers(model, image.targets, 1)
            whole.add(np.array([0]), model.predict(image.array[None]))
            seen = OcclusionResult(image, settings, whole, np.asarray(sketch(image.view, settings)))
            for fill in settings.fills:
                occlusion, done = occlude(model, image, settings, fill), 0
                answers = Answers(model, image.targets, cells)
                seen.covered.append(answers)
                seen.occlusions.append(occlusion)
                for members, part in occlusion.parts:
                    answers.add(members, part)
                    done += len(members)
                    task.progress((len(seen.covered) - 1) * cells + done, len(settings.fills) * cells)
                    if len(members):
                        task.preview(partial(panels, seen))
            if Capability.GRADIENTS in model.capabilities:
                ask_logits(task, image, seen)
            yield [*panels(seen), *spreads(seen)]


@dataclass(frozen=True)
class OcclusionResult:
    """The data collected for one image.

    Attributes:
        image: the image and its targets.
        settings: the settings of the run.
        whole: the model's answers for the image itself.
        sketched: the image with the windows.
        covered: the model's answers for the windows, for each fill; NaN where they are not known yet.
        occlusions: how they are computed, for each fill.
    """

    image: Input
    settings: OcclusionSettings
    whole: Answers
    sketched: Array
    covered: list[Answers] = field(default_factory=list)
    occlusions: list[Occlusion] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The probability of the most probable class, whichever targets are explained; 0 if there are none."""
        return max((one["prob"] for one in self.image.best if "prob" in one), default=0.0)

    @property
    def windows(self) -> Panel:
        """The panel of the windows, with a note on how the answers are computed for each fill."""
        methods = dict.fromkeys(occlusion.method for occlusion in self.occlusions)
        return Panel(title="Windows", array=self.sketched, note=f"Computed: {'; '.join(methods)}.")

    def shown(self, index: int) -> str:
        """Return the quantity to show for a target: the chosen one, or the drop of whichever can change."""
        if self.settings.show != DROP:
            return self.settings.show
        own = float(self.whole.values[0, index])
        saturated = max(own, self.best) > SATURATED or own < NEGLIGIBLE
        return OF_LOG_ODDS if saturated and self.has_log_odds(index) else OF_PROBABILITY

    def has_log_odds(self, index: int) -> bool:
        """Tell whether the value of a target is a probability."""
        return bool(np.isfinite(self.whole.log_odds[0, index]))

    def lacks_digits(self, index: int) -> bool:
        """Tell whether log-odds are shown but the probabilities have too few digits for them."""
        known = (answers.exact[:, index].all() for answers in (self.whole, *self.covered))
        return self.shown(index) == OF_LOG_ODDS and self.has_log_odds(index) and not all(known)

    def quantity(self, index: int) -> str:
        """Return the quantity of the map of a target."""
        target = self.image.targets[index]
        if self.whole.asked(index):
            return f"drop of the model's {target.score_quantity}"
        shown = self.shown(index) if self.has_log_odds(index) or self.shown(index) != OF_LOG_ODDS else OF_PROBABILITY
        return QUANTITIES[shown].format(value=target.quantity)

    def scores(self, answers: Answers, index: int) -> NDArray[np.float64]:
        """Return the measured values of a target, ``(n,)``."""
        if self.shown(index) != OF_LOG_ODDS or not self.has_log_odds(index):
            return filled(answers.values[:, index])
        return filled((answers.logits if answers.asked(index) else answers.log_odds)[:, index])


def ask_logits(task: Task[OcclusionSettings], image: Input, seen: OcclusionResult) -> None:
    """Compute logits, with whole images, for the targets whose float32 probabilities are too close to 0 or 1."""
    classes = [index for index in range(len(image.targets)) if seen.lacks_digits(index)]
    if not classes:
        return
    windows, total = boxes(image.view.size, task.settings), len(seen.covered) * task.settings.strides**2
    for index, (fill, answers) in enumerate(zip(task.settings.fills, seen.covered, strict=True)):
        if fill == DROPPED:
            hidden, done = Dropping.of(task.model).by_windows(windows), 0
            for members, _, scores in task.model.dropped(image.array, hidden):
                answers.add_scores(members, scores, classes)
                done += len(members)
                task.progress(min(done, total - 1), total)
            continue
        covering = image.covering(task.model, fill)
        # Painting takes as much memory as predicting.
        for members in batches(len(windows), max(1, task.model.batch_size // 2)):
            inputs = covering.windows([windows[member] for member in members])
            answers.ask_logits(members, inputs, classes)
            task.progress(min(index * len(windows) + int(members[-1]), total - 1), total)
    seen.whole.ask_logits(np.array([0]), image.array[None], classes)


def panels(seen: OcclusionResult) -> list[Panel]:
    """Return the sketch of the windows and one map per target: the mean over the fills."""
    side, drops, made = seen.settings.strides, seen.settings.show != REMAINS, [seen.windows]
    for index, target in enumerate(seen.image.targets):
        left = np.mean([seen.scores(answers, index) for answers in seen.covered], axis=0)
        here = float(seen.scores(seen.whole, index)[0])
        values = here - left if drops else left
        made.append(
            seen.image.panel(
                target,
                array=values.reshape(side, side).astype(np.float32),
                quantity=seen.quantity(index),
                value_range=None if drops or not target.bounded else (0.0, 1.0),
                signed=drops,
                centre=None if drops else here,
                falling=not drops,
                note=" ".join(notes(seen, index)),
                noise=rounding(max(abs(here), float(np.abs(left).max())), target.scale),
            )
        )
    return made


def notes(seen: OcclusionResult, index: int) -> Iterator[str]:
    """Yield the notes below the map of one target."""
    changed = [other for other in range(len(seen.image.targets)) if seen.shown(other) == OF_LOG_ODDS]
    if seen.settings.show == DROP and index in changed[:1]:
        high = max(seen.best, float(seen.whole.values[0, index])) > SATURATED
        why = f"above {SATURATED}" if high else "this small"
        yield f"A probability {why} hardly changes, so this map shows the drop of its log-odds: 2.3 is a factor of 10."
    if seen.lacks_digits(index) and not seen.whole.asked(index):
        yield "Some probabilities are rounded to 0 or 1, so the drops may be larger than shown."
    share = float((spread(seen, index) > DISAGREE).mean())
    if share and seen.image.targets[index].bounded:
        yield (
            f"At {share:.0%} of the positions the fills disagree by more than {DISAGREE}. There the fill matters as "
            "much as the region that it covers."
        )


def spread(seen: OcclusionResult, index: int) -> Array:
    """Return the range of the values of a target across fills, ``(S * S)``."""
    values = np.ptp([filled(one.values[:, index]) for one in seen.covered], axis=0)
    return np.asarray(values, np.float32)


def spreads(seen: OcclusionResult) -> list[Panel]:
    """Return one map per target of the disagreement between fills, if there are several."""
    side = seen.settings.strides
    return [
        Panel(
            f"{target.name}: disagreement",
            spread(seen, index).reshape(side, side),
            quantity=f"largest minus smallest {target.quantity} across fills",
            value_range=(0.0, 1.0) if target.bounded else None,
            noise=rounding(float(seen.whole.values[0, index]), target.scale),
        )
        for index, target in enumerate(seen.image.targets if len(seen.covered) > 1 else ())
    ]
