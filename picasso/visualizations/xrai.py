"""XRAI: integrated gradients, summed by region, the region with the highest density first.

Kapishnikov, Bolukbasi, Viégas & Terry, *XRAI: better attributions through regions*, arXiv 1906.02825.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.paths import from_several
from picasso.attribution.regions import MIN_REGIONS, greedy_density, relative_area, segments
from picasso.models.base import Model
from picasso.visualizations import (
    BaseVisualization,
    Capability,
    Input,
    Panel,
    Task,
    VisualizationSettings,
    number,
)
from picasso.visualizations.base import targets_of
from picasso.visualizations.panel import rounding
from picasso.visualizations.settings import see_through

# The baselines of the integrated gradients, which are averaged so that neither dark nor bright pixels are ignored.
BASELINES = ("black", "white")
# The error of the attributions at which to stop; regions average most of it out.
ERROR = 0.05


@dataclass(frozen=True)
class XRAISettings(VisualizationSettings):
    """Settings of :class:`XRAI`."""

    steps: int = number(
        64, minimum=8, maximum=512, help="Maximum number of gradients between each baseline and the image."
    )
    transparency: float = see_through()


class XRAI(BaseVisualization[XRAISettings]):
    """Rank overlapping segments by the mean of their integrated gradients."""

    TITLE = "XRAI"
    DESCRIPTION = "Which regions raise the score that is explained most, by integrated gradients per pixel."
    REFERENCE_LINK = "https://arxiv.org/abs/1906.02825"
    MISLEADS = (
        "Regions follow colour alone, and one that is added late has only a rim of pixels left, whose strong "
        "colour is no evidence."
    )
    DOCUMENTATION = "visualizations/regions#xrai"
    ALLOWED_SETTINGS = XRAISettings
    FAMILY = "Regions"
    EXTRA = ("regions", "skimage")
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})

    @classmethod
    def passes(cls, model: Model, settings: XRAISettings) -> float:
        """Return, per step and baseline, one forward pass and per target one backward pass, worth two."""
        return 1.0 + (1.0 + 2 * targets_of(model)) * settings.steps * len(BASELINES)

    def make_visualization(self, task: Task[XRAISettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target."""
        for image in task.inputs:
            task.progress(0, 1)
            masks = segments(image.view)
            fewest = round(MIN_REGIONS * relative_area(image.view.size))
            panels = []
            for one, attribution in zip(image.targets, attributions(task, image), strict=True):
                array, order = greedy_density(attribution, masks, fewest)
                note = f"{len(order)} of {len(masks)} segments were added; the map sums to {attribution.sum():.3g}."
                if masks[order[0]].all():
                    note = "The whole image is one segment, so the map is flat."
                quantity = "integrated gradients per pixel, mean over the region"
                look = {"signed": True, "transparency": task.settings.transparency}
                # The pixels sum to the difference of the score, so each has its share of the rounding error.
                look["noise"] = rounding(float(attribution.sum()), one.scale) / array.size
                panels.append(image.panel(one, array=array, quantity=quantity, note=note, **look))
            yield panels


def attributions(task: Task[XRAISettings], image: Input) -> NDArray[np.float64]:
    """Return integrated gradients ``(k, H, W)``: the sum over the channels, the mean over the baselines."""
    model, steps = task.model, task.settings.steps
    baselines = [image.filled(model, name) for name in BASELINES]
    return from_several(model, image.array, baselines, image.targets, steps, ERROR, task.progress).maps
