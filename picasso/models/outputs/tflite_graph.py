"""Translate the operations of a TFLite file for :mod:`picasso.models.outputs.ranges`."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from picasso.models.outputs.ranges import INFINITY, Operation
from picasso.models.tflite_schema import TFLiteGraph

NAMES = {
    **dict.fromkeys(
        (
            "QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST", "TRANSPOSE", "SLICE",
            "STRIDED_SLICE", "GATHER", "GATHER_ND", "SPLIT", "SPLIT_V", "UNPACK", "TILE", "BROADCAST_TO",
            "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE",
        ),
        "keep",
    ),
    **dict.fromkeys(("MEAN", "REDUCE_MAX", "REDUCE_MIN", "AVERAGE_POOL_2D", "MAX_POOL_2D"), "pool"),
    **dict.fromkeys(("ADD", "ADD_N"), "add"),
    **dict.fromkeys(("CONCATENATION", "PACK"), "join"),
    **dict.fromkeys(("SELECT", "SELECT_V2"), "select"),
    **dict.fromkeys(("LEAKY_RELU", "PRELU"), "activation"),
    **dict.fromkeys(("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "ONE_HOT"), "truth"),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), "pad"),
    **dict.fromkeys(("SIN", "COS"), "sine"),
    "FULLY_CONNECTED": "linear", "CONV_2D": "linear", "BATCH_MATMUL": "linear", "DEPTHWISE_CONV_2D": "linear",
    "SUB": "subtract", "MUL": "multiply", "DIV": "divide", "NEG": "negate", "SUM": "sum", "EXP": "exp", "LOG": "log",
    "SQRT": "root", "RSQRT": "inverse root", "SQUARE": "square", "SQUARED_DIFFERENCE": "not negative",
    "ABS": "absolute", "MINIMUM": "minimum", "MAXIMUM": "maximum", "SOFTMAX": "softmax", "LOGISTIC": "sigmoid",
    "TANH": "tanh", "LOG_SOFTMAX": "log softmax", "ELU": "elu", "GELU": "gelu", "HARD_SWISH": "gelu",
    "L2_NORMALIZATION": "normalize",
}  # fmt: skip
# The number of inputs that are values; the others are parameters, such as axes. None for all.
VALUES = {
    "add": None, "join": None, "linear": 3, "multiply": 2, "subtract": 2, "divide": 2, "minimum": 2, "maximum": 2,
}  # fmt: skip
CLIPS = {
    "RELU": (0.0, INFINITY), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0),
}  # fmt: skip
# Operations that scale or shift values, and operations that only move, repeat or drop some.
AFFINE = {"ADD", "SUB", "MUL", "DIV", "NEG"}
MOVING = {kind for kind, name in NAMES.items() if name in ("keep", "join", "pad")} - {"QUANTIZE", "DEQUANTIZE"}
# The marker of the result of an operation before its fused activation.
BEFORE_ACTIVATION = "before activation"


class TFLiteReader:
    """A reader of a graph.

    Tensors are represented by their indices; the result of an operation before its fused activation is a pair.
    """

    def __init__(self, graph: TFLiteGraph) -> None:
        self._graph = graph
        self._makers = {output: one for one in graph.steps for output in one.outputs}

    def is_constant(self, tensor: Any) -> bool:
        """Tell whether a tensor does not depend on the images."""
        return not isinstance(tensor, tuple) and tensor not in self._graph.varying

    def behind_first_operations(self) -> list[int]:
        """Return the affine functions of the input that other operations use, as indices of tensors.

        The list is empty if another operation uses the input itself.
        """
        (source,) = self._graph.inputs
        scaled, ends = {source}, dict[int, None]()
        for one in self._graph.steps:
            sources = [index for index in one.inputs if index in self._graph.varying]
            taken = [index for index in sources if index in scaled]
            if not taken or one.kind == "SHAPE":
                continue
            divided_by = one.kind == "DIV" and one.inputs[1] in self._graph.varying
            line = one.kind in MOVING or (one.kind in AFFINE and len(sources) == 1 and not divided_by)
            if line and self._graph.activation(one) == "NONE" and len(taken) == len(sources):
                scaled.update(one.outputs)
            else:
                ends |= dict.fromkeys(taken)
        return [] if source in ends else list(ends)

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Return the dequantized values of a stored tensor; None if it is not stored or of an unsupported type."""
        found, maker = self._graph.constant(tensor), self._makers.get(tensor)
        if found is None and maker is not None and NAMES.get(maker.kind) == "keep":
            return self.constant(maker.inputs[0])
        return found

    def operation(self, tensor: Any) -> Operation:
        """Return the operation that computes a tensor; a fused activation is a separate operation."""
        number = tensor[0] if isinstance(tensor, tuple) else tensor
        maker = self._makers.get(number)
        if maker is None:
            return Operation("unknown")
        fused = self._graph.activation(maker)
        if fused != "NONE" and not isinstance(tensor, tuple):
            return activation(fused, [(number, BEFORE_ACTIVATION)])
        # -1 marks an omitted optional input.
        inputs = [index for index in maker.inputs if index >= 0]
        if maker.kind in CLIPS:
            return activation(maker.kind, inputs)
        name = NAMES.get(maker.kind, "unknown")
        if name == "select":
            return Operation("join", inputs[1:])
        numbers = (1,) if maker.kind in ("FULLY_CONNECTED", "CONV_2D") else ()
        return Operation(name, inputs[: VALUES.get(name, 1)], numbers)


def activation(kind: str, inputs: list[Any]) -> Operation:
    """Return the operation of an activation."""
    return Operation("clip", inputs, CLIPS[kind]) if kind in CLIPS else Operation(NAMES.get(kind, "unknown"), inputs)
