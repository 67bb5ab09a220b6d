"""The images that are looked at, batch by batch, and the layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from picasso.errors import BadRequest, ModelError, PicassoError
from picasso.explanation.inputs import Source, expand, image_from
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability, Layer

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


def batches(
    model: Model, sources: Sequence[Source], names: Sequence[str | None], unreadable: list[str]
) -> Iterator[tuple[list[int], Array]]:
    """Yield the images that can be read as batches of inputs, with their positions.

    Args:
        model: the model.
        sources: the images.
        names: their names, for messages; None for those that are no files.
        unreadable: a message is added for each image that can't be read.

    Raises:
        ModelError: no image can be read.
    """
    readable = False
    for start in range(0, len(sources), model.batch_size):
        indices, inputs = [], []
        for index in range(start, min(start + model.batch_size, len(sources))):
            try:
                image = image_from(sources[index], index, names[index], model).image
            except PicassoError as error:
                unreadable.append(str(error))
                continue
            # Preprocessed here, so that only one image at a time is in memory at full size.
            inputs.append(model.inputs_of([image])[0])
            indices.append(index)
        if indices:
            readable = True
            yield indices, np.stack(inputs)
    if not readable:
        raise ModelError(f"None of the {len(sources)} images can be read: {unreadable[0]}")


def require_finite(values: Array, what: str) -> None:
    """Raise ModelError if some values are NaN or infinite.

    Args:
        values: the values.
        what: what they are, as the start of a sentence.
    """
    if not np.isfinite(values).all():
        raise ModelError(f"{what} is not a finite number for each image, so there is nothing to compare.")
