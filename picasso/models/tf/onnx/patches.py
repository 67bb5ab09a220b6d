"""Operations that take images apart into patches, put them together, and crop or pad images."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from picasso.models.tf.onnx.shapes import reshape
from picasso.models.tf.onnx.table import Node, array_of, integers, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable


@operation("Col2Im")
def fold(node: Node, x: Any, image: Any, block: Any) -> Any:
    """Return images ``(N, C, ...)`` as the sum of overlapping patches ``(N, C * places of a patch, patches)``."""
    x, sides, kernel = tensor(x), integers(image, "its size"), integers(block, "the size of its patches")
    axes = len(sides)
    strides, spread = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    pads = node.get("pads") or [0] * 2 * axes
    index, inside = np.zeros([1] * 2 * axes, np.int64), np.ones([1] * 2 * axes, bool)
    for axis, (side, width, stride, step) in enumerate(zip(sides, kernel, strides, spread, strict=True)):
        count = (side + pads[axis] + pads[axis + axes] - (width - 1) * step - 1) // stride + 1
        places = np.arange(width)[:, None] * step + np.arange(count) * stride - pads[axis]
        shape = [1] * 2 * axes
        shape[axis], shape[axis + axes] = places.shape
        index = index * side + places.reshape(shape)
        inside = inside & ((places >= 0) & (places < side)).reshape(shape)
    # Numbers below 0 are left out of the sums.
    target = np.where(inside, index, -1).ravel()
    channels = x.shape[1] // prod(kernel)
    values = tf.reshape(tf.transpose(tf.reshape(x, [-1, channels, target.size]), [2, 0, 1]), [target.size, -1])
    found = tf.math.unsorted_segment_sum(values, tf.constant(target), prod(sides))
    return tf.transpose(tf.reshape(found, [*sides, -1, channels]), [axes, axes + 1, *range(axes)])


@operation("CenterCropPad")
def centre(node: Node, x: Any, sides: Any) -> Any:
    """Return the middle of axes, with zeros around them where they are shorter.

    Raises:
        Untranslatable: the length of an axis depends on the image.
    """
    x = tensor(x)
    before = lengths(x)
    cuts, pads = [slice(None)] * rank(x), [(0, 0)] * rank(x)
    chosen = node.get("axes") or list(range(rank(x)))
    for axis, wanted in zip(chosen, integers(sides, "its size"), strict=True):
        length = before[axis]
        if not is_integer(length):
            raise Untranslatable("the length of an axis that it cuts depends on the image")
        gap = abs(wanted - length)
        if wanted < length:
            cuts[axis] = slice(gap // 2, gap // 2 + wanted)
        else:
            pads[axis] = (gap // 2, gap - gap // 2)
    return tf.pad(x[tuple(cuts)], pads)


@operation("MaxUnpool")
def unpool(node: Node, x: Any, places: Any, image: Any = None) -> Any:
    """Return images with numbers at the places that a pool has found, and 0 elsewhere.

    Args:
        node: the kernel, the strides and the pads of the pool.
        x: ``(N, C, ...)``.
        places: like x; they count the numbers of the whole batch, as ``MaxPool`` returns them.
        image: the lengths of all axes of the result; what the pool itself would have had, without it.

    Raises:
        Untranslatable: the size of x depends on the image.
    """
    x, axes = tensor(x), rank(x) - 2
    strides, pads = node.get("strides") or [1] * axes, node.get("pads") or [0] * 2 * axes
    sides = lengths(x)[1:]
    if not all(map(is_integer, sides)):
        raise Untranslatable("the size of its input depends on the image")
    inner = [
        (side - 1) * stride - before - after + width
        for side, stride, before, after, width in zip(
            sides[1:], strides, pads[:axes], pads[axes:], node.get("kernel_shape"), strict=True
        )
    ]
    whole = tf.concat([tf.shape(x, tf.int64)[:1], [sides[0], *inner]], 0)
    index = tf.reshape(tf.cast(tensor(places), tf.int64), [-1, 1])
    found = tf.reshape(tf.scatter_nd(index, tf.reshape(x, [-1]), tf.reduce_prod(whole)[None]), whole)
    if image is None:
        return found
    wanted = integers(image, "its size")
    return tf.pad(found, [(0, 0), (0, 0), *((0, side - now) for side, now in zip(wanted[2:], inner, strict=True))])


@operation("DepthToSpace")
def depth_to_space(node: Node, x: Any) -> Any:
    """Move channels into blocks of places."""
    size_of, (batch, channels, height, width) = node.get("blocksize"), lengths(x)
    deep = channels // size_of**2
    if node.get("mode", "DCR") == "DCR":
        parts = reshape(node, x, array_of([batch, size_of, size_of, deep, height, width]))
        parts = tf.transpose(parts, [0, 3, 4, 1, 5, 2])
    else:
        parts = reshape(node, x, array_of([batch, deep, size_of, size_of, height, width]))
        parts = tf.transpose(parts, [0, 1, 4, 2, 5, 3])
    return reshape(node, parts, array_of([batch, deep, height * size_of, width * size_of]))


@operation("SpaceToDepth")
def space_to_depth(node: Node, x: Any) -> Any:
    """Move blocks of places into channels."""
    size_of, (batch, channels, height, width) = node.get("blocksize"), lengths(x)
    parts = reshape(node, x, array_of([batch, channels, height // size_of, size_of, width // size_of, size_of]))
    parts = tf.transpose(parts, [0, 3, 5, 1, 2, 4] if node.get("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4])
    return reshape(node, parts, array_of([batch, channels * size_of**2, height // size_of, width // size_of]))
