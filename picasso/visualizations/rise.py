"""RISE: show random parts of the image and find those that raise a predicted value.

Petsiuk, Das & Saenko, *RISE: randomized input sampling for explanation of black-box models*, arXiv 1806.07421.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from picasso.attribution.masks import MaskedMeans, random_mask
from picasso.models.base import Model
from picasso.visualizations import BaseVisualization, Input, Panel, Task, VisualizationSettings, choice, number, slider
from picasso.visualizations.panel import rounding
from picasso.visualizations.settings import see_through


@dataclass(frozen=True)
class RISESettings(VisualizationSettings):
    """Settings of :class:`RISE`."""

    masks: int = number(400, minimum=50, maximum=20000, help="Number of random masks.")
    cells: int = number(7, minimum=2, maximum=32, help="Number of cells along each side of a mask.")
    shown: float = slider(0.5, minimum=0.1, maximum=0.9, step=0.05, help="Fraction of the cells that is visible.")
    fill: str = choice("black", "grey", "white", "mean", "blur", "noise", help="Fill of the hidden parts.")
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
        """Return one pass for each mask."""
        return 1.0 + settings.masks

    def make_visualization(self, task: Task[RISESettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target, with the resolution of the input; all targets share the masks."""
        settings = task.settings
        for image in task.inputs:
            task.progress(0, 1)
            covering, means = image.covering(task.model, settings.fill, settings.seed), MaskedMeans()
            size = task.model.batch_size
            for start in range(0, settings.masks, size):
                numbers = range(start, min(start + size, settings.masks))
                shape = (image.array.shape[0], image.array.shape[1])
                masks = np.stack(
                    [random_mask(settings.seed, one, shape, settings.cells, settings.shown) for one in numbers]
                )
                means.add(masks, task.model.values(covering.seen(masks), image.targets))
                task.progress(means.count, settings.masks)
                task.preview(partial(panels, image, means, settings))
            yield panels(image, means, settings)


def panels(image: Input, means: MaskedMeans, settings: RISESettings) -> list[Panel]:
    """Return the maps of the targets, each with its standard error in the note, and the error map of the first."""
    made, errors = [], means.standard_errors
    for target, mean, error in zip(image.targets, means.means, errors, strict=True):
        span = float(np.ptp(mean))
        share = f", {float(error.mean()) / span:.0%} of the range of the map" if span else ""
        made.append(
            image.panel(
                target,
                array=mean,
                quantity=f"mean {target.quantity.removeprefix('mean ')} while visible",
                # A position that changes nothing has the mean over all masks.
                centre=float(mean.mean()),
                uncertainty=float(error.mean()),
                transparency=settings.transparency,
                noise=rounding(max(abs(image.value(target)), float(np.abs(mean).max())), target.scale),
                note=f"Standard error {float(error.mean()):.2g} on average{share}.",
            )
        )
    title = f"{image.targets[0].name}: standard error"
    return [*made, Panel(title, errors[0], quantity="standard error", transparency=settings.transparency, noise=0.0)]
