"""Translate the operations of an ONNX graph for :mod:`picasso.models.outputs.ranges`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.outputs.ranges import INFINITY, Operation

NAMES = {
    **dict.fromkeys(
        (
            "Identity", "Cast", "CastLike", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice",
            "Gather", "GatherElements", "GatherND", "Split", "Expand", "Tile", "Dropout",
            "QuantizeLinear", "DequantizeLinear", "Resize",
        ),
        "keep",
    ),
    **dict.fromkeys(
        ("ReduceMean", "ReduceMax", "ReduceMin", "GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool"), "pool"
    ),
    **dict.fromkeys(("Add", "Sum"), "add"),
    **dict.fromkeys(("Selu", "LeakyRelu", "PRelu"), "activation"),
    **dict.fromkeys(("Sin", "Cos"), "sine"),
    **dict.fromkeys(("BatchNormalization",), "affine"),
    **dict.fromkeys(("LpNormalization", "LayerNormalization", "InstanceNormalization"), "normalize"),
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "OneHot"), "truth"),
    **dict.fromkeys(("ReduceL1", "ReduceSumSquare"), "not negative"),
    "Concat": "join", "Where": "join", "Sub": "subtract", "Mul": "multiply", "Div": "divide", "Neg": "negate",
    "ReduceSum": "sum", "Exp": "exp", "Log": "log", "Sqrt": "root", "ReduceL2": "root", "Abs": "absolute",
    "Min": "minimum", "Max": "maximum", "Softmax": "softmax", "Sigmoid": "sigmoid", "HardSigmoid": "hard sigmoid",
    "Tanh": "tanh", "LogSoftmax": "log softmax", "Softplus": "softplus", "Softsign": "softsign", "Elu": "elu",
    "Gelu": "gelu", "HardSwish": "gelu", "Erf": "erf", "Atan": "arctan", "Pad": "pad",
}  # fmt: skip
# The number of inputs that are values; the others are parameters, such as axes. None for all.
VALUES = {"add": None, "join": None, "minimum": None, "maximum": None, "multiply": 2, "subtract": 2, "divide": 2}


class ONNXReader:
    """A reader of the graph of a file; tensors are represented by their names.

    Args:
        file: the ``.onnx`` file.

    Raises:
        ImportError: the package ``onnx`` is not installed.
    """

    def __init__(self, file: Path) -> None:
        import onnx
        from onnx import inliner

        model = onnx.load(str(file), load_external_data=False)
        if model.functions:
            model = inliner.inline_local_functions(model)
        self._to_array, self._external = onnx.numpy_helper.to_array, onnx.TensorProto.EXTERNAL
        self._stored = {one.name: one for one in model.graph.initializer}
        self._nodes = {name: node for node in model.graph.node for name in node.output}
        for name, node in self._nodes.items():
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._stored[name] = node.attribute[0].t
        self._varying: dict[str, bool] = {one.name: True for one in model.graph.input if one.name not in self._stored}
        # Nodes are in topological order.
        for node in model.graph.node:
            varies = any(self._varying.get(name, False) for name in node.input)
            self._varying |= dict.fromkeys(node.output, varies or any(one.HasField("g") for one in node.attribute))

    def is_constant(self, tensor: str) -> bool:
        """Tell whether a tensor does not depend on the images."""
        return not self._varying.get(tensor, False)

    def constant(self, tensor: str) -> NDArray[Any] | None:
        """Return the values of a tensor that is stored in the file, or None."""
        stored = self._stored.get(tensor)
        if stored is not None:
            return None if stored.data_location == self._external else np.asarray(self._to_array(stored))
        node = self._nodes.get(tensor)
        if node is None:
            return None
        given = attributes(node)
        if node.op_type == "Constant":
            (value,) = given.values()
            return np.asarray(value)
        return self.constant(node.input[0]) if NAMES.get(node.op_type) == "keep" else None

    def operation(self, tensor: str) -> Operation:
        """Return the operation that computes a tensor."""
        node = self._nodes.get(tensor)
        if node is None or node.domain not in ("", "ai.onnx"):
            return Operation("unknown")
        inputs, given = list(node.input), attributes(node)
        if node.op_type in ("Gemm", "Conv", "MatMul", "ConvTranspose"):
            return linear(node.op_type, inputs, given)
        if node.op_type == "Relu":
            return Operation("clip", inputs, (0.0, INFINITY))
        if node.op_type == "Clip":
            return self._clip(inputs, given)
        if node.op_type == "Where":
            return Operation("join", inputs[1:])
        if node.op_type == "Pow":
            exponent = self.constant(inputs[1])
            even = exponent is not None and exponent.size == 1 and float(exponent.reshape(-1)[0]) == 2
            return Operation("square" if even else "unknown", inputs[:1])
        if node.op_type == "Reciprocal":
            return Operation("inverse root", [inputs[0]]) if self._is_root(inputs[0]) else Operation("unknown")
        name = NAMES.get(node.op_type, "unknown")
        return Operation(name, inputs[: VALUES.get(name, 1)])

    def _clip(self, inputs: list[str], given: dict[str, Any]) -> Operation:
        bounds = []
        for index, (name, endless) in enumerate((("min", -INFINITY), ("max", INFINITY)), 1):
            value = self.constant(inputs[index]) if len(inputs) > index and inputs[index] else None
            bounds.append(float(given.get(name, endless) if value is None else value.reshape(-1)[0]))
        return Operation("clip", inputs[:1], bounds)

    def _is_root(self, tensor: str) -> bool:
        node = self._nodes.get(tensor)
        return node is not None and node.op_type == "Sqrt"


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute if not one.HasField("g")}


def linear(kind: str, inputs: list[str], given: dict[str, Any]) -> Operation:
    """Return a layer with weights: its number is 0 or 1 for results along the last or first axis of the weights."""
    if kind == "Conv":
        return Operation("linear", inputs, (1,) if given.get("group", 1) == 1 else ())
    usual = given.get("alpha", 1.0) == given.get("beta", 1.0) == 1 and not given.get("transA")
    if kind == "Gemm":
        return Operation("linear", inputs, (1 if given.get("transB") else 0,) if usual else ())
    return Operation("linear", inputs, (0,) if kind == "MatMul" else ())
