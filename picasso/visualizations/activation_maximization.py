"""Activation maximization: an image for which a score, or channels of a layer, are as high as possible.

Erhan, Bengio, Courville & Vincent, *Visualizing higher-layer features of a deep network* (2009). The two ways to
describe the image are those of Olah, Mordvintsev & Schubert, *Feature visualization*, Distill 2017, and of Fel et al.,
arXiv 2306.06805 (MACO).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.attribution.ascent import NOISE, Ascent, smallest_part, together
from picasso.attribution.directions import CELL, CENTRE, CHANNELS, cell_of, channels_of
from picasso.attribution.diversity import Diverse
from picasso.attribution.objectives import MapSum, Objective, TargetScore, slope
from picasso.attribution.pixel_inputs import PixelInputs
from picasso.attribution.spectra import Phases, Spectrum, Waves
from picasso.errors import BadRequest
from picasso.models.base import Model
from picasso.targets import ClassLogit, OutputTask, Target
from picasso.visualizations import (
    BaseVisualization,
    Capability,
    Input,
    Panel,
    Task,
    VisualizationSettings,
    choice,
    layer,
    number,
    slider,
    text,
    toggle,
)
from picasso.visualizations.base import targets_of

MACO, FOURIER = "MACO", "Fourier"
PHOTOGRAPHS, IMAGE = "photographs", "the image"
# The maps of attention are smoothed by this share of the longer side, and complete at this percentile.
SMOOTHING, COMPLETE = 1 / 56, 97
# The outputs of these models belong to places of the image, so parts of it can't stand for the whole.
OF_PLACES = (OutputTask.SEGMENTATION, OutputTask.DETECTION)


@dataclass(frozen=True)
class ActivationMaximizationSettings(VisualizationSettings):
    """Settings of :class:`ActivationMaximization`."""

    method: str = choice(
        MACO,
        FOURIER,
        help="What is optimized: the phases of waves of fixed strength (MACO), or their strengths, too (Fourier).",
    )
    channels: str = text(
        CHANNELS,
        "a channel such as 17, or channels with weights such as 3:1, 17:-0.5",
        help="What is maximized instead of the score of a target: channels of the layer.",
    )
    layer: str = layer(help="The layer of the channels, or, with Diversity, that whose feature maps have to differ.")
    cell: str = text(
        CELL,
        f"a row and a column from 0, such as 4, 7, or {CENTRE}",
        help="The cell in which the channels are maximized, which is one neuron; none for their mean over all cells.",
    )
    statistics: str = choice(
        PHOTOGRAPHS, IMAGE, help="Whose strengths of waves and whose colours the image has or starts from."
    )
    steps: int = number(64, minimum=8, maximum=4096, help="Number of steps.")
    crops: int = number(2, minimum=1, maximum=64, help="Number of random parts of the image per step.")
    smallest: float = slider(
        0.4,
        minimum=0.1,
        maximum=1,
        step=0.05,
        help="Side of the smallest part, as a fraction of the image's; at least 0.9 in the last steps.",
    )
    images: int = number(1, minimum=1, maximum=4, help="Number of images, each from a start of its own.")
    diversity: float = number(
        0.0, minimum=0, maximum=100, help="How much several images have to differ; 0 if they are sought one by one."
    )
    faded: bool = toggle(True, help="Fade to grey what hardly affects the score.")
    seed: int = number(0, minimum=0, maximum=2**31, help="Random seed of the starts, the parts and the noise.")

    @property
    def together(self) -> int:
        """The number of images that are sought at the same time."""
        return self.images if self.diversity else 1


class ActivationMaximization(BaseVisualization[ActivationMaximizationSettings]):
    """Optimize an image, which does not depend on the uploaded one, for each target, or for channels of a layer."""

    TITLE = "Activation maximization"
    DESCRIPTION = (
        "An image for which the score (of a class: its logit) or channels of a layer are high: what the model looks "
        "for, not where."
    )
    REFERENCE_LINK = "https://arxiv.org/abs/2306.06805"
    MISLEADS = (
        "It shows something that suffices for a high score, not everything that does, and nothing about your image."
    )
    DOCUMENTATION = "visualizations/feature-visualization#activationmaximization"
    FAMILY = "Feature visualization"
    MAPS = False
    ALLOWED_SETTINGS = ActivationMaximizationSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})

    @classmethod
    def passes(cls, model: Model, settings: ActivationMaximizationSettings) -> float:
        """Return the passes for each part of each step, image and target: one forward, and one backward as two.

        Diversity needs the feature maps besides. For a target, it needs their gradients and the score, too.
        """
        each = 3.0
        if settings.together > 1:
            each += 1 if settings.channels else 5
        targets = 1 if settings.channels else targets_of(model)
        return each * settings.steps * settings.crops * settings.images * targets

    def make_visualization(self, task: Task[ActivationMaximizationSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the images of the targets; those that don't depend on the uploaded images are computed once."""
        settings, known = task.settings, dict[tuple[Target | MapSum, int], list[Panel]]()
        direction = direction_of(task.model, settings)
        for image in task.inputs:
            pixels, panels = PixelInputs.of(task.model, image.view), list[Panel]()
            targets: Sequence[Target | MapSum] = (direction,) if direction else image.targets
            wanted = list(itertools.product(targets, range(0, settings.images, settings.together)))
            for index, (target, start) in enumerate(wanted):
                # The same for every uploaded image, unless the image has a part in it.
                shared = isinstance(target, ClassLogit | MapSum) and settings.statistics == PHOTOGRAPHS
                found = known.get((target, start)) if shared else None
                if found is None:
                    search = Search(task, image, pixels, target, start)
                    for step in range(settings.steps):
                        task.progress(index * settings.steps + step, len(wanted) * settings.steps)
                        search.step()
                        task.preview(lambda search=search, panels=tuple(panels): [*panels, *search.panels()])  # type: ignore[misc]
                    found = search.panels()
                if shared:
                    known[target, start] = found
                panels += found
            task.progress(1, 1)
            yield panels


