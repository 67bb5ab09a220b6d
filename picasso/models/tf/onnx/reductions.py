"""Sums, means and extremes over axes, and normalizations by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import (
    OPERATIONS,
    Node,
    integers,
    known,
    tensor,
)
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
            return (
                OPERATIONS["Identity"](node, x)
                if name not in ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum")
                else REDUCED[name](tensor(x), axis=[], keepdims=True)
            )
        if name == "ReduceProd" and known(x) and x.dtype == object:
            found: Any = 1
            for one in x.ravel():
                found = found * one
            made = np.empty([1] * x.ndim if node.get("keepdims", 1) else [], object)
            made[(0,) * made.ndim] = found
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


def cumulative(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the translation of sums or products of all numbers so far."""

    def accumulate(node: Node, x: Any, axis: Any) -> Any:
        (place,) = integers(np.asarray(axis) if known(axis) else axis, "the axis")
        how = {"exclusive": bool(node.get("exclusive", 0)), "reverse": bool(node.get("reverse", 0))}
        return function(tensor(x), place, **how)

    return accumulate


OPERATIONS.update(CumSum=cumulative(tf.cumsum), CumProd=cumulative(tf.math.cumprod))
