"""The images that can be read among many, as batches of inputs of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from picasso.errors import ModelError, PicassoError
from picasso.explanation.inputs import Source, image_from
from picasso.models.arrays import Array
from picasso.models.base import Model

#: The width and height of an image, or None if the model's class opens images itself.
Size = tuple[int, int] | None


class Batch(NamedTuple):
    """Some images.

    Attributes:
        indices: their positions.
        inputs: the inputs of the model, ``(n, H, W, C)``.
        sizes: the width and height of each image.
    """

    indices: list[int]
    inputs: Array
    sizes: list[Size]


def batches(
    model: Model, sources: Sequence[Source], unreadable: list[str], names: Sequence[str | None] | None = None
) -> Iterator[Batch]:
    """Yield the images that can be read, at most :attr:`~picasso.models.base.Model.batch_size` at once.

    Args:
        model: the model.
        sources: single images; see :func:`picasso.explanation.inputs.expand`.
        unreadable: a message is added for each image that can't be read.
        names: their names, for messages; None for those that are no files. By default, the last parts of their paths.

    Raises:
        ModelError: the model fails, or no image can be read.

    Examples:
        >>> import numpy as np
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.explanation.walk import batches
        >>> model = BrightnessModel()
        >>> model.load()
        >>> messages = []
        >>> [batch.indices for batch in batches(model, [np.zeros((8, 8)), b"", np.eye(8)], messages)]
        [[0, 2]]
        >>> len(messages)
        1
    """
    readable = False
    for start in range(0, len(sources), model.batch_size):
        indices, inputs, sizes = list[int](), list[Array](), list[Size]()
        for index in range(len(sources))[start : start + model.batch_size]:
            try:
                image = image_from(sources[index], index, names[index] if names else None, model).image
            except PicassoError as error:
                unreadable.append(str(error))
                continue
            # Preprocessed here, so that only one image at a time is in memory at full size.
            inputs.append(model.inputs_of([image])[0])
            indices.append(index)
            sizes.append(image.size if isinstance(image, Image.Image) else None)
        if indices:
            readable = True
            yield Batch(indices, np.stack(inputs), sizes)
    if sources and not readable:
        raise ModelError(f"None of the {len(sources)} images can be read: {unreadable[0]}")
