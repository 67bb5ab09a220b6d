"""Find the layers of a TensorFlow graph that have feature maps, and their names in the framework."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.models.info import Layer
from picasso.models.tf.places import Probe, places
from picasso.models.tf.receptive_fields import receptive_fields
from picasso.models.tokens import TokenGrid

# Operations that compute feature maps, and operations that merge several.
CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput"}
JOINS = {"AddV2", "AddN", "ConcatV2"}
# Operations that belong to the preceding layer: biases, normalizations, activations and their parts. BatchToSpaceND
# is the last operation of a dilated convolution.
FOLLOWING = {
    "Abs", "Add", "AddV2", "BiasAdd", "Elu", "Erf", "Erfc", "Exp", "Expm1", "FusedBatchNormV3", "Identity", "IdentityN",
    "LeakyRelu", "Log1p", "Maximum", "Minimum", "Mul", "Neg", "Pow", "QuantizeAndDequantizeV2", "RealDiv", "Relu",
    "Relu6", "Rsqrt", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Square", "Sub", "Tanh", "BatchToSpaceND",
}  # fmt: skip


class FeatureLayer(NamedTuple):
    """A layer of a graph.

    Attributes:
        tensor: its feature maps ``(N, h, w, c)``, or its tokens ``(N, T, c)``.
        operations: its operations from first to last.
        grid: where on the image the tokens lie; None for feature maps.
        channels_first: true if the tensor is ``(N, c, h, w)``.
    """

    tensor: Any
    operations: list[Any]
    grid: TokenGrid | None = None
    channels_first: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """The height, width and channels of its feature maps."""
        sides = self.tensor.shape.as_list()[1:]
        if self.channels_first:
            sides = [*sides[1:], sides[0]]
        return (self.grid.height, self.grid.width, sides[-1]) if self.grid else tuple(sides)

    def maps(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the tensor, or gradients there, as feature maps ``(N, h, w, c)``."""
        if self.channels_first:
            return np.moveaxis(values, 1, -1)
        return self.grid.maps(values) if self.grid else values

    def put(self, maps: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the tensor whose feature maps are others, ``(N, h, w, c)``; other tokens stay."""
        if self.channels_first:
            return np.moveaxis(maps, -1, 1)
        return self.grid.put(maps, values) if self.grid else maps

    def by_channel(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return one value for each channel, ``(c,)``, in a shape that broadcasts to the tensor."""
        return values[:, None, None] if self.channels_first else values


def feature_layers(inputs: Any, scores: Any, known: Collection[str] = ()) -> dict[str, FeatureLayer]:
    """Return the layers with feature maps between two operations, by name, first to last.

    Args:
        inputs: the input operation of the images.
        scores: the operation that computes the logits.
        known: the framework's names of its layers, which are used if possible.
    """
    downstream = reach(inputs, up=False)
    between = downstream & reach(scores, up=True)
    # The order of construction is topological.
    order = {one: place for place, one in enumerate(one for one in inputs.graph.get_operations() if one in between)}
    layers: dict[str, FeatureLayer] = {}
    taken: set[Any] = set()
    formats: dict[Any, bool] = {}
    for operation in order:
        joins = operation.type in JOINS and len(sources(operation, downstream)) > 1
        result = operation.outputs[0]
        if operation in taken or not (joins or operation.type in CONVOLUTIONS) or result.shape.rank != 4:
            continue
        if not result.dtype.is_floating or is_group(operation):
            # Places of values, not values; or a part of a layer.
            continue
        groups = [one for one in sources(operation, downstream) if is_group(one)]
        operations = [*groups, *whole_layer(operation, order, downstream)]
        taken.update(operations)
        tensor = operations[-1].outputs[0]
        layer = FeatureLayer(tensor, operations, channels_first=channels_first(operation, downstream, formats))
        if None not in layer.shape and layer.shape[0] * layer.shape[1] > 1:
            layers[layer_name(tensor.op.name, known, layers)] = layer
    return layers


def channels_first(operation: Any, among: Collection[Any], known: dict[Any, bool]) -> bool:
    """Tell whether the output of an operation is ``(N, c, h, w)``, by the nearest operation before that states it.

    Args:
        operation: a convolution, or what merges several feature maps.
        among: the operations to search.
        known: the answers for earlier operations, so that no part of the graph is searched twice; this one is added.
    """
    seen, waiting, known[operation] = {operation}, [operation], False
    while waiting:
        current = waiting.pop(0)
        if "data_format" in current.node_def.attr:
            known[operation] = bool(current.get_attr("data_format") == b"NCHW")
            break
        if current is not operation and current in known:
            known[operation] = known[current]
            break
        if current.type in FOLLOWING | JOINS:
            before = sources(current, among) - seen
            seen |= before
            waiting += sorted(before, key=lambda one: str(one.name))
    return known[operation]


def is_group(operation: Any) -> bool:
    """Tell whether an operation is one of the convolutions of a grouped convolution: of some channels of its input."""
    if operation.type not in CONVOLUTIONS or not operation.inputs[0].op.type.startswith("Split"):
        return False
    users = operation.outputs[0].consumers()
    return len(users) == 1 and users[0].type == "ConcatV2"


def whole_layer(first: Any, order: Mapping[Any, int], downstream: Collection[Any]) -> list[Any]:
    """Return an operation and the elementwise operations after it that depend on the image only through it.

    The last one is the only one whose output is used by other operations: ``x * sigmoid(x)`` is never split.

    Args:
        first: the operation that computes the feature maps.
        order: the operations between the input and the scores, with their positions in a topological order.
        downstream: all operations that depend on the image.
    """
    inside, whole = {first: None}, 1
    behind = consumers_of(first, order)
    # The operations inside whose outputs have consumers that were not visited yet, with the number of these.
    leading = {first: len(behind)}
    # A heap visits the consumers in topological order.
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
    """Return the operations in ``among`` that compute an operation's inputs."""
    return {tensor.op for tensor in operation.inputs if tensor.op in among}


def consumers_of(operation: Any, among: Collection[Any]) -> set[Any]:
    """Return the operations in ``among`` that use an operation's outputs."""
    return {one for tensor in operation.outputs for one in tensor.consumers() if one in among}


def coarsest(layers: Mapping[str, FeatureLayer], count: int) -> str | None:
    """Return the default layer of a network whose output has positions: the last one of the coarsest wide layers.

    Its last layers have as many positions as the output, so their values say little about other positions. Narrow
    layers, with less than half of the most channels, are heads, and so are layers with one channel for each class.

    Args:
        layers: the result of :func:`feature_layers`.
        count: the number of classes.
    """
    shapes = {name: layer.shape for name, layer in layers.items()}
    known = {name: shape for name, shape in shapes.items() if None not in shape}
    known = {name: shape for name, shape in known.items() if shape[2] != count} or known
    if not known:
        return next(reversed(list(layers)), None)
    fewest = min(height * width for height, width, _ in known.values())
    coarse = {name: shape[2] for name, shape in known.items() if shape[0] * shape[1] == fewest}
    return [name for name, channels in coarse.items() if channels * 2 >= max(coarse.values())][-1]


def describe(
    inputs: Any,
    layers: Mapping[str, FeatureLayer],
    probe: Probe = lambda _: None,
    choose: Callable[[Mapping[str, FeatureLayer]], str | None] = lambda layers: next(reversed(list(layers)), None),
    *,
    placed: bool = False,
) -> list[Layer]:
    """Return the description of each layer.

    Args:
        inputs: the input operation of the images.
        layers: the result of :func:`feature_layers`.
        probe: measures the position of a tensor's values in the image if it can't be derived from the graph.
        choose: returns the name of the default layer; by default, it is the last one.
        placed: if True, choose among the layers with a known position in the image, if there are any. Transformers may
            have others whose axes are windows and the tokens in them.
    """
    downstream = reach(inputs, up=False)
    tensors = {name: layer.tensor for name, layer in layers.items()}
    before = downstream & set(walk(*(tensor.op for tensor in tensors.values()), up=True))
    fields, found = receptive_fields(inputs, before, tensors), places(inputs, before, tensors, probe)
    known = {name: layer for name, layer in layers.items() if layer.grid or found[name]} if placed else {}
    default = choose(known or layers)
    return [
        Layer(
            name,
            layer.shape,
            name == default,
            count_parameters(layer.operations, downstream),
            fields[name],
            layer.grid.place if layer.grid else found[name],
        )
        for name, layer in layers.items()
    ]


def count_parameters(operations: Sequence[Any], downstream: set[Any]) -> int:
    """Return the number of values that a layer uses and that do not depend on the image.

    At inference, a normalization is a factor and an offset for each channel, and is counted so.
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
    """Return an operation with all operations that it depends on (``up``), or that depend on it."""
    return set(walk(operation, up=up))


def walk(*operations: Any, up: bool) -> Iterator[Any]:
    """Yield operations and all operations that they depend on (``up``), or that depend on them, each once."""
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
    """Return the name of a layer from the scopes of its last operation: ``conv2d_1`` for ``model_1/conv2d_1_1/Relu``.

    It is the innermost scope that is a known layer, because a layer may open further scopes (``bn_1/batchnorm``); or
    else the innermost scope. Keras opens the scope of a layer twice, to build it and to call it, so that TensorFlow
    appends a number to the second. If two layers would get the same name, the enclosing scopes are kept.
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
