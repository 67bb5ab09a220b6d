"""Saliency maps: how strongly each pixel affects a score, from the gradient and its refinements.

Simonyan, Vedaldi & Zisserman, *Deep inside convolutional networks*, arXiv 1312.6034, section 3. Gradient times input:
Shrikumar et al., arXiv 1605.01713. SmoothGrad: Smilkov et al., arXiv 1706.03825. VarGrad: Adebayo et al., arXiv
1810.03307. Guided backpropagation: Springenberg et al., arXiv 1412.6806.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.attribution import paths
from picasso.attribution.samples import Samples
from picasso.attribution.stopping import Sampling, shares
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Target
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
from picasso.visualizations.base import targets_of
from picasso.visualizations.panel import rounding
from picasso.visualizations.settings import see_through, stops_at

GRADIENT, TIMES_INPUT, SMOOTH, VARIANCE, GUIDED = METHODS = (
    "gradient",
    "gradient x input",
    "SmoothGrad",
    "VarGrad",
    "guided backpropagation",
)
SENTENCES = {
    GRADIENT: "How much the score (of a class: its logit) would change if a pixel changed a little, in either "
    "direction: warm pixels matter most.",
    TIMES_INPUT: "What each pixel adds to the score (of a class: its logit), to first order: warm pixels raise it, "
    "cool pixels lower it.",
    SMOOTH: "How much the score (of a class: its logit) would change if a pixel changed a little, in either direction, "
    "averaged over noisy copies of the image: warm pixels matter most.",
    VARIANCE: "How much the effect of a pixel on the score (of a class: its logit) differs between noisy copies of the "
    "image: warm where the effect depends on the noise.",
    GUIDED: "How much the score (of a class: its logit) would change with a pixel if only positive gradients were "
    "propagated back: warm pixels contribute.",
}
RANDOM = (SMOOTH, VARIANCE)
# With fewer noisy copies, the standard error is not reliable.
MIN_SAMPLES = 32
WARNING = (
    "Guided backpropagation mostly redraws the image's edges: its maps hardly change when the weights of the network "
    "are replaced by random ones (Adebayo et al., arXiv 1810.03307). Do not take it as evidence of what the model uses."
)


@dataclass(frozen=True)
class SaliencySettings(VisualizationSettings):
    """Settings of :class:`SaliencyMaps`."""

    method: str = choice(*METHODS, help="How to turn the gradient into a map.")
    samples: int = number(
        64, minimum=4, maximum=1000, help="For VarGrad: number of noisy copies. For SmoothGrad: maximum number."
    )
    error: float = stops_at(0.05, "For SmoothGrad: standard error")
    noise: float = slider(
        0.15,
        minimum=0.0,
        maximum=0.5,
        step=0.05,
        help="For SmoothGrad and VarGrad: standard deviation of the noise as a fraction of the input's range.",
    )
    seed: int = number(0, minimum=0, maximum=2**31, help="For SmoothGrad and VarGrad: random seed of the noise.")
    transparency: float = see_through()


def saliency(gradients: NDArray[np.floating]) -> Array:
    """Reduce gradients ``(N, H, W, C)`` to maps ``(N, H, W)``: the absolute value, then its channel maximum."""
    return np.asarray(np.abs(gradients).max(axis=-1), np.float32)


class SaliencyMaps(BaseVisualization[SaliencySettings]):
    """Differentiate the logit, not the probability, because the softmax is flat where the model is certain."""

    TITLE = "Saliency maps"
    DESCRIPTION = "How strongly each pixel affects the score that is explained, such as the logit of a class."
    REFERENCE_LINK = "https://arxiv.org/abs/1312.6034"
    MISLEADS = (
        "It shows the effect of a tiny change, not of removing a part: a part that the model relies on may "
        "have a small gradient, and single bright pixels mean little."
    )
    DOCUMENTATION = "visualizations/gradients#saliencymaps"
    FAMILY = "Gradients"
    ALLOWED_SETTINGS = SaliencySettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})

    @classmethod
    def describe(cls, settings: SaliencySettings) -> str:
        """Explain the value of a pixel for the chosen method."""
        return f"{SENTENCES[settings.method]} Each map has its own scale: compare the numbers below the maps."

    @classmethod
    def passes(cls, model: Model, settings: SaliencySettings) -> float:
        """Return, per noisy copy, one forward pass and per target one backward pass, which costs as much as two."""
        return (1.0 + 2 * targets_of(model)) * (settings.samples if settings.method in RANDOM else 1)

    @classmethod
    def stops_early(cls, settings: SaliencySettings) -> bool:
        """Tell whether the method is SmoothGrad, with an error at which to stop."""
        return settings.method == SMOOTH and settings.error > 0

    def make_visualization(self, task: Task[SaliencySettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target."""
        settings = task.settings
        for image in task.inputs:
            task.progress(0, 1)
            signed, quantity = settings.method == TIMES_INPUT, "|d logit / d pixel|"
            notes = [""] * len(image.targets)
            if settings.method == SMOOTH:
                maps, notes = smooth(task, image)
            elif settings.method == VARIANCE:
                samples = Samples()
                for batch in noisy(task, image):
                    samples.add(batch)
                    task.progress(samples.count, settings.samples)
                maps, quantity = saliency(samples.variance), "variance of d logit / d pixel"
            elif settings.method == GUIDED:
                (gradients,) = task.model.guided_gradients(image.array[None], image.targets)
                maps, quantity = saliency(gradients), "|guided d logit / d pixel|"
                notes = [WARNING] * len(image.targets)
            else:
                (gradients,) = task.model.gradients(image.array[None], image.targets)
                maps = (gradients * image.array).sum(axis=-1) if signed else saliency(gradients)
                quantity = "d logit / d pixel x pixel" if signed else quantity
            yield [
                image.panel(
                    target,
                    array=array,
                    quantity=quantity.replace("logit", target.score_quantity),
                    signed=signed,
                    transparency=settings.transparency,
                    note=note,
                    noise=smallest(image, target, settings.method),
                )
                for target, array, note in zip(image.targets, maps, notes, strict=True)
            ]


