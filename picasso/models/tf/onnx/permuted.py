"""Tensors whose axes are stored in another order than in the ONNX graph, so that images have their channels last.

ONNX convolutions take ``(N, C, H, W)``, but TensorFlow computes, and Picasso explains, ``(N, H, W, C)``. A value is
therefore stored as convenient, together with the order of its axes. A transposition only changes that order. The rules
of this module compute many operations on the stored values; before all others, the axes are put in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from picasso.models.tf.onnx.elementwise import PAIRS, UNARY
from picasso.models.tf.onnx.reductions import REDUCED
from picasso.models.tf.onnx.regrouping import permuted, regrouped
from picasso.models.tf.onnx.table import OPERATIONS, Node, Permuted, integers, is_integer, lengths, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import known

#: A rule gets the inputs, of which at least one is stored in another order. It returns None if it does not apply.
Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
# Operations whose functions take and return values in any order themselves.
NATIVE = {
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
    "Shape", "Size",
}  # fmt: skip
ELEMENTWISE = {
    *UNARY, *PAIRS, "BitShift", "Cast", "Celu", "Clip", "Div", "Elu", "Equal", "Gelu", "HardSigmoid", "HardSwish",
    "Identity",
    "IsInf", "LeakyRelu", "Max", "Mean", "Min", "Mod", "PRelu", "Pow", "Selu", "Shrink", "Sum", "Swish",
    "ThresholdedRelu", "Where",
}  # fmt: skip


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule for operations of some kinds."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def compute(name: str, node: Node, *inputs: Any) -> Any:
    """Return the results of an operation on values that may be stored in another order."""
    if any(isinstance(one, Permuted) for one in inputs):
        found = RULES[name](node, *inputs) if name in RULES else None
        if found is not None:
            return found
        if name not in NATIVE:
            inputs = tuple(one.plain() if isinstance(one, Permuted) else one for one in inputs)
    elif name == "Transpose" and not known(*inputs):
        (x,) = inputs
        return transpose(node, Permuted(x, tuple(range(rank(x)))))
    return OPERATIONS[name](node, *inputs)


def in_order(value: Any, order: Sequence[int]) -> Any:
    """Return a value as a tensor that broadcasts against tensors with their axes in an order.

    Raises:
        ValueError: the value has more axes.
    """
    if isinstance(value, Permuted) and value.order == tuple(order):
        return value.data
    if known(value) and np.size(value) == 1 and np.asarray(value).dtype != object:
        return np.reshape(value, ())
    missing = len(order) - rank(value)
    if missing < 0:
        raise ValueError("the value has more axes")
    if rank(value) == 0:
        return value
    back = np.argsort(order).tolist()
    if known(value) and value.dtype != object:
        return np.transpose(value.reshape([1] * missing + list(value.shape)), back)
    plain = tensor(value)
    plain = plain[(None,) * missing] if missing else plain
    return tf.transpose(plain, back)


def common_order(values: Sequence[Any]) -> tuple[int, ...] | None:
    """Return the order in which the result of values of equal rank is stored, or None if that is the usual order.

    The images of a batch stay the first axis where they are it for one of the values.
    """
    orders = [one.order for one in values if isinstance(one, Permuted)]
    usual = [one for one in values if not isinstance(one, Permuted) and not known(one)]
    return next((order for order in orders if order[0] == 0), None if usual else next(iter(orders), None))


def elementwise(name: str) -> Rule:
    """Return the rule for an operation on the numbers at the same place of its inputs."""

    def compute(node: Node, *inputs: Any) -> Any:
        axes = max(rank(one) for one in inputs if one is not None)
        order = common_order([one for one in inputs if one is not None and rank(one) == axes])
        if order is None:
            return None
        ordered = [None if one is None else in_order(one, order) for one in inputs]
        return permuted(OPERATIONS[name](node, *ordered), order)

    return compute


RULES.update({name: elementwise(name) for name in ELEMENTWISE})


@rule("Dropout")
def dropout(node: Node, x: Permuted, *others: Any) -> Any:
    """Return the input."""
    return x if node.outputs == 1 else None


@rule("Transpose")
def transpose(node: Node, x: Permuted) -> Any:
    """Return the same tensor with another order of its axes."""
    axes = node.get("perm") or list(range(len(x.order)))[::-1]
    return permuted(x.data, [x.order[axis] for axis in axes])


@rule("Reshape")
def reshape(node: Node, x: Permuted, sides: Any = None) -> Any:
    """Split and merge axes where they are stored."""
    sides = np.asarray(node.get("shape")) if sides is None else sides
    if not known(sides) or (node.get("allowzero", 0) and any(is_integer(side) and side == 0 for side in sides.ravel())):
        return None
    before = lengths(x)
    wanted = [before[axis] if is_integer(side) and side == 0 else side for axis, side in enumerate(sides.ravel())]
    return regrouped(x, wanted)


@rule("Flatten")
def flatten(node: Node, x: Permuted) -> Any:
    """Merge all axes but the first."""
    before = lengths(x)
    if node.get("axis", 1) != 1 or not all(map(is_integer, before[1:])):
        return None
    return regrouped(x, [before[0], prod(before[1:])])


@rule("Squeeze")
def squeeze(node: Node, x: Permuted, axes: Any = None) -> Any:
    """Remove axes of length 1."""
    chosen = node.get("axes") if axes is None else integers(axes, "the axes")
    before = lengths(x)
    if chosen is None:
        chosen = [axis for axis, side in enumerate(before) if is_integer(side) and side == 1]
    gone = {axis % len(before) for axis in chosen}
    return regrouped(x, [side for axis, side in enumerate(before) if axis not in gone])


@rule("Unsqueeze")
def unsqueeze(node: Node, x: Permuted, axes: Any = None) -> Any:
    """Insert axes of length 1."""
    chosen = node.get("axes") if axes is None else integers(axes, "the axes")
    sides = lengths(x)
    total = len(sides) + len(chosen)
    for axis in sorted(axis % total for axis in chosen):
        sides.insert(axis, 1)
    return regrouped(x, sides)


@rule("Concat")
def concat(node: Node, *inputs: Any) -> Any:
    """Join inputs, all stored in the order of the first that is permuted."""
    order = next(one.order for one in inputs if isinstance(one, Permuted))
    axis = node.get("axis", 1) % len(order)
    back = np.argsort(order).tolist()
    parts = [
        one.data if isinstance(one, Permuted) and one.order == order else tf.transpose(tensor(one), back)
        for one in inputs
    ]
    return permuted(tf.concat(parts, order[axis]), order)


@rule("Split")
def split(node: Node, x: Permuted, sides: Any = None) -> Any:
    """Divide an axis where it is stored."""
    moved = replace(node, attributes={**node.attributes, "axis": x.order[node.get("axis", 0)]})
    return tuple(permuted(one, x.order) for one in OPERATIONS["Split"](moved, x.data, sides))


@rule("Slice")
def cut(node: Node, x: Permuted, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Any:
    """Return a range of places along some axes, where they are stored."""
    if starts is None:
        starts, ends, axes = (
            np.array(node.get(name)) if node.get(name) else None for name in ("starts", "ends", "axes")
        )
    if axes is None and not known(starts):
        return None
    chosen = range(np.size(starts)) if axes is None else integers(axes, "the axes")
    places = np.array([x.order[axis] for axis in chosen], np.int64)
    return permuted(OPERATIONS["Slice"](node, x.data, starts, ends, places, steps), x.order)


@rule("Pad")
def pad(node: Node, x: Permuted, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    """Add places before and after axes, where they are stored."""
    chosen = range(len(x.order)) if axes is None else integers(axes, "the axes")
    places = np.array([x.order[axis] for axis in chosen], np.int64)
    return permuted(OPERATIONS["Pad"](node, x.data, pads, value, places), x.order)


@rule("Gather")
def gather(node: Node, x: Any, places: Any) -> Any:
    """Return what lies at known places of an axis."""
    if not isinstance(x, Permuted) or not known(places) or np.ndim(places) > 1:
        return None
    axis = node.get("axis", 0) % len(x.order)
    place = x.order[axis]
    moved = replace(node, attributes={**node.attributes, "axis": place})
    found = OPERATIONS["Gather"](moved, x.data, places)
    if np.ndim(places) == 1:
        return permuted(found, x.order)
    rest = [one for one in x.order if one != place]
    return permuted(found, [one - (one > place) for one in rest])


@rule("Resize", "Upsample")
def resize(node: Node, x: Any, *inputs: Any) -> Any:
    """Enlarge or shrink axes, where they are stored."""
    if not isinstance(x, Permuted):
        return None
    chosen = [x.order[axis] for axis in node.get("axes") or range(len(x.order))]
    moved = replace(node, attributes={**node.attributes, "axes": chosen})
    return permuted(OPERATIONS["Resize"](moved, x.data, *inputs), x.order)


def reduced(name: str) -> Rule:
    """Return the rule for a reduction over axes."""

    def reduce(node: Node, x: Any, axes: Any = None) -> Any:
        chosen = node.get("axes") if axes is None else integers(axes, "the axes")
        if not isinstance(x, Permuted) or not chosen:
            return None
        places = [x.order[axis] for axis in chosen]
        if axes is None:
            found = OPERATIONS[name](replace(node, attributes={**node.attributes, "axes": places}), x.data)
        else:
            found = OPERATIONS[name](node, x.data, np.array(places, np.int64))
        if node.get("keepdims", 1):
            return permuted(found, x.order)
        rest = [one for one in x.order if one not in places]
        return permuted(found, np.argsort(np.argsort(rest)).tolist())

    return reduce


RULES.update({name: reduced(name) for name in REDUCED})


def along_axis(name: str, first: int) -> Rule:
    """Return the rule for an operation along one axis, from the version of the operations since which it is one."""

    def compute(node: Node, x: Permuted) -> Any:
        if node.version < first:
            return None
        moved = replace(node, attributes={**node.attributes, "axis": x.order[node.get("axis", -1)]})
        return permuted(OPERATIONS[name](moved, x.data), x.order)

    return compute


RULES.update(
    {name: along_axis(name, first) for name, first in (("Softmax", 13), ("LogSoftmax", 13), ("LpNormalization", 1))}
)


@rule("BatchNormalization")
def batch_normalization(node: Node, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    """Multiply each channel by a known factor, and add a known number."""
    plain = node.get("spatial", 1) and not node.get("training_mode", 0)
    if not isinstance(x, Permuted) or not known(scale, bias, mean, variance) or not plain:
        return None
    factor = scale / np.sqrt(variance + np.float32(node.get("epsilon", 1e-5)))
    shape = [-1, *[1] * (len(x.order) - 2)]
    factor, shift = (in_order(one.reshape(shape), x.order) for one in (factor, bias - mean * factor))
    return permuted(x.data * tf.constant(factor, x.dtype) + tf.constant(shift, x.dtype), x.order)


@rule("InstanceNormalization")
def instance_normalization(node: Node, x: Any, scale: Any, bias: Any) -> Any:
    """Normalize each channel of each image by its own mean and variance."""
    if not isinstance(x, Permuted) or not known(scale, bias):
        return None
    mean, variance = tf.nn.moments(x.data, [x.order[axis] for axis in range(2, len(x.order))], keepdims=True)
    shape = [-1, *[1] * (len(x.order) - 2)]
    factor, shift = (tf.constant(in_order(one.reshape(shape), x.order), x.dtype) for one in (scale, bias))
    return permuted((x.data - mean) * tf.math.rsqrt(variance + node.get("epsilon", 1e-5)) * factor + shift, x.order)


def quantized(name: str) -> Rule:
    """Return the rule for quantization with one scale, or with one for each place of an axis."""

    def compute(node: Node, x: Any, scale: Any, *zero: Any) -> Any:
        if not isinstance(x, Permuted) or rank(scale) > 1 or node.get("block_size", 0):
            return None
        place = x.order[node.get("axis", 1)] if rank(scale) == 1 else 0
        moved = replace(node, attributes={**node.attributes, "axis": place})
        return permuted(OPERATIONS[name](moved, x.data, scale, *zero), x.order)

    return compute


RULES.update({name: quantized(name) for name in ("QuantizeLinear", "DequantizeLinear")})


@rule("LayerNormalization")
def layer_normalization(node: Node, x: Any, scale: Any, bias: Any = None) -> Any:
    """Normalize the last axes if they are stored last."""
    if not isinstance(x, Permuted) or node.outputs > 1:
        return None
    first = node.get("axis", -1) % len(x.order)
    if list(x.order[first:]) != list(range(first, len(x.order))):
        return None
    return permuted(OPERATIONS["LayerNormalization"](node, x.data, scale, bias)[0], x.order)


@rule("MatMul")
def product(node: Node, x: Any, y: Any) -> Any:
    """Multiply the last axis by a known matrix if it is stored last."""
    if not isinstance(x, Permuted) or isinstance(y, Permuted) or not known(y) or y.ndim != 2:
        return None
    if x.order[-1] != len(x.order) - 1:
        return None
    return permuted(OPERATIONS["MatMul"](node, x.data, y), x.order)
