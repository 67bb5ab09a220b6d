"""Pools: the largest numbers, means and norms of windows."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from operator import gt
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import (
    OPERATIONS,
    Node,
    operation,
    rank,
)
from picasso.models.tf.onnx.windows import Window, channels_first, channels_last, padded
from picasso.models.tf.runtime import tf


def pooled(images: Any, window: Window, kind: str, outside: float = 0.0) -> Any:
    """Return the largest numbers or the means of windows of ``(N, ..., C)``; the means with the padding."""
    if kind == "MAX" and len(window.kernel) == 2 and set(window.spread) == {1} and images.dtype.is_floating:
        return tf.nn.max_pool2d(images, window.kernel, window.strides, window.padding())
    images = padded(images, window.whole, outside)
    gaps, strided = any(one > 1 for one in window.spread), any(one > 1 for one in window.strides)
    if kind == "AVG" and gaps:
        own = tf.ones([*window.kernel, 1, 1], images.dtype) / float(prod(window.kernel))
        parts = [
            tf.nn.convolution(one, own, 1, "VALID", dilations=window.spread)
            for one in tf.split(images, images.shape[-1], -1)
        ]
        whole = tf.concat(parts, -1)
    elif (gaps and strided) or any(map(gt, window.strides, window.kernel)):
        whole = tf.nn.pool(
            images, window.kernel, kind, strides=[1] * len(window.kernel), padding="VALID", dilations=window.spread
        )
    else:
        return tf.nn.pool(images, window.kernel, kind, strides=window.strides, padding="VALID", dilations=window.spread)
    return whole[(slice(None), *(slice(None, None, one) for one in window.strides))]


@operation("MaxPool")
def largest_in_window(node: Node, x: Any) -> Any:
    """Return the largest number of each window."""
    window, images = Window(node, x, node.get("kernel_shape")), channels_last(x)
    kind = images.dtype
    low = kind.min
    if not kind.is_floating:
        images, low = tf.cast(images, tf.float32), float(low)
    found = channels_first(tf.cast(pooled(images, window, "MAX", low), kind))
    if node.outputs == 1:
        return found
    return found, channels_first(places_of_largest(images, window, low, by_columns=bool(node.get("storage_order", 0))))


def places_of_largest(images: Any, window: Window, low: float, *, by_columns: bool) -> Any:
    """Return where the largest number of each window lies: places ``(N, ..., C)`` in the flat ``(N, C, ...)``.

    Args:
        images: ``(N, ..., C)``.
        window: the window.
        low: the number outside.
        by_columns: whether places are counted along the first axis of the image first (``storage_order``).
    """
    sides, kernel, strides, channels = window.known_sides(), window.kernel, window.strides, images.shape[-1]
    images = padded(images, window.whole, low)
    counts = [
        (side - span) // stride + 1
        for side, span, stride in zip(images.shape[1:-1], window.spans, strides, strict=True)
    ]
    taps = np.array(list(np.ndindex(*kernel))) * window.spread
    parts = []
    for tap in taps:
        part = (
            slice(at, at + (n - 1) * stride + 1, stride) for at, n, stride in zip(tap, counts, strides, strict=True)
        )
        parts.append(images[(slice(None), *part)])
    best = tf.argmax(tf.stack(parts), 0)
    factors = np.cumprod([1, *sides[:-1]]) if by_columns else np.cumprod([1, *sides[:0:-1]])[::-1]
    place: Any = 0
    for axis, (before, _) in enumerate(window.pads):
        start = np.arange(counts[axis]) * strides[axis] - before
        start = start.reshape([-1, *[1] * (len(kernel) - axis)])
        place += (tf.gather(taps[:, axis], best) + start) * int(factors[axis])
    image = tf.reshape(tf.range(tf.shape(images, tf.int64)[0]), [-1, *[1] * (len(kernel) + 1)])
    return place + (image * channels + np.arange(channels)) * prod(sides)


@operation("AveragePool")
def mean_in_window(node: Node, x: Any) -> Any:
    """Return the mean of each window; the padding counts only if ``count_include_pad`` is set."""
    window, images = Window(node, x, node.get("kernel_shape")), channels_last(x)
    counted = node.get("count_include_pad", 0)
    plain = len(window.kernel) == 2 and set(window.spread) == {1}
    if plain and not counted and window.padding() in ("SAME", "VALID"):
        return channels_first(tf.nn.avg_pool2d(images, window.kernel, window.strides, window.padding()))
    found = pooled(images, window, "AVG")
    if any(window.beyond) or (any(map(any, window.pads)) and not counted):
        # The fraction of each window that counts.
        ones = np.ones([1, *window.known_sides(), 1], np.float32)
        ones = np.pad(ones, [(0, 0), *window.pads, (0, 0)], constant_values=1.0 if counted else 0.0)
        inside = Window(
            Node({"strides": window.strides, "dilations": window.spread}, node.version),
            np.zeros([1, 1, *(side + sum(pads) for side, pads in zip(window.sides, window.pads, strict=True))]),
            window.kernel,
        )
        inside.beyond = window.beyond
        found = found / tf.cast(pooled(tf.constant(ones), inside, "AVG"), found.dtype)
    return channels_first(found)


@operation("LpPool")
def norm_in_window(node: Node, x: Any) -> Any:
    """Return the p-norm of each window."""
    power, kernel = float(node.get("p", 2)), node.get("kernel_shape")
    images = channels_last(x)
    found = pooled(tf.abs(images) ** power, Window(node, x, kernel), "AVG") * float(prod(kernel))
    return channels_first(norm(found, power))


def norm(total: Any, power: float) -> Any:
    """Return the p-norm of the sum of the powers; the gradient at 0 is 0 instead of infinite."""
    positive = total > 0
    return tf.where(positive, tf.where(positive, total, tf.ones_like(total)) ** (1 / power), tf.zeros_like(total))


def of_all_places(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the translation of a pool over all places."""

    def pool(node: Node, x: Any) -> Any:
        return channels_first(function(channels_last(x), axis=list(range(1, rank(x) - 1)), keepdims=True))

    return pool


OPERATIONS.update(GlobalAveragePool=of_all_places(tf.reduce_mean), GlobalMaxPool=of_all_places(tf.reduce_max))


@operation("GlobalLpPool")
def norm_of_all_places(node: Node, x: Any) -> Any:
    """Return the p-norm over all places."""
    power, images = float(node.get("p", 2)), channels_last(x)
    total = tf.reduce_sum(tf.abs(images) ** power, list(range(1, rank(x) - 1)), keepdims=True)
    return channels_first(norm(total, power))
