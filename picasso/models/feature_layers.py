"""Finding the layers of a TensorFlow graph that have feature maps, and giving them the names their author knows."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from picasso.models.card import Layer
from picasso.models.receptive_fields import receptive_fields

# Operations whose 4-D outputs are feature maps, and those that still belong to the layer before them.
CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput"}
SPATIAL = CONVOLUTIONS | {"AddV2", "AddN", "ConcatV2"}
FOLLOWING = {
    "BiasAdd", "Add", "AddV2", "Mul", "Sub", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Tanh", "Sigmoid",
    "FusedBatchNormV3", "IdentityN",
}  # fmt: skip


def feature_layers(inputs: Any, scores: Any, known: Collection[str] = ()) -> dict[str, Any]:
    """Return the 4-D tensors between two operations by name, first to last: each layer with bias and activation.

    Args:
        inputs: the operation that takes the pictures.
        scores: the operation that gives the logits.
        known: the names that the framework gave its layers; a tensor is named after one of them if it can be.
    """
    upstream, downstream = reach(scores, up=True), reach(inputs, up=False)
    on_path = upstream & downstream
    layers: dict[str, Any] = {}
    for operation in inputs.graph.get_operations():
        if operation not in on_path or operation.type not in SPATIAL or operation.outputs[0].shape.rank != 4:
            continue
        tensor = operation.outputs[0]
        while True:
            consumers = [one for one in tensor.consumers() if one in on_path]
            if len(consumers) != 1 or not follows(consumers[0], downstream):
                break
            tensor = consumers[0].outputs[0]
        shape = tensor.shape.as_list()[1:]
        if None not in shape and shape[0] * shape[1] > 1 and not any(tensor is other for other in layers.values()):
            layers[layer_name(tensor.op.name, known, layers)] = tensor
    return layers


def describe(inputs: Any, tensors: Mapping[str, Any]) -> list[Layer]:
    """Return what is known of each layer; the last is the default one."""
    downstream = reach(inputs, up=False)
    fields = receptive_fields(inputs, downstream, tensors)
    last = next(reversed(list(tensors)), None)
    return [
        Layer(name, tuple(tensor.shape.as_list()[1:]), name == last, count_parameters(tensor, downstream), fields[name])
        for name, tensor in tensors.items()
    ]


def count_parameters(tensor: Any, downstream: set[Any]) -> int:
    """Return how many numbers that do not depend on the picture enter a layer, from its convolution to its end.

    A normalization counts as what it is when the model answers: a factor and an offset for each channel.
    """
    count, operation = 0, tensor.op
    while operation in downstream:
        count += sum(
            math.prod(one.shape.as_list())
            for one in operation.inputs
            if one.op not in downstream and one.shape.rank and None not in one.shape.as_list() and one.dtype.is_floating
        )
        before = [one.op for one in operation.inputs if one.op in downstream]
        if operation.type in CONVOLUTIONS or len(before) != 1:
            break
        operation = before[0]
    return count


def reach(operation: Any, *, up: bool) -> set[Any]:
    """Return the operations that ``operation`` depends on (``up``), or that depend on it."""
    seen, waiting = set(), [operation]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if up:
            waiting += [tensor.op for tensor in current.inputs]
        else:
            waiting += [consumer for tensor in current.outputs for consumer in tensor.consumers()]
    return seen


def follows(operation: Any, downstream: set[Any]) -> bool:
    """Tell whether an operation still belongs to the layer before it: bias, normalization or activation."""
    if operation.type not in FOLLOWING or operation.outputs[0].shape.rank != 4:
        return False
    # A sum of two branches that both depend on the picture starts something new.
    return sum(tensor.op in downstream for tensor in operation.inputs) == 1


def layer_name(operation: str, known: Collection[str], taken: Collection[str]) -> str:
    """Name a layer by the scope of its last operation: ``model_1/conv2d_1_1/Relu`` is ``conv2d_1``.

    Keras opens the scope of a layer twice, once to build it and once to call it, so that TensorFlow appends a
    number to the second. Where two layers would get one name, the scopes around them are kept.
    """
    *scopes, _ = operation.split("/")
    if not scopes:
        return operation
    names = [plain if (plain := re.sub(r"_\d+$", "", scope)) in known else scope for scope in scopes]
    if names[-1] not in taken:
        return names[-1]
    path = "/".join(names)
    return path if path not in taken else operation
