"""What the output of a model means, and what one can ask about it: one module for each kind of output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picasso.targets.base import Context, OutputSpec, OutputTask, Target, Wanted
from picasso.targets.classification import Classification, ClassLogit, Contrast, MultiLabel, as_target
from picasso.targets.detection import Box, Detection
from picasso.targets.embedding import Embedding, Similarity
from picasso.targets.predictions import Prediction, amount, as_prediction, phrase
from picasso.targets.regression import Regression, Value
from picasso.targets.segmentation import MaskedMean, Segmentation

__all__ = [
    "Box",
    "ClassLogit",
    "Classification",
    "Context",
    "Contrast",
    "Detection",
    "Embedding",
    "MaskedMean",
    "MultiLabel",
    "OutputSpec",
    "OutputTask",
    "Prediction",
    "Regression",
    "Segmentation",
    "Similarity",
    "Target",
    "Value",
    "Wanted",
    "amount",
    "as_prediction",
    "as_target",
    "boxes",
    "changes",
    "class_names",
    "decoders",
    "phrase",
    "predictions",
    "spec_from",
]

SPECS: dict[OutputTask, type[OutputSpec]] = {
    cls.task: cls for cls in (Classification, MultiLabel, Regression, Segmentation, Detection, Embedding)
}


def spec_from(document: Mapping[str, Any]) -> OutputSpec:
    """Rebuild a specification from :meth:`OutputSpec.as_dict`.

    Examples:
        >>> from picasso.targets import Regression, spec_from
        >>> spec_from(Regression((1,), unit="years").as_dict())
        Regression(shape=(1,), activation='', unit='years', note='')
    """
    values: dict[str, Any] = {key: hashable(value) for key, value in document.items()}
    return SPECS[OutputTask(values.pop("task"))](**values)


def hashable(value: Any) -> Any:
    """Return a value with lists as tuples, at every depth."""
    return tuple(map(hashable, value)) if isinstance(value, list) else value
