"""The receptive field of feature maps: the part of the image that one value can depend on.

The recursion of Araujo, Norris & Sim, *Computing receptive fields of convolutional neural networks*, Distill 2019:
a window of ``k`` values (including gaps, for a dilation) at a step of ``j`` pixels adds ``(k - 1) * j`` pixels to the
field, and a stride of ``s`` multiplies the step by ``s``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from picasso.models.tf.runtime import tf

Size = tuple[int, int]

WINDOWED = {"Conv2D", "DepthwiseConv2dNative", "MaxPool", "MaxPoolV2", "AvgPool"}
# Operations on single values, or on the channels of one place, which do not change the field.
POINTWISE = {
    "Abs", "Add", "AddN", "AddV2", "BiasAdd", "Cast", "CheckNumerics", "ConcatV2", "Elu", "Erf", "Erfc", "Exp", "Expm1",
    "FusedBatchNormV3", "Identity", "IdentityN", "LeakyRelu", "Log", "Log1p", "Maximum", "Minimum", "Mul", "Neg", "Pad",
    "PadV2", "Pow", "QuantizeAndDequantizeV2", "RealDiv", "Relu", "Relu6", "Rsqrt", "Selu", "Sigmoid", "Slice",
    "Softplus", "Softsign", "Sqrt", "Square", "Split", "SplitV", "SquaredDifference", "StopGradient", "StridedSlice",
    "Sub", "Tanh",
}  # fmt: skip
# TensorFlow may express a dilated convolution as one on every second (third, ...) value between these operations.
SPARSER, DENSER = "SpaceToBatchND", "BatchToSpaceND"


@dataclass(frozen=True)
class Field:
    """The size of a receptive field and the step between neighbouring ones, (height, width) in pixels each."""

    side: Size
    step: Size


def receptive_fields(inputs: Any, downstream: Iterable[Any], tensors: Mapping[str, Any]) -> dict[str, Size | None]:
    """Return the receptive field (height, width) of each tensor in pixels; None for the whole image or if unknown.

    Args:
        inputs: the input operation of the images.
        downstream: all operations that depend on it, in any order.
        tensors: the feature maps by name.
    """
    known: dict[Any, Field | None] = {inputs: Field((1, 1), (1, 1))}
    dependent = set(downstream)
    for operation in inputs.graph.get_operations():
        if operation in dependent and operation not in known:
            sources = [known[one.op] for one in operation.inputs if one.op in known]
            known[operation] = after(operation, sources) if sources else None
    fields = {name: known.get(tensor.op) for name, tensor in tensors.items()}
    return {name: field.side if field else None for name, field in fields.items()}


def after(operation: Any, sources: list[Field | None]) -> Field | None:
    """Return the field after an operation, from the largest of the fields of its inputs, or None if unknown."""
    fields = [field for field in sources if field is not None]
    if len(fields) < len(sources) or operation.type not in WINDOWED | POINTWISE | {SPARSER, DENSER}:
        return None
    side = max(field.side[0] for field in fields), max(field.side[1] for field in fields)
    step = fields[0].step
    if operation.type in POINTWISE:
        return Field(side, step)
    if operation.type in (SPARSER, DENSER):
        block = tf.get_static_value(operation.inputs[1])
        if block is None or len(block) != len(step):
            return None
        rows, columns = int(block[0]), int(block[1])
        sparser = operation.type == SPARSER
        return Field(side, (step[0] * rows, step[1] * columns) if sparser else (step[0] // rows, step[1] // columns))
    window, stride = window_of(operation)
    wider = side[0] + (window[0] - 1) * step[0], side[1] + (window[1] - 1) * step[1]
    return Field(wider, (step[0] * stride[0], step[1] * stride[1]))


def window_of(operation: Any) -> tuple[Size, Size]:
    """Return the window (including gaps) and the stride of a convolution or pooling, (height, width) each."""
    first = 2 if operation.get_attr("data_format") == b"NCHW" else 1
    strides = operation.get_attr("strides")
    if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
        sides, gaps = operation.inputs[1].shape.as_list()[:2], operation.get_attr("dilations")
    else:
        sides, gaps = operation.get_attr("ksize")[first : first + 2], [1] * 4
    window = tuple((side - 1) * gap + 1 for side, gap in zip(sides, gaps[first : first + 2], strict=True))
    return (window[0], window[1]), (strides[first], strides[first + 1])
