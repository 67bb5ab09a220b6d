"""Operations on each number alone, and on pairs of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import OPERATIONS, Node, is_integer, operation, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import known

UNARY: dict[str, Callable[[Any], Any]] = {
    "Abs": tf.abs,
    "Acos": tf.acos,
    "Acosh": tf.acosh,
    "Asin": tf.asin,
    "Asinh": tf.asinh,
    "Atan": tf.atan,
    "Atanh": tf.atanh,
    "Ceil": tf.math.ceil,
    "Cos": tf.cos,
    "Cosh": tf.cosh,
    "Erf": tf.math.erf,
    "Exp": tf.exp,
    "Floor": tf.floor,
    "IsNaN": tf.math.is_nan,
    "Log": tf.math.log,
    "Neg": tf.negative,
    "Not": tf.logical_not,
    "Reciprocal": lambda x: 1 / x,
    "Relu": tf.nn.relu,
    "Round": tf.round,
    "Sigmoid": tf.sigmoid,
    "Sign": tf.sign,
    "Sin": tf.sin,
    "Sinh": tf.sinh,
    "Softplus": tf.math.softplus,
    "Softsign": tf.math.softsign,
    "Sqrt": tf.sqrt,
    "Tan": tf.tan,
    "Tanh": tf.tanh,
    "BitwiseNot": tf.bitwise.invert,
    "Mish": lambda x: x * tf.tanh(tf.math.softplus(x)),
}
PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    # TensorFlow's optimizer writes out all terms of sums of sums.
    "Add": lambda x, y: 2 * x if x is y else x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "And": tf.logical_and,
    "Or": tf.logical_or,
    "Xor": tf.math.logical_xor,
    "BitwiseAnd": tf.bitwise.bitwise_and,
    "BitwiseOr": tf.bitwise.bitwise_or,
    "BitwiseXor": tf.bitwise.bitwise_xor,
    "Less": tf.less,
    "LessOrEqual": tf.less_equal,
    "Greater": tf.greater,
    "GreaterOrEqual": tf.greater_equal,
}


def both_known(x: Any, y: Any) -> bool:
    """Tell whether two lengths are known."""
    return is_integer(x) and is_integer(y)


# Those that hold for lengths, too, some of which may be tensors.
OF_LENGTHS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Div": lambda x, y: x // y,
    "Max": lambda x, y: max(x, y) if both_known(x, y) else tf.maximum(tf.cast(x, tf.int64), tf.cast(y, tf.int64)),
    "Min": lambda x, y: min(x, y) if both_known(x, y) else tf.minimum(tf.cast(x, tf.int64), tf.cast(y, tf.int64)),
}


def of_lengths(name: str, x: Any, y: Any) -> Any:
    """Return the result for lengths, of which some are tensors; None if both are ordinary."""
    if known(x, y) and object in (np.asarray(x).dtype, np.asarray(y).dtype) and name in OF_LENGTHS:
        x, y = np.broadcast_arrays(x, y)
        made = np.empty(x.shape, object)
        for place in np.ndindex(x.shape):
            one, other = x[place], y[place]
            one, other = (int(v) if isinstance(v, np.integer) else v for v in (one, other))
            made[place] = OF_LENGTHS[name](one, other)
        return made
    return None


def unary(name: str) -> Callable[..., Any]:
    """Return the translation of an operation on single numbers."""
    return lambda node, x: UNARY[name](tensor(x))


def pair(name: str) -> Callable[..., Any]:
    """Return the translation of an operation on pairs of numbers."""

    def both(node: Node, x: Any, y: Any) -> Any:
        found = of_lengths(name, x, y)
        return PAIRS[name](*alike(tensor(x), tensor(y))) if found is None else found

    return both


def alike(x: Any, y: Any) -> tuple[Any, Any]:
    """Return two tensors of one type."""
    return x, y if x.dtype == y.dtype else tf.cast(y, x.dtype)


OPERATIONS.update({name: unary(name) for name in UNARY} | {name: pair(name) for name in PAIRS})


@operation("Identity")
def identity(node: Node, x: Any) -> Any:
    """Return the value itself."""
    return x


@operation("Div")
def divide(node: Node, x: Any, y: Any) -> Any:
    """Return the quotient; that of integers is rounded towards 0."""
    found = of_lengths("Div", x, y)
    if found is not None:
        return found
    x, y = alike(tensor(x), tensor(y))
    return tf.truncatediv(x, y) if x.dtype.is_integer else x / y


@operation("Mod")
def modulo(node: Node, x: Any, y: Any) -> Any:
    """Return the remainder, with the sign of the divisor, or with that of the dividend if ``fmod`` is set."""
    x, y = alike(tensor(x), tensor(y))
    if not node.get("fmod", 0):
        return tf.math.floormod(x, y)
    if x.dtype.is_floating:
        # The other remainder has a gradient.
        return tf.sign(x) * tf.math.floormod(tf.abs(x), tf.abs(y))
    # TensorFlow computes this remainder for few types.
    wide = x.dtype if x.dtype in (tf.int32, tf.int64) else tf.int64
    return tf.cast(tf.truncatemod(tf.cast(x, wide), tf.cast(y, wide)), x.dtype)


@operation("Pow")
def power(node: Node, x: Any, y: Any) -> Any:
    """Return a power in the type of the base."""
    x, y = tensor(x), tensor(y)
    if x.dtype == y.dtype:
        return tf.pow(x, y)
    between = tf.float64 if x.dtype.is_integer else x.dtype
    return tf.cast(tf.pow(tf.cast(x, between), tf.cast(y, between)), x.dtype)


@operation("Equal")
def equal(node: Node, x: Any, y: Any) -> Any:
    """Tell which numbers are equal; a length that is not known equals no number."""
    if known(x, y) and object in (np.asarray(x).dtype, np.asarray(y).dtype):
        x, y = np.broadcast_arrays(x, y)
        pairs = list(zip(x.ravel(), y.ravel(), strict=True))
        if any(tf.is_tensor(one) and tf.is_tensor(other) and one is not other for one, other in pairs):
            # Whether two lengths are equal is not known before there are images.
            return tf.equal(tensor(x), tensor(y))
        return np.array([one is other or (not tf.is_tensor(one) and not tf.is_tensor(other) and one == other)
                         for one, other in pairs]).reshape(x.shape)  # fmt: skip
    return tf.equal(*alike(tensor(x), tensor(y)))


@operation("Where")
def where(node: Node, condition: Any, x: Any, y: Any) -> Any:
    """Return the numbers of x where the condition holds, those of y elsewhere."""
    if known(condition, x, y) and object in (np.asarray(x).dtype, np.asarray(y).dtype):
        return np.where(condition, x.astype(object), y.astype(object))
    return tf.where(tensor(condition), *alike(tensor(x), tensor(y)))


def accumulated(name: str, function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return the translation of an operation on any number of inputs."""

    def together(node: Node, *inputs: Any) -> Any:
        found = inputs[0]
        for other in inputs[1:]:
            both = of_lengths(name, found, other)
            found = function(*alike(tensor(found), tensor(other))) if both is None else both
        return found

    return together


