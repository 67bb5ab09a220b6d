"""Operations that move numbers to other places without computing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, integers, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known

LIMIT = 2**31 - 1


@operation("Concat")
def concat(node: Node, *inputs: Any) -> Any:
    """Join inputs along an axis."""
    axis = node.get("axis", 1)
    return np.concatenate(inputs, axis) if known(*inputs) else tf.concat([tensor(one) for one in inputs], axis)


@operation("Split")
def split(node: Node, x: Any, sides: Any = None) -> Any:
    """Divide an axis into several pieces."""
    axis = node.get("axis", 0)
    given = node.get("split") if sides is None else integers(sides, "the lengths of the pieces")
    if given is None:
        total, count = lengths(x)[axis], node.get("num_outputs") or node.outputs
        if not is_integer(total):
            raise Untranslatable("the length of the axis that it splits depends on the image")
        each = -(-total // count)
        given = [max(0, min(each, total - start)) for start in range(0, each * count, each)]
    return tuple(np.split(x, np.cumsum(given)[:-1], axis) if known(x) else tf.split(tensor(x), given, axis))


@operation("Slice")
def cut(node: Node, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Any:
    """Return a range of places along each of some axes."""
    if starts is None:
        starts, ends, axes = (
            np.array(node.get(name)) if node.get(name) else None for name in ("starts", "ends", "axes")
        )
    chosen = list(range(int(lengths(starts)[0]))) if axes is None else integers(axes, "the axes")
    strides = [1] * len(chosen) if steps is None else integers(steps, "the steps")
    places: list[Any] = [slice(None)] * rank(x)
    for start, end, axis, stride in zip(numbers(starts), numbers(ends), chosen, strides, strict=True):
        places[axis] = slice(*limited(start, end, stride, lengths(x)[axis]), stride)
    fixed = all(one is None or is_integer(one) for cut in places for one in (cut.start, cut.stop))
    return x[tuple(places)] if known(x) and fixed else tensor(x)[tuple(places)]


def limited(start: Any, end: Any, stride: int, length: Any) -> tuple[Any, Any]:
    """Return the ends of a slice as Python and TensorFlow understand them: those of ONNX may lie outside."""
    # TensorFlow's slices end with a number of 32 bits.
    start, end = (int(np.clip(one, -LIMIT, LIMIT)) if is_integer(one) else one for one in (start, end))
    if stride < 0 and is_integer(end) and (end == -LIMIT or (is_integer(length) and end < -length)):
        end = None
    if stride < 0 and is_integer(start) and is_integer(length) and start >= length:
        start = length - 1
    return start, end


def numbers(value: Any) -> list[Any]:
    """Return the elements of a vector: integers, or scalar tensors if they are not known."""
    if known(value):
        return [int(one) if is_integer(one) else one for one in np.ravel(value)]
    if value.shape[0] is None:
        raise Untranslatable("the number of axes that it cuts depends on the image")
    return list(tf.unstack(tf.cast(value, tf.int64)))


@operation("Gather")
def gather(node: Node, x: Any, places: Any) -> Any:
    """Return what lies at some places of an axis."""
    axis = node.get("axis", 0)
    if known(x, places):
        return lengths_of(np.take(x, places, axis))
    length = lengths(x)[axis]
    if known(places):
        if (places < 0).any():
            if not is_integer(length):
                raise Untranslatable("it counts places from the end of an axis of unknown length")
            places = np.where(places < 0, places + length, places)
        return tf.gather(tensor(x), places, axis=axis)
    places = tf.where(places < 0, places + tf.cast(length, places.dtype), places)
    return tf.gather(tensor(x), places, axis=axis)


def lengths_of(value: Any) -> Any:
    """Return a length that is not known as an array, too."""
    if not tf.is_tensor(value):
        return value
    made = np.empty((), object)
    made[()] = value
    return made


@operation("GatherElements")
def gather_elements(node: Node, x: Any, places: Any) -> Any:
    """Return, at each place, what lies at the same place with another index along one axis."""
    x, places = tensor(x), tensor(places)
    return tf.gather_nd(x, along(x, places, node.get("axis", 0)))


def along(x: Any, places: Any, axis: int) -> Any:
    """Return complete indices ``(..., rank)`` for indices along one axis."""
    axis %= x.shape.rank
    places = tf.cast(places, tf.int64)
    places = tf.where(places < 0, places + tf.shape(x, tf.int64)[axis], places)
    grid = tf.meshgrid(*(tf.range(side) for side in tf.unstack(tf.shape(places, tf.int64))), indexing="ij")
    grid[axis] = places
    return tf.stack(grid, -1)


@operation("GatherND")
def gather_nd(node: Node, x: Any, places: Any) -> Any:
    """Return what lies at complete indices."""
    x, places, batch = tensor(x), tensor(places), node.get("batch_dims", 0)
    limits = tf.shape(x, tf.int64)[batch : batch + places.shape[-1]]
    return tf.gather_nd(x, tf.where(places < 0, places + limits, places), batch_dims=batch)


SCATTERED = {
    "none": tf.tensor_scatter_nd_update,
    "add": tf.tensor_scatter_nd_add,
    "max": tf.tensor_scatter_nd_max,
    "min": tf.tensor_scatter_nd_min,
}


def scattered(node: Node, x: Any, places: Any, updates: Any) -> Any:
    """Return x with updates at complete indices."""
    how = node.get("reduction", "none")
    if how == "mul":
        return multiplied(x, places, updates)
    return SCATTERED[how](x, places, updates)


def multiplied(x: Any, places: Any, updates: Any) -> Any:
    """Return x multiplied by all updates at the same complete indices."""
    sides = tf.shape(x, tf.int64)
    depth = places.shape[-1]
    rows = tf.reshape(x, tf.concat([[tf.reduce_prod(sides[:depth])], sides[depth:]], 0))
    factors = tf.concat([[1], tf.math.cumprod(sides[:depth][::-1])[:-1]], 0)[::-1]
    index = tf.reshape(tf.reduce_sum(tf.cast(places, tf.int64) * factors, -1), [-1])
    given = tf.reshape(updates, tf.concat([[-1], sides[depth:]], 0))
    return tf.reshape(rows * tf.math.unsorted_segment_prod(given, index, tf.shape(rows)[0]), sides)


@operation("ScatterND")
def scatter_nd(node: Node, x: Any, places: Any, updates: Any) -> Any:
    """Return x with updates at complete indices."""
    x, places = tensor(x), tensor(places)
    places = tf.where(places < 0, places + tf.shape(x, tf.int64)[: places.shape[-1]], places)
    return scattered(node, x, places, tensor(updates))


@operation("ScatterElements", "Scatter")
def scatter_elements(node: Node, x: Any, places: Any, updates: Any) -> Any:
    """Return x with updates at indices along one axis."""
    x = tensor(x)
    return scattered(node, x, along(x, tensor(places), node.get("axis", 0)), tensor(updates))


@operation("Pad")
def pad(node: Node, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    """Add places before and after each axis; negative numbers remove places."""
    given = node.get("pads", node.get("paddings")) if pads is None else integers(pads, "the padding")
    chosen = list(range(rank(x))) if axes is None else [axis % rank(x) for axis in integers(axes, "the axes")]
    x, mode = tensor(x), node.get("mode", "constant")
    both = {axis: (given[place], given[place + len(chosen)]) for place, axis in enumerate(chosen)}
    widths = [both.get(axis, (0, 0)) for axis in range(rank(x))]
    inner = tuple(slice(max(0, -a), -max(0, -b) or None) for a, b in widths)
    x = x[inner] if any(min(one) < 0 for one in widths) else x
    amounts = [(max(0, a), max(0, b)) for a, b in widths]
    if mode == "constant":
        paint = tf.cast(node.get("value", 0.0) if value is None else tf.reshape(tensor(value), []), x.dtype)
        if known(value):
            return tf.pad(x, amounts, constant_values=paint)
        # The value has a gradient, too.
        return tf.where(tf.pad(tf.ones_like(x, tf.bool), amounts), tf.pad(x, amounts), paint)
    if mode == "reflect":
        return tf.pad(x, amounts, "REFLECT")
    for axis, (before, after) in enumerate(amounts):
        length = lengths(x)[axis]
        if not (before or after):
            continue
        places = tf.range(-before, length + after)
        places = places % length if mode == "wrap" else tf.clip_by_value(places, 0, length - 1)
        x = tf.gather(x, places, axis=axis)
    return x


@operation("ReverseSequence")
def reverse_sequence(node: Node, x: Any, sides: Any) -> Any:
    """Reverse the beginning of each sequence."""
    return tf.reverse_sequence(
        tensor(x), tensor(sides), seq_axis=node.get("time_axis", 0), batch_axis=node.get("batch_axis", 1)
    )
