"""Saliency maps: how strongly each pixel moves the score of a class.

Simonyan, Vedaldi & Zisserman, *Deep inside convolutional networks*, arXiv 1312.6034, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.visualizations import BaseVisualization, Capability, Panel, Task, VisualizationSettings, choice


@dataclass(frozen=True)
class SaliencySettings(VisualizationSettings):
    """Settings of :class:`SaliencyMaps`."""

    transparency: float = choice(0.0, 0.25, 0.5, 0.75, help="How strongly the picture shows through the map.", digits=2)


def saliency(gradients: Array) -> Array:
    """Reduce gradients ``(N, H, W, C)`` to maps ``(N, H, W)``: the absolute value, then its channel maximum."""
    return np.asarray(np.abs(gradients).max(axis=-1), np.float32)


class SaliencyMaps(BaseVisualization[SaliencySettings]):
    """Differentiate the logit, not the probability: where the model is certain, the softmax is flat."""

    DESCRIPTION = "How strongly each pixel moves the score of a class: bright pixels matter most."
    REFERENCE_LINK = "https://arxiv.org/abs/1312.6034"
    ALLOWED_SETTINGS = SaliencySettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})

    @classmethod
    def passes(cls, model: Model, settings: SaliencySettings) -> float:
        """Return one pass forward, and for each class one back, which takes as long as two."""
        return 1.0 + 2 * model.top_probs

    def make_visualization(self, task: Task[SaliencySettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per top class."""
        for picture in task.inputs:
            task.progress(0, 1)
            classes = [prediction["index"] for prediction in picture.predictions]
            (gradients,) = task.model.input_gradients(picture.array[None], np.array([classes]))
            maps = saliency(gradients)
            yield [
                Panel.of_class(
                    prediction,
                    array=array,
                    quantity="|d logit / d pixel|",
                    transparency=task.settings.transparency,
                )
                for prediction, array in zip(picture.predictions, maps, strict=True)
            ]
