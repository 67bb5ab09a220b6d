"""Activations: functions of each number alone, with parameters."""

from __future__ import annotations

from typing import Any

from picasso.models.tf.onnx.table import Node, operation, tensor
from picasso.models.tf.runtime import tf


@operation("Clip")
def clip(node: Node, x: Any, low: Any = None, high: Any = None) -> Any:
    """Return numbers between two bounds."""
    x = tensor(x)
    low, high = node.get("min", low), node.get("max", high)
    x = x if low is None else tf.maximum(x, tf.cast(tensor(low), x.dtype))
    return x if high is None else tf.minimum(x, tf.cast(tensor(high), x.dtype))


@operation("Elu")
def elu(node: Node, x: Any) -> Any:
    """Return ``alpha (exp(x) - 1)`` for negative numbers."""
    x = tensor(x)
    return tf.where(x < 0, node.get("alpha", 1.0) * (tf.exp(tf.minimum(x, 0)) - 1), x)


@operation("Celu")
def celu(node: Node, x: Any) -> Any:
    """Return ``alpha (exp(x / alpha) - 1)`` for negative numbers."""
    x, alpha = tensor(x), node.get("alpha", 1.0)
    return tf.maximum(x, 0) + tf.minimum(tf.cast(0, x.dtype), alpha * (tf.exp(tf.minimum(x, 0) / alpha) - 1))


@operation("Selu")
def selu(node: Node, x: Any) -> Any:
    """Return the scaled exponential linear unit."""
    x = tensor(x)
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    return gamma * tf.where(x <= 0, alpha * (tf.exp(tf.minimum(x, 0)) - 1), x)


@operation("Gelu")
def gelu(node: Node, x: Any) -> Any:
    """Return the Gaussian error linear unit."""
    return tf.nn.gelu(tensor(x), approximate=node.get("approximate", "none") == "tanh")


@operation("LeakyRelu")
def leaky_relu(node: Node, x: Any) -> Any:
    """Return ``alpha x`` for negative numbers."""
    x = tensor(x)
    return tf.where(x >= 0, x, node.get("alpha", 0.01) * x)


@operation("PRelu")
def parametric_relu(node: Node, x: Any, slope: Any) -> Any:
    """Return ``slope x`` for negative numbers."""
    x, slope = tensor(x), tensor(slope)
    # In early versions, a vector has one number for each channel.
    if node.version < 7 and slope.shape.rank == 1:
        slope = tf.reshape(slope, [-1, *[1] * (x.shape.rank - 2)])
    return tf.where(x >= 0, x, slope * x)


@operation("ThresholdedRelu")
def thresholded_relu(node: Node, x: Any) -> Any:
    """Return numbers above a threshold, and 0 elsewhere."""
    x = tensor(x)
    return tf.where(x > node.get("alpha", 1.0), x, tf.zeros_like(x))


@operation("HardSigmoid")
def hard_sigmoid(node: Node, x: Any) -> Any:
    """Return ``alpha x + beta`` between 0 and 1."""
    return tf.clip_by_value(node.get("alpha", 0.2) * tensor(x) + node.get("beta", 0.5), 0, 1)


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
