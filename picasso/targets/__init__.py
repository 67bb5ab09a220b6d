"""What the output of a model means, and what one can ask about it: one module for each kind of output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picasso.targets.base import Context, OutputSpec, OutputTask, Target, Wanted
from picasso.targets.classification import Classification, ClassLogit, Contrast, MultiLabel, as_target
from picasso.targets.embedding import Embedding, Similarity
from picasso.targets.predictions import Prediction, amount, as_prediction, phrase
from picasso.targets.regression import Regression, Value
from picasso.targets.segmentation import MaskedMean, Segmentation

__all__ = [
    "ClassLogit",
    "Classification",
    "Context",
    "Contrast",
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
    "class_names",
    "phrase",
    "predictions",
    "spec_from",
]

SPECS: dict[OutputTask, type[OutputSpec]] = {
    cls.task: cls for cls in (Classification, MultiLabel, Regression, Segmentation, Embedding)
}


def spec_from(document: Mapping[str, Any]) -> OutputSpec:
    """Rebuild a specification from :meth:`OutputSpec.as_dict`.

    Examples:
        >>> from picasso.targets import Regression, spec_from
        >>> spec_from(Regression((1,), unit="years").as_dict())
        Regression(shape=(1,), activation='', unit='years', note='')
    """
    tuples = {key: tuple(value) for key, value in document.items() if isinstance(value, list)}
    values: dict[str, Any] = {**document, **tuples}
    return SPECS[OutputTask(values.pop("task"))](**values)
