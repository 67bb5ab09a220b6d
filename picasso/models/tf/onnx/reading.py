"""Read ONNX files: their inputs, outputs and metadata, and the part of the graph that outputs depend on."""

from __future__ import annotations

import ast
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from picasso.errors import ModelError, presentable, reason

# The maximum length of a text in the metadata that is parsed: some 10,000 names.
PARSED = 200_000


class Port(NamedTuple):
    """An input or output of a graph.

    Attributes:
        name: its name.
        type: its type in ONNX Runtime's words, such as ``tensor(float)``.
        shape: the length of each axis: an integer, a name, or None.
    """

    name: str
    type: str
    shape: list[int | str | None]


def read(file: Path) -> Any:
    """Return the ``ModelProto`` in a file, with the functions of the file put in place of their calls.

    Raises:
        ModelError: the file can't be read.
    """
    import onnx
    from onnx import inliner

    try:
        model = onnx.load(str(file))
        return inliner.inline_local_functions(model) if model.functions else model
    except Exception as error:
        raise ModelError(f"{file.name} can't be read as ONNX: {reason(error)}.") from error


def inputs_of(model: Any) -> list[Port]:
    """Return the inputs of a graph without those that have a value in the file."""
    stored = {one.name for one in model.graph.initializer}
    return [port(one) for one in model.graph.input if one.name not in stored]


def outputs_of(model: Any) -> list[Port]:
    """Return the outputs of a graph."""
    return [port(one) for one in model.graph.output]


def port(value: Any) -> Port:
    """Return the description of a ``ValueInfoProto``."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        maps = kind == "sequence_type" and value.type.sequence_type.elem_type.WhichOneof("value") == "map_type"
        return Port(value.name, "seq(map)" if maps else str(kind or "unknown"), [])
    tensor = value.type.tensor_type
    sides = [one.dim_value if one.HasField("dim_value") else one.dim_param or None for one in tensor.shape.dim]
    # Some exporters write 0 or -1 for a length that is not known.
    known = [None if isinstance(side, int) and side < 1 else side for side in sides]
    return Port(value.name, f"tensor({type_name(tensor.elem_type)})", known)


def type_name(number: int) -> str:
    """Return ONNX Runtime's name of ONNX's number of a type."""
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(number)).lower() if number in TensorProto.DataType.values() else "unknown"


def part(model: Any, outputs: Collection[str]) -> Any:
    """Return a model with only the nodes that some values depend on, which become its outputs.

    Args:
        model: a ``ModelProto``.
        outputs: the names of the values.
    """
    import onnx

    made_by = {name: node for node in model.graph.node for name in node.output if name}
    needed, nodes = set[str](), list[Any]()
    waiting = [(name, False) for name in outputs]
    while waiting:
        name, complete = waiting.pop()
        if complete:
            # All values that the node uses come before it, whatever its place in the file is.
            nodes.append(made_by[name])
        elif name not in needed:
            needed.add(name)
            if name in made_by:
                needed.update(made_by[name].output)
                waiting += [(name, True), *((used, False) for used in used_by(made_by[name]))]
    result = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    result.graph.name = model.graph.name
    result.graph.input.extend(model.graph.input)
    result.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(one for one in model.graph.initializer if one.name in needed)
    described = {one.name: one for one in model.graph.output}
    result.graph.output.extend(described[name] for name in outputs)
    return result


def used_by(node: Any) -> list[str]:
    """Return the names of the values that a node uses, and those that the graphs in its attributes use."""
    found = [name for name in node.input if name]
    for one in node.attribute:
        for graph in [one.g] if one.HasField("g") else one.graphs:
            found += [name for inner in graph.node for name in used_by(inner)]
            found += [output.name for output in graph.output]
    return found


def is_quantized(model: Any) -> bool:
    """Tell whether a graph computes with quantized numbers."""
    return any("Quantize" in node.op_type or "QLinear" in node.op_type or "Integer" in node.op_type
               for node in model.graph.node)  # fmt: skip


def has_halves(model: Any) -> bool:
    """Tell whether the weights of a graph, or its input, have 16 bits."""
    halves = ("float16", "bfloat16")
    weights = any(type_name(one.data_type) in halves for one in model.graph.initializer)
    return weights or any(type_name(one.type.tensor_type.elem_type) in halves for one in model.graph.input)


def class_names(model: Any) -> tuple[str, ...]:
    """Return the class names in the metadata of a file, as Ultralytics writes them, or ().

    Examples of the metadata are ``names`` = ``{0: 'person', 1: 'bicycle'}`` and ``classes`` = ``["cat", "dog"]``.
    """
    stated = {one.key: one.value for one in model.metadata_props}
    for key in ("names", "classes", "labels", "class_names"):
        try:
            found = ast.literal_eval(stated[key]) if len(stated[key]) <= PARSED else ()
        except (KeyError, ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, dict) and set(found) == set(range(len(found))):
            found = [found[index] for index in range(len(found))]
        if isinstance(found, list | tuple) and all(isinstance(one, str) for one in found):
            return tuple(presentable(one) for one in found)
    return ()


def numpy_type(said: str, file: Path) -> Any:
    """Return the NumPy type for ONNX Runtime's name of a type, such as ``tensor(float16)``.

    Raises:
        ModelError: the type is not numeric.
    """
    name = said.removeprefix("tensor(").rstrip(")")
    known = {"float": "float32", "double": "float64"}
    try:
        found = np.dtype(known.get(name, name))
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "iuf":
        raise ModelError(f"{file.name} must take an image of numbers, but takes {said}.")
    return found
