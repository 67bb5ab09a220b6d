"""Operations that enlarge, shrink or repeat a map along its axes: which places of the input each place reads.

Nearest-neighbour and linear resizing, repetition of rows and columns, and the zeros that a transposed convolution
inserts between values are separable and linear. So each is described by one matrix for the rows and one for the
columns, of which only the few nonzero entries of each place are stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.tf.runtime import tf

RESIZES = {"ResizeNearestNeighbor", "ResizeBilinear", "ResizeBicubic"}
# Weights below this are rounding errors.
NOTHING = 1e-7


@dataclass(frozen=True)
class Samples:
    """What each place along one axis reads: a weighted sum of a few places of the input.

    Attributes:
        places: the places of the input, ``(L, t)``, in increasing order.
        weights: their weights, ``(L, t)``.
    """

    places: NDArray[np.int32]
    weights: NDArray[np.float32]

    @property
    def copies(self) -> bool:
        """Whether each place is a copy of one place of the input."""
        return self.places.shape[1] == 1 and bool((self.weights == 1).all())

    @classmethod
    def of(cls, matrix: NDArray[np.floating]) -> Samples:
        """Return the nonzero entries of a matrix ``(L, l)``; each row has as many places as the row with the most."""
        counted = np.abs(matrix) > NOTHING
        taps, length = max(1, int(counted.sum(axis=1).max())), matrix.shape[1]
        # Neighbouring places without weight fill up the others.
        first = np.where(counted.any(axis=1), counted.argmax(axis=1), -1)
        # A row of zeros reads the place of the row before it, with weight 0.
        first = np.maximum.accumulate(np.maximum(first, 0))
        last = np.where(counted.any(axis=1), length - 1 - counted[:, ::-1].argmax(axis=1), first)
        taps = max(taps, int((last - first).max()) + 1)
        places = np.clip(first, 0, length - taps)[:, None] + np.arange(taps)
        weights = np.take_along_axis(matrix, places, axis=1)
        return cls(places.astype(np.int32), weights.astype(np.float32))


def resized(operation: Any, sides: Sequence[int]) -> tuple[Samples, Samples]:
    """Return the samples of the rows and columns of a resize operation, by resizing unit vectors.

    Args:
        operation: an operation of a type in :data:`RESIZES`.
        sides: the height and width of its output.
    """
    resize = getattr(tf.raw_ops, operation.type)
    options = {name: operation.get_attr(name) for name in ("align_corners", "half_pixel_centers")}
    found = []
    for length, wanted in zip(operation.inputs[0].shape.as_list()[1:3], sides, strict=True):
        # One channel for each place of the input.
        units = tf.constant(np.eye(length, dtype=np.float32)[None, :, None, :])
        matrix = resize(images=units, size=[wanted, 1], **options)[0, :, 0, :].numpy()
        found.append(Samples.of(matrix))
    return found[0], found[1]


def repeated(length: int, factor: int) -> Samples:
    """Return the samples of an axis whose places are repeated ``factor`` times."""
    return Samples.of(np.repeat(np.eye(length), factor, axis=0))


def spread(length: int, stride: int, before: int, total: int) -> Samples:
    """Return the samples of an axis with ``stride - 1`` zeros between its values.

    Args:
        length: the number of values.
        stride: the distance between values.
        before: the number of zeros before the first value.
        total: the length of the result.
    """
    matrix = np.zeros((total, length))
    matrix[before + stride * np.arange(length), np.arange(length)] = 1
    return Samples.of(matrix)


@dataclass(frozen=True)
class Repetition:
    """The repetition of rows or columns, which Keras builds from three operations.

    Attributes:
        source: the tensor whose places are repeated.
        axis: 1 for rows, 2 for columns.
        factor: how often each is repeated.
        hidden: the operations between ``source`` and the result.
    """

    source: Any
    axis: int
    factor: int
    hidden: tuple[Any, ...]


def repetition(operation: Any, values: Mapping[str, Any]) -> Repetition | None:
    """Return what ``tf.repeat`` does if an operation is its last one, or None.

    It inserts an axis of length 1 behind the repeated one, tiles it, and joins the two axes by reshaping.

    Args:
        operation: any operation.
        values: the values of the tensors that do not depend on the image, by name.
    """
    if operation.type != "Reshape" or operation.inputs[0].op.type != "Tile":
        return None
    tile = operation.inputs[0].op
    expand = tile.inputs[0].op
    if expand.type != "ExpandDims" or not {tile.inputs[1].name, expand.inputs[1].name} <= values.keys():
        return None
    source, result = expand.inputs[0].shape, operation.outputs[0].shape
    multiples = np.ravel(values[tile.inputs[1].name].numpy()).tolist()
    at = int(values[expand.inputs[1].name].numpy()) % (source.rank + 1)
    if source.rank != 4 or result.rank != 4 or at not in (2, 3) or multiples[:at] + multiples[at + 1 :] != [1] * 4:
        return None
    axis, factor = at - 1, int(multiples[at])
    expected = source.as_list()
    if None in expected[1:]:
        return None
    expected[axis] *= factor
    known = result.as_list()[1:] == expected[1:]
    return Repetition(expand.inputs[0], axis, factor, (expand, tile)) if known else None
