"""Operations on shapes and places: what moves numbers without computing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import (
    Node,
    Untranslatable,
    array_of,
    integers,
    is_integer,
    known,
    lengths,
    operation,
    rank,
    tensor,
)
from picasso.models.tf.runtime import tf

# ONNX's numbers of types.
TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip


def typed(number: Any) -> Any:
    """Return the TensorFlow type with ONNX's number.

    Raises:
        Untranslatable: TensorFlow has no such type.
    """
    try:
        return tf.dtypes.as_dtype(TYPES[int(number)])
    except KeyError:
        raise Untranslatable(f"it converts to the type number {number}") from None


@operation("Shape")
def shape(node: Node, x: Any) -> Any:
    """Return the length of each axis, or of some."""
    return array_of(lengths(x)[node.get("start", 0) : node.get("end", None)])


@operation("Size")
def size(node: Node, x: Any) -> Any:
    """Return the number of elements."""
    found = lengths(x)
    if all(map(is_integer, found)):
        return np.array(int(np.prod(found)), np.int64)
    return tf.size(tensor(x), tf.int64)


@operation("Cast")
def cast(node: Node, x: Any) -> Any:
    """Return numbers as another type."""
    kind = typed(node.get("to"))
    if known(x) and x.dtype == object and kind.is_integer:
        return x
    if known(x) and x.dtype != object and kind.name != "bfloat16":
        return x.astype(kind.as_numpy_dtype)
    return tf.cast(tensor(x), kind)


@operation("CastLike")
def cast_like(node: Node, x: Any, like: Any) -> Any:
    """Return numbers as the type of another input."""
    return tf.cast(tensor(x), tensor(like).dtype)


@operation("Constant")
def constant(node: Node) -> Any:
    """Return the value of an attribute."""
    from onnx import numpy_helper

    if "value" in node.attributes:
        return np.asarray(numpy_helper.to_array(node.attributes["value"]))
    for name, kind in (("value_float", "float32"), ("value_int", "int64")):
        for several in (name, f"{name}s"):
            if several in node.attributes:
                return np.array(node.attributes[several], kind)
    raise Untranslatable("it is a constant of text or of sparse numbers")


@operation("ConstantOfShape")
def constant_of_shape(node: Node, sides: Any) -> Any:
    """Return an array of one value."""
    from onnx import numpy_helper

    given = node.attributes.get("value")
    value = np.zeros(1, np.float32) if given is None else numpy_helper.to_array(given)
    if known(sides) and sides.dtype != object:
        return np.full(sides.tolist(), value.item(), value.dtype)
    return tf.fill(tensor(sides), tensor(value)[0])


@operation("Reshape")
def reshape(node: Node, x: Any, sides: Any = None) -> Any:
    """Return the same numbers with other axes; 0 keeps a length, and -1 is what remains."""
    sides = node.get("shape") if sides is None else sides
    sides = np.asarray(sides) if isinstance(sides, list) else sides
    if not known(sides):
        return tf.reshape(tensor(x), sides)
    before, wanted = lengths(x), list(sides.ravel())
    if not node.get("allowzero", 0):
        wanted = [before[axis] if is_integer(side) and side == 0 else side for axis, side in enumerate(wanted)]
    if known(x) and all(map(is_integer, wanted)):
        return x.reshape([int(side) for side in wanted])
    unknown = [axis for axis, side in enumerate(wanted) if not is_integer(side)]
    if len(unknown) == 1 and -1 not in [side for side in wanted if is_integer(side)]:
        # Then the other lengths are known to TensorFlow.
        wanted[unknown[0]] = -1
        unknown = []
    if not unknown:
        return tf.reshape(tensor(x), [int(side) for side in wanted])
    made = tf.reshape(tensor(x), tensor(array_of([int(side) if is_integer(side) else side for side in wanted])))
    return tf.ensure_shape(made, [int(side) if is_integer(side) and side >= 0 else None for side in wanted])


@operation("Flatten")
def flatten(node: Node, x: Any) -> Any:
    """Return a matrix: the axes before ``axis``, and the others."""
    axis, sides = node.get("axis", 1), lengths(x)
    axis += rank(x) if axis < 0 else 0
    front, back = sides[:axis], sides[axis:]
    if all(map(is_integer, back)):
        return tf.reshape(tensor(x), [-1 if back and 0 not in back else int(np.prod(front)), int(np.prod(back))])
    first = int(np.prod(front)) if all(map(is_integer, front)) else tf.reduce_prod(tensor(array_of(front)))
    return tf.reshape(tensor(x), tensor(array_of([first, -1])))


@operation("Squeeze")
def squeeze(node: Node, x: Any, axes: Any = None) -> Any:
    """Remove axes of length 1."""
    chosen = node.get("axes") if axes is None else integers(axes, "the axes")
    if chosen is None:
        chosen = [axis for axis, side in enumerate(lengths(x)) if is_integer(side) and side == 1]
    axes_of = tuple(axis % rank(x) for axis in chosen)
    return np.squeeze(x, axes_of) if known(x) else tf.squeeze(x, axes_of) if axes_of else x


@operation("Unsqueeze")
def unsqueeze(node: Node, x: Any, axes: Any = None) -> Any:
    """Insert axes of length 1."""
    chosen = node.get("axes") if axes is None else integers(axes, "the axes")
    total = rank(x) + len(chosen)
    for axis in sorted(axis % total for axis in chosen):
        x = np.expand_dims(x, axis) if known(x) else tf.expand_dims(x, axis)
    return x


@operation("Transpose")
def transpose(node: Node, x: Any) -> Any:
    """Return the axes in another order."""
    order = node.get("perm") or list(range(rank(x)))[::-1]
    return np.transpose(x, order) if known(x) else tf.transpose(x, order)


@operation("Concat")
def concat(node: Node, *inputs: Any) -> Any:
    """Join inputs along an axis."""
    axis = node.get("axis", 1)
    return np.concatenate(inputs, axis) if known(*inputs) else tf.concat([tensor(one) for one in inputs], axis)


@operation("Split", "SplitToSequence")
def split(node: Node, x: Any, sides: Any = None) -> Any:
    """Divide an axis into several pieces."""
    axis = node.get("axis", 0)
    given = node.get("split") if sides is None else integers(sides, "the lengths of the pieces")
    if given is None:
        total, count = lengths(x)[axis], node.get("num_outputs") or node.outputs
        if not is_integer(total):
            raise Untranslatable("the length of the axis that it splits depends on the image")
        each = -(-total // count)
        given = [min(each, total - start) for start in range(0, each * count, each)]
    return tuple(tf.split(tensor(x), given, axis))


@operation("Slice")
def cut(node: Node, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Any:
    """Return a range of places along each of some axes."""
    if starts is None:
        starts, ends, axes = (np.array(node.get(name)) if node.get(name) else None for name in ("starts", "ends", "axes"))
    first, last = starts, ends
    chosen = list(range(len(np.ravel(first)))) if axes is None else integers(axes, "the axes")
    strides = [1] * len(chosen) if steps is None else integers(steps, "the steps")
    places: list[Any] = [slice(None)] * rank(x)
    begin, stop = numbers(first), numbers(last)
    for start, end, axis, stride in zip(begin, stop, chosen, strides, strict=True):
        # TensorFlow's slices end with a number of 32 bits.
        start, end = (int(np.clip(one, -(2**31) + 1, 2**31 - 1)) if is_integer(one) else one for one in (start, end))
        if is_integer(end) and stride < 0 and end <= -(2**31) + 1:
            end = None
        length = lengths(x)[axis]
        if stride < 0 and is_integer(end) and is_integer(length) and end < -length:
            end = None
        if is_integer(start) and stride < 0 and is_integer(length) and start >= length:
            start = length - 1
        places[axis] = slice(start, end, stride)
    return x[tuple(places)] if known(x) and all(is_integer(one) for one in [*begin, *stop]) else tensor(x)[tuple(places)]


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
        return np.take(x, places, axis)
    length = lengths(x)[axis]
    if known(places):
        if (places < 0).any():
            if not is_integer(length):
                raise Untranslatable("it counts places from the end of an axis of unknown length")
            places = np.where(places < 0, places + length, places)
        return tf.gather(tensor(x), places, axis=axis)
    places = tf.where(places < 0, places + tf.cast(length, places.dtype), places)
    return tf.gather(tensor(x), places, axis=axis)


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
        return x * tf.tensor_scatter_nd_update(tf.ones_like(x), places, updates)
    return SCATTERED[how](x, places, updates)


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


@operation("Expand")
def expand(node: Node, x: Any, sides: Any) -> Any:
    """Repeat axes of length 1, as in broadcasting."""
    if known(x, sides) and sides.dtype != object and x.dtype != object:
        return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(sides.tolist())))
    x = tensor(x)
    if x.dtype == tf.bool:
        return tf.logical_and(x, tf.ones(tensor(sides), tf.bool))
    return x * tf.ones(tensor(sides), x.dtype)


@operation("Tile")
def tile(node: Node, x: Any, times: Any) -> Any:
    """Repeat each axis."""
    return np.tile(x, times) if known(x, times) and times.dtype != object else tf.tile(tensor(x), tensor(times))


@operation("Range")
def count(node: Node, start: Any, limit: Any, delta: Any) -> Any:
    """Return numbers at equal distances."""
    if known(start, limit, delta) and object not in (one.dtype for one in map(np.asarray, (start, limit, delta))):
        return np.arange(np.ravel(start)[0], np.ravel(limit)[0], np.ravel(delta)[0]).astype(np.asarray(start).dtype)
    return tf.range(*(tf.reshape(tensor(one), []) for one in (start, limit, delta)))


MODES = {"constant": "CONSTANT", "reflect": "REFLECT", "edge": "SYMMETRIC"}


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
        paint = node.get("value", 0.0) if value is None else tf.reshape(tensor(value), [])
        return tf.pad(x, amounts, constant_values=tf.cast(paint, x.dtype))
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


@operation("DepthToSpace")
def depth_to_space(node: Node, x: Any) -> Any:
    """Move channels into blocks of places."""
    size_of, (batch, channels, height, width) = node.get("blocksize"), lengths(x)
    deep = channels // size_of**2
    if node.get("mode", "DCR") == "DCR":
        parts = reshape(node, x, array_of([batch, size_of, size_of, deep, height, width]))
        parts = tf.transpose(parts, [0, 3, 4, 1, 5, 2])
    else:
        parts = reshape(node, x, array_of([batch, deep, size_of, size_of, height, width]))
        parts = tf.transpose(parts, [0, 1, 4, 2, 5, 3])
    return reshape(node, parts, array_of([batch, deep, height * size_of, width * size_of]))


@operation("SpaceToDepth")
def space_to_depth(node: Node, x: Any) -> Any:
    """Move blocks of places into channels."""
    size_of, (batch, channels, height, width) = node.get("blocksize"), lengths(x)
    parts = reshape(node, x, array_of([batch, channels, height // size_of, size_of, width // size_of, size_of]))
    parts = tf.transpose(parts, [0, 3, 5, 1, 2, 4])
    return reshape(node, parts, array_of([batch, channels * size_of**2, height // size_of, width // size_of]))


@operation("OneHot")
def one_hot(node: Node, places: Any, depth: Any, values: Any) -> Any:
    """Return the second value at each index, and the first elsewhere."""
    places, values = tf.cast(tensor(places), tf.int64), tensor(values)
    (deep,) = integers(np.asarray(depth), "the depth")
    places = tf.where(places < 0, places + deep, places)
    return tf.one_hot(places, deep, values[1], values[0], axis=node.get("axis", -1))


@operation("Trilu")
def triangle(node: Node, x: Any, k: Any = None) -> Any:
    """Keep the upper or the lower triangle of matrices."""
    x = tensor(x)
    offset = 0 if k is None else integers(np.asarray(k), "the diagonal")[0]
    rows, columns = (tf.range(side) for side in (tf.shape(x)[-2], tf.shape(x)[-1]))
    above = columns[None, :] - rows[:, None]
    kept = above >= offset if node.get("upper", 1) else above <= offset
    return tf.where(kept, x, tf.zeros_like(x))


@operation("EyeLike")
def eye(node: Node, x: Any) -> Any:
    """Return a matrix with ones on a diagonal."""
    x = tensor(x)
    kind = typed(node.get("dtype")) if node.get("dtype") else x.dtype
    rows, columns = (tf.range(tf.shape(x)[axis]) for axis in (0, 1))
    return tf.cast(columns[None, :] - rows[:, None] == node.get("k", 0), kind)


@operation("NonZero")
def nonzero(node: Node, x: Any) -> Any:
    """Return the indices of what is not 0, ``(rank, n)``."""
    return np.array(np.nonzero(x), np.int64) if known(x) else tf.transpose(tf.where(x != tf.zeros([], x.dtype)))


@operation("Compress")
def compress(node: Node, x: Any, condition: Any) -> Any:
    """Return the places of an axis at which a condition holds."""
    places = tf.reshape(tf.where(tensor(condition)), [-1])
    axis = node.get("axis")
    return tf.gather(tf.reshape(tensor(x), [-1]), places) if axis is None else tf.gather(tensor(x), places, axis=axis)


@operation("ReverseSequence")
def reverse_sequence(node: Node, x: Any, sides: Any) -> Any:
    """Reverse the beginning of each sequence."""
    return tf.reverse_sequence(
        tensor(x), tensor(sides), seq_axis=node.get("time_axis", 0), batch_axis=node.get("batch_axis", 1)
    )