def smallest(image: Input, target: Target, method: str) -> float:
    """Return the rounding error of the values of a map."""
    # A change of the score within rounding, even if all pixels change by the whole range at once.
    noise = rounding(image.value(target), target.scale) / image.array.size
    if method != TIMES_INPUT:
        noise /= float(np.ptp(image.array)) or 1.0
    return noise**2 if method == VARIANCE else noise


def noisy(task: Task[SaliencySettings], image: Input, *, antithetic: bool = False) -> Iterator[Array]:
    """Yield the gradients for noisy copies of an image, ``(n, k, H, W, C)``, batch by batch.

    Args:
        task: the task.
        image: the image.
        antithetic: whether the noise of every second copy is that of the copy before with the other sign.
    """
    settings, array = task.settings, image.array
    sigma = settings.noise * float(np.ptp(array))

    def points(start: int, stop: int) -> Array:
        # Each copy, or pair of copies, has its own seed.
        each = 2 if antithetic else 1
        drawn = {
            number: np.random.default_rng([settings.seed, number]).standard_normal(array.shape, np.float32)
            for number in range(start // each, -(-stop // each))
        }
        noise = [drawn[index // each] * (-1 if index % each else 1) for index in range(start, stop)]
        return np.asarray(array + sigma * np.stack(noise), np.float32)

    count = settings.samples - (settings.samples % 2 if antithetic else 0)
    return paths.gradients(task.model, points, count, image.targets)


def smooth(task: Task[SaliencySettings], image: Input) -> tuple[Array, list[str]]:
    """Return the maps of SmoothGrad, ``(k, H, W)``, with a sentence on the error of each.

    A copy with the opposite noise follows each copy. To first order, the effects of the noise on the gradient cancel in
    such a pair.
    """
    settings, samples, left = task.settings, Samples(), np.zeros((0, 1), np.float32)
    sampling = Sampling(settings.samples, settings.error, MIN_SAMPLES)
    for batch in noisy(task, image, antithetic=True):
        gradients = np.concatenate([left, batch]) if len(left) else batch
        pairs = len(gradients) // 2
        left = gradients[2 * pairs :]
        if not pairs:
            continue
        samples.add(np.asarray((gradients[: 2 * pairs : 2] + gradients[1 : 2 * pairs : 2]) / 2, np.float32))
        enough = sampling.enough(2 * samples.count, lambda: estimate(samples))
        task.progress(min(2 * samples.count, sampling.expected), sampling.expected)
        if enough:
            break
    maps, errors = estimate(samples)
    says = "Mean of {} noisy copies; the standard error is {:.1%} of the largest value on average."
    fractions = np.where(np.isfinite(found := shares(maps, errors)), found, 0)
    return maps, [says.format(2 * samples.count, share) for share in fractions.tolist()]


def estimate(samples: Samples) -> tuple[Array, Array]:
    """Return the maps of mean gradients, ``(k, H, W)``, and their standard errors, averaged over the channels."""
    return saliency(samples.mean), np.asarray(samples.standard_error.mean(axis=-1))
