"""The base of class activation maps: the feature maps of a layer, weighted for each class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picasso.attribution.placement import Canvas
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Prediction
from picasso.visualizations import (
    BaseVisualization,
    Capability,
    Panel,
    Task,
    VisualizationSettings,
    choice,
    layer,
    toggle,
)


@dataclass(frozen=True)
class MapSettings(VisualizationSettings):
    """Display settings of all class activation maps."""

    rectified: bool = toggle(True, help="Show only evidence for the class, and 0 elsewhere (ReLU).")
    transparency: float = choice(0.5, 0.25, 0.0, 0.75, help="How strongly the image shows through.", digits=2)

    @property
    def sentence(self) -> str:
        """The sentence on how to read the maps."""
        if self.rectified:
            return "Bright regions are evidence for the class; evidence against it is not shown."
        return "Red regions are evidence for the class, blue regions are evidence against it."

    def panel(self, prediction: Prediction, evidence: Array, canvas: Canvas, **attributes: Any) -> Panel:
        """Return the panel of a class for a layer's signed map ``(h, w)``, aligned with the image."""
        array = canvas.draw(np.maximum(evidence, 0) if self.rectified else evidence)
        attributes = {"signed": not self.rectified, "transparency": self.transparency, **attributes}
        attributes["note"] = " ".join(filter(None, [attributes.get("note"), canvas.note]))
        return Panel.of_class(prediction, array=np.asarray(array, np.float32), **attributes)


@dataclass(frozen=True)
class LayerMapSettings(MapSettings):
    """Settings of class activation maps that work for any layer."""

    layer: str = layer(help="The layer whose feature maps are weighted. Default: the last one before the head.")


def canvas_of(model: Model, name: str) -> Canvas:
    """Return the area of the model's view that the maps of a layer cover."""
    height, width, _ = model.input_shape
    return Canvas(next(layer for layer in model.layers() if layer.name == name), (height, width))


class ClassActivation(BaseVisualization[LayerMapSettings]):
    """Base class of methods that combine feature maps and their gradients; derived classes define :meth:`weigh`."""

    FAMILY = "Class activation"
    ALLOWED_SETTINGS = LayerMapSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.FEATURE_MAPS})

    @staticmethod
    @abstractmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return the signed evidence for a class at each position, ``(h, w)``.

        Args:
            maps: the feature maps ``A`` of one image, ``(h, w, c)``.
            gradients: ``d logit / d A`` for one class, ``(h, w, c)``.
        """

    @classmethod
    def describe(cls, settings: LayerMapSettings) -> str:
        """Add whether evidence against the class is shown."""
        return f"{cls.DESCRIPTION} {settings.sentence}"

    @classmethod
    def passes(cls, model: Model, settings: LayerMapSettings) -> float:
        """Return one pass for the feature maps, and one forward and backward pass for each class."""
        return 1.0 + 3 * model.top_probs

    def make_visualization(self, task: Task[LayerMapSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per class, with the resolution of the feature maps where they cover the image."""
        name = task.model.layer(task.settings.layer or None)
        canvas = canvas_of(task.model, name)
        for image in task.inputs:
            task.progress(0, 1)
            inputs, panels = image.array[None], []
            (maps,) = task.model.feature_maps(inputs, name)
            # One class at a time: the maps of early layers are large.
            for done, prediction in enumerate(image.predictions, 1):
                (gradients,) = task.model.feature_gradients(inputs, [prediction["index"]], name)
                evidence = self.weigh(maps, gradients)
                note = f"Layer {name}, {maps.shape[0]} x {maps.shape[1]} positions."
                panels.append(task.settings.panel(prediction, evidence, canvas, quantity="evidence (logit)", note=note))
                task.progress(done, len(image.predictions))
            yield panels
