"""Detect the pixel values that an ONNX graph expects, from the first operations on its input.

The first operations are run alone, on constant images. :mod:`picasso.models.tf.input_values` does so for TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models import value_range

# Operations that do not change values, but only move, repeat or drop some.
MOVING = {
    "Cast", "CastLike", "CenterCropPad", "Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape",
    "Resize", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Upsample",
}  # fmt: skip
AFFINE = {"Add", "Div", "Mul", "Neg", "Sub"}
BOUNDING = {"Clip", "Max", "Min"}
SHAPES = {"Shape", "Size"}
NORMALIZATION = "BatchNormalization"


def find(file: Path, shape: Sequence[int], dtype: Any, onnxruntime: Any) -> str:
    """Return the value range that the first operations of a file imply, a key of ``value_range.RAW``, or "".

    Args:
        file: the ``.onnx`` file, with one input.
        shape: the shape of the input in the file.
        dtype: the type of the input.
        onnxruntime: the imported module.

    Raises:
        ImportError: the package ``onnx`` is not installed.
        Exception: the first operations can't be extracted from the file.
    """
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    stored = {one.name: one for one in graph.initializer}
    (source,) = (one for one in graph.input if one.name not in stored)
    if bounded := bounded_to(graph, source.name, onnx.numpy_helper.to_array):
        return bounded
    first, ends = first_operations(graph, source.name)
    if source.name in ends:
        users = [node for node in graph.node if source.name in node.input and node.op_type not in SHAPES]
        # The moving averages of a batch normalization are statistics of the training images.
        if len(users) == 1 and users[0].op_type == NORMALIZATION:
            mean, variance = (onnx.numpy_helper.to_array(stored[name]) for name in users[0].input[3:5])
            return of_measured(mean, variance)
        return ""
    if not ends:
        return ""
    nodes = [node for node in graph.node if any(name in first for name in node.output)]
    needed = {name for node in nodes for name in node.input} & stored.keys()
    outputs = [onnx.ValueInfoProto(name=name) for name in ends]
    part = onnx.helper.make_graph(nodes, "first", [source], outputs, [stored[name] for name in needed])
    model = onnx.load(str(file), load_external_data=False)
    model.graph.CopyFrom(part)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answers = [session.run(ends, {source.name: np.full(shape, value, dtype)}) for value in value_range.PROBES]
    found = {value_range.of_values(np.asarray(values, np.float64)) for values in zip(*answers, strict=True)}
    return found.pop() if len(found) == 1 else ""


def first_operations(graph: Any, source: str) -> tuple[set[str], list[str]]:
    """Return the affine part of a graph at its input.

    Returns:
        the names of the tensors that are affine functions of the input or constant; and of these, the names that other
        operations use.
    """
    varying, scaled, constant, ends = {source}, {source}, set[str](), dict[str, None]()
    for node in graph.node:
        sources = [name for name in node.input if name in varying]
        if not sources:
            constant.update(node.output)
            continue
        if node.op_type in SHAPES:
            continue
        varying.update(node.output)
        divided_by = node.op_type == "Div" and node.input[1] in varying
        line = node.op_type in MOVING or (node.op_type in AFFINE and len(sources) == 1 and not divided_by)
        if line and all(name in scaled for name in sources):
            scaled.update(node.output)
        else:
            ends |= dict.fromkeys(name for name in sources if name in scaled)
    return (scaled | constant) - {source}, list(ends)


def bounded_to(graph: Any, source: str, to_array: Callable[[Any], NDArray[Any]]) -> str:
    """Return the value range that a graph clips its input to first, or "" if it does not."""
    constants = {one.name: one for one in graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    low, high, name = -np.inf, np.inf, source
    while True:
        users = [node for node in graph.node if name in node.input and node.op_type not in SHAPES]
        if len(users) != 1 or users[0].op_type not in MOVING | BOUNDING:
            return value_range.of_bounds(low, high)
        (user,) = users
        if user.op_type in BOUNDING:
            # Before opset 11, the bounds of Clip are attributes.
            known = {one.name: one.f for one in user.attribute}
            others = [one for one in user.input if one != name]
            if any(one and one not in constants for one in others):
                return ""
            values = [to_array(constants[one]).reshape(-1) if one else np.zeros(0) for one in others]
            first, last = (float(values[at][0]) if values and values[at].size == 1 else None for at in (0, -1))
            low = low if user.op_type == "Min" else known.get("min", low if first is None else first)
            high = high if user.op_type == "Max" else known.get("max", high if last is None else last)
        name = user.output[0]


def of_measured(mean: NDArray[Any], variance: NDArray[Any]) -> str:
    """Return the range implied by the mean and variance of a batch normalization of the input, or ""."""
    deviation = float(np.median(np.sqrt(np.asarray(variance, np.float64))))
    return value_range.of_statistics(float(np.median(mean)), deviation)
