"""Fold the normalizations and biases after convolutions into their filters, in a copy of a graph.

A network computes the same up to rounding, with two passes less over each feature map, forward and backward.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from picasso.models.tf.backward import drawn, following, ordered
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.feature_layers import consumers_of, reach
from picasso.models.tf.guided import RECTIFIERS
from picasso.models.tf.incremental.folding import AFFINE, affine
from picasso.models.tf.runtime import tf, tf1

CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative"}
# The name scope of the copied operations, and the prefix of the names of filters and biases.
SCOPE, GIVEN = "folded", "picasso_folded"


class Chain(NamedTuple):
    """A convolution and the affine operations after it, each of which is the only one that uses the one before."""

    convolution: Any
    behind: list[Any]


def folded(cutter: Cutter, wrapped: Any, inputs: Any, targets: Sequence[Any]) -> list[Any]:
    """Copy the operations between the input and some tensors within their graph, with normalizations folded.

    Args:
        cutter: extracts parts of the graph.
        wrapped: the graph, a result of ``tf.compat.v1.wrap_function``.
        inputs: the images.
        targets: tensors that depend on the images.

    Returns:
        the copies of the targets, or the targets themselves if nothing can be folded.
    """
    if any(has_own_gradient(operation) for operation in wrapped.graph.get_operations()):
        return list(targets)
    chains = find_chains(inputs, targets)
    weights = [tensor for chain in chains for one in (chain.convolution, *chain.behind) for tensor in one.inputs]
    operations = ordered(wrapped.graph.get_operations())
    later = following([inputs.op, *drawn(operations)], operations)
    # Variables that are read after something else has happened, and random numbers, are left alone.
    names = {tensor.name: tensor for tensor in weights if tensor.op not in later}
    values = dict(zip(names, cutter.cut([], list(names.values()))(), strict=True)) if names else {}
    parts = [(chain, found) for chain in chains if (found := fold(chain, values))]
    if not parts:
        return list(targets)
    graph = wrapped.graph
    captured = {inner.name: inner for _, inner in graph.captures}
    definition, used = cutter.between({inputs.name, *captured}, [tensor.op.name for tensor in targets])
    given = {inputs.name: inputs, **captured}
    mapped = {name: given[name] for name in used}
    with graph.as_default():
        replace(definition, [chain for chain, _ in parts])
        # The filters that were replaced are not used any more.
        left = {name for node in definition.node for name in node.input}
        mapped = {name: one for name, one in mapped.items() if left & {name, name.removesuffix(":0")}}
        for chain, (kernel, bias) in parts:
            last = chain.behind[-1].name
            mapped[f"{GIVEN}/{last}/kernel:0"] = graph.capture(kernel)
            mapped[f"{GIVEN}/{last}/bias:0"] = graph.capture(bias)
        return list(tf1.import_graph_def(definition, mapped, [tensor.name for tensor in targets], name=SCOPE))


def has_own_gradient(operation: Any) -> bool:
    """Tell whether a function computes the gradient of an operation from tensors of the original graph, as of SiLU."""
    try:
        kind = operation.get_attr("_gradient_op_type").decode()
    except ValueError:
        return False
    return kind not in RECTIFIERS.values()


def find_chains(inputs: Any, targets: Sequence[Any]) -> list[Chain]:
    """Return the convolutions between the input and some tensors that have affine operations after them."""
    of_images = reach(inputs.op, up=False)
    between = of_images & set(ordered([tensor.op for tensor in targets]))
    kept = {tensor.op for tensor in targets} | {one for operation in between for one in operation.control_inputs}
    chains = [
        Chain(operation, behind(operation, between, of_images, kept))
        for operation in inputs.graph.get_operations()
        if operation in between and operation.type in CONVOLUTIONS and folds(operation, of_images)
    ]
    return [chain for chain in chains if chain.behind]


def folds(convolution: Any, of_images: Collection[Any]) -> bool:
    """Tell whether a convolution has a filter of float32 that does not depend on the image, and channels last."""
    kernel = convolution.inputs[1]
    return (
        kernel.op not in of_images
        and kernel.dtype == tf.float32
        and convolution.get_attr("data_format") == b"NHWC"
        and convolution.outputs[0].shape[-1] is not None
    )


def behind(convolution: Any, among: Collection[Any], of_images: Collection[Any], kept: Collection[Any]) -> list[Any]:
    """Return the operations after a convolution that may be affine, as far as nothing else needs what is before."""
    found, last = list[Any](), convolution
    while last not in kept and len(after := consumers_of(last, among)) == 1:
        (following,) = after
        uses = [tensor.op for tensor in following.inputs if tensor.op in of_images]
        if following.type not in AFFINE or uses != [last] or following.outputs[0].shape.rank != 4:
            break
        found.append(following)
        last = following
    return found


def fold(chain: Chain, values: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Return the filter and the bias of a convolution with the operations after it; shorten the chain to these.

    None if no operation after it scales the channels by known factors.
    """
    channels = chain.convolution.outputs[0].shape[-1]
    factor, offset, count = np.ones(channels), np.zeros(channels), 0
    for last, operation in zip([chain.convolution, *chain.behind], chain.behind, strict=False):
        known = all(tensor.name in values for tensor in operation.inputs if tensor.op is not last)
        found = affine(operation, values, channels) if known else None
        if found is None:
            break
        factor, offset, count = factor * found[0], offset * found[0] + found[1], count + 1
    kernel = values.get(chain.convolution.inputs[1].name)
    # A bias alone is as good as folded.
    if kernel is None or not (factor != 1).any():
        return None
    del chain.behind[count:]
    kernel = kernel.numpy()
    depthwise = chain.convolution.type == "DepthwiseConv2dNative"
    kernel = kernel * factor.reshape(kernel.shape[2:] if depthwise else (1, -1))
    return tf.constant(kernel, tf.float32), tf.constant(offset, tf.float32)


def replace(definition: Any, chains: Sequence[Chain]) -> None:
    """Replace the operations of chains in a GraphDef by convolutions with the new filters and biases."""
    gone = {one.name: one for chain in chains for one in (chain.convolution, *chain.behind)}
    before = {node.name: node for node in definition.node}
    nodes = [node for node in definition.node if node.name not in gone]
    for chain in chains:
        last, convolution = chain.behind[-1].name, before[chain.convolution.name]
        images, *_ = convolution.input
        made = tf1.NodeDef(name=f"{last}/{GIVEN}", op=convolution.op, input=[images, f"{GIVEN}/{last}/kernel"])
        for key, value in convolution.attr.items():
            made.attr[key].CopyFrom(value)
        bias = tf1.NodeDef(name=last, op="BiasAdd", input=[made.name, f"{GIVEN}/{last}/bias"])
        bias.attr["T"].CopyFrom(convolution.attr["T"])
        bias.attr["data_format"].s = b"NHWC"
        nodes += [made, bias]
    del definition.node[:]
    definition.node.extend(nodes)
