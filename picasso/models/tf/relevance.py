"""AttnLRP: layer-wise relevance propagation through transformers, as a backward pass with other rules.

Achtibat et al., *AttnLRP: attention-aware layer-wise relevance propagation for transformers*, arXiv 2402.05602. The
relevance of a value is the value times what this backward pass gives. Products with weights, sums and the softmax keep
their gradients. The rules for all others:

- A product of two tensors that depend on the image, such as queries with keys, gives each of them half (equation 15).
- The standard deviation of a normalization is constant (equation 17).
- An activation ``f`` multiplies by ``f(x) / x`` (equation 9); for ``x * g(x)``, the gate ``g(x)`` is constant.

Biases take the share of the relevance that they add.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from picasso.models.tf.backward import following, ordered
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.place_operations import PRODUCTS
from picasso.models.tf.runtime import gradient_registry, tf, tf1

# The name scope of the copied operations.
SCOPE = "relevance"
CONSTANT, RATIO, HALF = "PicassoConstant", "PicassoRatio", "PicassoHalf"
#: Operations of a gate or an activation, depending on what their result is multiplied by.
GATES = {"Erf", "Erfc", "Relu6", "Sigmoid", "Tanh"}
ACTIVATIONS = {*GATES, "Abs", "Elu", "Selu", "Softplus", "Softsign", "Square"}
ROOTS = {"Rsqrt", "Sqrt"}
BILINEAR = {*PRODUCTS, "Einsum", "Mul"}
HALVED = {*BILINEAR, "SquaredDifference"}
# Operations on single values, through which gates are followed.
ELEMENTWISE = {
    *ACTIVATIONS, "Add", "AddV2", "BiasAdd", "Cast", "ClipByValue", "Exp", "Identity", "IdentityN", "Log1p", "Maximum",
    "Minimum", "Mul", "Neg", "Pow", "RealDiv", "Sub",
}  # fmt: skip
# Operations whose gradient is the rule: linear ones, those that move or choose values, and the softmax.
OWN = {
    *BILINEAR, "Add", "AddN", "AddV2", "AvgPool", "BatchToSpaceND", "BiasAdd", "BroadcastTo", "Cast",
    "CheckNumerics", "ConcatV2", "Conv2D", "Conv2DBackpropInput", "DepthToSpace", "DepthwiseConv2dNative",
    "EnsureShape", "ExpandDims", "ExtractImagePatches", "FusedBatchNormV3", "GatherNd", "GatherV2", "Identity",
    "IdentityN", "LeakyRelu", "Max", "MaxPool", "Maximum", "Mean", "Min", "Minimum", "MirrorPad", "Neg", "Pack",
    "Pad", "PadV2", "PlaceholderWithDefault", "Pow", "PreventGradient", "RealDiv", "Relu", "Reshape",
    "ResizeBilinear", "ResizeNearestNeighbor", "ReverseV2", "Roll", "Select", "SelectV2", "Slice", "Softmax",
    "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Squeeze", "StopGradient", "StridedSlice", "Sub", "Sum",
    "Tile", "Transpose", "Unpack",
}  # fmt: skip


@tf.RegisterGradient(CONSTANT)  # type: ignore[untyped-decorator]
def constant(operation: Any, *_: Any) -> Any:
    """Return no gradient."""
    return [None] * len(operation.inputs) if len(operation.inputs) > 1 else None


@tf.RegisterGradient(RATIO)  # type: ignore[untyped-decorator]
def ratio(operation: Any, gradient: Any) -> Any:
    """Return the gradient times ``f(x) / x``; 0 for an x of 0, which has no relevance."""
    return gradient * tf.math.divide_no_nan(operation.outputs[0], operation.inputs[0])


@tf.RegisterGradient(HALF)  # type: ignore[untyped-decorator]
def half(operation: Any, gradient: Any) -> Any:
    """Return half of the gradients of a product."""
    return [one if one is None else one / 2 for one in gradient_registry.lookup(operation.type)(operation, gradient)]


def with_rules(cutter: Cutter, wrapped: Any, inputs: Any, scores: Any) -> Any:
    """Return a copy of the scores, within their graph, whose gradients with respect to the input follow the rules.

    Args:
        cutter: extracts parts of the graph.
        wrapped: the graph, a result of ``tf.compat.v1.wrap_function``.
        inputs: the images.
        scores: the scores.

    Raises:
        ValueError: the scores depend on the images by an operation that has no rule.
    """
    found = rules(inputs, scores)
    captured = {inner.name: inner for _, inner in wrapped.graph.captures}
    given = {inputs.name: inputs, **captured}
    definition, used = cutter.between(set(given), [scores.op.name])
    for node in definition.node:
        node.attr.pop("_gradient_op_type", None)
        if node.name in found:
            node.attr["_gradient_op_type"].s = found[node.name].encode()
    with wrapped.graph.as_default():
        return tf1.import_graph_def(definition, {name: given[name] for name in used}, [scores.name], name=SCOPE)[0]


def rules(inputs: Any, scores: Any) -> dict[str, str]:
    """Return the names of operations whose gradients are replaced, with the names of the registered gradients."""
    operations = ordered([scores.op])
    of_images = following([inputs.op], operations)
    found = {one.name: CONSTANT for one in of_images if is_constant(one, of_images)}
    counted, live = reaching(scores.op, found), {inputs.op}
    for operation in of_images:
        arms = [tensor for tensor in operation.inputs if tensor.op in live]
        if not arms or operation.name in found:
            continue
        live.add(operation)
        if operation in counted and not has_rule(operation, live):
            raise ValueError(f"there is no rule for {operation.name} ({operation.type})")
        if operation.type in HALVED and len(arms) == 2:
            found[operation.name] = HALF
        elif operation.type in ACTIVATIONS:
            found[operation.name] = RATIO
    return found


def reaching(target: Any, stopped: Collection[str]) -> set[Any]:
    """Return the operations from which relevance comes to an operation, not through some that pass none."""
    found, waiting = set[Any](), [target]
    while waiting:
        current = waiting.pop()
        if current not in found and current.name not in stopped:
            found.add(current)
            waiting += [tensor.op for tensor in current.inputs]
    return found


def has_rule(operation: Any, live: Collection[Any]) -> bool:
    """Tell whether an operation has a rule; results that are not real numbers need none."""
    if not any(tensor.dtype.is_floating for tensor in operation.outputs):
        return True
    if operation.type in ("RealDiv", "Pow") and operation.inputs[1].op in live:
        return False
    return operation.type in OWN or operation.type in ACTIVATIONS or operation.type in HALVED


def is_constant(operation: Any, of_images: Collection[Any]) -> bool:
    """Tell whether an operation is a standard deviation, or the gate of an activation ``x * g(x)``."""
    if operation.type in ROOTS:
        return True
    if operation.type == "Pow":
        exponent = tf.get_static_value(operation.inputs[1])
        return exponent is not None and abs(float(exponent.flat[0] if exponent.ndim else exponent)) == 0.5
    return operation.type in GATES and is_gate(operation, of_images)


def is_gate(operation: Any, of_images: Collection[Any]) -> bool:
    """Tell whether the result of an operation is multiplied by that from which it is computed."""
    sources, waiting, seen = roots(operation.inputs[0], of_images), [operation.outputs[0]], set()
    while waiting:
        tensor = waiting.pop()
        for one in tensor.consumers():
            if one in seen or one not in of_images or one.type not in ELEMENTWISE:
                continue
            seen.add(one)
            others = [other for other in one.inputs if other is not tensor and other.op in of_images]
            if one.type == "Mul" and others:
                if roots(others[0], of_images) == sources:
                    return True
            elif not others:
                waiting.append(one.outputs[0])
    return False


def roots(tensor: Any, of_images: Collection[Any]) -> set[str]:
    """Return the names of the tensors from which a tensor is computed value by value."""
    found, waiting, seen = set[str](), [tensor], set[str]()
    while waiting:
        current = waiting.pop()
        if current.name in seen:
            continue
        seen.add(current.name)
        before = [one for one in current.op.inputs if one.op in of_images]
        if current.op.type in ELEMENTWISE and before:
            waiting += before
        else:
            found.add(current.name)
    return found
