"""Convolutions and pools. Their values are stored with the channels last, see :mod:`picasso.models.tf.onnx.permuted`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import (
    OPERATIONS,
    Node,
    Permuted,
    Untranslatable,
    is_integer,
    known,
    lengths,
    operation,
    rank,
    tensor,
)
from picasso.models.tf.runtime import tf

Pads = list[tuple[int, int]]


def last_order(axes: int) -> tuple[int, ...]:
    """Return the order of the axes ``(N, C, ...)`` stored as ``(N, ..., C)``."""
    return (0, axes - 1, *range(1, axes - 1))


def channels_last(x: Any) -> Any:
    """Return ``(N, C, ...)`` as a tensor ``(N, ..., C)``."""
    order = last_order(rank(x))
    if isinstance(x, Permuted):
        moved = [x.order[axis] for axis in np.argsort(order)]
        return x.data if moved == sorted(moved) else tf.transpose(x.data, moved)
    return tf.transpose(tensor(x), np.argsort(order).tolist())


def channels_first(x: Any) -> Any:
    """Return a tensor ``(N, ..., C)`` as a value ``(N, C, ...)`` that is stored as it is."""
    return Permuted(x, last_order(rank(x)))


class Window:
    """The attributes of a window that slides over the places of a value ``(N, C, ...)``.

    Args:
        node: the operation.
        x: its input.
        kernel: the length of each side of the window.

    Attributes:
        kernel: the length of each side.
        strides: the distance between neighbouring windows along each axis.
        spread: the distance between neighbouring values of a window.
        pads: the places that are added before and after each axis.
        beyond: the further places at the end of each axis that rounding up the size of the result needs.
    """

    def __init__(self, node: Node, x: Any, kernel: Sequence[int]) -> None:
        axes = len(kernel)
        self.kernel = list(kernel)
        self.strides: list[int] = list(node.get("strides") or [1] * axes)
        self.spread: list[int] = list(node.get("dilations") or [1] * axes)
        self.sides = lengths(x)[2:]
        self.pads = self._padding(node)
        self.beyond = self._beyond() if node.get("ceil_mode", 0) else [0] * axes

    @property
    def spans(self) -> list[int]:
        """The length of each side with its gaps."""
        return [(width - 1) * step + 1 for width, step in zip(self.kernel, self.spread, strict=True)]

    @property
    def whole(self) -> Pads:
        """All places that are added before and after each axis."""
        return [(before, after + more) for (before, after), more in zip(self.pads, self.beyond, strict=True)]

    def known_sides(self) -> list[int]:
        """Return the lengths of the axes.

        Raises:
            Untranslatable: they depend on the image.
        """
        if not all(map(is_integer, self.sides)):
            raise Untranslatable("its result depends on the size of the image, which is not fixed")
        return [int(side) for side in self.sides]

    def _padding(self, node: Node) -> Pads:
        how, axes = node.get("auto_pad", "NOTSET"), len(self.kernel)
        if how == "NOTSET":
            pads = node.get("pads") or [0] * 2 * axes
            return list(zip(pads[:axes], pads[axes:], strict=True))
        if how == "VALID":
            return [(0, 0)] * axes
        found = []
        for side, span, stride in zip(self.known_sides(), self.spans, self.strides, strict=True):
            total = max(0, (-(-side // stride) - 1) * stride + span - side)
            less, more = total // 2, total - total // 2
            found.append((more, less) if how == "SAME_LOWER" else (less, more))
        return found

    def _beyond(self) -> list[int]:
        found = []
        for side, span, stride, (before, after) in zip(
            self.known_sides(), self.spans, self.strides, self.pads, strict=True
        ):
            rest = side + before + after - span
            count = -(-rest // stride) + 1
            # A window that begins beyond the padded image is left out.
            count -= (count - 1) * stride >= side + before
            found.append(max(0, (count - 1) * stride - rest))
        return found

    def padding(self) -> Any:
        """Return TensorFlow's argument for the padding of ``(N, H, W, C)``."""
        if not any(map(any, self.whole)):
            return "VALID"
        if all(map(is_integer, self.sides)) and self.whole == self._same():
            return "SAME"
        return [[0, 0], *map(list, self.whole), [0, 0]]

    def _same(self) -> Pads:
        found = []
        for side, span, stride in zip(self.sides, self.spans, self.strides, strict=True):
            total = max(0, (-(-side // stride) - 1) * stride + span - side)
            found.append((total // 2, total - total // 2))
        return found


def padded(images: Any, pads: Pads, value: float = 0.0) -> Any:
    """Return ``(N, ..., C)`` with places added around."""
    if not any(map(any, pads)):
        return images
    if value == 0:
        return tf.pad(images, [(0, 0), *pads, (0, 0)])
    return tf.pad(images, [(0, 0), *pads, (0, 0)], constant_values=tf.cast(value, images.dtype))


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
    elif gaps and strided:
        whole = tf.nn.pool(
            images, window.kernel, kind, strides=[1] * len(window.kernel), padding="VALID", dilations=window.spread
        )
    else:
        return tf.nn.pool(images, window.kernel, kind, strides=window.strides, padding="VALID", dilations=window.spread)
    return whole[(slice(None), *(slice(None, None, one) for one in window.strides))]


@operation("MaxPool")
def largest_in_window(node: Node, x: Any) -> Any:
    """Return the largest number of each window."""
    if node.outputs > 1:
        raise Untranslatable("it returns the places of the largest numbers, too")
    window, images = Window(node, x, node.get("kernel_shape")), channels_last(x)
    kind = images.dtype
    low = kind.min
    if not kind.is_floating:
        images, low = tf.cast(images, tf.float32), float(low)
    return channels_first(tf.cast(pooled(images, window, "MAX", low), kind))


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
    return channels_first(found ** (1 / power))


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
    return channels_first(total ** (1 / power))
