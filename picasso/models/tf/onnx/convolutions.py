"""Convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.onnx.windows import Pads, Window, channels_first, channels_last, padded
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known


@operation("Conv")
def convolution(node: Node, x: Any, filters: Any, bias: Any = None) -> Any:
    """Return a convolution, in groups of channels."""
    window = Window(node, x, lengths(filters)[2:])
    turned = turned_over(filters)
    found = convolved(channels_last(x), turned, window, node.get("group", 1))
    return channels_first(found if bias is None else tf.nn.bias_add(found, tensor(bias)))


def turned_over(filters: Any) -> Any:
    """Return filters ``(K, C, ...)`` as ``(..., C, K)``."""
    order = [*range(2, rank(filters)), 1, 0]
    return (
        tensor(np.ascontiguousarray(np.transpose(filters, order)))
        if known(filters)
        else tf.transpose(tensor(filters), order)
    )


def convolved(images: Any, filters: Any, window: Window, groups: int) -> Any:
    """Return a convolution of ``(N, ..., C)`` with filters ``(..., C / groups, K)``."""
    *kernel, _, outputs = filters.shape.as_list()
    strides, spread, gaps = window.strides, window.spread, any(one > 1 for one in window.spread)
    flat = len(kernel) == 2
    if (
        groups > 1
        and groups == images.shape[-1]
        and flat
        and (strides == [1, 1] or (not gaps and strides[0] == strides[1]))
    ):
        # The filters of a group follow each other.
        own = tf.reshape(filters, [*kernel, groups, outputs // groups])
        if gaps:
            return tf.nn.depthwise_conv2d(padded(images, window.whole), own, [1] * 4, "VALID", dilations=spread)
        # TensorFlow's optimizer crashes on explicit padding.
        if window.padding() == "SAME":
            return tf.nn.depthwise_conv2d(images, own, [1, *strides, 1], "SAME")
        return tf.nn.depthwise_conv2d(padded(images, window.whole), own, [1, *strides, 1], "VALID")
    if groups > 1:
        parts = zip(tf.split(images, groups, -1), tf.split(filters, groups, -1), strict=True)
        return tf.concat([convolved(one, own, window, 1) for one, own in parts], -1)
    if flat and not gaps:
        return tf.nn.conv2d(images, filters, strides, window.padding())
    images = padded(images, window.whole)
    if gaps and any(one > 1 for one in strides):
        # TensorFlow has no convolution with strides and gaps.
        found = tf.nn.convolution(images, filters, 1, "VALID", dilations=spread)
        return found[(slice(None), *(slice(None, None, one) for one in strides))]
    return tf.nn.convolution(images, filters, strides, "VALID", dilations=spread)


@operation("ConvTranspose")
def transposed_convolution(node: Node, x: Any, filters: Any, bias: Any = None) -> Any:
    """Return a transposed convolution, the gradient of a convolution with respect to its input."""
    filters = tensor(filters)
    groups = node.get("group", 1)
    images, sides = channels_last(x), lengths(x)[2:]
    kernel, axes = filters.shape.as_list()[2:], len(sides)
    if not all(map(is_integer, sides)):
        raise Untranslatable("its result depends on the size of the image, which is not fixed")
    strides = node.get("strides") or [1] * axes
    spread = node.get("dilations") or [1] * axes
    spans = [(width - 1) * step + 1 for width, step in zip(kernel, spread, strict=True)]
    extra = node.get("output_padding") or [0] * axes
    # The result without cropping, and what remains of it.
    full = [stride * (side - 1) + span for side, stride, span in zip(sides, strides, spans, strict=True)]
    crops = cropped(node, [one + more for one, more in zip(full, extra, strict=True)], sides, strides)
    made = dilated(filters, spread)
    parts = zip(tf.split(images, groups, -1), tf.split(made, groups, 0), strict=True)
    found = tf.concat([grown(one, own, strides, full) for one, own in parts], -1)
    found = padded(found, [(0, max(0, more - after)) for more, (_, after) in zip(extra, crops, strict=True)])
    ends = [-max(0, after - more) or None for more, (_, after) in zip(extra, crops, strict=True)]
    found = found[(slice(None), *(slice(max(0, before), end) for (before, _), end in zip(crops, ends, strict=True)))]
    found = padded(found, [(max(0, -before), 0) for before, _ in crops])
    return channels_first(found if bias is None else tf.nn.bias_add(found, tensor(bias)))


def cropped(node: Node, whole: Sequence[int], sides: Sequence[int], strides: Sequence[int]) -> Pads:
    """Return the places that a transposed convolution removes before and after each axis of its whole result."""
    how, axes = node.get("auto_pad", "NOTSET"), len(sides)
    wanted = node.get("output_shape")
    if not wanted and how in ("NOTSET", "VALID"):
        pads = node.get("pads") or [0] * 2 * axes
        return list(zip(pads[:axes], pads[axes:], strict=True))
    wanted = list(wanted or [side * stride for side, stride in zip(sides, strides, strict=True)])[-axes:]
    totals = [long - short for long, short in zip(whole, wanted, strict=True)]
    halves = [(total // 2, total - total // 2) for total in totals]
    return halves if how == "SAME_UPPER" else [(more, less) for less, more in halves]


def dilated(filters: Any, spread: Sequence[int]) -> Any:
    """Return filters ``(C, K, ...)`` with zeros between their values."""
    for axis, step in enumerate(spread, 2):
        if step > 1:
            order = [*(one for one in range(rank(filters)) if one != axis), axis]
            moved = tf.transpose(filters, order)[..., None]
            wide = tf.reshape(tf.pad(moved, [*[(0, 0)] * rank(filters), (0, step - 1)]), [*moved.shape[:-2], -1])
            filters = tf.transpose(wide[..., : 1 - step], np.argsort(order).tolist())
    return filters


def grown(images: Any, filters: Any, strides: Sequence[int], full: Sequence[int]) -> Any:
    """Return the transposed convolution of ``(N, ..., C)`` with filters ``(C, K, ...)``, without cropping."""
    axes = len(full)
    turned = tf.transpose(filters, [*range(2, rank(filters)), 1, 0])
    shape = tf.stack([tf.shape(images)[0], *full, filters.shape[1]])
    if axes == 1:
        long = tf.nn.conv2d_transpose(
            images[:, None], turned[None], tf.stack([shape[0], 1, *full, filters.shape[1]]), [1, *strides], "VALID"
        )
        return long[:, 0]
    make = {2: tf.nn.conv2d_transpose, 3: tf.nn.conv3d_transpose}[axes]
    return make(images, turned, shape, strides, "VALID")
