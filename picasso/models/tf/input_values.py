"""What a TensorFlow graph computes of its input first, and which pixel values it therefore was made for.

From the input, the operations are followed that move values, or multiply them and add to them, up to the first of
another kind; what a few constant images have become there says the factor and the offset, whatever the operations were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models import value_range
from picasso.models.tf.feature_layers import reach
from picasso.models.tf.runtime import tf

# Operations that keep values and at most move, repeat or leave out some. Their first inputs are the values.
MOVING = {
    "BatchToSpaceND", "Cast", "CheckNumerics", "ConcatV2", "CropAndResize", "DepthToSpace", "EnsureShape", "ExpandDims",
    "GatherV2", "Identity", "IdentityN", "Merge", "MirrorPad", "Pack", "Pad", "PadV2", "Reshape", "ResizeArea",
    "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "Reverse", "ReverseV2", "Roll", "ScaleAndTranslate",
    "Slice", "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Squeeze", "StopGradient", "StridedSlice", "Switch",
    "Transpose", "Unpack",
}  # fmt: skip
# Operations that multiply values or add to them.
AFFINE = {"Add", "AddV2", "BiasAdd", "Div", "Mul", "Neg", "RealDiv", "Sub"}
# Operations that bound values.
BOUNDING = {"ClipByValue", "Maximum", "Minimum"}
# Operations that ask for the shape only.
SHAPES = {"Rank", "Shape", "ShapeN", "Size"}
# A normalization with statistics of the training also multiplies and adds, but by learned numbers, which say nothing
# of the range. Where TensorFlow takes it apart, this is in the names of the parts.
LEARNED = "batchnorm"

# So many tensors are looked at, should the first operations fork; more of them are no preprocessing.
MAX_TENSORS = 8

Evaluate = Callable[[Sequence[Any]], Sequence[NDArray[Any]]]


def find(inputs: Any, tensors: Sequence[Any], evaluate: Evaluate) -> str:
    """Return the value range that a graph's first operations on its input tell.

    Args:
        inputs: the tensor of the input.
        tensors: what :func:`behind_first_operations` found.
        evaluate: returns the values of some tensors, each ``(3, ...)``, for three inputs that are filled with
            :data:`picasso.models.value_range.PROBES`.

    Returns:
        "0..255", "0..1" or "-1..1"; "" where the input is not scaled, or by numbers that say nothing.
    """
    # The input itself, which nothing is done to, says nothing.
    if not tensors or len(tensors) > MAX_TENSORS or any(tensor is inputs for tensor in tensors):
        return ""
    found = {value_range.of_values(np.asarray(values, np.float64)) for values in evaluate(tensors)}
    return found.pop() if len(found) == 1 else ""


def behind_first_operations(inputs: Any) -> list[Any]:
    """Return the tensors that come of the input by moving and scaling, and that another operation takes.

    To be asked of a graph without gradients, whose operations take the same tensors.
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
    """Return the value range that a graph bounds its input to before all else, or "" where it does not.

    To be asked of a graph without gradients, whose operations take the same tensors.
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
    """Tell whether a tensor is a part of a shape: such tensors depend on the input, but not on its values."""
    return tensor.dtype.is_integer and tensor.shape.rank is not None and tensor.shape.rank < 2


def keeps_line(operation: Any, sources: Sequence[Any]) -> bool:
    """Tell whether what an operation gives is a factor times its input plus an offset."""
    if LEARNED in operation.name:
        return False
    if operation.type in MOVING:
        return True
    divided_by = operation.type in ("Div", "RealDiv") and operation.inputs[1] is sources[0]
    return operation.type in AFFINE and len(sources) == 1 and not divided_by
