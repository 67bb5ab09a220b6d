"""Class activation maps: a layer's feature maps, weighted by their gradients for a target and summed over channels.

The methods differ only in the weights. This module also contains their base class, and the settings and
functions that they share with CAM and Score-CAM.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picasso.attribution.attention import STANDS_OUT, standing_out
from picasso.attribution.placement import Canvas
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
    layer,
    toggle,
)
from picasso.visualizations.base import targets_of
from picasso.visualizations.settings import see_through

OUTLIERS = (
    f"{{}} a norm of more than {STANDS_OUT:.0f} times the median: such tokens may hold information on the whole image "
    "instead of their patch (Darcet et al., arXiv 2309.16588), so their cells say little about their place."
)


@dataclass(frozen=True)
class MapSettings(VisualizationSettings):
    """Display settings of all class activation maps."""

    rectified: bool = toggle(True, help="Show only what raises the score, and 0 elsewhere (ReLU).")
    transparency: float = see_through()

    @property
    def sentence(self) -> str:
        """A sentence for the user on how to read the maps."""
        if self.rectified:
            return "Warm regions raise the score (of a class: its logit); what lowers it is not shown."
        return "Warm regions raise the score (of a class: its logit), cool regions lower it."

    def panel(self, image: Input, target: Target, evidence: Array, canvas: Canvas, **attributes: Any) -> Panel:
        """Return the panel of a target for a layer's signed map ``(h, w)``, aligned with the image."""
        array = canvas.draw(np.maximum(evidence, 0) if self.rectified else evidence)
        attributes = {"signed": not self.rectified, "transparency": self.transparency, **attributes}
        attributes["note"] = " ".join(filter(None, [attributes.get("note"), canvas.note]))
        return image.panel(target, array=np.asarray(array, np.float32), **attributes)


@dataclass(frozen=True)
class LayerMapSettings(MapSettings):
    """Settings of class activation maps that work for any layer."""

    layer: str = layer(help="The layer whose feature maps are weighted. Default: the last one before the head.")


def outlier_note(model: Model, maps: Array | None) -> str:
    """Return a sentence if a few tokens of a transformer have norms far above those of the rest, else "".

    Args:
        model: the model.
        maps: the feature maps of a late layer for one image, ``(h, w, c)``, or None.
    """
    count = standing_out(maps) if maps is not None and Capability.ATTENTION in model.capabilities else 0
    return OUTLIERS.format(f"{count} tokens have" if count > 1 else "One token has") if count else ""


def canvas_of(model: Model, name: str) -> Canvas:
    """Return the area of the model's view that the maps of a layer cover."""
    height, width, _ = model.input_shape
    return Canvas(next(layer for layer in model.layers() if layer.name == name), (height, width))


class ClassActivation(BaseVisualization[LayerMapSettings]):
    """Base class of methods that combine feature maps and their gradients; derived classes define :meth:`weigh`.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.visualizations.class_activation import ClassActivation
        >>> class Activity(ClassActivation):
        ...     DESCRIPTION = "The sum of the feature maps, whatever the class."
        ...
        ...     @staticmethod
        ...     def weigh(maps, gradients):
        ...         return maps.sum(axis=-1)
        >>> model = BrightnessModel()
        >>> model.load()
        >>> (result,) = picasso.explain(model, np.eye(8), Activity, classes="dark")
        >>> result.panels[0].array[0, :2].tolist()
        [1.0, 0.0]
    """

    FAMILY = "Class activation"
    ALLOWED_SETTINGS = LayerMapSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.FEATURE_MAPS})

    @staticmethod
    @abstractmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return the signed evidence for a target at each position, ``(h, w)``.

        Args:
            maps: the feature maps ``A`` of one image, ``(h, w, c)``.
            gradients: ``d score / d A`` for one target, ``(h, w, c)``.
        """

    @classmethod
    def describe(cls, settings: LayerMapSettings) -> str:
        """Return the description of the method, followed by a sentence on how to read the maps."""
        return f"{cls.DESCRIPTION} {settings.sentence}"

    @classmethod
    def passes(cls, model: Model, settings: LayerMapSettings) -> float:
        """Return one forward pass, and per target one backward pass, which costs at most as much as two."""
        return 1.0 + 2 * targets_of(model)

    def make_visualization(self, task: Task[LayerMapSettings]) -> Iterator[Sequence[Panel]]:
        """Yield the maps of each image, one per target, ``(h, w)`` as the feature maps if these cover the image."""
        name = task.model.layer(task.settings.layer or None)
        canvas = canvas_of(task.model, name)
        for image in task.inputs:
            task.progress(0, 1)
            panels: list[Panel] = []
            (maps,), found = task.model.features(image.array[None], image.targets, name)
            outliers = outlier_note(task.model, maps)
            for done, (target, (gradients,)) in enumerate(zip(image.targets, found, strict=True), 1):
                evidence = self.weigh(maps, gradients)
                note = f"Layer {name}, {maps.shape[0]} x {maps.shape[1]} positions. {outliers}".rstrip()
                quantity = f"evidence ({target.score_quantity})"
                panels.append(task.settings.panel(image, target, evidence, canvas, quantity=quantity, note=note))
                task.progress(done, len(image.targets))
            yield panels


class GradCAM(ClassActivation):
    """Weight each channel by the mean of its gradient: equations 1 and 2 of the paper.

    Selvaraju et al., *Grad-CAM: visual explanations from deep networks via gradient-based localization*,
    arXiv 1610.02391.
    """

    TITLE = "Grad-CAM"
    DESCRIPTION = "Which coarse regions raise the score that is explained, from any convolutional layer."
    REFERENCE_LINK = "https://arxiv.org/abs/1610.02391"
    MISLEADS = (
        "Gradients are averaged over the image, so it may highlight positions that do not raise the score, "
        "and several objects may appear as one."
    )
    DOCUMENTATION = "visualizations/class-activation#gradcam"

    @staticmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return ``sum over c of A_c * mean(G_c)``."""
        return np.asarray(maps @ gradients.mean(axis=(0, 1)))


