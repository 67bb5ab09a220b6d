"""RISE: show random parts of the image and find those that raise a predicted value.

Petsiuk, Das & Saenko, *RISE: randomized input sampling for explanation of black-box models*, arXiv 1806.07421.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.dropping import DROPPED, Dropping
from picasso.attribution.masks import Estimate, MaskedMeans, RandomMasks
from picasso.attribution.stopping import Sampling, shares
from picasso.models.arrays import Array
from picasso.models.base import Model
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
)
from picasso.visualizations.panel import rounding
from picasso.visualizations.settings import see_through, stops_at

# With fewer masks, the standard error is not reliable; it is checked on a grid of about this many rows and columns.
MIN_MASKS, CHECKED_SIDE, PREVIEW_SIDE = 100, 16, 48
# The number of masks after which tokens are left out: masks that leave as many tokens share a batch.
TOGETHER = 250


@dataclass(frozen=True)
class RISESettings(VisualizationSettings):
    """Settings of :class:`RISE`."""

    masks: int = number(1000, minimum=50, maximum=20000, help="Maximum number of random masks.")
    error: float = stops_at()
    cells: int = number(7, minimum=2, maximum=32, help="Number of cells along each side of a mask.")
    shown: float = slider(0.5, minimum=0.1, maximum=0.9, step=0.05, help="Fraction of the cells that is visible.")
    fill: str = choice(
        "black",
        "grey",
        "white",
        "mean",
        "blur",
        "noise",
        DROPPED,
        help='Fill of the hidden parts. "dropped" is for transformers: the tokens of hidden patches are left out.',
        needs={DROPPED: Capability.DROPPING},
    )
    seed: int = number(0, minimum=0, maximum=2**31, help="Random seed of the masks.")
    transparency: float = see_through()


class RISE(BaseVisualization[RISESettings]):
    """Average the masks, each weighted by the value predicted for the masked image; no gradients, no layers."""

    TITLE = "RISE"
    DESCRIPTION = (
        "The mean of the predicted value (of a class: its probability) while each part of the image is visible, over "
        "random masks, with its standard error."
    )
    REFERENCE_LINK = "https://arxiv.org/abs/1806.07421"
    MISLEADS = (
        "With few masks most of the pattern is chance, and no detail smaller than a cell of the masks is resolved."
    )
    DOCUMENTATION = "visualizations/occlusion#rise"
    FAMILY = "Perturbation"
    ALLOWED_SETTINGS = RISESettings

    @classmethod
    def passes(cls, model: Model, settings: RISESettings) -> float:
        """Return one pass for each mask; less if hidden tokens are left out.

        How many masks the error needs is not known before.
        """
        return 1.0 + settings.masks * (settings.shown if settings.fill == DROPPED else 1.0)

    @classmethod
    def stops_early(cls, settings: RISESettings) -> bool:
        """Tell whether an error is given at which to stop."""
        return settings.error > 0

    def make_visualization(self, task: Task[RISESettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target, with the resolution of the input; all targets share the masks."""
        settings = task.settings
        for image in task.inputs:
            task.progress(0, 1)
            answer, size = answering(task, image)
            masks = RandomMasks(settings.seed, image.array.shape[:2], settings.cells, settings.shown)
            means, sampling = MaskedMeans(masks), Sampling(settings.masks, settings.error, MIN_MASKS)
            step = max(1, min(masks.size) // CHECKED_SIDE)
            enough = False
            while not enough:
                means.add(answer(masks.draw(means.count, min(means.count + size, settings.masks))))
                enough = sampling.enough(means.count, partial(differences, means, step))
                task.progress(means.count, sampling.expected)
                task.preview(partial(panels, image, means, settings, max(1, min(masks.size) // PREVIEW_SIDE)))
            yield panels(image, means, settings)


def answering(task: Task[RISESettings], image: Input) -> tuple[Callable[[Array], NDArray[np.float64]], int]:
    """Return a function that computes the values of the targets for n masks, ``(n, T)``, and how many to give it."""
    model, settings = task.model, task.settings
    if settings.fill != DROPPED:
        covering = image.covering(model, settings.fill, settings.seed)
        return lambda shown: model.values(covering.seen(shown), image.targets), model.batch_size
    dropping = Dropping.of(model)

    def answer(shown: Array) -> NDArray[np.float64]:
        values = np.zeros((len(shown), len(image.targets)))
        for members, outputs, _ in model.dropped(image.array, dropping.by_masks(shown)):
            values[members] = np.stack([target.value(outputs) for target in image.targets], axis=1)
        return values

    return answer, max(model.batch_size, TOGETHER)


def differences(means: MaskedMeans, step: int) -> Estimate:
    """Return the differences of the maps from their means, at every ``step``-th pixel, and their errors."""
    found = means.estimate(step)
    return Estimate(found.means - found.means.mean(axis=(1, 2), keepdims=True), found.errors)


def panels(image: Input, means: MaskedMeans, settings: RISESettings, step: int = 1) -> list[Panel]:
    """Return the maps of the targets, each with its standard error in the note, and the error map of the first."""
    made, (maps, errors) = [], means.estimate(step)
    # A position that changes nothing has the mean over all masks.
    centres = maps.mean(axis=(1, 2))
    fractions = shares(maps - centres[:, None, None], errors)
    for target, mean, error, centre, fraction in zip(image.targets, maps, errors, centres, fractions, strict=True):
        share = f", {fraction:.0%} of the range of the map" if np.isfinite(fraction) else ""
        made.append(
            image.panel(
                target,
                array=mean,
                quantity=f"mean {target.quantity.removeprefix('mean ')} while visible",
                centre=float(centre),
                uncertainty=float(error.mean()),
                transparency=settings.transparency,
                noise=rounding(max(abs(image.value(target)), float(np.abs(mean).max())), target.scale),
                note=f"Standard error {float(error.mean()):.2g} on average{share}, after {means.count} masks.",
            )
        )
    title = f"{image.targets[0].name}: standard error"
    return [*made, Panel(title, errors[0], quantity="standard error", transparency=settings.transparency, noise=0.0)]
