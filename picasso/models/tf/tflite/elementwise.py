"""Operations on each number: activations, arithmetic and comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from picasso.models.tf.runtime import tf, tf1
from picasso.models.tf.tflite.table import OPERATIONS, Node, operation, tensor
from picasso.models.tf.translation import Untranslatable

Function = Callable[..., Any]


def hard_swish(x: Any) -> Any:
    """Return ``x relu6(x + 3) / 6``."""
    return x * tf.nn.relu6(x + 3) * (1 / 6)


def quotient(x: Any, y: Any) -> Any:
    """Return the quotient; that of integers is rounded towards 0."""
    return tf.truncatediv(x, y) if x.dtype.is_integer else x / y


# Activations, which may also end other operations.
ACTIVATIONS: dict[str, Function] = {
    "NONE": lambda x: x,
    "RELU": tf.nn.relu,
    "RELU6": tf.nn.relu6,
    "RELU_N1_TO_1": lambda x: tf.clip_by_value(x, -1.0, 1.0),
    "RELU_0_TO_1": lambda x: tf.clip_by_value(x, 0.0, 1.0),
    "TANH": tf.tanh,
}
UNARY: dict[str, Function] = {
    **{name: one for name, one in ACTIVATIONS.items() if name != "NONE"},
    "ABS": tf.abs, "CEIL": tf.math.ceil, "COS": tf.cos, "ELU": tf.nn.elu, "EXP": tf.exp, "FLOOR": tf.floor,
    "HARD_SWISH": hard_swish, "LOG": tf.math.log, "LOGICAL_NOT": tf.logical_not, "LOGISTIC": tf.sigmoid,
    "LOG_SOFTMAX": tf.nn.log_softmax, "NEG": tf.negative, "ROUND": tf.round, "RSQRT": tf.math.rsqrt, "SIGN": tf.sign,
    "SIN": tf.sin, "SQRT": tf.sqrt, "SQUARE": tf.square, "ZEROS_LIKE": tf.zeros_like,
    # Integers are given as the numbers for which they stand.
    "QUANTIZE": tf.identity, "DEQUANTIZE": tf.identity,
}  # fmt: skip
BINARY: dict[str, Function] = {
    "ADD": tf.add, "ATAN2": tf.atan2, "DIV": quotient, "EQUAL": tf.equal, "FLOOR_DIV": tf.math.floordiv,
    "FLOOR_MOD": tf.math.floormod, "GREATER": tf.greater, "GREATER_EQUAL": tf.greater_equal, "LESS": tf.less,
    "LESS_EQUAL": tf.less_equal, "LOGICAL_AND": tf.logical_and, "LOGICAL_OR": tf.logical_or, "MAXIMUM": tf.maximum,
    "MINIMUM": tf.minimum, "MUL": tf.multiply, "NOT_EQUAL": tf.not_equal, "POW": tf.pow,
    "SQUARED_DIFFERENCE": tf.math.squared_difference, "SUB": tf.subtract,
}  # fmt: skip


def unary(function: Function) -> Function:
    """Return the translation of a function of one value."""
    return lambda node, x: function(tensor(x))


def binary(function: Function) -> Function:
    """Return the translation of a function of two values."""
    return lambda node, x, y: function(tensor(x), tensor(y))


OPERATIONS.update({name: unary(function) for name, function in UNARY.items()})
OPERATIONS.update({name: binary(function) for name, function in BINARY.items()})


@operation("ADD_N")
def total(node: Node, *values: Any) -> Any:
    """Return the sum of several values."""
    return tf.add_n([tensor(one) for one in values])


@operation("LEAKY_RELU")
def leaky_relu(node: Node, x: Any) -> Any:
    """Return x, times a slope below 0."""
    return tf.nn.leaky_relu(tensor(x), node.get("alpha"))


@operation("PRELU")
def prelu(node: Node, x: Any, slopes: Any) -> Any:
    """Return x, times its own slope below 0, as Keras computes it."""
    x = tensor(x)
    return tf.nn.relu(x) - tensor(slopes) * tf.nn.relu(-x)


@operation("GELU")
def gelu(node: Node, x: Any) -> Any:
    """Return the GELU, exact or with a tanh."""
    return tf.nn.gelu(tensor(x), bool(node.get("approximate")))


@operation("SOFTMAX")
def softmax(node: Node, x: Any) -> Any:
    """Return the softmax over the last axis."""
    x, factor = tensor(x), node.get("beta", 1.0)
    return tf.nn.softmax(x if factor == 1 else x * factor)


@operation("CAST")
def cast(node: Node, x: Any) -> Any:
    """Return numbers in another type."""
    return tf.cast(tensor(x), node.kind)


@operation("FAKE_QUANT")
def fake_quantized(node: Node, x: Any) -> Any:
    """Return the numbers of a grid that are nearest to x."""
    narrow = bool(node.get("narrowRange"))
    return tf.quantization.fake_quant_with_min_max_args(
        tensor(x), node.get("min"), node.get("max"), node.get("numBits"), narrow
    )


@operation("SELECT")
def selected_by_row(node: Node, condition: Any, x: Any, y: Any) -> Any:
    """Return x where a condition is true, and y elsewhere; a vector of conditions is one for each row."""
    condition, x, y = tensor(condition), tensor(x), tensor(y)
    return (tf1.where if condition.shape.rank else tf.where)(condition, x, y)


@operation("SELECT_V2")
def selected(node: Node, condition: Any, x: Any, y: Any) -> Any:
    """Return x where a condition is true, and y elsewhere; shapes broadcast."""
    return tf.where(tensor(condition), tensor(x), tensor(y))


def activated(x: Any, name: str) -> Any:
    """Return the activation that ends an operation.

    Raises:
        Untranslatable: there is no translation of it.
    """
    if name not in ACTIVATIONS:
        raise Untranslatable(f"its activation {name} has no translation")
    return ACTIVATIONS[name](x)
