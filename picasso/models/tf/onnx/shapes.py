"""Operations on shapes and places: what moves numbers without computing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, array_of, integers, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known

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
    except (KeyError, ValueError):
        raise Untranslatable(f"it converts to the type {number}") from None


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


@operation("BitCast")
def reinterpret(node: Node, x: Any) -> Any:
    """Return the same bits as numbers of another type of the same size."""
    kind = typed(node.get("to"))
    if known(x) and kind.name != "bfloat16":
        return x.view(kind.as_numpy_dtype)
    plain = tensor(x)
    return tf.bitcast(tf.cast(plain, tf.uint8) if plain.dtype == tf.bool else plain, kind)


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


@operation("Expand")
def expand(node: Node, x: Any, sides: Any) -> Any:
    """Repeat axes of length 1, as in broadcasting."""
    if known(x, sides) and sides.dtype != object and x.dtype != object:
        return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(sides.tolist())))
    x, own = tensor(x), lengths(x)
    if not known(sides):
        return tf.broadcast_to(x, tf.broadcast_dynamic_shape(tf.shape(x, sides.dtype), sides))
    wanted = list(sides.ravel())
    axes = max(len(own), len(wanted))
    own, wanted = [1] * (axes - len(own)) + own, [1] * (axes - len(wanted)) + wanted
    # An axis has the length of the other operand where one is 1.
    result = [
        side if (new == 1 if is_integer(new) else is_integer(side) and side > 1) else new
        for side, new in zip(own, wanted, strict=True)
    ]
    found = tf.broadcast_to(x, tensor(array_of(result)))
    return tf.ensure_shape(found, [int(side) if is_integer(side) else None for side in result])


@operation("Tile")
def tile(node: Node, x: Any, times: Any) -> Any:
    """Repeat each axis."""
    return np.tile(x, times) if known(x, times) and times.dtype != object else tf.tile(tensor(x), tensor(times))


@operation("Range")
def count(node: Node, start: Any, limit: Any, delta: Any) -> Any:
    """Return numbers at equal distances."""
    if known(start, limit, delta) and all(np.asarray(one).dtype != object for one in (start, limit, delta)):
        return np.arange(np.ravel(start)[0], np.ravel(limit)[0], np.ravel(delta)[0]).astype(np.asarray(start).dtype)
    return tf.range(*(tf.reshape(tensor(one), []) for one in (start, limit, delta)))


@operation("OneHot")
def one_hot(node: Node, places: Any, depth: Any, values: Any) -> Any:
    """Return the second value at each index, and the first elsewhere."""
    places, values = tf.cast(tensor(places), tf.int64), tensor(values)
    (deep,) = integers(np.asarray(depth) if known(depth) else depth, "the depth")
    places = tf.where(places < 0, places + deep, places)
    axis = node.get("axis", -1) % (rank(places) + 1)
    return tf.one_hot(places, deep, values[1], values[0], axis=axis)


@operation("Trilu")
def triangle(node: Node, x: Any, k: Any = None) -> Any:
    """Keep the upper or the lower triangle of matrices."""
    x = tensor(x)
    offset = 0 if k is None else integers(np.asarray(k) if known(k) else k, "the diagonal")[0]
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
