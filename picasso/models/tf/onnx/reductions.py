"""Sums, means and extremes over axes, and normalizations by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import OPERATIONS, Node, Untranslatable, array_of, integers, known, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf

REDUCED: dict[str, Callable[..., Any]] = {
    "ReduceL1": lambda x, **axes: tf.reduce_sum(tf.abs(x), **axes),
    "ReduceL2": lambda x, **axes: tf.sqrt(tf.reduce_sum(x * x, **axes)),
    "ReduceLogSum": lambda x, **axes: tf.math.log(tf.reduce_sum(x, **axes)),
    "ReduceLogSumExp": tf.reduce_logsumexp,
    "ReduceMax": tf.reduce_max,
    "ReduceMean": tf.reduce_mean,
    "ReduceMin": tf.reduce_min,
    "ReduceProd": tf.reduce_prod,
    "ReduceSum": tf.reduce_sum,
    "ReduceSumSquare": lambda x, **axes: tf.reduce_sum(x * x, **axes),
}


def reduced(name: str) -> Callable[..., Any]:
    """Return the translation of a reduction."""

    def reduce(node: Node, x: Any, axes: Any = None) -> Any:
        chosen = node.get("axes") if axes is None else integers(axes, "the axes")
        if not chosen and node.get("noop_with_empty_axes", 0):
            return OPERATIONS["Identity"](node, x) if name not in ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum") else REDUCED[name](tensor(x), axis=[], keepdims=True)
        if name == "ReduceProd" and known(x) and x.dtype == object:
            found: Any = 1
            for one in x.ravel():
                found = found * one
            made = np.empty([1] * x.ndim if node.get("keepdims", 1) else [], object)
            made[...] = found
            return made
        x = tensor(x)
        if x.dtype == tf.bool:
            whole = {"ReduceMax": tf.reduce_any, "ReduceMin": tf.reduce_all}[name]
            return whole(x, axis=chosen or None, keepdims=bool(node.get("keepdims", 1)))
        return REDUCED[name](x, axis=chosen or None, keepdims=bool(node.get("keepdims", 1)))

    return reduce


OPERATIONS.update({name: reduced(name) for name in REDUCED})


def place_of_extreme(find: Callable[..., Any]) -> Callable[..., Any]:
    """Return the translation of ArgMax or ArgMin."""

    def found(node: Node, x: Any) -> Any:
        x, axis = tensor(x), node.get("axis", 0)
        if node.get("select_last_index", 0):
            place = tf.shape(x, tf.int64)[axis] - 1 - find(tf.reverse(x, [axis]), axis, tf.int64)
        else:
            place = find(x, axis, tf.int64)
        return tf.expand_dims(place, axis) if node.get("keepdims", 1) else place

    return found


OPERATIONS.update(ArgMax=place_of_extreme(tf.argmax), ArgMin=place_of_extreme(tf.argmin))


def normalized(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the translation of Softmax or its logarithm; before version 13, all later axes are normalized together."""

    def normalize(node: Node, x: Any) -> Any:
        x = tensor(x)
        if node.version >= 13:
            return function(x, axis=node.get("axis", -1))
        flat = OPERATIONS["Flatten"](Node({"axis": node.get("axis", 1)}, node.version), x)
        return tf.reshape(function(flat, axis=-1), tensor(array_of(lengths(x))))

    return normalize


OPERATIONS.update(Softmax=normalized(tf.nn.softmax), LogSoftmax=normalized(tf.nn.log_softmax))


@operation("Hardmax")
def hardmax(node: Node, x: Any) -> Any:
    """Return 1 at the first largest number of an axis, and 0 elsewhere."""
    x, axis = tensor(x), node.get("axis", -1)
    return tf.one_hot(tf.argmax(x, axis), tf.shape(x)[axis], dtype=x.dtype, axis=axis)


def by_channel(values: Any, x: Any) -> Any:
    """Return a vector of one number for each channel, in a shape that broadcasts over x."""
    return tf.reshape(tensor(values), [1, -1, *[1] * (rank(x) - 2)])


@operation("BatchNormalization")
def batch_normalization(node: Node, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    """Normalize channels by known means and variances."""
    if node.get("training_mode", 0):
        raise Untranslatable("it is in training mode")
    x = tensor(x)
    factor = tensor(scale) * tf.math.rsqrt(tensor(variance) + tf.cast(node.get("epsilon", 1e-5), tensor(variance).dtype))
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
        norm = tf.sqrt(tf.reduce_sum(x * x, axis, keepdims=True))
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


@operation("TopK")
def largest(node: Node, x: Any, count: Any = None) -> Any:
    """Return the largest or smallest numbers of an axis, and their places."""
    x, axis = tensor(x), node.get("axis", -1) % rank(x)
    (k,) = [node.get("k")] if count is None else integers(count, "the number of places")
    order = [*(one for one in range(rank(x)) if one != axis), axis]
    back = np.argsort(order).tolist()
    moved = tf.transpose(x, order)
    sign = 1 if node.get("largest", 1) else -1
    wide = tf.cast(moved, tf.float64) if moved.dtype.is_integer else moved
    values, places = tf.math.top_k(sign * wide, k)
    values = tf.cast(sign * values, x.dtype)
    return tf.transpose(values, back), tf.cast(tf.transpose(places, back), tf.int64)


@operation("CumSum")
def cumulative_sum(node: Node, x: Any, axis: Any) -> Any:
    """Return sums of all numbers so far."""
    (place,) = integers(np.asarray(axis), "the axis")
    how = {"exclusive": bool(node.get("exclusive", 0)), "reverse": bool(node.get("reverse", 0))}
    return tf.cumsum(tensor(x), place, **how)


@operation("Dropout")
def dropout(node: Node, x: Any, *others: Any) -> Any:
    """Return the input: nothing is dropped after training."""
    return (tensor(x), tf.ones_like(tensor(x), tf.bool))[: max(1, node.outputs)]
