"""Split and merge the axes of values that are stored in another order."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Permuted, is_integer, lengths
from picasso.models.tf.runtime import tf


def permuted(data: Any, order: Sequence[int]) -> Any:
    """Return a value whose axis i is the axis ``order[i]`` of a tensor."""
    return data if list(order) == sorted(order) else Permuted(data, tuple(order))


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
    batch = [axis for axis, side in enumerate(wanted) if not is_integer(side)]
    rest = [axis for axis, side in enumerate(wanted) if is_integer(side) and side == -1]
    total = prod(int(side) for side in before if is_integer(side))
    sides = [int(side) if is_integer(side) else -1 for side in wanted]
    known_part = prod(side for side in sides if side != -1)
    if len(unknown) > 1 or len(batch) > len(unknown) or len(rest) > 1 or known_part == 0 or total % known_part:
        return None
    if rest and len(batch) == len(unknown):
        sides[rest[0]] = total // known_part
        return sides
    # Nothing is open, or what is open must be the batch alone.
    return sides if known_part == total and len(batch) + len(rest) == len(unknown) else None


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
