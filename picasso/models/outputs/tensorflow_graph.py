"""Translate TensorFlow operations for :mod:`picasso.models.outputs.ranges`, and find the logits in a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.models.outputs.kinds import Functions
from picasso.models.outputs.ranges import Operation
from picasso.models.tf.feature_layers import reach
from picasso.models.tf.runtime import tf

FUNCTIONS = Functions(tf.nn.softmax, tf.sigmoid, tf.exp)
# Operations that do not change the values of their first input.
TRANSPARENT = {
    "Identity", "IdentityN", "StopGradient", "Squeeze", "ExpandDims", "EnsureShape", "Reshape", "Cast", "CheckNumerics",
    "PreventGradient", "PlaceholderWithDefault",
}  # fmt: skip
KEEP = TRANSPARENT | {
    "Transpose", "StridedSlice", "Slice", "GatherV2", "GatherNd", "Gather", "Split", "SplitV", "Unpack", "Tile",
    "BroadcastTo", "ReverseV2", "SpaceToBatchND", "BatchToSpaceND", "MirrorPad", "ResizeBilinear",
    "ResizeNearestNeighbor",
}  # fmt: skip
NAMES = {
    **dict.fromkeys(KEEP, "keep"),
    **dict.fromkeys(("Mean", "Max", "Min", "MaxPool", "AvgPool"), "pool"),
    **dict.fromkeys(("Add", "AddV2", "AddN", "BiasAdd"), "add"),
    **dict.fromkeys(("ConcatV2", "Pack", "SelectV2", "Select"), "join"),
    **dict.fromkeys(("RealDiv", "Div", "DivNoNan", "Xdivy"), "divide"),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum", "Conv2D", "DepthwiseConv2dNative"), "linear"),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), "affine"),
    **dict.fromkeys(("Selu", "LeakyRelu"), "activation"),
    **dict.fromkeys(("Sin", "Cos"), "sine"),
    **dict.fromkeys(("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "LogicalAnd", "LogicalOr"), "truth"),
    **dict.fromkeys(("Pad", "PadV2"), "pad"),
    "Square": "square", "SquaredDifference": "not negative", "ClipByValue": "bound",
    "Sub": "subtract", "Mul": "multiply", "MulNoNan": "multiply", "Neg": "negate",
    "Sum": "sum", "Exp": "exp",
    "Log": "log", "Sqrt": "root", "Rsqrt": "inverse root", "Abs": "absolute", "Minimum": "minimum",
    "Maximum": "maximum", "Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh", "LogSoftmax": "log softmax",
    "Softplus": "softplus", "Softsign": "softsign", "Elu": "elu", "Erf": "erf", "Atan": "arctan", "OneHot": "truth",
    "L2Normalize": "normalize",
}  # fmt: skip
CLIPS = {"Relu": (0.0, np.inf), "Relu6": (0.0, 6.0)}
# The number of inputs that are values; the others are parameters, such as the axis. None for all.
VALUES = {
    "add": None, "join": None, "multiply": 2, "subtract": 2, "divide": 2, "minimum": 2, "maximum": 2, "linear": 2,
    "bound": 3,
}  # fmt: skip


class GraphReader:
    """A reader of a TensorFlow graph.

    Args:
        source: the input operation of the images.
        evaluate: a function that returns the values of tensors that do not depend on the images.
    """

    def __init__(self, source: Any, evaluate: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self._downstream, self._evaluate = reach(source, up=False), evaluate

    def is_constant(self, tensor: Any) -> bool:
        """Tell whether a tensor does not depend on the images."""
        return tensor.op not in self._downstream

    def constant(self, tensor: Any) -> NDArray[Any] | None:
        """Return the values of a tensor that does not depend on the images."""
        value = tf.get_static_value(tensor)
        if value is None and tensor.dtype.is_floating:
            (value,) = self._evaluate([tensor])
        return None if value is None else np.asarray(value)

    def operation(self, tensor: Any) -> Operation:
        """Return the operation that computes a tensor."""
        operation = tensor.op
        inputs = list(operation.inputs)
        if operation.type in CLIPS:
            return Operation("clip", inputs, CLIPS[operation.type])
        name = NAMES.get(operation.type, "unknown")
        if operation.type == "IdentityN":
            return Operation("keep", [inputs[tensor.value_index]])
        if operation.type in ("SelectV2", "Select"):
            return Operation("join", inputs[1:])
        if operation.type == "ConcatV2":
            return Operation("join", inputs[:-1])
        if operation.type == "Pow":
            exponent = self.constant(inputs[1]) if self.is_constant(inputs[1]) else None
            squared = exponent is not None and exponent.size == 1 and float(exponent.reshape(-1)[0]) == 2
            return Operation("square" if squared else "unknown", inputs[:1])
        numbers = (0,) if name == "linear" and in_usual_order(operation) else ()
        return Operation(name, inputs[: VALUES.get(name, 1)], numbers)


def in_usual_order(operation: Any) -> bool:
    """Tell whether the last axis of a layer's weights is the axis of its results."""
    if operation.type in ("Einsum", "DepthwiseConv2dNative"):
        return False
    attributes = operation.node_def.attr
    return not any(name in attributes and attributes[name].b for name in ("transpose_b", "adj_y"))


