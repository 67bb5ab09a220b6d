"""Operations that move, cut, join or repeat numbers.

In a model for one image that gets several, shapes are those for one image; see ``table.for_batch``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.runtime import tf
from picasso.models.tf.tflite.table import (
    Node,
    batch_axis,
    for_batch,
    integers,
    known_sides,
    operation,
    repeated,
    tensor,
)
from picasso.models.tf.translation import Untranslatable


@operation("RESHAPE")
def reshaped(node: Node, x: Any, shape: Any = None) -> Any:
    """Return the numbers in another shape."""
    wanted = node.get("newShape", None) if shape is None else shape
    return tf.reshape(tensor(x), for_batch(node, x, integers(wanted)))


@operation("SQUEEZE")
def squeezed(node: Node, x: Any) -> Any:
    """Return the numbers without some axes of length 1, or without all."""
    sides, given = known_sides(node.given[0]), node.get("squeezeDims", None)
    dropped = [axis for axis, side in enumerate(sides) if side == 1]
    if given is not None and len(given):
        dropped = [axis % len(sides) for axis in integers(given)]
    return tf.reshape(tensor(x), for_batch(node, x, [side for axis, side in enumerate(sides) if axis not in dropped]))


@operation("EXPAND_DIMS")
def expanded(node: Node, x: Any, axis: Any) -> Any:
    """Return the numbers with one more axis of length 1."""
    return tf.expand_dims(tensor(x), integers(axis)[0])


@operation("SHAPE")
def shape_of(node: Node, x: Any) -> Any:
    """Return the lengths of the axes."""
    return np.array(known_sides(node.given[0]), node.kind)


@operation("RANK")
def rank_of(node: Node, x: Any) -> Any:
    """Return the number of axes."""
    return np.array(len(node.given[0]), node.kind)


@operation("TRANSPOSE")
def transposed(node: Node, x: Any, order: Any) -> Any:
    """Return the numbers with their axes in another order."""
    return tf.transpose(tensor(x), integers(order))


@operation("CONCATENATION")
def joined(node: Node, *parts: Any) -> Any:
    """Return values joined along an axis."""
    return tf.concat(repeated(parts, node.get("axis")), node.get("axis"))


@operation("PACK")
def packed(node: Node, *parts: Any) -> Any:
    """Return values joined along a new axis."""
    return tf.stack([tensor(one) for one in parts], node.get("axis"))


@operation("UNPACK")
def unpacked(node: Node, x: Any) -> Any:
    """Return the places of an axis."""
    return tf.unstack(tensor(x), node.get("num"), node.get("axis"))


@operation("SPLIT")
def split(node: Node, axis: Any, x: Any) -> Any:
    """Return equal parts of an axis."""
    return tf.split(tensor(x), node.get("numSplits"), integers(axis)[0])


@operation("SPLIT_V")
def split_by_sizes(node: Node, x: Any, sizes: Any, axis: Any) -> Any:
    """Return parts of an axis."""
    return tf.split(tensor(x), integers(sizes), integers(axis)[0])


@operation("SLICE")
def sliced(node: Node, x: Any, begin: Any, size: Any) -> Any:
    """Return a part of the places of each axis."""
    first, sizes, axis = integers(begin), integers(size), batch_axis(x)
    if axis is not None:
        if first[axis] or sizes[axis] not in (-1, node.given[0][axis]):
            raise Untranslatable("it takes some of the images")
        sizes[axis] = -1
    return tf.slice(tensor(x), first, sizes)


@operation("STRIDED_SLICE")
def strided(node: Node, x: Any, begin: Any, end: Any, steps: Any) -> Any:
    """Return places of axes at a distance of each other, as in ``x[1:5:2, ..., None]``."""
    names = ("beginMask", "endMask", "ellipsisMask", "newAxisMask", "shrinkAxisMask")
    first, last, ellipsis, new, shrunk = (node.get(name) for name in names)
    start, stop, gaps, axis = integers(begin), integers(end), integers(steps), batch_axis(x)
    if axis is not None and axis < len(start) and not ellipsis | new:
        side, bit = known_sides(node.given[0])[axis], 1 << axis
        ends = slice(None if first & bit else start[axis], None if last & bit else stop[axis], gaps[axis])
        if shrunk & bit or range(side)[ends] != range(side):
            raise Untranslatable("it takes some of the images")
        first, last = first | bit, last | bit
    return tf.strided_slice(tensor(x), start, stop, gaps, first, last, ellipsis, new, shrunk)


@operation("GATHER")
def gathered(node: Node, x: Any, places: Any) -> Any:
    """Return some places of an axis."""
    return tf.gather(tensor(x), tensor(places), axis=node.get("axis"), batch_dims=node.get("batchDims"))


@operation("GATHER_ND")
def gathered_points(node: Node, x: Any, places: Any) -> Any:
    """Return the values at some places of several axes."""
    return tf.gather_nd(tensor(x), tensor(places))


@operation("PAD", "PADV2")
def padded(node: Node, x: Any, pads: Any, value: Any = None) -> Any:
    """Return the numbers with others around them."""
    widths = np.reshape(integers(pads), (-1, 2))
    return tf.pad(tensor(x), widths, constant_values=0 if value is None else tensor(value))


@operation("MIRROR_PAD")
def mirrored(node: Node, x: Any, pads: Any) -> Any:
    """Return the numbers with their mirror image around them."""
    return tf.pad(tensor(x), np.reshape(integers(pads), (-1, 2)), ("REFLECT", "SYMMETRIC")[node.get("mode")])


@operation("TILE")
def tiled(node: Node, x: Any, times: Any) -> Any:
    """Return the numbers repeated along each axis."""
    return tf.tile(tensor(x), integers(times))


@operation("BROADCAST_TO")
def broadcast(node: Node, x: Any, shape: Any) -> Any:
    """Return the numbers repeated to fill a shape."""
    sides: list[Any] = integers(shape)
    axis = batch_axis(x)
    if axis is not None:
        sides[axis - len(node.given[0])] = tf.shape(x)[axis]
    return tf.broadcast_to(tensor(x), sides)


@operation("BROADCAST_ARGS")
def broadcast_shape(node: Node, one: Any, other: Any) -> Any:
    """Return the shape to which two shapes broadcast."""
    return np.array(np.broadcast_shapes(integers(one), integers(other)), node.kind)


@operation("FILL")
def filled(node: Node, shape: Any, value: Any) -> Any:
    """Return a number repeated to fill a shape."""
    return tf.fill(integers(shape), tensor(value))


@operation("RANGE")
def counted(node: Node, start: Any, end: Any, step: Any) -> Any:
    """Return numbers at a distance of each other."""
    return tf.range(tensor(start), tensor(end), tensor(step))


@operation("REVERSE_V2")
def reversed_axes(node: Node, x: Any, axes: Any) -> Any:
    """Return the numbers in the reverse order along some axes."""
    return tf.reverse(tensor(x), integers(axes))


@operation("ONE_HOT")
def one_hot(node: Node, places: Any, depth: Any, on: Any, off: Any) -> Any:
    """Return vectors with one number at a place and another elsewhere."""
    return tf.one_hot(tensor(places), integers(depth)[0], tensor(on), tensor(off), axis=node.get("axis", -1))