class Search:
    """The search for one image, or for several that have to differ.

    Args:
        task: the task.
        image: the uploaded image.
        pixels: how the input depends on pixels.
        wanted: what to maximize: a target, or channels of a layer.
        start: the number of the first start, from 0.
    """

    def __init__(
        self,
        task: Task[ActivationMaximizationSettings],
        image: Input,
        pixels: PixelInputs,
        wanted: Target | MapSum,
        start: int,
    ) -> None:
        settings, model = task.settings, task.model
        self._model, self._settings, self._pixels, self._start = model, settings, pixels, start
        self._target = wanted if isinstance(wanted, Target) else None
        self._objective = TargetScore(model, wanted) if isinstance(wanted, Target) else wanted
        seen = np.asarray(image.view.convert("L" if pixels.shape[2] == 1 else "RGB"), np.float64) / 255
        spectrum = (
            Spectrum.of(seen.reshape(pixels.shape)) if settings.statistics == IMAGE else Spectrum.natural(pixels.shape)
        )
        # The value of one cell, and outputs that belong to places, are about the whole image.
        whole = bool(settings.cell) or (self._target is not None and model.spec.task in OF_PLACES)
        objective: Objective = self._objective
        if settings.together > 1:
            name = model.layer(settings.layer or None)
            objective = Diverse(model, objective, name, settings.diversity, settings.together)
        self._slope = slope(pixels, objective.name, objective.gradients)
        self._smallest = 1.0 if whole else settings.smallest
        self._ascents = [
            Ascent(
                (Phases if settings.method == MACO else Waves)(spectrum),
                self._slope,
                settings.crops,
                self._smallest,
                NOISE,
                settings.seed + start + number,
            )
            for number in range(settings.together)
        ]

    def step(self) -> None:
        """Make one step."""
        for ascent in self._ascents:
            ascent.smallest = smallest_part(self._smallest, ascent.steps, self._settings.steps)
        together(self._ascents, self._slope)

    def panels(self) -> list[Panel]:
        """Return the images as they are now, with the value and the score of the target, or the sum of the channels."""
        return [self._panel(ascent, self._start + number) for number, ascent in enumerate(self._ascents)]

    def _panel(self, ascent: Ascent, start: int) -> Panel:
        pixels, target = ascent.pixels, self._target
        inputs = self._pixels.encode(pixels[None])
        value = score = float(self._objective.values(inputs)[0])
        name = target.name if target else self._objective.name.removeprefix("the mean of ")
        said = f"{capitalized(self._objective.name)} is {score:.4g} for this image"
        if target:
            value = float(self._model.values(inputs, [target])[0, 0])
            said = f"The {target.score_quantity} of this image is {score:.4g}"
            if target.quantity != target.score_quantity:
                said += f", the {target.quantity} {value:.3g}"
        said += f", after {ascent.steps} step{'s' if ascent.steps > 1 else ''}."
        if not ascent.attention.any():
            said += " All gradients were 0, so nothing was optimized."
        shown = faded(pixels, ascent.attention) if self._settings.faded else pixels
        array = np.rint(255 * shown).astype(np.uint8)
        return Panel(
            title=name if self._settings.images == 1 else f"{name} ({start + 1})",
            array=array[..., 0] if array.shape[2] == 1 else array,
            target=target.text if target else "",
            class_index=target.index if isinstance(target, ClassLogit) else None,
            probability=value if target and target.quantity == "probability" else None,
            value=value,
            unit=target.quantity if target else "value",
            note=said,
        )


def direction_of(model: Model, settings: ActivationMaximizationSettings) -> MapSum | None:
    """Return the channels that are maximized, or None if the targets are.

    Raises:
        BadRequest: the layer hasn't got such channels or such a cell, a layer or a cell is given without channels, or
            diversity without several images.
        ModelError: the model hasn't got such a layer.
    """
    for name in ("cell", "layer"):
        if getattr(settings, name) and not settings.channels and not (name == "layer" and settings.together > 1):
            raise BadRequest(
                f"{name.capitalize()} is given without Channels, so it would change nothing. Give Channels, such as "
                f"17, or leave {name.capitalize()} at its default to maximize the targets.",
                field="Channels",
            )
    if settings.diversity and settings.images == 1:
        raise BadRequest(
            "Diversity is about several images. Set Images to 2 or more, or Diversity to 0.", field="Diversity"
        )
    if not settings.channels:
        return None
    found = model.layer(settings.layer or None)
    layer = next(one for one in model.layers() if one.name == found)
    cell = cell_of(settings.cell, layer) if settings.cell else None
    return MapSum(model, layer, channels_of(settings.channels, layer), cell)


def capitalized(name: str) -> str:
    """Return a name as the start of a sentence."""
    return name[:1].upper() + name[1:]


def faded(pixels: NDArray[np.float64], attention: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an image whose parts fade to grey where the score did not depend on them.

    Args:
        pixels: ``(H, W, C)``, 0..1.
        attention: the magnitudes of the gradients, ``(H, W)``.
    """
    smooth = ndimage.gaussian_filter(attention, SMOOTHING * max(attention.shape))
    complete = float(np.percentile(smooth, COMPLETE))
    kept = np.clip(smooth / complete, 0, 1)[..., None] if complete > 0 else np.zeros((*attention.shape, 1))
    return np.asarray(kept * pixels + (1 - kept) * 0.5, np.float64)
