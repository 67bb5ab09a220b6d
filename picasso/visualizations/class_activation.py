"""What class activation maps have in common: a layer's feature maps, weighted for each class."""

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
    """How any class activation map is shown."""

    rectified: bool = toggle(True, help="Whether to show only what speaks for the class, and 0 elsewhere (ReLU).")
    transparency: float = choice(0.5, 0.25, 0.0, 0.75, help="How strongly the image shows through.", digits=2)

    @property
    def sentence(self) -> str:
        """How to read the maps."""
        if self.rectified:
            return "Bright places speak for the class; what speaks against it is not shown."
        return "Red places speak for the class, blue ones against it."

    def panel(self, prediction: Prediction, evidence: Array, canvas: Canvas, **attributes: Any) -> Panel:
        """Return the panel of a class for a layer's map ``(h, w)`` with its sign, drawn where its cells lie."""
        array = canvas.draw(np.maximum(evidence, 0) if self.rectified else evidence)
        attributes = {"signed": not self.rectified, "transparency": self.transparency, **attributes}
        attributes["note"] = " ".join(filter(None, [attributes.get("note"), canvas.note]))
        return Panel.of_class(prediction, array=np.asarray(array, np.float32), **attributes)


@dataclass(frozen=True)
class LayerMapSettings(MapSettings):
    """Settings of the class activation maps of any layer."""

    layer: str = layer(help="The layer whose feature maps are weighted; the last one before the head is the default.")


def canvas_of(model: Model, name: str) -> Canvas:
    """Return where the maps of a layer are drawn on the image as the model sees it."""
    height, width, _ = model.input_shape
    return Canvas(next(layer for layer in model.layers() if layer.name == name), (height, width))


class ClassActivation(BaseVisualization[LayerMapSettings]):
    """A method that makes a map from feature maps and their gradients; a new one says how in :meth:`weigh`."""

    FAMILY = "Class activation"
    ALLOWED_SETTINGS = LayerMapSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.FEATURE_MAPS})

    @staticmethod
    @abstractmethod
    def weigh(maps: Array, gradients: Array) -> Array:
        """Return the evidence for a class at each place, ``(h, w)``, with its sign.

        Args:
            maps: the feature maps ``A`` of one image, ``(h, w, c)``.
            gradients: ``d logit / d A`` for one class, ``(h, w, c)``.
        """

    @classmethod
    def describe(cls, settings: LayerMapSettings) -> str:
        """Say whether what speaks against a class is shown."""
        return f"{cls.DESCRIPTION} {settings.sentence}"

    @classmethod
    def passes(cls, model: Model, settings: LayerMapSettings) -> float:
        """Return one pass for the feature maps, and for each class one there and back."""
        return 1.0 + 3 * model.top_probs

    def make_visualization(self, task: Task[LayerMapSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per class, as large as the feature maps are where they cover the image."""
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
                note = f"Layer {name}, {maps.shape[0]} x {maps.shape[1]} places."
                panels.append(task.settings.panel(prediction, evidence, canvas, quantity="evidence (logit)", note=note))
                task.progress(done, len(image.predictions))
            yield panels
