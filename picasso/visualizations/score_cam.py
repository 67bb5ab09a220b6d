"""Score-CAM: each feature map is weighted by the score of the image masked with it; no gradients.

Wang et al., *Score-CAM: score-weighted visual explanations for convolutional neural networks*, arXiv 1910.01279.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.attribution.placement import Canvas
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Target
from picasso.visualizations import BaseVisualization, Capability, Input, Panel, Task, choice
from picasso.visualizations.class_activation import LayerMapSettings, canvas_of, outlier_note
from picasso.visualizations.panel import rounding


@dataclass(frozen=True)
class ScoreCAMSettings(LayerMapSettings):
    """Settings of :class:`ScoreCAM`."""

    channels: str = choice(
        "all", "256", "64", help="Number of feature maps to use; a subset takes those that vary most."
    )


class ScoreCAM(BaseVisualization[ScoreCAMSettings]):
    """Weight each channel by the logit of the image with only the regions visible that the channel activates."""

    FAMILY = "Class activation"
    TITLE = "Score-CAM"
    DESCRIPTION = "Like Grad-CAM, but weights each channel by the score when only the regions it activates are visible."
    REFERENCE_LINK = "https://arxiv.org/abs/1910.01279"
    MISLEADS = (
        "A few channels may get nearly all the weight, evidence against the class is not shown, and hidden "
        "parts take the colour that 0 stands for."
    )
    DOCUMENTATION = "visualizations/class-activation#scorecam"
    ALLOWED_SETTINGS = ScoreCAMSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.FEATURE_MAPS})

    @classmethod
    def describe(cls, settings: ScoreCAMSettings) -> str:
        """Add whether evidence against the target is shown."""
        return f"{cls.DESCRIPTION} {settings.sentence}"

    @classmethod
    def passes(cls, model: Model, settings: ScoreCAMSettings) -> float:
        """Return one pass for each channel."""
        shapes = {layer.name: layer.shape for layer in model.layers()}
        # The name may be wrong; the run reports that.
        default = next((layer.name for layer in model.layers() if layer.default), "")
        channels = shapes.get(settings.layer or default, (1, 1, 1))[-1]
        return 2.0 + (channels if settings.channels == "all" else min(channels, int(settings.channels)))

    def make_visualization(self, task: Task[ScoreCAMSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target, with the resolution of the feature maps; the targets share the passes."""
        name = task.model.layer(task.settings.layer or None)
        canvas = canvas_of(task.model, name)
        for image in task.inputs:
            task.progress(0, 1)
            (maps,) = task.model.feature_maps(image.array[None], name)
            tried = chosen(maps, task.settings.channels)
            scores = self.scores(task, image, maps[..., tried], canvas)
            weights = np.stack([weights_of(*pair) for pair in zip(scores.T, image.targets, strict=True)], axis=1)
            note = f"Layer {name}, {len(tried)} of {maps.shape[-1]} channels. {outlier_note(task.model, maps)}".rstrip()
            yield [
                task.settings.panel(
                    image,
                    target,
                    maps[..., tried] @ weights[:, index],
                    canvas,
                    quantity="feature maps, weighted by score",
                    note=note,
                )
                for index, target in enumerate(image.targets)
            ]

    def scores(self, task: Task[ScoreCAMSettings], image: Input, maps: Array, canvas: Canvas) -> NDArray[np.float64]:
        """Return the scores ``(c, T)`` of the T targets for the image masked with each of the maps ``(h, w, c)``."""
        found, count = [], maps.shape[-1]
        for start in range(0, count, task.model.batch_size):
            some = maps[..., start : start + task.model.batch_size]
            masks = np.stack(
                [enlarged(some[..., index], image.array.shape[:2], canvas) for index in range(some.shape[-1])]
            )
            found.append(task.model.scores(np.asarray(image.array * masks[..., None]), image.targets))
            task.progress(start + some.shape[-1], count)
        return np.concatenate(found)


def weights_of(scores: NDArray[np.float64], target: Target) -> NDArray[np.float64]:
    """Return the softmax of the scores ``(c,)`` of a target over the channels.

    The scores of other targets than probabilities have a unit or a size of their own, so they are standardized first:
    otherwise a map would depend on whether a time is in days or in years.
    """
    scores = scores - scores.max()
    if not target.bounded:
        spread = float(scores.std())
        # Differences within rounding count as none.
        scores = scores / spread if spread > rounding(float(np.abs(scores).max()), target.scale) else 0 * scores
    weights: NDArray[np.float64] = np.exp(scores)
    return np.asarray(weights / weights.sum())


def chosen(maps: Array, channels: str) -> NDArray[np.intp]:
    """Return the indices of the channels to use: those that vary, the most varying first."""
    spread = maps.std(axis=(0, 1))
    order = np.argsort(-spread, kind="stable")
    # A flat map highlights nothing. If all are flat, one represents them all.
    varying = order[spread[order] > 0] if spread.any() else order[:1]
    return varying if channels == "all" else varying[: int(channels)]


def enlarged(channel: Array, size: tuple[int, int], canvas: Canvas | None = None) -> Array:
    """Return a map as a mask ``(H, W)`` from 0 to 1, interpolated to the input's size, and 0 outside its cells."""
    low, span = float(channel.min()), float(np.ptp(channel)) or 1.0
    mask = np.asarray((channel - low) / span, np.float32)
    placed = canvas.enlarge(mask) if canvas else None
    if placed is not None:
        return placed
    return np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.BILINEAR))
