"""How well a model of each task does on a folder of images with truth: one module for each task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from picasso.evaluation.measured import Measured
from picasso.evaluation.measures import (
    classification,
    detection,
    embedding,
    multi_label,
    regression,
    segmentation,
)
from picasso.evaluation.outputs import Progress
from picasso.models.base import Model
from picasso.targets import OutputTask

__all__ = ["measure"]

MEASURES: dict[OutputTask, Callable[[Model, Path, Progress], Measured]] = {
    OutputTask.CLASSIFICATION: classification.measure,
    OutputTask.MULTI_LABEL: multi_label.measure,
    OutputTask.REGRESSION: regression.measure,
    OutputTask.SEGMENTATION: segmentation.measure,
    OutputTask.DETECTION: detection.measure,
    OutputTask.EMBEDDING: embedding.measure,
}


def measure(model: Model, folder: Path, progress: Progress) -> Measured:
    """Return how well a model does on a folder.

    Args:
        model: the model.
        folder: the images and their truth, as :mod:`picasso.evaluation.truth` reads it; folders named after the
            classes for a classifier, and one folder for each class for an embedding.
        progress: called with the finished fraction, 0..1.

    Raises:
        BadRequest: the folder does not fit the model.
        ModelError: the model fails, or no image can be read.
    """
    return MEASURES[model.spec.task](model, folder, progress)
