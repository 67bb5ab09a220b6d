"""Translate an ONNX graph into TensorFlow operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Imported for the operations that they register.
from picasso.models.tf.onnx import (
    activations,
    attention,
    control,
    convolutions,
    elementwise,
    fused,
    fused_quantized,
    linear,
    normalizations,
    patches,
    places,
    pools,
    quantized,
    recurrent,
    reductions,
    resizing,
    sampling,
    selection,
    sequences,
    shapes,
)
from picasso.models.tf.onnx.names import layer_names
from picasso.models.tf.onnx.permuted import compute
from picasso.models.tf.onnx.shapes import TYPES
from picasso.models.tf.onnx.table import OPERATIONS, Node, Permuted, array_of, is_integer, lengths, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known, scope_of

__all__ = ["Untranslatable", "missing", "translate"]

MODULES = (
    activations, attention, control, convolutions, elementwise, fused, fused_quantized, linear, normalizations, patches,
    places, pools, quantized, recurrent, reductions, resizing, sampling, selection, sequences, shapes,
)  # fmt: skip
# The maximum number of nodes, with each iteration of a loop, and the maximum size of all constants that are computed.
MAX_NODES, MAX_BYTES = 100_000, 2_000_000_000
# ONNX's numbers of the types with 16 bits, and of the type with 32 bits.
HALVES, SINGLE = (10, 16), 1


def key(node: Any) -> str:
    """Return the name of the operation of a node in the table; in other domains it is ``domain:name``."""
    return str(node.op_type) if node.domain in ("", "ai.onnx") else f"{node.domain}:{node.op_type}"


def nodes_of(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of the graphs in their attributes."""
    for node in graph.node:
        yield node
        for one in node.attribute:
            if one.HasField("g"):
                yield from nodes_of(one.g)


def missing(graph: Any) -> list[str]:
    """Return the kinds of operations of a graph that have no translation, sorted."""
    return sorted({key(node) for node in nodes_of(graph)} - OPERATIONS.keys())


def translate(model: Any, given: Mapping[str, Any], *, single: bool = False, batched: bool = False) -> dict[str, Any]:
    """Return the outputs of a model as tensors or known arrays in their declared types, by name.

    Args:
        model: an ``onnx.ModelProto`` without functions.
        given: its inputs, by name: tensors, known arrays, or permuted values.
        single: if True, compute numbers of 16 bits with 32 bits.
        batched: if True, the model was made for one image and gets several. Whether it computes these correctly must
            be checked.

    Raises:
        Untranslatable: an operation has no translation; the message names it and its node.
    """
    versions = {"" if one.domain == "ai.onnx" else one.domain: one.version for one in model.opset_import}
    found = Translation(versions, single, batched).evaluate(model.graph, {"": None, **given})
    return {one.name: declared(one, found[one.name], single=single) for one in model.graph.output}


def declared(output: Any, value: Any, *, single: bool) -> Any:
    """Return a value in the declared type of an output; quantized numbers have another type before."""
    number = output.type.tensor_type.elem_type
    if number not in TYPES or isinstance(value, list):
        return value
    kind = tf.dtypes.as_dtype(TYPES[SINGLE if single and number in HALVES else number])
    if known(value) and value.dtype != object:
        return value if kind.name == "bfloat16" else value.astype(kind.as_numpy_dtype, copy=False)
    found = tf.cast(tensor(value), kind)
    # TensorFlow may not know all lengths that the file states.
    stated = [one.dim_value if one.dim_value > 0 else None for one in output.type.tensor_type.shape.dim]
    if found.shape.rank != len(stated) or not stated:
        return found
    return tf.ensure_shape(found, [None, *stated[1:]]) if None in found.shape.as_list()[1:] else found


