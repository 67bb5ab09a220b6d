"""Integrated gradients: the contribution of each pixel to a score, from a baseline to the image.

Sundararajan, Taly & Yan, *Axiomatic attribution for deep networks*, arXiv 1703.01365.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.attribution.paths import Attributions, from_several
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
)
from picasso.visualizations.base import targets_of
from picasso.visualizations.panel import rounding
from picasso.visualizations.settings import see_through

SEVERAL = ("black", "grey", "white", "blur", "noise")


@dataclass(frozen=True)
class IntegratedGradientsSettings(VisualizationSettings):
    """Settings of :class:`IntegratedGradients`."""

    baseline: str = choice(
        "black",
        "grey",
        "white",
        "mean",
        "blur",
        "noise",
        "several",
        help="Baseline image, which stands for the absence of content.",
    )
    steps: int = number(64, minimum=8, maximum=8192, help="Maximum number of gradients between baseline and image.")
    error: float = choice(
        0.05,
        0.02,
        0.01,
        0.1,
        0.2,
        help="Error of a map at which to stop: by which fraction half of the gradients would change it.",
    )
    seed: int = number(0, minimum=0, maximum=2**31, help="Random seed of the noise.")
    transparency: float = see_through()

    @property
    def baselines(self) -> tuple[str, ...]:
        """The fills that serve as baselines."""
        return SEVERAL if self.baseline == "several" else (self.baseline,)


class IntegratedGradients(BaseVisualization[IntegratedGradientsSettings]):
    """Distribute the difference of the score among the pixels; a note states the error."""

    TITLE = "Integrated gradients"
    DESCRIPTION = "How much each pixel adds to the score that is explained, compared with an image without content."
    REFERENCE_LINK = "https://arxiv.org/abs/1703.01365"
    MISLEADS = (
        "Pixels of the baseline's colour get 0, however important they are: with a black baseline, black ink "
        "is never evidence."
    )
    DOCUMENTATION = "visualizations/gradients#integratedgradients"
    FAMILY = "Gradients"
    ALLOWED_SETTINGS = IntegratedGradientsSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})

    @classmethod
    def describe(cls, settings: IntegratedGradientsSettings) -> str:
        """Name the baseline, because it determines what the map means."""
        image = "images of noise" if settings.baseline == "noise" else f"a {settings.baseline} image"
        baseline = {"mean": "the image's mean colour", "blur": "a blur of the image", "several": "five baselines"}
        return (
            "How much each pixel adds to the score (of a class: its logit), compared with "
            f"{baseline.get(settings.baseline, image)}: warm pixels raise it, cool pixels lower it."
        )

    @classmethod
    def passes(cls, model: Model, settings: IntegratedGradientsSettings) -> float:
        """Return one forward pass per step, and per target one backward pass, which costs as much as two.

        How many steps the error needs is not known before; a photograph mostly needs all of them.
        """
        return (1.0 + 2 * targets_of(model)) * settings.steps * len(settings.baselines)

    @classmethod
    def stops_early(cls, settings: IntegratedGradientsSettings) -> bool:
        """Tell whether an error is given at which to stop."""
        return settings.error > 0

    def make_visualization(self, task: Task[IntegratedGradientsSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target: the sum over the channels."""
        for image in task.inputs:
            task.progress(0, 1)
            found, differences = integrate(task, image)
            panels = []
            for target, array, difference, error in zip(
                image.targets, found.maps, differences, found.errors, strict=True
            ):
                panels.append(
                    image.panel(
                        target,
                        array=np.asarray(array, np.float32),
                        quantity=f"part of the {target.score_quantity}",
                        signed=True,
                        transparency=task.settings.transparency,
                        note=accuracy(target.score_quantity, float(array.sum()), difference, found.steps, float(error)),
                        # The pixels sum to the difference, so each has its share of the rounding error.
                        noise=rounding(difference, target.scale) / array.size,
                    )
                )
            yield panels


def integrate(task: Task[IntegratedGradientsSettings], image: Input) -> tuple[Attributions, Sequence[float]]:
    """Return the mean attributions of k targets over baselines, and the mean differences of the scores."""
    settings, model, targets = task.settings, task.model, image.targets
    baselines = [image.filled(model, name, settings.seed) for name in settings.baselines]
    found = from_several(model, image.array, baselines, targets, settings.steps, settings.error, task.progress)
    here, *there = model.scores(np.stack([image.array, *baselines]), targets)
    return found, (here - np.mean(there, axis=0)).tolist()


def accuracy(score: str, attributed: float, difference: float, steps: int, error: float) -> str:
    """Return sentences on the completeness gap, how far the sum of a map is from the difference, and on the error."""
    missing = abs(attributed - difference)
    share = f" ({missing / abs(difference):.2%})" if difference else ""
    return (
        f"The {score} differs from the baseline's by {difference:.4g}; {missing:.2g} of it{share} is missing from the "
        f"map. With half of the {steps} gradients, the map would differ by {error:.1%}."
    )