class GradCAMPlusPlus(ClassActivation):
    """Weight each channel by its positive gradients, each multiplied by its share ``alpha``.

    As in the paper, the score is the exponential of the logit, and higher derivatives of the logit are taken as 0. So
    the derivatives of the score are powers of the logit's gradient, times the score: a constant factor, left out here.

    Chattopadhay et al., *Grad-CAM++: improved visual explanations for deep convolutional networks*, arXiv 1710.11063.
    """

    TITLE = "Grad-CAM++"
    DESCRIPTION = "Like Grad-CAM, but several objects, and small parts of them, are all highlighted."
    REFERENCE_LINK = "https://arxiv.org/abs/1710.11063"
    MISLEADS = "Negative gradients are ignored, so it may highlight parts that are evidence against the class."
    DOCUMENTATION = "visualizations/class-activation#gradcamplusplus"

    @staticmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return ``sum over c of A_c * sum(alpha * relu(G_c))``, alpha = G^2 / (2 G^2 + G^3 sum(A_c))."""
        squares = gradients**2
        denominator = 2 * squares + squares * gradients * maps.sum(axis=(0, 1))
        # Where the denominator is 0, as for a gradient of 0, alpha is 0.
        alpha = np.divide(squares, denominator, out=np.zeros_like(squares), where=denominator != 0)
        return np.asarray(maps @ (alpha * np.maximum(gradients, 0)).sum(axis=(0, 1)))


class HiResCAM(ClassActivation):
    """Multiply every value by its gradient and sum over the channels.

    Draelos & Carin, *Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks*,
    arXiv 2011.08891.
    """

    TITLE = "HiResCAM"
    DESCRIPTION = "Like Grad-CAM, but faithful at each position: gradients are not averaged over the image."
    REFERENCE_LINK = "https://arxiv.org/abs/2011.08891"
    MISLEADS = (
        "At early layers the gradient is noisy from position to position, and a cell depends on more of the "
        "image than its area."
    )
    DOCUMENTATION = "visualizations/class-activation#hirescam"

    @staticmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return ``sum over c of A_c * G_c``."""
        return np.asarray((maps * gradients).sum(axis=-1))


class LayerCAM(ClassActivation):
    """Multiply every value by its positive gradient and sum over the channels.

    Jiang et al., *LayerCAM: exploring hierarchical class activation maps for localization*, IEEE Transactions on Image
    Processing 30 (2021), doi 10.1109/TIP.2021.3089943.
    """

    TITLE = "LayerCAM"
    DESCRIPTION = "Like Grad-CAM, but also for early layers: finer maps of what raises the score."
    REFERENCE_LINK = "https://doi.org/10.1109/TIP.2021.3089943"
    MISLEADS = (
        "Evidence against the class is dropped, and early layers highlight edges that are active for every class."
    )
    DOCUMENTATION = "visualizations/class-activation#layercam"

    @staticmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return ``sum over c of A_c * relu(G_c)``."""
        return np.asarray((maps * np.maximum(gradients, 0)).sum(axis=-1))
