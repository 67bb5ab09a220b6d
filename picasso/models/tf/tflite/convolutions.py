"""Convolutions, dense layers and pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from picasso.models.tf.runtime import tf
from picasso.models.tf.tflite.table import Node, integers, operation, tensor
from picasso.models.tf.translation import Untranslatable, known

PADDINGS = ("SAME", "VALID")
TINY = 1e-30


def padding(node: Node) -> str:
    """Return the padding, ``SAME`` or ``VALID``."""
    return PADDINGS[node.get("padding")]


def strides(node: Node) -> list[int]:
    """Return the distances of windows, down and to the right."""
    return [node.get("strideH", 1), node.get("strideW", 1)]


def turned(values: Any, order: Sequence[int]) -> Any:
    """Return weights with their axes in another order, as a tensor."""
    return tensor(np.ascontiguousarray(values.transpose(order))) if known(values) else tf.transpose(values, order)


def convolved(node: Node, x: Any, filters: Any, compute: Callable[..., Any]) -> Any:
    """Return a convolution ``compute(x, filters, strides, padding, dilations)`` with filters ``(h, w, ...)``.

    TensorFlow has no convolution with strides and dilation, and no depthwise one with different strides: then all
    places are computed, and some of them are kept.
    """
    steps, spread = strides(node), [node.get("dilationHFactor", 1), node.get("dilationWFactor", 1)]
    depthwise = compute is tf.nn.depthwise_conv2d
    if steps == [1, 1] or (spread == [1, 1] and not (depthwise and steps[0] != steps[1])):
        return compute(x, filters, [1, *steps, 1] if depthwise else steps, padding(node), dilations=spread)
    if padding(node) == "SAME":
        pads = []
        for side, size, step, gap in zip(x.shape[1:3], filters.shape[:2], steps, spread, strict=True):
            total = max(0, (-(-side // step) - 1) * step + (size - 1) * gap + 1 - side)
            pads.append((total // 2, total - total // 2))
        x = tf.pad(x, [(0, 0), *pads, (0, 0)])
    found = compute(x, filters, [1] * 4 if depthwise else 1, "VALID", dilations=spread)
    return found[:, :: steps[0], :: steps[1]]


@operation("CONV_2D")
def convolution(node: Node, x: Any, filters: Any, bias: Any = None) -> Any:
    """Return a convolution with filters ``(K, h, w, C)``, in groups of channels if x has more."""
    x, filters = tensor(x), turned(filters, (1, 2, 3, 0))
    groups = x.shape[-1] // filters.shape[2]
    parts = zip(tf.split(x, groups, -1), tf.split(filters, groups, -1), strict=True) if groups > 1 else [(x, filters)]
    found = [convolved(node, one, own, tf.nn.convolution) for one, own in parts]
    return biased(found[0] if groups == 1 else tf.concat(found, -1), bias)


@operation("DEPTHWISE_CONV_2D")
def depthwise_convolution(node: Node, x: Any, filters: Any, bias: Any = None) -> Any:
    """Return a convolution of each channel with filters ``(1, h, w, C M)``."""
    x, filters = tensor(x), tensor(filters)
    _, height, width, outputs = filters.shape
    own = tf.reshape(filters, [height, width, x.shape[-1], outputs // x.shape[-1]])
    return biased(convolved(node, x, own, tf.nn.depthwise_conv2d), bias)


def biased(x: Any, bias: Any) -> Any:
    """Return ``x + bias``."""
    return x if bias is None else tf.nn.bias_add(x, tensor(bias))


@operation("TRANSPOSE_CONV")
def transposed_convolution(node: Node, shape: Any, filters: Any, x: Any, bias: Any = None) -> Any:
    """Return the gradient of a convolution with filters ``(C, h, w, K)`` with respect to its input."""
    x = tensor(x)
    sides = tf.stack([tf.shape(x)[0], *integers(shape)[1:]])
    found = tf.nn.conv2d_transpose(x, turned(filters, (1, 2, 0, 3)), sides, strides(node), padding(node))
    return biased(found, bias)


@operation("FULLY_CONNECTED")
def dense(node: Node, x: Any, weights: Any, bias: Any = None) -> Any:
    """Return the product of rows of x and weights ``(K, D)``.

    Raises:
        Untranslatable: the weights are shuffled.
    """
    if node.get("weightsFormat"):
        raise Untranslatable("its weights are shuffled")
    x, columns = tensor(x), turned(weights, (1, 0))
    if not node.get("keepNumDims") and (x.shape.rank != 2 or x.shape[1] != columns.shape[0]):
        x = tf.reshape(x, [-1, columns.shape[0]])
    found = tf.matmul(x, columns)
    return found if bias is None else found + tensor(bias)


@operation("BATCH_MATMUL")
def product(node: Node, x: Any, y: Any) -> Any:
    """Return the product of matrices."""
    return tf.matmul(tensor(x), tensor(y), adjoint_a=bool(node.get("adjX")), adjoint_b=bool(node.get("adjY")))


@operation("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D")
def pooled(node: Node, x: Any) -> Any:
    """Return the largest numbers, the means or the root mean squares of windows; padding does not count."""
    x, window = tensor(x), [node.get("filterHeight", 1), node.get("filterWidth", 1)]
    if node.name == "MAX_POOL_2D":
        return tf.nn.max_pool2d(x, window, strides(node), padding(node))
    if node.name == "L2_POOL_2D":
        # The gradient of the root of 0 would be infinite.
        return tf.sqrt(tf.maximum(tf.nn.avg_pool2d(tf.square(x), window, strides(node), padding(node)), TINY))
    return tf.nn.avg_pool2d(x, window, strides(node), padding(node))


@operation("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def resized(node: Node, x: Any, size: Any) -> Any:
    """Return images of another size."""
    compute = tf.raw_ops.ResizeBilinear if node.name == "RESIZE_BILINEAR" else tf.raw_ops.ResizeNearestNeighbor
    centres = bool(node.get("halfPixelCenters"))
    corners = bool(node.get("alignCorners"))
    return compute(images=tensor(x), size=integers(size), align_corners=corners, half_pixel_centers=centres)


@operation("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def blocks_moved(node: Node, x: Any) -> Any:
    """Return images with the places of each block as channels, or the reverse."""
    return (tf.nn.space_to_depth if node.name == "SPACE_TO_DEPTH" else tf.nn.depth_to_space)(
        tensor(x), node.get("blockSize", 1)
    )


@operation("SPACE_TO_BATCH_ND")
def space_to_batch(node: Node, x: Any, block: Any, pads: Any) -> Any:
    """Return images with the places of each block as further images."""
    return tf.space_to_batch(tensor(x), integers(block), np.reshape(integers(pads), (-1, 2)))


@operation("BATCH_TO_SPACE_ND")
def batch_to_space(node: Node, x: Any, block: Any, crops: Any) -> Any:
    """Return the reverse of :func:`space_to_batch`."""
    return tf.batch_to_space(tensor(x), integers(block), np.reshape(integers(crops), (-1, 2)))