class Scores(NamedTuple):
    """The scores in a graph from which an output is computed, one for each value of the output.

    Attributes:
        values: the scores, in the shape of the output: ``(N, K)`` or ``(N, h, w, K)``.
        probabilities: the probabilities that the graph computes from them by the function ``link``, in that shape.
        link: ``"softmax"``, ``"sigmoid"``, ``"log-softmax"`` or ``"tanh"``.
        rounded: whether the graph rounds its output to numbers of few bits afterwards.
    """

    values: Any
    probabilities: Any
    link: str
    rounded: bool = False


def find_scores(output: Any, reader: GraphReader, shape: Sequence[int]) -> Scores | None:
    """Return the scores from which an output is computed, or None unless there is one for each of its values.

    The search goes back from the output through copies, clips, and additions and multiplications of constants. Whether
    these change the probabilities must be checked on values.

    Args:
        output: the tensor of the output, of any shape.
        reader: the reader of its graph.
        shape: the shape of the output of one image, ``(K,)`` or ``(h, w, K)``.
    """
    tensor, inverted, rounded = output, False, False
    while True:
        operation, inputs = tensor.op, list(tensor.op.inputs)
        if operation.type in BASES:
            found = BASES[operation.type](inputs[0], operation.outputs[0])
            break
        if operation.type == "ConcatV2":
            return joined(inputs[:-1], reader, shape[0]) if not inverted and len(shape) == 1 else None
        varying = [one for one in inputs if not reader.is_constant(one)]
        if operation.type == "IdentityN":
            tensor = inputs[tensor.value_index]
        elif varying and (operation.type in TRANSPARENT or (operation.type in PASSED and len(varying) == 1)):
            rounded |= operation.type == ROUNDING
            inverted ^= operation.type == "Sub" and varying[0] is inputs[1]
            tensor = varying[0]
        else:
            return None
    if inverted:
        if found.link not in ("sigmoid", "tanh"):
            return None
        found = Scores(-found.values, 1 - found.probabilities, found.link)
    if len(shape) > 1 and found.values.shape[1:].as_list() != list(shape):
        return None
    if found.values.shape[1:].num_elements() not in (prod(shape), None):
        return None
    values, probabilities = (tf.reshape(tf.cast(one, tf.float32), [-1, *shape]) for one in found[:2])
    return Scores(values, probabilities, found.link, rounded)


def joined(parts: Sequence[Any], reader: GraphReader, count: int) -> Scores | None:
    """Return the concatenated scores of several tensors that an output concatenates, or None."""
    counts = [part.shape[1:].num_elements() for part in parts]
    if None in counts or sum(counts) != count:
        return None
    found = [find_scores(part, reader, [size]) for part, size in zip(parts, counts, strict=True)]
    known = [one for one in found if one is not None]
    if len(known) < len(found) or len({one.link for one in known}) > 1:
        return None
    values, probabilities = (tf.concat([one[index] for one in known], 1) for index in (0, 1))
    return Scores(values, probabilities, known[0].link, any(one.rounded for one in known))


# The operations that compute probabilities, with their scores.
BASES: dict[str, Callable[[Any, Any], Scores]] = {
    "Softmax": lambda given, answer: Scores(given, answer, "softmax"),
    "Sigmoid": lambda given, answer: Scores(given, answer, "sigmoid"),
    "LogSoftmax": lambda given, answer: Scores(given, tf.exp(answer), "log-softmax"),
    # (1 + tanh x) / 2 is the sigmoid of 2 x.
    "Tanh": lambda given, answer: Scores(2 * given, (1 + answer) / 2, "tanh"),
}
ROUNDING = "QuantizeAndDequantizeV2"
PASSED = {ROUNDING, "Minimum", "Maximum", "ClipByValue", "Mul", "RealDiv", "Add", "AddV2", "Sub", "BiasAdd"}
