"""Quantized numbers, which are kept as whole numbers of float32, so that they have gradients; see ``tf/rounding.py``.

Sums of products are computed in float32, too: they may differ from those of integers where they exceed 2 ** 24, and
then a result may be rounded to the neighbouring step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.shapes import typed
from picasso.models.tf.onnx.table import OPERATIONS, Node, lengths, operation, rank, tensor
from picasso.models.tf.rounding import RANGES, rounded
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known

# ONNX's numbers of these types.
NUMBERS = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 21: "uint4", 22: "int4", 25: "uint2", 26: "int2"}


def whole(value: Any) -> Any:
    """Return integers as whole numbers of float32; an array remains an array."""
    if known(value):
        return np.asarray(value).astype(np.float32)
    return tf.cast(tensor(value), tf.float32)


def kind_of(node: Node, zero: Any) -> str:
    """Return the name of the type to which an operation quantizes.

    Raises:
        Untranslatable: it is no type of integers, such as one of 8 bits with a floating point.
    """
    number = node.get("output_dtype", 0)
    name = NUMBERS.get(number, str(number)) if number else "uint8" if zero is None else zero.dtype.name
    # That of a zero point which an earlier operation has computed: all of these return uint8.
    name = "uint8" if name == "float32" else name
    if name not in RANGES:
        raise Untranslatable(f"it quantizes to the type {name}")
    return name


def quantized(x: Any, scale: Any, zero: Any, kind: str) -> Any:
    """Return ``x / scale + zero`` as quantized numbers; the division has the precision of the scale."""
    return counted(tf.cast(x, scale.dtype) / scale, zero, kind)


def counted(steps: Any, zero: Any, kind: str) -> Any:
    """Return ``steps + zero``, rounded and within the range of a type.

    Args:
        steps: tensor.
        zero: the number for 0, a whole number, which broadcasts against the steps.
        kind: name of the type, from ``RANGES``.
    """
    zero = whole(zero)
    return rounded(tf.cast(steps, tf.float32), zero, kind) + zero


def spread(node: Node, value: Any, x: Any) -> Any:
    """Return scales or zero points in a shape that broadcasts: for all of x, for places of an axis, or for blocks.

    Raises:
        Untranslatable: x has blocks along an axis of unknown length.
    """
    if value is None or not rank(value) or (rank(value) == 1 and lengths(value)[0] == 1 and rank(x) != 1):
        return value if value is None or not rank(value) else value[0]
    axis, block = node.get("axis", 1), node.get("block_size", 0)
    if block:
        axis %= rank(x)
        length = lengths(x)[axis]
        cut = tuple(slice(None, length if one == axis else None) for one in range(rank(x)))
        return np.repeat(value, block, axis)[cut] if known(value) else tf.repeat(value, block, axis)[cut]
    if rank(value) == 1:
        shape = [1] * rank(x)
        shape[axis % rank(x)] = -1
        return np.reshape(value, shape) if known(value) else tf.reshape(value, shape)
    return value


@operation("QuantizeLinear")
def quantize(node: Node, x: Any, scale: Any, zero: Any = None) -> Any:
    """Return whole numbers for numbers.

    Raises:
        Untranslatable: the type is no type of integers.
    """
    kind = kind_of(node, zero)
    steps = tensor(spread(node, scale, x))
    if node.get("precision", 0):
        steps = tf.cast(steps, typed(node.get("precision")))
    nothing = np.float32(0)
    return quantized(tensor(x), steps, nothing if zero is None else spread(node, whole(zero), x), kind)


@operation("DequantizeLinear")
def dequantize(node: Node, x: Any, scale: Any, zero: Any = None) -> Any:
    """Return ``(x - zero) scale``, in the type of the scale."""
    if known(x) and str(x.dtype).startswith("float8"):
        raise Untranslatable(f"its numbers are of the type {x.dtype}")
    steps = tensor(spread(node, scale, x))
    number = node.get("output_dtype", 0)
    kind = typed(number) if number else steps.dtype
    values = whole(x)
    values = values if zero is None else values - spread(node, whole(zero), x)
    return tf.cast(tensor(values) * tf.cast(steps, tf.float32), kind)


@operation("DynamicQuantizeLinear")
def quantize_by_range(node: Node, x: Any) -> Any:
    """Return x quantized by its own range, its scale and its zero point; these two have no gradient."""
    x = tensor(x)
    least, most = tf.minimum(tf.reduce_min(x), 0), tf.maximum(tf.reduce_max(x), 0)
    scale = tf.stop_gradient((most - least) / 255)
    zero = tf.round(tf.clip_by_value(tf.math.divide_no_nan(-tf.stop_gradient(least), scale), 0, 255))
    # If all numbers are 0, so are all quantized ones.
    return quantized(x, tf.where(scale > 0, scale, 1), zero, "uint8"), scale, zero


def centred(x: Any, zero: Any, axis: int | None = None) -> Any:
    """Return ``x - zero`` in float32, with one zero point for all or one for each place of an axis."""
    x = whole(x)
    if zero is None:
        return x
    zero = whole(zero)
    if axis is not None and rank(zero) == 1:
        shape = [1] * rank(x)
        shape[axis] = -1
        zero = np.reshape(zero, shape) if known(zero) else tf.reshape(zero, shape)
    return x - zero


@operation("ConvInteger")
def convolution_of_integers(node: Node, x: Any, filters: Any, zero: Any = None, filters_zero: Any = None) -> Any:
    """Return a convolution of numbers less their zero points, which also paint the padding."""
    return OPERATIONS["Conv"](node, tensor(centred(x, zero)), centred(filters, filters_zero, 0))


@operation("MatMulInteger")
def product_of_integers(node: Node, x: Any, y: Any, zero: Any = None, other_zero: Any = None) -> Any:
    """Return the product of matrices less their zero points: those of rows of x, and those of columns of y."""
    return OPERATIONS["MatMul"](node, tensor(centred(x, zero, -2)), tensor(centred(y, other_zero)))


@operation("QLinearConv")
def quantized_convolution(
    node: Node,
    x: Any,
    x_scale: Any,
    x_zero: Any,
    filters: Any,
    filters_scale: Any,
    filters_zero: Any,
    scale: Any,
    zero: Any,
    bias: Any = None,
) -> Any:
    """Return a quantized convolution of quantized numbers; the bias counts steps of ``x_scale filters_scale``."""
    found = tensor(convolution_of_integers(node, x, filters, x_zero, filters_zero))
    by_channel = [1, -1, *[1] * (rank(x) - 2)]
    if bias is not None:
        found += tensor(whole(bias).reshape(by_channel)) if known(bias) else tf.reshape(whole(bias), by_channel)
    factor = tensor(x_scale) * tensor(filters_scale) / tensor(scale)
    factor = tf.reshape(factor, by_channel) if rank(factor) else factor
    return counted(found * factor, zero, kind_of(node, zero))


@operation("QLinearMatMul")
def quantized_product(
    node: Node,
    x: Any,
    x_scale: Any,
    x_zero: Any,
    y: Any,
    y_scale: Any,
    y_zero: Any,
    scale: Any,
    zero: Any,
) -> Any:
    """Return the quantized product of quantized matrices; x has scales of rows, and y has scales of columns."""
    found = product_of_integers(node, x, y, x_zero, y_zero)
    rows = tensor(x_scale)
    rows = rows[:, None] if rank(rows) == 1 and rank(found) > 1 else rows
    factor = tf.cast(rows * tensor(y_scale) / tensor(scale), tf.float32)
    return counted(found * factor, zero, kind_of(node, zero))
