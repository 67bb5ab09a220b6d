"""Activation maximization: an image for which a score is as high as possible.

Erhan, Bengio, Courville & Vincent, *Visualizing higher-layer features of a deep network* (2009). The two ways to
describe the image are those of Olah, Mordvintsev & Schubert, *Feature visualization*, Distill 2017, and of Fel et al.,
arXiv 2306.06805 (MACO).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.attribution.ascent import NOISE, Ascent
from picasso.attribution.objectives import TargetScore, slope
from picasso.attribution.pixel_inputs import PixelInputs
from picasso.attribution.spectra import Phases, Spectrum, Waves
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
    number,
    slider,
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
    statistics: str = choice(
        PHOTOGRAPHS, IMAGE, help="Whose strengths of waves and whose colours the image has or starts from."
    )
    steps: int = number(64, minimum=8, maximum=4096, help="Number of steps.")
    crops: int = number(2, minimum=1, maximum=64, help="Number of random parts of the image per step.")
    smallest: float = slider(
        0.4, minimum=0.1, maximum=1, step=0.05, help="Side of the smallest part, as a fraction of the image's."
    )
    images: int = number(1, minimum=1, maximum=4, help="Number of images, each from a start of its own.")
    faded: bool = toggle(True, help="Fade to grey what hardly affects the score.")
    seed: int = number(0, minimum=0, maximum=2**31, help="Random seed of the starts, the parts and the noise.")


class ActivationMaximization(BaseVisualization[ActivationMaximizationSettings]):
    """Optimize an image, which does not depend on the uploaded one, for each target."""

    TITLE = "Activation maximization"
    DESCRIPTION = "An image for which the score (of a class: its logit) is high: what the model looks for, not where."
    REFERENCE_LINK = "https://arxiv.org/abs/2306.06805"
    MISLEADS = (
        "It shows something that suffices for a high score, not everything that does, and nothing about your image."
    )
    DOCUMENTATION = "visualizations/feature-visualization#activationmaximization"
    FAMILY = "Feature visualization"
    ALLOWED_SETTINGS = ActivationMaximizationSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})

    @classmethod
    def passes(cls, model: Model, settings: ActivationMaximizationSettings) -> float:
        """Return one forward and one backward pass for each part of each step, target and image."""
        return 3.0 * settings.steps * settings.crops * settings.images * targets_of(model)

    def make_visualization(self, task: Task[ActivationMaximizationSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the images of the targets; classes of several uploaded images are computed once if they can be."""
        settings, known = task.settings, dict[tuple[Target, int], Panel]()
        for image in task.inputs:
            pixels, panels = PixelInputs.of(task.model, image.view), list[Panel]()
            wanted = [(target, number) for target in image.targets for number in range(settings.images)]
            for index, (target, start) in enumerate(wanted):
                # The same for every uploaded image, unless the image has a part in it.
                shared = isinstance(target, ClassLogit) and settings.statistics == PHOTOGRAPHS
                found = known.get((target, start)) if shared else None
                if found is None:
                    search = Search(task, image, pixels, target, start)
                    for step in range(settings.steps):
                        task.progress(index * settings.steps + step, len(wanted) * settings.steps)
                        search.ascent.step()
                        task.preview(lambda search=search, panels=tuple(panels): [*panels, search.panel()])  # type: ignore[misc]
                    found = search.panel()
                if shared:
                    known[target, start] = found
                panels.append(found)
            task.progress(1, 1)
            yield panels


class Search:
    """The search for one image.

    Args:
        task: the task.
        image: the uploaded image.
        pixels: how the input depends on pixels.
        target: what to maximize.
        start: the number of the start, from 0.
    """

    def __init__(
        self, task: Task[ActivationMaximizationSettings], image: Input, pixels: PixelInputs, target: Target, start: int
    ) -> None:
        settings = task.settings
        self._model, self._settings, self._pixels = task.model, settings, pixels
        self._target, self._start = target, start
        self._objective = TargetScore(task.model, target)
        seen = np.asarray(image.view.convert("L" if pixels.shape[2] == 1 else "RGB"), np.float64) / 255
        spectrum = (
            Spectrum.of(seen.reshape(pixels.shape)) if settings.statistics == IMAGE else Spectrum.natural(pixels.shape)
        )
        whole = task.model.spec.task in OF_PLACES
        self.ascent = Ascent(
            (Phases if settings.method == MACO else Waves)(spectrum),
            slope(pixels, self._objective.name, self._objective.gradients),
            settings.crops,
            1.0 if whole else settings.smallest,
            NOISE,
            settings.seed + start,
        )

    def panel(self) -> Panel:
        """Return the image as it is now, with the value and the score of the target."""
        pixels, target = self.ascent.pixels, self._target
        inputs = self._pixels.encode(pixels[None])
        value = float(self._model.values(inputs, [target])[0, 0])
        score = float(self._objective.values(inputs)[0])
        shown = faded(pixels, self.ascent.attention) if self._settings.faded else pixels
        said = f"The {target.score_quantity} of this image is {score:.4g}"
        if target.quantity != target.score_quantity:
            said += f", the {target.quantity} {value:.3g}"
        said += f", after {self.ascent.steps} step{'s' if self.ascent.steps > 1 else ''}."
        if not self.ascent.attention.any():
            said += " All gradients were 0, so nothing was optimized."
        array = np.rint(255 * shown).astype(np.uint8)
        return Panel(
            title=target.name if self._settings.images == 1 else f"{target.name} ({self._start + 1})",
            array=array[..., 0] if array.shape[2] == 1 else array,
            target=target.text,
            class_index=target.index if isinstance(target, ClassLogit) else None,
            probability=value if target.quantity == "probability" else None,
            value=value,
            unit=target.quantity,
            note=said,
        )


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
