"""The description of a model for pages, the API and results, with what had to be guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picasso.models import provenance
from picasso.models.info import ModelInfo
from picasso.models.preprocessing import guess
from picasso.targets import Classification, MultiLabel

if TYPE_CHECKING:
    from picasso.models.base import Model


def card(model: Model) -> ModelInfo:
    """Return the description of a model."""
    return ModelInfo(
        name=type(model).__name__,
        framework=model.framework,
        format=model.format or model.framework,
        checkpoint=model.checkpoint,
        checkpoint_time=model.checkpoint_time,
        input_shape=model.input_shape,
        classes=model.num_classes,
        capabilities=tuple(sorted(capability.value for capability in model.capabilities)),
        output=model.output_found,
        logits=model.logits_found,
        preprocessing=model.describe_preprocessing(),
        notes=model.notes + model.warnings(),
        fingerprint=model.fingerprint,
        versions=provenance.versions(),
        task=model.spec.as_dict(),
        guessed=model.guessed(),
        precision=model.precision,
    )


def guessed(model: Model) -> dict[str, str]:
    """Return what neither the files nor the user state, each with a note that says how to settle it."""
    guesses = {"value range": guess()} if guesses_values(model) else {}
    # If the class decides about the task, its note is no guess.
    if model.spec.note and model.reads_task and not hasattr(model, "decode_boxes"):
        # The note of a classifier is about the kind of its scores.
        known = model.task or (isinstance(model.spec, Classification) and not isinstance(model.spec, MultiLabel))
        guesses["meaning of the output" if known else "task"] = model.spec.note
    return guesses


def guesses_values(model: Model) -> bool:
    """Tell whether nothing states the range of pixel values."""
    return not model.preprocessing.values and model.preprocesses_by_name()
