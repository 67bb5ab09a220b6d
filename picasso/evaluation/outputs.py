"""The outputs of a model for the images in files, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from picasso.errors import ModelError, PicassoError
from picasso.explanation.inputs import image_from
from picasso.models.arrays import Array
from picasso.models.base import Model

#: Called with the finished fraction, 0..1.
Progress = Callable[[float], None]
#: The width and height of an image, or None if the model's class opens images itself.
Size = tuple[int, int] | None


def outputs_of(
    model: Model, files: Sequence[Path], unreadable: list[str], progress: Progress = lambda fraction: None
) -> Iterator[tuple[int, Array, Size]]:
    """Yield the index of each image, the output of the model for it, ``spec.shape``, and its size.

    Args:
        model: the model.
        files: the images.
        unreadable: a message is added for each image that can't be read.
        progress: called with the finished fraction.

    Raises:
        ModelError: the model fails, or no image can be read.
    """
    readable = False
    for start in range(0, len(files), model.batch_size):
        indices, inputs, sizes = [], [], list[Size]()
        for index in range(len(files))[start : start + model.batch_size]:
            try:
                image = image_from(files[index], 0, model=model).image
            except PicassoError as error:
                unreadable.append(str(error))
                continue
            # Preprocessed here, so that only one image at a time is in memory at full size.
            inputs.append(model.inputs_of([image])[0])
            indices.append(index)
            sizes.append(image.size if isinstance(image, Image.Image) else None)
        if inputs:
            readable = True
            for index, output, size in zip(indices, model.predict(np.stack(inputs)), sizes, strict=True):
                yield index, output, size
                progress((index + 1) / len(files))
    if files and not readable:
        raise ModelError(f"None of the {len(files)} images can be read: {unreadable[0]}")
