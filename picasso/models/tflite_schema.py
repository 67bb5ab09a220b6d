"""Read the parts of a TFLite file that describe its first graph, after the scan."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# The types of numbers of NumPy. Numbers with 16 bits are computed with 32.
TYPES = {
    "FLOAT32": "float32", "FLOAT64": "float64", "FLOAT16": "float32", "BOOL": "bool", "INT4": "int8", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32",
}  # fmt: skip
STORED = {**TYPES, "FLOAT16": "float16"}
# Operations after the activation of an output that only change how its numbers are stored.
PASSING = ("DEQUANTIZE", "QUANTIZE", "RESHAPE")


class Quantization(NamedTuple):
    """How the integers of a tensor stand for numbers: ``(integer - zero) scale``.

    Attributes:
        kind: the type of the integers, such as ``int8``.
        scale: float32, in a shape that broadcasts against the tensor.
        zero: float32, the same.
    """

    kind: str
    scale: NDArray[np.float32]
    zero: NDArray[np.float32]


class Step(NamedTuple):
    """An operation.

    Attributes:
        kind: the name of its kind, such as ``CONV_2D``.
        inputs: the indices of its inputs; -1 for one that is left out.
        outputs: the indices of its outputs.
        options: its options, with the names of the schema, or None.
    """

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: Any


class TFLiteGraph:
    """The first graph of a file; its tensors are numbered.

    Args:
        file: the ``.tflite`` file.

    Attributes:
        inputs: the tensors of the images.
        outputs: the tensors that it returns.
        steps: the operations in topological order.
    """

    def __init__(self, file: Path) -> None:
        schema = importlib.import_module("ai_edge_litert.schema_py_generated")
        self._data = file.read_bytes()
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(self._data, 0))
        graph = self._model.subgraphs[0]
        self._tensors, self._types = graph.tensors, words(schema.TensorType)
        kinds, self._activations = words(schema.BuiltinOperator), words(schema.ActivationFunctionType)
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in self._model.operatorCodes]
        self.inputs, self.outputs = listed(graph.inputs), listed(graph.outputs)
        self.steps = [
            Step(
                kinds.get(codes[one.opcodeIndex], ""),
                listed(one.inputs),
                listed(one.outputs),
                one.builtinOptions,
            )
            for one in graph.operators or []
        ]

    def part(self, outputs: Collection[int]) -> list[Step]:
        """Return the operations that some tensors depend on."""
        needed, found = set(outputs), list[Step]()
        for one in reversed(self.steps):
            if needed.intersection(one.outputs):
                needed.update(one.inputs)
                found.insert(0, one)
        return found

    def activation(self, step: Step) -> str:
        """Return the name of the activation that an operation ends with, such as ``RELU6``, or ``NONE``."""
        return self._activations.get(getattr(step.options, "fusedActivationFunction", 0), "")

    def name(self, tensor: int) -> str:
        """Return the name of a tensor, or ""."""
        return bytes(self._tensors[tensor].name or b"").decode("utf-8", "replace")

    def kind(self, tensor: int) -> str:
        """Return the NumPy type of the numbers of a tensor, or "" for texts and the like."""
        return TYPES.get(self._types.get(self._tensors[tensor].type, ""), "")

    def has_halves(self) -> bool:
        """Tell whether some tensor has numbers of 16 bits."""
        return any(self._types.get(one.type) == "FLOAT16" for one in self._tensors)

    def before_activation(self, tensor: int) -> int | None:
        """Return the tensor of which an output is the softmax or the sigmoid, or None if it ends with neither."""
        makers = {output: one for one in self.steps for output in one.outputs}
        while (maker := makers.get(tensor)) and maker.kind in PASSING:
            tensor = maker.inputs[0]
        return maker.inputs[0] if maker and maker.kind in ("LOGISTIC", "SOFTMAX") else None

    def step(self, tensor: int) -> float:
        """Return the largest step between quantized numbers of a tensor, which may be dequantized; else 0."""
        maker = next((one for one in self.steps if tensor in one.outputs), None)
        how = self.quantization(maker.inputs[0] if maker and maker.kind == "DEQUANTIZE" else tensor)
        return float(how.scale.max()) if how else 0.0

    def quantized(self) -> set[int]:
        """Return the tensors of integers that stand for other numbers."""
        return {index for index in range(len(self._tensors)) if self.quantization(index) is not None}

    def quantization(self, tensor: int) -> Quantization | None:
        """Return how the integers of a tensor stand for numbers; None if they stand for themselves."""
        one, kind = self._tensors[tensor], self.kind(tensor)
        scales = one.quantization.scale if one.quantization is not None else None
        if scales is None or not len(scales) or not kind.startswith(("int", "uint")):
            return None
        shape = [1] * len(listed(one.shape)) if len(scales) > 1 else []
        if shape:
            shape[one.quantization.quantizedDimension] = len(scales)
        zeros = one.quantization.zeroPoint
        zeros = np.zeros(len(scales)) if zeros is None or not len(zeros) else np.asarray(zeros)
        scale, zero = (np.asarray(values, np.float32) for values in (scales, zeros))
        return Quantization(kind, scale.reshape(shape), np.broadcast_to(zero, scale.shape).reshape(shape))

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Return the numbers of a stored tensor, those of integers that stand for others as float32, or None."""
        one = self._tensors[tensor]
        name = self._types.get(one.type, "")
        data, shape = self._stored(one.buffer), listed(one.shape)
        if data is None or name not in STORED or one.sparsity is not None:
            return None
        if name == "INT4":
            # The lower half of a byte comes first.
            halves = np.stack([data << 4, data], -1).reshape(-1)[: int(np.prod(shape))]
            values = (halves.view(np.int8) >> 4).reshape(shape)
        else:
            values = data.view(STORED[name]).reshape(shape).astype(TYPES[name], copy=False)
        how = self.quantization(tensor)
        return values if how is None else np.asarray((values - how.zero) * how.scale, np.float32)

    def _stored(self, buffer: int) -> NDArray[np.uint8] | None:
        """Return the bytes of a buffer, or None if it has none."""
        one = self._model.buffers[buffer]
        # In files larger than 2 GB, the values are stored after the tables.
        if one.offset > 1:
            return np.frombuffer(self._data, np.uint8, one.size, one.offset)
        return None if one.data is None or not len(one.data) else np.asarray(one.data, np.uint8)

    @cached_property
    def varying(self) -> set[int]:
        """The tensors that depend on the images."""
        found = set(self.inputs)
        for one in self.steps:
            if found.intersection(one.inputs):
                found.update(one.outputs)
        return found


def listed(numbers: Any) -> list[int]:
    """Return a vector of the schema as a list."""
    return [] if numbers is None else [int(one) for one in numbers]


def words(enumeration: Any) -> dict[int, str]:
    """Return the names of the members of an enumeration of the format, by value."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
