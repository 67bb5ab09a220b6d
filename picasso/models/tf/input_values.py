"""Detect the pixel values that a TensorFlow graph expects, from the first operations on its input.

Starting at the input, operations that move, scale or shift values are followed up to the first operation of another
kind. The results for a few constant images determine the total factor and offset, whatever the operations are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models import value_range
from picasso.models.tf.feature_layers import reach
from picasso.models.tf.runtime import tf

# Operations that do not change values, but only move, repeat or drop some. Their first inputs are the values.
MOVING = {
    "BatchToSpaceND", "Cast", "CheckNumerics", "ConcatV2", "CropAndResize", "DepthToSpace", "EnsureShape", "ExpandDims",
    "GatherV2", "Identity", "IdentityN", "Merge", "MirrorPad", "Pack", "Pad", "PadV2", "Reshape", "ResizeArea",
    "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "Reverse", "ReverseV2", "Roll", "ScaleAndTranslate",
    "Slice", "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Squeeze", "StopGradient", "StridedSlice", "Switch",
    "Transpose", "Unpack",
}  # fmt: skip
# Operations that scale or shift values.
AFFINE = {"Add", "AddV2", "BiasAdd", "Div", "Mul", "Neg", "RealDiv", "Sub"}
# Operations that clip values.
BOUNDING = {"ClipByValue", "Maximum", "Minimum"}
# Operations that use only the shape of their input.
SHAPES = {"Rank", "Shape", "ShapeN", "Size"}
# A batch normalization also scales and shifts, but by learned numbers, which are no evidence of the range. If
# TensorFlow decomposes it, the names of the parts contain this.
LEARNED = "batchnorm"

# The maximum number of branches of the first operations; more are not preprocessing.
MAX_TENSORS = 8

Evaluate = Callable[[Sequence[Any]], Sequence[NDArray[Any]]]


def find(inputs: Any, tensors: Sequence[Any], evaluate: Evaluate) -> str:
    """Return the value range implied by a graph's first operations on its input.

    Args:
        inputs: the input tensor.
        tensors: the result of :func:`behind_first_operations`.
        evaluate: returns the values of some tensors, each ``(3, ...)``, for three inputs filled with
            :data:`picasso.models.value_range.PROBES`.

    Returns:
        "0..255", "0..1" or "-1..1"; "" if the input is not scaled, or by numbers that imply no range.
    """
    # If another operation uses the input itself, it is not scaled.
    if not tensors or len(tensors) > MAX_TENSORS or any(tensor is inputs for tensor in tensors):
        return ""
    found = {value_range.of_values(np.asarray(values, np.float64)) for values in evaluate(tensors)}
    return found.pop() if len(found) == 1 else ""


def behind_first_operations(inputs: Any) -> list[Any]:
    """Return the tensors that are affine functions of the input and that another operation uses.

    Call it before gradients are added to the graph, because their operations use the same tensors.
    """
    downstream = reach(inputs.op, up=False)
    scaled = {inputs.ref()}
    ends: dict[Any, Any] = {}
    for operation in inputs.graph.get_operations():
        if operation not in downstream or operation is inputs.op or operation.type in SHAPES:
            continue
        varying = [tensor for tensor in operation.inputs if tensor.op in downstream and not is_shape(tensor)]
        sources = [tensor for tensor in varying if tensor.ref() in scaled]
        if not sources:
            continue
        if len(sources) == len(varying) and keeps_line(operation, sources):
            scaled.update(tensor.ref() for tensor in operation.outputs)
        else:
            ends |= {tensor.ref(): tensor for tensor in sources}
    return list(ends.values())


def bounded_to(inputs: Any) -> str:
    """Return the value range to which a graph clips its input first, or "" if it does not.

    Call it before gradients are added to the graph, because their operations use the same tensors.
    """
    low, high, tensor = -np.inf, np.inf, inputs
    while True:
        users = [operation for operation in tensor.consumers() if operation.type not in SHAPES]
        if len(users) != 1 or users[0].type not in MOVING | BOUNDING:
            return value_range.of_bounds(low, high)
        (user,) = users
        if user.type in BOUNDING:
            numbers = [tf.get_static_value(one) for one in user.inputs if one is not tensor]
            if any(one is None or np.size(one) != 1 for one in numbers):
                return ""
            ends = [float(np.reshape(one, -1)[0]) for one in numbers]
            low = low if user.type == "Minimum" else ends[0]
            high = high if user.type == "Maximum" else ends[-1]
        tensor = user.outputs[0]


def is_shape(tensor: Any) -> bool:
    """Tell whether a tensor is part of a shape, which depends on the input but not on its values."""
    return tensor.dtype.is_integer and tensor.shape.rank is not None and tensor.shape.rank < 2


def keeps_line(operation: Any, sources: Sequence[Any]) -> bool:
    """Tell whether the output of an operation is an affine function of its input."""
    if LEARNED in operation.name:
        return False
    if operation.type in MOVING:
        return True
    divided_by = operation.type in ("Div", "RealDiv") and operation.inputs[1] is sources[0]
    return operation.type in AFFINE and len(sources) == 1 and not divided_by
