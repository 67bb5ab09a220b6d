"""Translate the operations of a TFLite file for :mod:`picasso.models.outputs.ranges`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.outputs.ranges import INFINITY, Operation

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
    """A reader of the first graph of a file.

    Tensors are represented by their indices; the result of an operation before its fused activation is a pair.

    Args:
        file: the ``.tflite`` file.

    Raises:
        ImportError: the installed runtime does not describe the format.
    """

    def __init__(self, file: Path) -> None:
        self._schema = importlib.import_module("ai_edge_litert.schema_py_generated")
        self._model = self._schema.ModelT.InitFromObj(self._schema.Model.GetRootAs(file.read_bytes(), 0))
        self._graph = self._model.subgraphs[0]
        self._kinds = words(self._schema.BuiltinOperator)
        self._activations = words(self._schema.ActivationFunctionType)
        self._makers = {int(output): one for one in self._graph.operators for output in one.outputs}
        self._varying = {int(index) for index in self._graph.inputs}
        # Operations are in topological order.
        for one in self._graph.operators:
            if self._varying.intersection(map(int, one.inputs)):
                self._varying.update(map(int, one.outputs))

    def is_constant(self, tensor: Any) -> bool:
        """Tell whether a tensor does not depend on the images."""
        return not isinstance(tensor, tuple) and tensor not in self._varying

    def behind_first_operations(self) -> list[int]:
        """Return the affine functions of the input that other operations use, as indices of tensors.

        The list is empty if another operation uses the input itself.
        """
        (source,) = map(int, self._graph.inputs)
        scaled, ends = {source}, dict[int, None]()
        for one in self._graph.operators:
            kind = self._kind(one)
            sources = [int(index) for index in one.inputs if int(index) in self._varying]
            taken = [index for index in sources if index in scaled]
            if not taken or kind == "SHAPE":
                continue
            fused = self._activations.get(getattr(one.builtinOptions, "fusedActivationFunction", 0), "NONE")
            divided_by = kind == "DIV" and int(one.inputs[1]) in self._varying
            line = kind in MOVING or (kind in AFFINE and len(sources) == 1 and not divided_by)
            if line and fused == "NONE" and len(taken) == len(sources):
                scaled.update(map(int, one.outputs))
            else:
                ends |= dict.fromkeys(taken)
        return [] if source in ends else list(ends)

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Return the dequantized values of a stored tensor; None if it is not stored or of an unsupported type."""
        stored = self._graph.tensors[tensor]
        data = self._model.buffers[stored.buffer].data
        types = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32}
        kind = types.get(words(self._schema.TensorType).get(stored.type, ""))
        if data is None or kind is None:
            maker = self._makers.get(tensor)
            if maker is None or NAMES.get(self._kind(maker)) != "keep":
                return None
            return self.constant(int(maker.inputs[0]))
        values = np.frombuffer(bytes(data), kind).reshape([int(side) for side in stored.shape])
        scales = stored.quantization and stored.quantization.scale
        if scales is None or not len(scales):
            return values
        zeros = np.asarray(stored.quantization.zeroPoint)
        shape = [1] * values.ndim
        if len(scales) > 1:
            shape[stored.quantization.quantizedDimension] = len(scales)
        dequantized = (values - zeros.reshape(shape)) * np.asarray(scales).reshape(shape)
        return np.asarray(dequantized, np.float64)

    def operation(self, tensor: Any) -> Operation:
        """Return the operation that computes a tensor; a fused activation is a separate operation."""
        number = tensor[0] if isinstance(tensor, tuple) else tensor
        maker = self._makers.get(number)
        if maker is None:
            return Operation("unknown")
        fused = self._activations.get(getattr(maker.builtinOptions, "fusedActivationFunction", 0), "NONE")
        if fused != "NONE" and not isinstance(tensor, tuple):
            return activation(fused, [(number, BEFORE_ACTIVATION)])
        kind = self._kind(maker)
        # -1 marks an omitted optional input.
        inputs = [int(index) for index in maker.inputs if index >= 0]
        if kind in CLIPS:
            return activation(kind, inputs)
        name = NAMES.get(kind, "unknown")
        if name == "select":
            return Operation("join", inputs[1:])
        numbers = (1,) if kind in ("FULLY_CONNECTED", "CONV_2D") else ()
        return Operation(name, inputs[: VALUES.get(name, 1)], numbers)

    def _kind(self, operation: Any) -> str:
        code = self._model.operatorCodes[operation.opcodeIndex]
        return self._kinds.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")


def activation(kind: str, inputs: list[Any]) -> Operation:
    """Return the operation of an activation."""
    return Operation("clip", inputs, CLIPS[kind]) if kind in CLIPS else Operation(NAMES.get(kind, "unknown"), inputs)


def words(enumeration: Any) -> dict[int, str]:
    """Return the names of the members of an enumeration of the format, by value."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
