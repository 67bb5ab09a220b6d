"""Sums, means, largest numbers and norms along axes."""

from __future__ import annotations

from typing import Any

from picasso.models.tf.runtime import tf
from picasso.models.tf.tflite.table import Node, integers, operation, tensor

REDUCTIONS = {
    "MEAN": tf.reduce_mean, "SUM": tf.reduce_sum, "REDUCE_MAX": tf.reduce_max, "REDUCE_MIN": tf.reduce_min,
    "REDUCE_PROD": tf.reduce_prod, "REDUCE_ANY": tf.reduce_any, "REDUCE_ALL": tf.reduce_all,
}  # fmt: skip


@operation(*REDUCTIONS)
def reduced(node: Node, x: Any, axes: Any) -> Any:
    """Return one number for all places of some axes."""
    return REDUCTIONS[node.name](tensor(x), integers(axes), bool(node.get("keepDims")))


@operation("ARG_MAX", "ARG_MIN")
def place(node: Node, x: Any, axis: Any) -> Any:
    """Return the place of the largest or the smallest number along an axis."""
    compute = tf.argmax if node.name == "ARG_MAX" else tf.argmin
    return tf.cast(compute(tensor(x), integers(axis)[0]), node.kind)


@operation("CUMSUM")
def cumulated(node: Node, x: Any, axis: Any) -> Any:
    """Return sums of all numbers so far along an axis."""
    return tf.cumsum(tensor(x), integers(axis)[0], bool(node.get("exclusive")), bool(node.get("reverse")))


@operation("TOPK_V2")
def largest(node: Node, x: Any, count: Any) -> Any:
    """Return the largest numbers of each row, and their places."""
    return list(tf.math.top_k(tensor(x), integers(count)[0]))


@operation("L2_NORMALIZATION")
def normalized(node: Node, x: Any) -> Any:
    """Return vectors along the last axis divided by their norm, which is at least 1e-6."""
    return tf.math.l2_normalize(tensor(x), -1, 1e-12)


@operation("LOCAL_RESPONSE_NORMALIZATION")
def locally_normalized(node: Node, x: Any) -> Any:
    """Return numbers divided by a power of the squares of neighbouring channels."""
    return tf.nn.lrn(tensor(x), node.get("radius"), node.get("bias"), node.get("alpha"), node.get("beta"))
