"""Finding the layers of a TensorFlow graph that have feature maps, and giving them the names their author knows."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from picasso.models.info import Layer
from picasso.models.tf.places import Probe, places
from picasso.models.tf.receptive_fields import receptive_fields

# Operations that make feature maps, and those that join some.
CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput"}
JOINS = {"AddV2", "AddN", "ConcatV2"}
# Operations that still belong to the layer before them: biases, normalizations, activations and their parts. The
# last one ends a dilated convolution.
FOLLOWING = {
    "Abs", "Add", "AddV2", "BiasAdd", "Elu", "Erf", "Erfc", "Exp", "Expm1", "FusedBatchNormV3", "Identity", "IdentityN",
    "LeakyRelu", "Log1p", "Maximum", "Minimum", "Mul", "Neg", "Pow", "RealDiv", "Relu", "Relu6", "Rsqrt", "Selu",
    "Sigmoid", "Softplus", "Softsign", "Sqrt", "Square", "Sub", "Tanh", "BatchToSpaceND",
}  # fmt: skip


class FeatureLayer(NamedTuple):
    """A layer of a graph: its feature maps, and its operations from the one that makes them to the last."""

    tensor: Any
    operations: list[Any]


def feature_layers(inputs: Any, scores: Any, known: Collection[str] = ()) -> dict[str, FeatureLayer]:
    """Return the layers between two operations that have feature maps, by name, first to last.

    Args:
        inputs: the operation that takes the images.
        scores: the operation that gives the logits.
        known: the names that the framework gave its layers; a layer is named after one of them if it can be.
    """
    downstream = reach(inputs, up=False)
    between = downstream & reach(scores, up=True)
    # In the order in which they were built, each operation comes after those it depends on.
    order = {one: place for place, one in enumerate(one for one in inputs.graph.get_operations() if one in between)}
    layers: dict[str, FeatureLayer] = {}
    taken: set[Any] = set()
    for operation in order:
        joins = operation.type in JOINS and len(sources(operation, downstream)) > 1
        if operation in taken or not (joins or operation.type in CONVOLUTIONS) or operation.outputs[0].shape.rank != 4:
            continue
        operations = whole_layer(operation, order, downstream)
        taken.update(operations)
        tensor = operations[-1].outputs[0]
        shape = tensor.shape.as_list()[1:]
        if None not in shape and shape[0] * shape[1] > 1:
            layers[layer_name(tensor.op.name, known, layers)] = FeatureLayer(tensor, operations)
    return layers


def whole_layer(first: Any, order: Mapping[Any, int], downstream: Collection[Any]) -> list[Any]:
    """Return an operation and those after it that depend on the image through it alone, value by value.

    They end where a single tensor leads on: behind ``x * sigmoid(x)``, not in the middle of it.

    Args:
        first: the operation that makes the feature maps.
        order: the operations between the input and the scores, with their places in an order in which each comes after
            those it depends on.
        downstream: all operations that depend on the image.
    """
    inside, whole = {first: None}, 1
    behind = consumers_of(first, order)
    # Those inside whose output is still to be taken by some operation, and by how many.
    leading = {first: len(behind)}
    # A heap, so that the operation that comes first is looked at next, and none is looked at that takes nothing.
    waiting = [(order[one], one) for one in behind]
    heapq.heapify(waiting)
    while waiting:
        _, operation = heapq.heappop(waiting)
        if operation in inside:
            continue
        before = sources(operation, downstream)
        if operation.type not in FOLLOWING or not before <= inside.keys() or operation.outputs[0].shape.rank != 4:
            break
        inside[operation] = None
        for one in before:
            leading[one] -= 1
            if not leading[one]:
                del leading[one]
        behind = consumers_of(operation, order)
        leading |= {operation: len(behind)} if behind else {}
        for one in behind:
            heapq.heappush(waiting, (order[one], one))
        if leading.keys() <= {operation}:
            whole = len(inside)
    return list(inside)[:whole]


def sources(operation: Any, among: Collection[Any]) -> set[Any]:
    """Return those operations ``among`` some that give an operation its inputs."""
    return {tensor.op for tensor in operation.inputs if tensor.op in among}


def consumers_of(operation: Any, among: Collection[Any]) -> set[Any]:
    """Return those operations ``among`` some that take what an operation gives."""
    return {one for tensor in operation.outputs for one in tensor.consumers() if one in among}


def describe(inputs: Any, layers: Mapping[str, FeatureLayer], probe: Probe = lambda _: None) -> list[Layer]:
    """Return what is known of each layer; the last is the default one.

    Args:
        inputs: the operation that takes the images.
        layers: those that :func:`feature_layers` found.
        probe: tries where the values of a tensor come from, where that can't be read.
    """
    downstream = reach(inputs, up=False)
    tensors = {name: layer.tensor for name, layer in layers.items()}
    before = downstream & set(walk(*(tensor.op for tensor in tensors.values()), up=True))
    fields, found = receptive_fields(inputs, before, tensors), places(inputs, before, tensors, probe)
    last = next(reversed(list(layers)), None)
    return [
        Layer(
            name,
            tuple(layer.tensor.shape.as_list()[1:]),
            name == last,
            count_parameters(layer.operations, downstream),
            fields[name],
            found[name],
        )
        for name, layer in layers.items()
    ]


def count_parameters(operations: Sequence[Any], downstream: set[Any]) -> int:
    """Return how many numbers that do not depend on the image enter a layer.

    A normalization counts as what it is when the model answers: a factor and an offset for each channel.
    """
    return sum(
        math.prod(tensor.shape.as_list())
        for operation in operations
        for tensor in operation.inputs
        if tensor.op not in downstream
        and tensor.shape.rank
        and None not in tensor.shape.as_list()
        and tensor.dtype.is_floating
    )


def reach(operation: Any, *, up: bool) -> set[Any]:
    """Return the operations that ``operation`` depends on (``up``), or that depend on it."""
    return set(walk(operation, up=up))


def walk(*operations: Any, up: bool) -> Iterator[Any]:
    """Yield some operations and those that they depend on (``up``), or that depend on them, each once."""
    seen, waiting = set(), list(operations)
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        yield current
        if up:
            waiting += [tensor.op for tensor in current.inputs]
        else:
            waiting += [consumer for tensor in current.outputs for consumer in tensor.consumers()]


def layer_name(operation: str, known: Collection[str], taken: Collection[str]) -> str:
    """Name a layer by the scopes of its last operation: ``model_1/conv2d_1_1/Relu`` is ``conv2d_1``.

    That is the innermost scope that is a layer (a layer may open scopes of its own, ``bn_1/batchnorm``), or else
    the innermost. Keras opens the scope of a layer twice, once to build it and once to call it, so that
    TensorFlow appends a number to the second. Where two layers would get one name, the scopes around them are
    kept.
    """
    *scopes, _ = operation.split("/")
    if not scopes:
        return operation
    names = [plain if (plain := re.sub(r"_\d+$", "", scope)) in known else scope for scope in scopes]
    name = next((name for name in reversed(names) if name in known), names[-1])
    if name not in taken:
        return name
    path = "/".join(names)
    return path if path not in taken else operation
