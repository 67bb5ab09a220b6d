"""Translate an ONNX graph into TensorFlow operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

# Imported for the operations that they register.
from picasso.models.tf.onnx import (
    activations,
    attention,
    control,
    elementwise,
    fused,
    fused_quantized,
    linear,
    normalizations,
    patches,
    places,
    quantized,
    recurrent,
    reductions,
    resizing,
    sampling,
    selection,
    sequences,
    shapes,
    windows,
)
from picasso.models.tf.onnx.shapes import TYPES
from picasso.models.tf.onnx.table import OPERATIONS, Node, Operation, Untranslatable, known, tensor
from picasso.models.tf.runtime import tf

__all__ = ["Untranslatable", "missing", "translate"]

MODULES = (
    activations,
    attention,
    control,
    elementwise,
    fused,
    fused_quantized,
    linear,
    normalizations,
    patches,
    places,
    quantized,
    recurrent,
    reductions,
    resizing,
    sampling,
    selection,
    sequences,
    shapes,
    windows,
)


def key(node: Any) -> str:
    """Return the name of the operation of a node in the table: those of other domains are "domain:name"."""
    return str(node.op_type) if node.domain in ("", "ai.onnx") else f"{node.domain}:{node.op_type}"


def nodes_of(graph: Any) -> Iterator[Any]:
    """Return the nodes of a graph and of the graphs in their attributes."""
    for node in graph.node:
        yield node
        for one in node.attribute:
            if one.HasField("g"):
                yield from nodes_of(one.g)


def missing(graph: Any) -> list[str]:
    """Return the kinds of operations of a graph that have no translation."""
    return sorted({key(node) for node in nodes_of(graph)} - OPERATIONS.keys())


def translate(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs of a model as tensors or known arrays, by name, in their declared types.

    Args:
        model: an ``onnx.ModelProto``.
        given: its inputs, by name.

    Raises:
        Untranslatable: an operation has no translation; the message names it and its node.
    """
    versions = {one.domain: one.version for one in model.opset_import}
    found = evaluate(model.graph, {"": None, **given}, versions)
    return {one.name: declared(one, found[one.name]) for one in model.graph.output}


def declared(output: Any, value: Any) -> Any:
    """Return a value in the type of an output: those of quantized numbers are of other types before."""
    number = output.type.tensor_type.elem_type
    if number not in TYPES or isinstance(value, list):
        return value
    kind = tf.dtypes.as_dtype(TYPES[number])
    if known(value) and value.dtype != object:
        return value if kind.name == "bfloat16" else value.astype(kind.as_numpy_dtype, copy=False)
    return tf.cast(tensor(value), kind)


def evaluate(graph: Any, scope: Mapping[str, Any], versions: Mapping[str, int]) -> dict[str, Any]:
    """Return all values of a graph by name; it may use those of its scope."""
    from onnx import helper, numpy_helper

    values: dict[str, Any] = {**scope}
    values |= {one.name: numpy_helper.to_array(one) for one in graph.initializer if one.name not in scope}
    for node in graph.node:
        function = OPERATIONS.get(key(node))
        if function is None:
            raise Untranslatable(f"the operation {key(node)} of node {node.name or node.output[0]!r} is unknown")
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        subgraph = partial(inner_outputs, attributes, values, versions)
        inputs = [values[name] for name in node.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        version = versions.get(node.domain, versions.get("", 1))
        try:
            found = computed(function, Node(attributes, version, len(node.output), subgraph), inputs)
        except Untranslatable as error:
            raise Untranslatable(f"{node.op_type} of node {node.name or node.output[0]!r}: {error}") from None
        outputs = found if isinstance(found, tuple) else (found,)
        values |= {name: one for name, one in zip(node.output, outputs, strict=False) if name}
    return values


def inner_outputs(
    attributes: Mapping[str, Any],
    scope: Mapping[str, Any],
    versions: Mapping[str, int],
    name: str,
    given: Sequence[Any],
) -> tuple[Any, ...]:
    """Return the outputs of the graph in an attribute, for values of its inputs, within the scope of its node."""
    graph = attributes[name]
    own = {one.name: value for one, value in zip(graph.input, given, strict=True)}
    found = evaluate(graph, {**scope, **own}, versions)
    return tuple(found[one.name] for one in graph.output)


def computed(function: Operation, node: Node, inputs: Sequence[Any]) -> Any:
    """Return the results of an operation; those of known values as arrays, because they may be shapes."""
    with_graph = any(type(one).__name__ == "GraphProto" for one in node.attributes.values())
    if with_graph or not known(*inputs) or any(one is not None and one.dtype == object for one in inputs):
        return function(node, *inputs)
    with tf.init_scope():
        found = function(node, *inputs)
        several = found if isinstance(found, tuple) else (found,)
        arrays = tuple(one.numpy() if tf.is_tensor(one) else one for one in several)
    return arrays if isinstance(found, tuple) else arrays[0]
