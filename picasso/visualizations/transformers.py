"""Methods for transformers: which tokens a model attends to, and which of them the score comes from.

Abnar & Zuidema, *Quantifying attention flow in transformers*, arXiv 2005.00928; Chefer, Gur & Wolf, *Generic
attention-model explainability for interpreting bi-modal and encoder-decoder transformers*, arXiv 2103.15679; Achtibat
et al., *AttnLRP: attention-aware layer-wise relevance propagation for transformers*, arXiv 2402.05602.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.attribution.attention import by_cell, gradient_attention, rollout
from picasso.attribution.placement import Canvas
from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Layer
from picasso.models.tokens import TokenGrid
from picasso.visualizations import BaseVisualization, Capability, Input, Panel, Task, VisualizationSettings, choice
from picasso.visualizations.base import targets_of
from picasso.visualizations.class_activation import outlier_note
from picasso.visualizations.panel import rounding
from picasso.visualizations.settings import see_through

FAMILY = "Transformers"
NEEDS = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS, Capability.ATTENTION})
UNSUITABLE = "needs attention between all tokens of the image, whose places are known; use AttnLRP instead."
SAME = "The map is the same whatever is explained."
SUM = "The sum is {:.3g} of a score of {:.3g}; biases and the softmax keep the rest."


@dataclass(frozen=True)
class AttentionSettings(VisualizationSettings):
    """Settings of maps of attention."""

    transparency: float = see_through()


@dataclass(frozen=True)
class RelevanceSettings(VisualizationSettings):
    """Settings of :class:`AttnLRP`."""

    cells: str = choice(
        "patches", "pixels", help="Sum the relevance over the patches of the model, or show each pixel."
    )
    transparency: float = see_through()


class OfTokens(BaseVisualization[AttentionSettings]):
    """Base class of methods that compute a value for each token from the attention of all blocks."""

    FAMILY = FAMILY
    ALLOWED_SETTINGS = AttentionSettings
    NEEDS = NEEDS

    @classmethod
    def unsuitable(cls, model: Model) -> str:
        """Say whether the attention is between all tokens of the image."""
        try:
            model.token_grid()
        except ModelError:
            return UNSUITABLE
        return ""


class AttentionRollout(OfTokens):
    """Multiply the attention weights of all blocks, averaged over the heads, each mixed with the identity."""

    TITLE = "Attention rollout"
    DESCRIPTION = (
        "From which patches information can reach the tokens that are read, by attention alone, whatever is explained."
    )
    REFERENCE_LINK = "https://arxiv.org/abs/2005.00928"
    MISLEADS = (
        "It ignores the class and the values that are attended to, so a patch may be warm that changes nothing, and "
        "patches that are attended to in order to be ignored are warm, too."
    )
    DOCUMENTATION = "visualizations/transformers#attentionrollout"

    def make_visualization(self, task: Task[AttentionSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the same map for each target."""
        grid = task.model.token_grid()
        canvas = canvas_on(task.model, grid)
        for image in task.inputs:
            task.progress(0, 1)
            weights, _ = task.model.attention(image.array[None])
            found = on_grid(rollout([one[0] for one in weights], grid.readers), grid)
            yield [
                image.panel(
                    target,
                    array=canvas.draw(found),
                    quantity="share of the attention",
                    transparency=task.settings.transparency,
                    note=f"{SAME} {note_on(task.model, image, weights, grid, canvas)}",
                )
                for target in image.targets
            ]