def mean(node: Node, *inputs: Any) -> Any:
    """Return the mean of several inputs."""
    return accumulated("Sum", lambda x, y: x + y)(node, *map(tensor, inputs)) / len(inputs)


OPERATIONS.update(
    Max=accumulated("Max", tf.maximum),
    Min=accumulated("Min", tf.minimum),
    Sum=accumulated("Sum", lambda x, y: x + y),
    Mean=mean,
)


@operation("IsInf")
def is_infinite(node: Node, x: Any) -> Any:
    """Tell which numbers are infinite, of the signs that are asked for."""
    x = tensor(x)
    negative = tf.logical_and(x < 0, bool(node.get("detect_negative", 1)))
    positive = tf.logical_and(x > 0, bool(node.get("detect_positive", 1)))
    return tf.logical_and(tf.math.is_inf(x), tf.logical_or(negative, positive))


@operation("BitShift")
def shift(node: Node, x: Any, by: Any) -> Any:
    """Shift the bits of integers; a negative number counts as a large one, and shifts all of them out."""
    x, by = alike(tensor(x), tensor(by))
    last = x.dtype.size * 8 - 1
    inside = tf.logical_and(by >= tf.zeros([], by.dtype), by <= tf.constant(last, by.dtype))
    if node.get("direction") == "LEFT":
        return tf.where(inside, tf.bitwise.left_shift(x, by), tf.zeros_like(x))
    shifted = tf.bitwise.right_shift(x, tf.where(inside, by, tf.constant(last, by.dtype)))
    return shifted if x.dtype.min < 0 else tf.where(inside, shifted, tf.zeros_like(x))
