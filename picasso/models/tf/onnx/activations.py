"""Activations: functions of each number alone, with parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, operation, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import known

# The constants of Klambauer et al., Self-normalizing neural networks, NeurIPS 2017.
ALPHA, GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


@operation("Clip")
def clip(node: Node, x: Any, low: Any = None, high: Any = None) -> Any:
    """Return numbers between two bounds."""
    x = tensor(x)
    low, high = node.get("min", low), node.get("max", high)
    # Rectifiers are operations of their own, for which guided backpropagation has a rule.
    if x.dtype.is_floating and is_number(low, 0) and (high is None or is_number(high, 6)):
        return tf.nn.relu(x) if high is None else tf.nn.relu6(x)
    x = x if low is None else tf.maximum(x, tf.cast(tensor(low), x.dtype))
    return x if high is None else tf.minimum(x, tf.cast(tensor(high), x.dtype))


def is_number(value: Any, number: float) -> bool:
    """Tell whether a value is known and equal to a number."""
    return (
        value is not None
        and known(np.asarray(value) if isinstance(value, float) else value)
        and bool(np.all(np.asarray(value) == number))
    )


@operation("Elu")
def elu(node: Node, x: Any) -> Any:
    """Return ``alpha (exp(x) - 1)`` for negative numbers."""
    x, alpha = tensor(x), node.get("alpha", 1.0)
    return tf.nn.elu(x) if alpha == 1 else tf.maximum(x, 0) + alpha * (tf.exp(tf.minimum(x, 0)) - 1)


@operation("Celu")
def celu(node: Node, x: Any) -> Any:
    """Return ``alpha (exp(x / alpha) - 1)`` for negative numbers."""
    x, alpha = tensor(x), node.get("alpha", 1.0)
    return tf.maximum(x, 0) + alpha * (tf.exp(tf.minimum(x, 0) / alpha) - 1)


@operation("Selu")
def selu(node: Node, x: Any) -> Any:
    """Return the scaled exponential linear unit."""
    x = tensor(x)
    alpha, gamma = node.get("alpha", ALPHA), node.get("gamma", GAMMA)
    if abs(alpha - ALPHA) < 1e-6 and abs(gamma - GAMMA) < 1e-6:
        return tf.nn.selu(x)
    return gamma * (tf.maximum(x, 0) + alpha * (tf.exp(tf.minimum(x, 0)) - 1))


@operation("Gelu")
def gelu(node: Node, x: Any) -> Any:
    """Return the Gaussian error linear unit."""
    return tf.nn.gelu(tensor(x), approximate=node.get("approximate", "none") == "tanh")


@operation("LeakyRelu")
def leaky_relu(node: Node, x: Any) -> Any:
    """Return ``alpha x`` for negative numbers."""
    return tf.nn.leaky_relu(tensor(x), node.get("alpha", 0.01))


@operation("PRelu")
def parametric_relu(node: Node, x: Any, slope: Any) -> Any:
    """Return ``slope x`` for negative numbers."""
    x, slope = tensor(x), tensor(slope)
    zero = tf.zeros([], x.dtype)
    return tf.maximum(x, zero) + slope * tf.minimum(x, zero)


@operation("ThresholdedRelu")
def thresholded_relu(node: Node, x: Any) -> Any:
    """Return numbers above a threshold, and 0 elsewhere."""
    x = tensor(x)
    return tf.where(x > node.get("alpha", 1.0), x, tf.zeros_like(x))


@operation("HardSigmoid")
def hard_sigmoid(node: Node, x: Any) -> Any:
    """Return ``alpha x + beta`` between 0 and 1."""
    x, alpha, beta = tensor(x), node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return tf.nn.relu6(x + 3) * (1 / 6)
    return tf.clip_by_value(alpha * x + beta, 0, 1)


@operation("HardSwish")
def hard_swish(node: Node, x: Any) -> Any:
    """Return ``x`` times its hard sigmoid ``x / 6 + 1/2`` between 0 and 1."""
    x = tensor(x)
    return x * tf.nn.relu6(x + 3) * (1 / 6)


@operation("Shrink")
def shrink(node: Node, x: Any) -> Any:
    """Move numbers towards 0 by ``bias``; those of a magnitude of at most ``lambd`` become 0."""
    x = tensor(x)
    bias, limit = (tf.cast(node.get(name, default), x.dtype) for name, default in (("bias", 0.0), ("lambd", 0.5)))
    return tf.where(x < -limit, x + bias, tf.where(x > limit, x - bias, tf.zeros_like(x)))


@operation("Swish")
def swish(node: Node, x: Any) -> Any:
    """Return ``x sigmoid(alpha x)``."""
    x = tensor(x)
    return x * tf.sigmoid(node.get("alpha", 1.0) * x)


@operation("SwiGLU")
def gated_swish(node: Node, x: Any, y: Any) -> Any:
    """Return ``x sigmoid(alpha x) y``."""
    return swish(node, x) * tensor(y)
