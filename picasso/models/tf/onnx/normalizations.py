"""Normalizations: numbers in relation to the means, deviations or sums of their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picasso.models.tf.onnx.reductions import root
from picasso.models.tf.onnx.table import OPERATIONS, Node, array_of, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known


def normalized(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the translation of Softmax and the like; before version 13, all later axes are normalized together."""

    def normalize(node: Node, x: Any) -> Any:
        x = tensor(x)
        axis = node.get("axis", -1 if node.version >= 13 else 1)
        if node.version >= 13 or axis % rank(x) == rank(x) - 1:
            return function(x, axis=axis)
        flat = OPERATIONS["Flatten"](Node({"axis": axis}, node.version), x)
        return OPERATIONS["Reshape"](Node({}, node.version), function(flat, axis=-1), array_of(lengths(x)))

    return normalize


OPERATIONS.update(Softmax=normalized(tf.nn.softmax), LogSoftmax=normalized(tf.nn.log_softmax))


def hardmax(x: Any, axis: int) -> Any:
    """Return 1 at the first largest number of an axis, and 0 elsewhere."""
    return tf.one_hot(tf.argmax(x, axis), tf.shape(x)[axis], dtype=x.dtype, axis=axis)


OPERATIONS.update(Hardmax=normalized(hardmax))


def by_channel(values: Any, x: Any) -> Any:
    """Return a vector of one number for each channel, in a shape that broadcasts over x."""
    return tf.reshape(tensor(values), [1, -1, *[1] * (rank(x) - 2)])


@operation("BatchNormalization")
def batch_normalization(node: Node, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    """Normalize channels by known means and variances."""
    if node.get("training_mode", 0):
        raise Untranslatable("it is in training mode")
    if not node.get("spatial", 1):
        raise Untranslatable("it has a mean for each place")
    x = tensor(x)
    factor = tensor(scale) * tf.math.rsqrt(
        tensor(variance) + tf.cast(node.get("epsilon", 1e-5), tensor(variance).dtype)
    )
    shift = tensor(bias) - tensor(mean) * factor
    return x * tf.cast(by_channel(factor, x), x.dtype) + tf.cast(by_channel(shift, x), x.dtype)


@operation("InstanceNormalization")
def instance_normalization(node: Node, x: Any, scale: Any, bias: Any) -> Any:
    """Normalize each channel of each image by its own mean and variance."""
    x = tensor(x)
    mean, variance = tf.nn.moments(x, list(range(2, rank(x))), keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + node.get("epsilon", 1e-5)) * by_channel(scale, x) + by_channel(bias, x)


@operation("LayerNormalization")
def layer_normalization(node: Node, x: Any, scale: Any, bias: Any = None) -> Any:
    """Normalize the last axes by their mean and variance; the outputs are the result, the mean and 1 / deviation."""
    x, axis = tensor(x), node.get("axis", -1)
    axes = list(range(axis % rank(x), rank(x)))
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    inverse = tf.math.rsqrt(variance + node.get("epsilon", 1e-5))
    found = (x - mean) * inverse * tensor(scale)
    return (found if bias is None else found + tensor(bias), mean, inverse)[: max(1, node.outputs)]


@operation("RMSNormalization", "SimplifiedLayerNormalization")
def rms_normalization(node: Node, x: Any, scale: Any) -> Any:
    """Divide the last axes by the root of their mean square."""
    x, axis = tensor(x), node.get("axis", -1)
    axes = list(range(axis % rank(x), rank(x)))
    return x * tf.math.rsqrt(tf.reduce_mean(x * x, axes, keepdims=True) + node.get("epsilon", 1e-5)) * tensor(scale)


@operation("GroupNormalization")
def group_normalization(node: Node, x: Any, scale: Any, bias: Any) -> Any:
    """Normalize groups of channels."""
    x, groups = tensor(x), node.get("num_groups")
    batch, channels, *sides = lengths(x)
    parts = OPERATIONS["Reshape"](node, x, array_of([batch, groups, -1]))
    mean, variance = tf.nn.moments(parts, [2], keepdims=True)
    parts = (parts - mean) * tf.math.rsqrt(variance + node.get("epsilon", 1e-5))
    if node.version < 21 and tensor(scale).shape[0] == groups and groups != channels:
        parts = parts * tf.reshape(tensor(scale), [1, -1, 1]) + tf.reshape(tensor(bias), [1, -1, 1])
        return OPERATIONS["Reshape"](node, parts, array_of([batch, channels, *sides]))
    found = OPERATIONS["Reshape"](node, parts, array_of([batch, channels, *sides]))
    return found * by_channel(scale, x) + by_channel(bias, x)


@operation("MeanVarianceNormalization")
def mean_variance_normalization(node: Node, x: Any) -> Any:
    """Subtract the mean of some axes and divide by their deviation."""
    x, axes = tensor(x), node.get("axes", [0, 2, 3])
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    return (x - mean) / (tf.sqrt(variance) + 1e-9)


@operation("LpNormalization")
def lp_normalization(node: Node, x: Any) -> Any:
    """Divide an axis by its norm; 0 where the norm is 0."""
    x, axis = tensor(x), node.get("axis", -1)
    if node.get("p", 2) == 1:
        norm = tf.reduce_sum(tf.abs(x), axis, keepdims=True)
    else:
        norm = root(tf.reduce_sum(x * x, axis, keepdims=True))
    return tf.math.divide_no_nan(x, norm)


@operation("LRN")
def local_response_normalization(node: Node, x: Any) -> Any:
    """Divide each number by a power of the squares of the neighbouring channels."""
    x, size = tensor(x), node.get("size")
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    squares = tf.pad(x * x, [[0, 0], [before, after], *[[0, 0]] * (rank(x) - 2)])
    channels = lengths(x)[1]
    total = tf.add_n([squares[:, start : start + channels] for start in range(size)])
    return x / (node.get("bias", 1.0) + node.get("alpha", 1e-4) / size * total) ** node.get("beta", 0.75)


@operation("Dropout")
def dropout(node: Node, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """Return the input: nothing is dropped after training.

    Raises:
        Untranslatable: it is in training mode.
    """
    if training is not None and not (known(training) and not np.ravel(training)[0]):
        raise Untranslatable("it is in training mode")
    return (tensor(x), tf.ones_like(tensor(x), tf.bool))[: max(1, node.outputs)]
