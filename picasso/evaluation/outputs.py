"""The outputs of a model for the images in files, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from picasso.explanation.walk import Size as Size
from picasso.explanation.walk import batches
from picasso.models.arrays import Array
from picasso.models.base import Model

#: Called with the finished fraction, 0..1.
Progress = Callable[[float], None]


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
    for indices, inputs, sizes in batches(model, files, unreadable):
        for index, output, size in zip(indices, model.predict(inputs), sizes, strict=True):
            yield index, output, size
            progress((index + 1) / len(files))