class TransformerAttribution(OfTokens):
    """Multiply the attention weights of all blocks by their gradients, and propagate what is positive."""

    TITLE = "Transformer attribution"
    DESCRIPTION = "Which patches raise the score that is explained, by attention weights times their gradients."
    REFERENCE_LINK = "https://arxiv.org/abs/2103.15679"
    MISLEADS = (
        "It follows attention only, with the mean over heads, so what the dense layers do with a token is "
        "seen through gradients alone, and evidence against the class is dropped."
    )
    DOCUMENTATION = "visualizations/transformers#transformerattribution"

    @classmethod
    def passes(cls, model: Model, settings: AttentionSettings) -> float:
        """Return two forward passes, and per target one backward pass, which costs as much as two."""
        return 2.0 + 2 * targets_of(model)

    def make_visualization(self, task: Task[AttentionSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target."""
        grid = task.model.token_grid()
        canvas = canvas_on(task.model, grid)
        for image in task.inputs:
            task.progress(0, 1)
            weights, gradients = task.model.attention(image.array[None], image.targets)
            note = note_on(task.model, image, weights, grid, canvas)
            panels: list[Panel] = []
            for target, found in zip(image.targets, gradients, strict=True):
                values = gradient_attention([one[0] for one in weights], [one[0] for one in found], grid.readers)
                quantity = f"relevance ({target.score_quantity})"
                array, shown = canvas.draw(on_grid(values, grid)), task.settings.transparency
                panels.append(image.panel(target, array=array, quantity=quantity, transparency=shown, note=note))
                task.progress(len(panels), len(image.targets))
            yield panels


class AttnLRP(BaseVisualization[RelevanceSettings]):
    """Propagate the score back to the pixels by rules that conserve it, except for biases and the softmax."""

    FAMILY = FAMILY
    TITLE = "AttnLRP"
    DESCRIPTION = (
        "How much of the score that is explained comes from each part, propagated back by rules for attention."
    )
    REFERENCE_LINK = "https://arxiv.org/abs/2402.05602"
    MISLEADS = (
        "Pixels of 0 get nothing, biases and the softmax keep a share, and single pixels are noisy where "
        "the gradient is."
    )
    DOCUMENTATION = "visualizations/transformers#attnlrp"
    ALLOWED_SETTINGS = RelevanceSettings
    NEEDS = NEEDS

    @classmethod
    def passes(cls, model: Model, settings: RelevanceSettings) -> float:
        """Return two forward passes, and per target one backward pass, which costs as much as two."""
        return 2.0 + 2 * targets_of(model)

    def make_visualization(self, task: Task[RelevanceSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target."""
        grid = placed(task.model) if task.settings.cells == "patches" else None
        for image in task.inputs:
            task.progress(0, 1)
            (found,) = task.model.relevance(image.array[None], image.targets).sum(axis=-1)
            score = task.model.scores(image.array[None], image.targets)[0]
            yield [
                image.panel(
                    target,
                    array=canvas_on(task.model, grid).draw(by_cell(pixels, grid)) if grid else pixels,
                    quantity=f"relevance ({target.score_quantity})",
                    signed=True,
                    transparency=task.settings.transparency,
                    note=SUM.format(pixels.sum(), whole),
                    noise=rounding(float(whole), target.scale) / pixels.size,
                )
                for target, pixels, whole in zip(image.targets, found, score, strict=True)
            ]


def placed(model: Model) -> TokenGrid | None:
    """Return the grid of the tokens of a model, if their place is known."""
    try:
        grid = model.token_grid()
    except ModelError:
        return None
    return grid if grid.place else None


def canvas_on(model: Model, grid: TokenGrid) -> Canvas:
    """Return the area of the model's view that a grid of tokens covers."""
    height, width, _ = model.input_shape
    return Canvas(Layer("tokens", (grid.height, grid.width, 1), place=grid.place), (height, width))


def on_grid(values: np.ndarray, grid: TokenGrid) -> Array:
    """Return values of tokens ``(T,)`` as a map ``(h, w)``."""
    return np.asarray(grid.maps(values[None, :, None])[0, :, :, 0], np.float32)


def note_on(model: Model, image: Input, weights: Sequence[Array], grid: TokenGrid, canvas: Canvas) -> str:
    """Return the sentences below a map of attention."""
    heads, others = weights[0].shape[1], grid.count - grid.height * grid.width
    beside = f" and {others} more" if others else ""
    said = f"{len(weights)} blocks of {heads} heads, {grid.height} x {grid.width} tokens{beside}."
    maps = model.feature_maps(image.array[None])[0] if Capability.FEATURE_MAPS in model.capabilities else None
    return " ".join(filter(None, [said, canvas.note, outlier_note(model, maps)]))
