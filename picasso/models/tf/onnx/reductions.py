"""Sums, means and extremes over axes, and normalizations by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import OPERATIONS, Node, integers, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import known


def root(x: Any) -> Any:
    """Return square roots; the gradient at 0, as for a vector of zeros, is 0 instead of infinite."""
    positive = x > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, x, tf.ones_like(x))), tf.zeros_like(x))


REDUCED: dict[str, Callable[..., Any]] = {
    "ReduceL1": lambda x, **axes: tf.reduce_sum(tf.abs(x), **axes),
    "ReduceL2": lambda x, **axes: root(tf.reduce_sum(x * x, **axes)),
    "ReduceLogSum": lambda x, **axes: tf.math.log(tf.reduce_sum(x, **axes)),
    "ReduceLogSumExp": tf.reduce_logsumexp,
    "ReduceMax": tf.reduce_max,
    "ReduceMean": tf.reduce_mean,
    "ReduceMin": tf.reduce_min,
    "ReduceProd": tf.reduce_prod,
    "ReduceSum": tf.reduce_sum,
    "ReduceSumSquare": lambda x, **axes: tf.reduce_sum(x * x, **axes),
}
# Those of truth values.
LOGICAL = {"ReduceMax": tf.reduce_any, "ReduceMin": tf.reduce_all}


def reduced(name: str) -> Callable[..., Any]:
    """Return the translation of a reduction."""

    def reduce(node: Node, x: Any, axes: Any = None) -> Any:
        chosen = node.get("axes") if axes is None else integers(axes, "the axes")
        if name == "ReduceProd" and known(x) and x.dtype == object:
            return product_of_lengths(x, keeps(node))
        x = tensor(x)
        function = LOGICAL.get(name, REDUCED[name]) if x.dtype == tf.bool else REDUCED[name]
        if not chosen:
            # Without axes, all are reduced, or none.
            return function(x, axis=[] if node.get("noop_with_empty_axes", 0) else None, keepdims=keeps(node))
        return function(x, axis=chosen, keepdims=keeps(node))

    return reduce


def keeps(node: Node) -> bool:
    """Tell whether reduced axes remain, with a length of 1."""
    return bool(node.get("keepdims", 1))


def product_of_lengths(x: Any, keepdims: bool) -> Any:
    """Return the product of a vector of lengths, some of which are tensors."""
    found: Any = 1
    for one in x.ravel():
        found = found * one
    made = np.empty([1] * x.ndim if keepdims else [], object)
    made[(0,) * made.ndim] = found
    return made


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


def cumulative(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the translation of sums or products of all numbers so far."""

    def accumulate(node: Node, x: Any, axis: Any) -> Any:
        (place,) = integers(np.asarray(axis) if known(axis) else axis, "the axis")
        how = {"exclusive": bool(node.get("exclusive", 0)), "reverse": bool(node.get("reverse", 0))}
        return function(tensor(x), place, **how)

    return accumulate


OPERATIONS.update(CumSum=cumulative(tf.cumsum), CumProd=cumulative(tf.math.cumprod))
