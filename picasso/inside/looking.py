"""The images that are looked at, the layer, and the change of a channel."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from picasso.errors import BadRequest, ModelError
from picasso.explanation.inputs import Source, expand
from picasso.models import Edit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability, Layer
from picasso.targets import Classification, OutputSpec

# The largest whole number of an argument: the largest random seed of the factorization.
MAX_WHOLE = 2**32 - 1

#: Called with the finished fraction, 0..1.
Progress = Callable[[float], None]


def silently(fraction: float) -> None:
    """Report no progress."""


def looked_at(model: Model, layer: str | None) -> Layer:
    """Return a layer of a model, by default the last one before the head.

    Raises:
        ModelError: the model has no feature maps, or no such layer.
    """
    if Capability.FEATURE_MAPS not in model.capabilities:
        raise ModelError(f"The model {type(model).__name__} has no feature maps, so it has no channels to look at.")
    name = model.layer(layer)
    return next(one for one in model.layers() if one.name == name)


def given(images: Any, model: Model) -> list[Source]:
    """Return single images.

    Raises:
        BadRequest: there are none.
    """
    sources = list(expand(images, model))
    if not sources:
        raise BadRequest("There are no images. Give some files, or a folder of images.")
    return sources


def class_of(spec: OutputSpec, names: Sequence[str], target: str | int | None) -> int | None:
    """Return the index of the class whose concepts are wanted, by name or index; None for all images.

    Args:
        spec: what the output of the model means.
        names: the names of the classes.
        target: the name or index of the class, or None.

    Raises:
        BadRequest: there is no such class, or the model predicts none.
    """
    if target is None:
        return None
    if not isinstance(spec, Classification):
        raise BadRequest("Only classifiers have concepts of a class; leave the class out.", field="target")
    (wanted,) = spec.parse([target], names)
    if not isinstance(wanted, int):
        raise BadRequest(f"{target} names two classes; name one.", field="target")
    return wanted


def change_of(layer: Layer, channel: int, scale: float | None, value: float | None) -> Edit:
    """Return the change of a channel; without a factor and a value, it is switched off.

    Raises:
        ModelError: there is no such channel, or both are given.
    """
    edit = Edit(layer.name, [channel], scale=0.0 if scale is None and value is None else scale, value=value)
    edit.coefficients(layer.shape[-1])
    return edit


def require_whole(name: str, number: int, least: int, most: int = MAX_WHOLE) -> None:
    """Raise BadRequest if an argument is not a whole number from ``least`` to ``most``."""
    try:
        valid = not isinstance(number, bool) and least <= operator.index(number) <= most
    except TypeError:
        valid = False
    if not valid:
        raise BadRequest(f"{name} must be a whole number from {least} to {most}, not {number}.")


def require_finite(values: Array, what: str) -> None:
    """Raise ModelError if some values are NaN or infinite.

    Args:
        values: the values.
        what: what they are, as the start of a sentence.
    """
    if not np.isfinite(values).all():
        raise ModelError(f"{what} is not a finite number for each image, so there is nothing to compare.")