@dataclass(frozen=True)
class Translation:
    """The translation of a graph and of the graphs in its attributes.

    Attributes:
        versions: the version of the operations of each domain.
        single: if True, numbers of 16 bits are computed with 32 bits.
        batched: if True, a model for one image gets several.
    """

    versions: Mapping[str, int]
    single: bool = False
    batched: bool = False
    _spent: Counter[str] = field(default_factory=Counter)

    def evaluate(self, graph: Any, scope: Mapping[str, Any]) -> dict[str, Any]:
        """Return all values of a graph by name.

        Args:
            graph: a ``GraphProto``.
            scope: its inputs, and the values around it that it may use.
        """
        from onnx import numpy_helper

        if graph.sparse_initializer:
            raise Untranslatable("the file has sparse weights")
        values = dict(scope)
        for one in graph.initializer:
            if one.name not in scope:
                values[one.name] = self._in_type(numpy_helper.to_array(one))
        for node, layer in zip(graph.node, layer_names(graph.node), strict=True):
            self._spend("nodes", 1, MAX_NODES)
            try:
                with scope_of(layer):
                    outputs = self._compute(node, values)
            except Untranslatable as error:
                raise Untranslatable(f"{key(node)} of the node {node.name or node.output[0]!r}: {error}") from None
            values |= {name: one for name, one in zip(node.output, outputs, strict=False) if name}
        return values

    def _compute(self, node: Any, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the outputs of a node."""
        if key(node) not in OPERATIONS:
            raise Untranslatable("this operation has no translation")
        inputs = [values[name] for name in node.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        version = self.versions.get("" if node.domain == "ai.onnx" else node.domain, self.versions.get("", 1))
        attributes = self._attributes(node)
        if version < 7 and attributes.get("broadcast"):
            inputs[1] = at_axis(inputs[1], inputs[0], attributes.get("axis"))
        if version < 7 and key(node) == "PRelu" and len(inputs[1].shape) == 1:
            # In early versions, a vector has one slope for each channel.
            inputs[1] = at_axis(inputs[1], inputs[0], 1)

        def subgraph(name: str, given: Sequence[Any]) -> tuple[Any, ...]:
            inner = attributes[name]
            own = {**values, **{one.name: value for one, value in zip(inner.input, given, strict=True)}}
            found = self.evaluate(inner, own)
            return tuple(found[one.name] for one in inner.output)

        if self.batched:
            inputs = for_batches(key(node), attributes, inputs)
        described = Node(attributes, version, len(node.output), subgraph)
        graphs = any(one.HasField("g") for one in node.attribute)
        found = applied(key(node), described, inputs, graphs=graphs)
        outputs = found if isinstance(found, tuple) else (found,)
        if self.batched and key(node) in ("Reshape", "Squeeze") and loses_batch(inputs[0], outputs[0]):
            raise Untranslatable("it has no axis for several images")
        found = [self._in_type(settled(one)) for one in outputs]
        self._spend("bytes", sum(one.nbytes for one in found if isinstance(one, np.ndarray)), MAX_BYTES)
        return found

    def _spend(self, what: str, amount: int, limit: int) -> None:
        """Count what the translation takes, and refuse more than a limit."""
        self._spent[what] += amount
        if self._spent[what] > limit:
            raise Untranslatable(f"its constants and loops take more than {limit:,} {what}")

    def _attributes(self, node: Any) -> dict[str, Any]:
        """Return the attributes of a node."""
        from onnx import helper

        found = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if self.single:
            found |= {name: SINGLE for name in ("to", "dtype", "stash_type") if found.get(name) in HALVES}
        return found

    def _in_type(self, value: Any) -> Any:
        """Return a known value of 16 bits with 32 bits if the translation computes so."""
        if self.single and known(value) and value is not None and value.dtype.name in ("float16", "bfloat16"):
            return value.astype(np.float32)
        return value


def for_batches(name: str, attributes: Mapping[str, Any], inputs: Sequence[Any]) -> list[Any]:
    """Return the inputs of an operation of a model for one image so that it keeps the images of a batch."""
    found = list(inputs)
    if name == "Reshape" and len(inputs) == 2 and known(inputs[1]) and not known(inputs[0]):
        sides = np.asarray(inputs[1])
        if sides.size and sides[0] == 1 and len(inputs[0].shape) and inputs[0].shape[0] is None:
            found[1] = array_of([lengths(inputs[0])[0], *sides[1:]])
    if name == "Concat" and attributes.get("axis", 1) != 0:
        live = [one for one in inputs if not known(one) and one.shape[0] is None]
        if live:
            size = tf.shape(tensor(live[0]))[0]
            found = [tf.repeat(tensor(one), size, 0) if len(one.shape) and one.shape[0] == 1 else one for one in inputs]
    return found


def loses_batch(x: Any, result: Any) -> bool:
    """Tell whether a value of any number of images became one of a known number."""
    return not known(x) and not known(result) and None in x.shape.as_list() and None not in result.shape.as_list()


def at_axis(x: Any, like: Any, axis: int | None) -> Any:
    """Return an operand whose first axis is an axis of another one, as in old files, in a shape that broadcasts."""
    missing_axes = 0 if axis is None else len(like.shape) - axis % len(like.shape) - len(x.shape)
    if missing_axes <= 0:
        return x
    return x.reshape([*x.shape, *[1] * missing_axes]) if known(x) else tensor(x)[(..., *(None,) * missing_axes)]


def applied(name: str, node: Node, inputs: Sequence[Any], *, graphs: bool) -> Any:
    """Return the results of an operation; those of known values as arrays, because they may be shapes."""
    if graphs or not known(*inputs) or any(one is not None and one.dtype == object for one in inputs):
        return compute(name, node, *inputs)
    with tf.init_scope():
        found = compute(name, node, *inputs)
        several = found if isinstance(found, tuple) else (found,)
        arrays = tuple(array(one) for one in several)
    return arrays if isinstance(found, tuple) else arrays[0]


def settled(value: Any) -> Any:
    """Return known numbers as an array, and lengths as integers if all are known."""
    if isinstance(value, int | np.generic):
        return np.asarray(value)
    if isinstance(value, np.ndarray) and value.dtype == object and all(map(is_integer, value.ravel())):
        return value.astype(np.int64)
    return value


def array(value: Any) -> Any:
    """Return an eager tensor as an array."""
    value = value.plain() if isinstance(value, Permuted) else value
    return value.numpy() if tf.is_tensor(value) else value
