"""Convolutions and pools: what slides over the places of an image, or over those of a sequence or a volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import OPERATIONS, Node, Untranslatable, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf

Pads = list[tuple[int, int]]


def channels_last(x: Any) -> Any:
    """Return ``(N, C, ...)`` as ``(N, ..., C)``."""
    return tf.transpose(x, [0, *range(2, rank(x)), 1])


def channels_first(x: Any) -> Any:
    """Return ``(N, ..., C)`` as ``(N, C, ...)``."""
    return tf.transpose(x, [0, rank(x) - 1, *range(1, rank(x) - 1)])


def padding(node: Node, sides: Sequence[Any], kernel: Sequence[int], strides: Sequence[int], spread: Sequence[int]) -> Pads:
    """Return the places that are added before and after each axis."""
    how, axes = node.get("auto_pad", "NOTSET"), len(kernel)
    if how == "NOTSET":
        pads = node.get("pads") or [0] * 2 * axes
        return list(zip(pads[:axes], pads[axes:], strict=True))
    if how == "VALID":
        return [(0, 0)] * axes
    found = []
    for side, width, stride, step in zip(sides, kernel, strides, spread, strict=True):
        if not is_integer(side):
            raise Untranslatable("its padding depends on the size of the image")
        total = max(0, (-(-side // stride) - 1) * stride + (width - 1) * step + 1 - side)
        less, more = total // 2, total - total // 2
        found.append((more, less) if how == "SAME_LOWER" else (less, more))
    return found


def padded(x: Any, pads: Pads, value: float = 0.0) -> Any:
    """Return ``(N, ..., C)`` with places added around."""
    if not any(map(any, pads)):
        return x
    return tf.pad(x, [(0, 0), *pads, (0, 0)], constant_values=tf.cast(value, x.dtype))


@operation("Conv")
def convolution(node: Node, x: Any, filters: Any, bias: Any = None) -> Any:
    """Return a convolution, in groups of channels."""
    x, filters = tensor(x), tensor(filters)
    kernel, axes = filters.shape.as_list()[2:], rank(x) - 2
    strides, spread = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    groups = node.get("group", 1)
    pads = padding(node, lengths(x)[2:], kernel, strides, spread)
    images = padded(channels_last(x), pads)
    found = convolved(images, tf.transpose(filters, [*range(2, rank(x)), 1, 0]), strides, spread, groups)
    return channels_first(found if bias is None else tf.nn.bias_add(found, tensor(bias)))


def convolved(images: Any, filters: Any, strides: Sequence[int], spread: Sequence[int], groups: int) -> Any:
    """Return a convolution of ``(N, ..., C)`` with filters ``(..., C / groups, K)``, without padding."""
    axes = rank(images) - 2
    *kernel, _, outputs = filters.shape.as_list()
    if groups > 1 and groups == images.shape[-1] and axes == 2 and (spread == [1, 1] or strides == [1, 1]):
        own = tf.reshape(filters, [*kernel, outputs // groups, groups])
        # The filters of a group follow each other in ONNX.
        own = tf.transpose(tf.reshape(filters, [*kernel, groups, outputs // groups]), [0, 1, 2, 3])
        if strides[0] == strides[1]:
            return tf.nn.depthwise_conv2d(images, own, [1, *strides, 1], "VALID", dilations=spread)
        return tf.nn.depthwise_conv2d(images, own, [1, 1, 1, 1], "VALID", dilations=spread)[
            :, :: strides[0], :: strides[1]
        ]
    if any(one > 1 for one in spread) and any(one > 1 for one in strides):
        whole = convolved(images, filters, [1] * axes, spread, groups)
        return whole[(slice(None), *(slice(None, None, one) for one in strides))]
    if groups == 1:
        return tf.nn.convolution(images, filters, strides, "VALID", dilations=spread)
    parts = zip(tf.split(images, groups, -1), tf.split(filters, groups, -1), strict=True)
    return tf.concat([tf.nn.convolution(one, own, strides, "VALID", dilations=spread) for one, own in parts], -1)


@operation("ConvTranspose")
def transposed_convolution(node: Node, x: Any, filters: Any, bias: Any = None) -> Any:
    """Return the gradient of a convolution: places are spread apart, and the filter is flipped."""
    x, filters = tensor(x), tensor(filters)
    kernel, axes, groups = filters.shape.as_list()[2:], rank(x) - 2, node.get("group", 1)
    strides, spread = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    extra = node.get("output_padding") or [0] * axes
    sides = lengths(x)[2:]
    if not all(map(is_integer, sides)):
        raise Untranslatable("the size of its input depends on the image")
    reach = [(width - 1) * step + 1 for width, step in zip(kernel, spread, strict=True)]
    full = [stride * (side - 1) + wide + more for side, stride, wide, more in zip(sides, strides, reach, extra, strict=True)]
    wanted, how = node.get("output_shape"), node.get("auto_pad", "NOTSET")
    pads = padding(node, sides, kernel, strides, spread) if how in ("NOTSET", "VALID") else []
    if wanted or not pads:
        wanted = wanted or [side * stride for side, stride in zip(sides, strides, strict=True)]
        pads = []
        for whole, side in zip(full, wanted, strict=True):
            total = whole - side
            half = total // 2
            pads.append((half, total - half) if how == "SAME_UPPER" else (total - half, half))
    # Zeros between the places, and around them, make it an ordinary convolution with flipped filters.
    images = channels_last(x)
    for axis, stride in enumerate(strides, 1):
        if stride > 1:
            images = tf.stack([images, *[tf.zeros_like(images)] * (stride - 1)], axis + 1)
            shape = tf.concat([tf.shape(images)[:axis], [sides[axis - 1] * stride], tf.shape(images)[axis + 2 :]], 0)
            images = tf.reshape(images, shape)
            keep = [slice(None)] * (axes + 2)
            keep[axis] = slice(0, (sides[axis - 1] - 1) * stride + 1)
            images = images[tuple(keep)]
    channels = x.shape[1]
    images = tf.ensure_shape(images, [None, *[(s - 1) * t + 1 for s, t in zip(sides, strides, strict=True)], channels])
    around = [(wide - 1 - before, wide - 1 - after + more) for wide, (before, after), more in zip(reach, pads, extra, strict=True)]
    grown = padded(images, [(max(0, a), max(0, b)) for a, b in around])
    grown = grown[(slice(None), *(slice(max(0, -a), -max(0, -b) or None) for a, b in around))]
    flipped = tf.reverse(filters, list(range(2, rank(x))))
    # (C, K / groups, ...) becomes (..., C / groups, K).
    parts = [tf.transpose(one, [*range(2, rank(x)), 0, 1]) for one in tf.split(flipped, groups, 0)]
    found = convolved(grown, tf.concat(parts, -1), [1] * axes, spread, groups)
    return channels_first(found if bias is None else tf.nn.bias_add(found, tensor(bias)))


def sizes(node: Node, sides: Sequence[Any], kernel: Sequence[int], strides: Sequence[int], spread: Sequence[int]) -> tuple[Pads, Pads]:
    """Return the padding of a pool, and how many further places a rounded-up size needs at each end."""
    pads = padding(node, sides, kernel, strides, spread)
    beyond = [0] * len(kernel)
    if node.get("ceil_mode", 0):
        for axis, (side, width, stride, step, (before, after)) in enumerate(
            zip(sides, kernel, strides, spread, pads, strict=True)
        ):
            if not is_integer(side):
                raise Untranslatable("the size of its output depends on the image")
            rest = side + before + after - ((width - 1) * step + 1)
            count = -(-rest // stride) + 1
            # A window that begins beyond the padded image is left out.
            if (count - 1) * stride >= side + before:
                count -= 1
            beyond[axis] = max(0, (count - 1) * stride - rest)
    return pads, [(0, one) for one in beyond]


def pooled(x: Any, kernel: Sequence[int], strides: Sequence[int], spread: Sequence[int], kind: str) -> Any:
    """Return a pool of ``(N, ..., C)`` without padding."""
    if kind == "AVG" and any(one > 1 for one in spread):
        channels = x.shape[-1]
        ones = tf.ones([*kernel, 1, 1], x.dtype) / float(np.prod(kernel))
        parts = [convolved(one, ones, strides, spread, 1) for one in tf.split(x, channels, -1)]
        return tf.concat(parts, -1)
    if any(one > 1 for one in spread) and any(one > 1 for one in strides):
        whole = tf.nn.pool(x, kernel, kind, strides=[1] * len(kernel), padding="VALID", dilations=spread)
        return whole[(slice(None), *(slice(None, None, one) for one in strides))]
    return tf.nn.pool(x, kernel, kind, strides=strides, padding="VALID", dilations=spread)


@operation("MaxPool")
def largest_in_window(node: Node, x: Any) -> Any:
    """Return the largest number of each window."""
    if node.outputs > 1:
        raise Untranslatable("it returns the places of the largest numbers, too")
    x, axes = tensor(x), rank(x) - 2
    kernel = node.get("kernel_shape")
    strides, spread = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    pads, beyond = sizes(node, lengths(x)[2:], kernel, strides, spread)
    kind, low = x.dtype, x.dtype.min
    if not x.dtype.is_floating:
        x, low = tf.cast(x, tf.float32), float(x.dtype.min)
    images = padded(padded(channels_last(x), pads, low), beyond, low)
    return tf.cast(channels_first(pooled(images, kernel, strides, spread, "MAX")), kind)


@operation("AveragePool")
def mean_in_window(node: Node, x: Any) -> Any:
    """Return the mean of each window; the padding counts only if ``count_include_pad`` is set."""
    x, axes = tensor(x), rank(x) - 2
    kernel = node.get("kernel_shape")
    strides, spread = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    sides = lengths(x)[2:]
    pads, beyond = sizes(node, sides, kernel, strides, spread)
    images = padded(padded(channels_last(x), pads), beyond)
    found = pooled(images, kernel, strides, spread, "AVG")
    counted = any(map(any, beyond)) or (any(map(any, pads)) and not node.get("count_include_pad", 0))
    if counted:
        if not all(map(is_integer, sides)):
            raise Untranslatable("its padding depends on the size of the image")
        ones = np.ones([1, *sides, 1], np.float32)
        inside = 1.0 if node.get("count_include_pad", 0) else 0.0
        ones = np.pad(ones, [(0, 0), *pads, (0, 0)], constant_values=inside)
        ones = np.pad(ones, [(0, 0), *beyond, (0, 0)])
        found = found / tf.cast(pooled(tf.constant(ones), kernel, strides, spread, "AVG"), found.dtype)
    return channels_first(found)


@operation("LpPool")
def norm_in_window(node: Node, x: Any) -> Any:
    """Return the p-norm of each window."""
    power = float(node.get("p", 2))
    plain = Node({**node.attributes, "count_include_pad": 1}, node.version)
    return (mean_in_window(plain, tf.abs(tensor(x)) ** power) * float(np.prod(node.get("kernel_shape")))) ** (1 / power)


def of_all_places(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the translation of a pool over all places."""
    return lambda node, x: function(tensor(x), axis=list(range(2, rank(x))), keepdims=True)


OPERATIONS.update(
    GlobalAveragePool=of_all_places(tf.reduce_mean),
    GlobalMaxPool=of_all_places(tf.reduce_max),
)


@operation("GlobalLpPool")
def norm_of_all_places(node: Node, x: Any) -> Any:
    """Return the p-norm over all places."""
    power = float(node.get("p", 2))
    return tf.reduce_sum(tf.abs(tensor(x)) ** power, list(range(2, rank(x))), keepdims=True) ** (1 / power)
