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
from picasso.models.tf.onnx.table import (
    OPERATIONS,
    Node,
    Permuted,
    integers,
    is_integer,
    known,
    lengths,
    rank,
    tensor,
)
from picasso.models.tf.runtime import tf

#: A rule gets the inputs, of which at least one is stored in another order. It returns None if it does not apply.
Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
# Operations whose functions take and return values in any order themselves.
NATIVE = {
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
    "BatchNormalization",
}  # fmt: skip
ELEMENTWISE = {
    *UNARY, *PAIRS, "BitShift", "Cast", "Celu", "Clip", "Div", "Elu", "Equal", "Gelu", "HardSigmoid", "Identity", "IsInf",
    "LeakyRelu", "Max", "Mean", "Min", "Mod", "PRelu", "Pow", "Selu", "Shrink", "Sum", "Swish", "ThresholdedRelu",
    "Where",
}  # fmt: skip


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule for operations of some kinds."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def permuted(data: Any, order: Sequence[int]) -> Any:
    """Return a value whose axis i is the axis ``order[i]`` of a tensor."""
    return data if list(order) == sorted(order) else Permuted(data, tuple(order))


def stored(value: Any) -> tuple[Any, tuple[int, ...]]:
    """Return the tensor of a value and the order of its axes there."""
    if isinstance(value, Permuted):
        return value.data, value.order
    return tensor(value), tuple(range(rank(value)))


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


def elementwise(name: str) -> Rule:
    """Return the rule for an operation on the numbers at the same place of its inputs."""

    def compute(node: Node, *inputs: Any) -> Any:
        order = max((one.order for one in inputs if isinstance(one, Permuted)), key=len)
        if any(one is not None and rank(one) > len(order) for one in inputs):
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
    if not known(sides) or node.get("allowzero", 0):
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


def regrouped(x: Permuted, wanted: Sequence[Any]) -> Any:
    """Return a value with other axes, split or merged where they are stored; None if that can't be determined.

    Args:
        x: the value.
        wanted: the lengths of the new axes: integers, of which one may be -1, or scalar tensors.
    """
    before = lengths(x)
    sides = resolved(before, wanted)
    if sides is None:
        return None
    groups = common_groups(before, sides)
    if groups is None:
        return None
    # Each group of axes must lie together. Groups stay where the first of their axes is stored.
    places = [[x.order[axis] for axis in old] for old, _ in groups]
    taken = [place for group in places for place in group]
    alone = [place for place in range(len(x.order)) if place not in taken]
    placed = sorted(range(len(groups)), key=lambda one: min(places[one], default=len(x.order)))
    arranged = [place for one in placed for place in places[one]]
    data = x.data if arranged == sorted(arranged) else tf.transpose(x.data, arranged + alone)
    new = [axis for one in placed for axis in groups[one][1]]
    shape = [sides[axis] for axis in new]
    if [side for side in shape if side == -1][1:]:
        return None
    return permuted(tf.reshape(data, shape), np.argsort(new).tolist())


def resolved(before: Sequence[Any], wanted: Sequence[Any]) -> list[int] | None:
    """Return new lengths as integers, -1 for the batch if that is unknown; None if they can't be determined."""
    unknown = [axis for axis, side in enumerate(before) if not is_integer(side)]
    open_ = [axis for axis, side in enumerate(wanted) if not is_integer(side) or side == -1]
    total = prod(int(side) for side in before if is_integer(side))
    known_part = prod(int(side) for axis, side in enumerate(wanted) if axis not in open_)
    sides = [-1 if axis in open_ else int(side) for axis, side in enumerate(wanted)]
    if len(unknown) > 1 or len(open_) > 1:
        # The batch is the first axis, and what remains is computed.
        if unknown != [0] or open_[0] != 0 or len(open_) != 2 or known_part == 0 or total % known_part:
            return None
        sides[open_[1]] = total // known_part
        return sides
    if not unknown:
        if open_:
            if known_part == 0 or total % known_part:
                return None
            sides[open_[0]] = total // known_part
        return sides if prod(sides) == total else None
    # The batch is unknown: what is left open must be the batch alone.
    return sides if unknown == [0] and open_ == [0] and known_part == total else None


def common_groups(before: Sequence[Any], after: Sequence[int]) -> list[tuple[list[int], list[int]]] | None:
    """Return the smallest groups of consecutive axes that have as many values before as after a reshape.

    Axes of length 1 before are left out. -1 and a tensor are the batch.
    """
    groups: list[tuple[list[int], list[int]]] = []
    rest = [axis for axis, side in enumerate(before) if not is_integer(side) or side != 1]
    left, axis = list(rest), 0
    while axis < len(after):
        if after[axis] == -1:
            if not left or is_integer(before[left[0]]):
                return None
            groups.append(([left.pop(0)], [axis]))
            axis += 1
            continue
        if after[axis] == 1:
            groups.append(([], [axis]))
            axis += 1
            continue
        old: list[int] = []
        new = [axis]
        have, want = 1, after[axis]
        axis += 1
        while have != want:
            if have < want:
                if not left or not is_integer(before[left[0]]):
                    return None
                have *= int(before[left[0]])
                old.append(left.pop(0))
            else:
                if axis >= len(after) or after[axis] == -1:
                    return None
                want *= after[axis]
                new.append(axis)
                axis += 1
        groups.append((old, new))
    return None if left else groups


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
    if not isinstance(x, Permuted) or not known(places):
        return None
    axis = node.get("axis", 0) % len(x.order)
    place = x.order[axis]
    moved = replace(node, attributes={**node.attributes, "axis": place})
    found = OPERATIONS["Gather"](moved, x.data, places)
    if np.ndim(places) == 1:
        return permuted(found, x.order)
    if np.ndim(places) == 0:
        rest = [one for one in x.order if one != place]
        return permuted(found, [one - (one > place) for one in rest])
    return None


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
    if not isinstance(x, Permuted) or not known(scale, bias, mean, variance) or node.get("training_mode", 0):
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
