"""CAM: if pooling and a dense layer follow the last feature maps, the score is a sum over positions.

Zhou et al., *Learning deep features for discriminative localization*, arXiv 1512.04150.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import OutputTask
from picasso.visualizations import BaseVisualization, Capability, Panel, Task
from picasso.visualizations.base import targets_of
from picasso.visualizations.class_activation import MapSettings, canvas_of, outlier_note

# The tolerance for equal gradients at all positions, relative to the largest: rounding.
TOLERANCE = 1e-3
UNSUITABLE = "needs a model that ends in global average pooling and one dense layer; use HiResCAM instead."


class CAM(BaseVisualization[MapSettings]):
    """Weight each channel by the dense layer's weight for the class.

    The weight is read from the gradient, so it does not matter how the model was written: behind average pooling
    over ``n`` places, ``d logit / d A_c`` is ``w_c / n`` at each of them, whatever the image.
    """

    FAMILY = "Class activation"
    TITLE = "CAM"
    DESCRIPTION = "How much each coarse region adds to the score that is explained, for models that end in pooling."
    REFERENCE_LINK = "https://arxiv.org/abs/1512.04150"
    MISLEADS = (
        "A position may depend on parts of the image outside its cell, and the map of an improbable class is "
        "as colourful as that of the best."
    )
    DOCUMENTATION = "visualizations/class-activation#cam"
    ALLOWED_SETTINGS = MapSettings
    TASKS = frozenset({OutputTask.CLASSIFICATION, OutputTask.MULTI_LABEL, OutputTask.REGRESSION})
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.FEATURE_MAPS})

    @classmethod
    def describe(cls, settings: MapSettings) -> str:
        """Add whether evidence against the target is shown."""
        return f"{cls.DESCRIPTION} {settings.sentence}"

    @classmethod
    def passes(cls, model: Model, settings: MapSettings) -> float:
        """Return one forward pass, and per target one backward pass, which costs at most as much as two."""
        return 1.0 + 2 * targets_of(model)

    @classmethod
    def unsuitable(cls, model: Model) -> str:
        """Compare very different inputs: the gradient must be the same at all positions of all of them."""
        height, width, _ = model.input_shape
        images = [Image.new("RGB", (width, height), paint) for paint in ("black", "white")]
        noise = np.random.default_rng(0).random((1, *model.input_shape), np.float32)
        # With one more layer, the gradient depends on the pooled values, which differ strongly between these inputs.
        inputs = np.concatenate([model.inputs_of(images), noise, -noise, 10 * noise])
        gradients = model.feature_gradients(inputs, [0] * len(inputs))
        return "" if constant(gradients.reshape(-1, gradients.shape[-1])) else UNSUITABLE

    def make_visualization(self, task: Task[MapSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one map per target; its mean is the logit minus the class's bias."""
        canvas = canvas_of(task.model, task.model.layer(None))
        for image in task.inputs:
            task.progress(0, 1)
            panels: list[Panel] = []
            (maps,), found = task.model.features(image.array[None], image.targets)
            for done, (target, (gradients,)) in enumerate(zip(image.targets, found, strict=True), 1):
                places = gradients.shape[0] * gradients.shape[1]
                evidence = maps @ (gradients.mean(axis=(0, 1)) * places)
                quantity = f"evidence ({target.score_quantity})"
                note = outlier_note(task.model, maps)
                panels.append(task.settings.panel(image, target, evidence, canvas, quantity=quantity, note=note))
                task.progress(done, len(image.targets))
            yield panels


def constant(gradients: Array) -> bool:
    """Tell whether all rows of ``(n, c)`` are equal up to rounding and not all 0."""
    largest = float(np.abs(gradients).max())
    return largest > 0 and bool(np.ptp(gradients, axis=0).max() <= TOLERANCE * largest)
