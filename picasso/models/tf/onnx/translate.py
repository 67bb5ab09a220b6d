"""Translate an ONNX graph into TensorFlow operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Imported for the operations that they register.
from picasso.models.tf.onnx import elementwise, linear, reductions, resizing, shapes, windows
from picasso.models.tf.onnx.table import OPERATIONS, Node, Operation, Untranslatable, known
from picasso.models.tf.runtime import tf

__all__ = ["Untranslatable", "missing", "translate"]

MODULES = (elementwise, linear, reductions, resizing, shapes, windows)


def missing(graph: Any) -> list[str]:
    """Return the kinds of operations of a graph that have no translation."""
    return sorted({node.op_type for node in graph.node} - OPERATIONS.keys())


def translate(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs of a model as tensors or known arrays, by name.

    Args:
        model: an ``onnx.ModelProto``.
        given: its inputs, by name.

    Raises:
        Untranslatable: an operation has no translation; the message names it and its node.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    versions = {one.domain: one.version for one in model.opset_import}
    values: dict[str, Any] = {"": None}
    values |= {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    values |= given
    for node in graph.node:
        function = OPERATIONS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if function is None:
            raise Untranslatable(f"the operation {node.op_type} of node {node.name or node.output[0]!r} is unknown")
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        inputs = [values[name] for name in node.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        version = versions.get(node.domain, versions.get("", 1))
        try:
            found = computed(function, Node(attributes, version, len(node.output)), inputs)
        except Untranslatable as error:
            raise Untranslatable(f"{node.op_type} of node {node.name or node.output[0]!r}: {error}") from None
        outputs = found if isinstance(found, tuple) else (found,)
        values |= {name: one for name, one in zip(node.output, outputs, strict=False) if name}
    return {one.name: values[one.name] for one in graph.output}


def computed(function: Operation, node: Node, inputs: Sequence[Any]) -> Any:
    """Return the results of an operation; those of known values as arrays, because they may be shapes."""
    if not known(*inputs) or any(one is not None and one.dtype == object for one in inputs):
        return function(node, *inputs)
    with tf.init_scope():
        found = function(node, *inputs)
        several = found if isinstance(found, tuple) else (found,)
        arrays = tuple(one.numpy() if tf.is_tensor(one) else one for one in several)
    return arrays if isinstance(found, tuple) else arrays[0]
