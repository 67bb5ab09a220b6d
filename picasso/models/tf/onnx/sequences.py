"""Sequences of tensors, which are lists of Python: their lengths are known while a graph is translated."""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, integers, is_integer, lengths, operation, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known


def items(value: Any) -> list[Any]:
    """Return the members of a sequence.

    Raises:
        Untranslatable: the value is no sequence with a known length.
    """
    if not isinstance(value, list):
        raise Untranslatable("the length of a sequence depends on the image")
    return value


def place_in(place: Any) -> int:
    """Return a known place in a sequence."""
    return integers(np.asarray(place) if known(place) else place, "a place in a sequence")[0]


@operation("SequenceEmpty")
def empty(node: Node) -> Any:
    """Return a sequence without members."""
    return []


@operation("SequenceConstruct")
def construct(node: Node, *values: Any) -> Any:
    """Return a sequence of the inputs."""
    return list(values)


@operation("SequenceAt")
def at(node: Node, sequence: Any, place: Any) -> Any:
    """Return a member."""
    return items(sequence)[place_in(place)]


@operation("SequenceLength")
def length(node: Node, sequence: Any) -> Any:
    """Return the number of members."""
    return np.array(len(items(sequence)), np.int64)


@operation("SequenceInsert")
def insert(node: Node, sequence: Any, value: Any, place: Any = None) -> Any:
    """Return a sequence with one more member before a place, or at the end."""
    members = list(items(sequence))
    members.insert(len(members) if place is None else place_in(place), value)
    return members


@operation("SequenceErase")
def erase(node: Node, sequence: Any, place: Any = None) -> Any:
    """Return a sequence without a member, or without the last one."""
    members = list(items(sequence))
    del members[-1 if place is None else place_in(place)]
    return members


@operation("SplitToSequence")
def split(node: Node, x: Any, sides: Any = None) -> Any:
    """Return pieces of an axis: of given lengths, of one common length, or single places, whose axis may go.

    Raises:
        Untranslatable: the length of the axis or of the pieces depends on the image.
    """
    axis = node.get("axis", 0)
    total = lengths(x)[axis]
    if not is_integer(total):
        raise Untranslatable("the length of the axis that it splits depends on the image")
    if sides is None:
        each = [1] * total
    elif np.ndim(sides) == 0:
        (width,) = integers(np.asarray(sides), "the lengths of the pieces")
        each = [min(width, total - start) for start in range(0, total, width)]
    else:
        each = integers(sides, "the lengths of the pieces")
    pieces = np.split(x, np.cumsum(each)[:-1], axis) if known(x) else tf.split(tensor(x), each, axis)
    if sides is None and not node.get("keepdims", 1):
        return [np.squeeze(one, axis) if known(one) else tf.squeeze(one, axis) for one in pieces]
    return list(pieces)


@operation("ConcatFromSequence")
def concat(node: Node, sequence: Any) -> Any:
    """Join the members of a sequence along an axis, or stack them along a new one."""
    members, axis = items(sequence), node.get("axis")
    if node.get("new_axis", 0):
        return np.stack(members, axis) if known(*members) else tf.stack([tensor(one) for one in members], axis)
    return np.concatenate(members, axis) if known(*members) else tf.concat([tensor(one) for one in members], axis)
