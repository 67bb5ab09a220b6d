"""Selections: which numbers are largest, differ from each other, fulfil a condition or remain as boxes of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, integers, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known


@operation("TopK")
def largest(node: Node, x: Any, count: Any = None) -> Any:
    """Return the largest or smallest numbers of an axis, and their places."""
    x, axis = tensor(x), node.get("axis", -1) % rank(x)
    (k,) = [node.get("k")] if count is None else integers(np.asarray(count) if known(count) else count, "the number")
    order = [*(one for one in range(rank(x)) if one != axis), axis]
    back = np.argsort(order).tolist()
    moved = tf.transpose(x, order)
    sign = 1 if node.get("largest", 1) else -1
    wide = tf.cast(moved, tf.float64) if moved.dtype.is_integer else moved
    values, places = tf.math.top_k(sign * wide, k)
    values = tf.cast(sign * values, x.dtype)
    return tf.transpose(values, back), tf.cast(tf.transpose(places, back), tf.int64)


@operation("NonZero")
def nonzero(node: Node, x: Any) -> Any:
    """Return the indices of what is not 0, ``(rank, n)``."""
    if known(x):
        return np.array(np.nonzero(x), np.int64)
    return tf.transpose(tf.where(x if x.dtype == tf.bool else x != tf.zeros([], x.dtype)))


@operation("Compress")
def compress(node: Node, x: Any, condition: Any) -> Any:
    """Return the places of an axis, or of all numbers in a row, at which a condition holds."""
    places = tf.reshape(tf.where(tensor(condition)), [-1])
    axis = node.get("axis")
    return tf.gather(tf.reshape(tensor(x), [-1]), places) if axis is None else tf.gather(tensor(x), places, axis=axis)


@operation("Unique")
def unique(node: Node, x: Any) -> Any:
    """Return different numbers, or slices of an axis, where they occur first, which each one is, and how often.

    Raises:
        Untranslatable: slices are to be sorted whose size depends on the image.
    """
    x, axis = tensor(x), node.get("axis")
    values = tf.reshape(x, [-1]) if axis is None else x
    place = 0 if axis is None else axis % rank(x)
    found, index, counts = tf.raw_ops.UniqueWithCountsV2(x=values, axis=[place], out_idx=tf.int64)
    if node.get("sorted", 1):
        order = tf.cast(order_of(found, place, lengths(values)), tf.int64)
        counts, index = tf.gather(counts, order), tf.gather(tf.math.invert_permutation(order), index)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(index, tf.int64)), index, tf.size(counts, tf.int64))
    # Read from x, so that there is a gradient.
    return tf.gather(values, first, axis=place), first, index, counts


def order_of(values: Any, axis: int, sides: Sequence[Any]) -> Any:
    """Return the order that sorts slices along an axis by their first number, then by the second, and so on."""
    rows = tf.transpose(values, [axis, *(one for one in range(rank(values)) if one != axis)])
    others = [side for one, side in enumerate(sides) if one != axis]
    if not all(map(is_integer, others)):
        raise Untranslatable("the size of the slices that it sorts depends on the image")
    width = int(np.prod(others))
    rows = tf.reshape(rows, [-1, width])
    order = tf.range(tf.shape(rows)[0])
    for column in reversed(range(width)):
        order = tf.gather(order, tf.argsort(tf.gather(rows[:, column], order), stable=True))
    return order


@operation("NonMaxSuppression")
def boxes_left(node: Node, boxes: Any, scores: Any, count: Any = None, overlap: Any = None, least: Any = None) -> Any:
    """Return the boxes that no better one covers, ``(n, 3)``: image, class and box; they have no gradient.

    Args:
        node: ``center_point_box`` tells whether boxes are centre and size or two corners.
        boxes: ``(N, boxes, 4)``.
        scores: ``(N, classes, boxes)``.
        count: the largest number of boxes of each class; 0 without it.
        overlap: the intersection over union above which the box with the lower score is dropped.
        least: boxes must have scores above it.
    """
    boxes, scores = tf.stop_gradient(tensor(boxes)), tf.stop_gradient(tensor(scores))
    if node.get("center_point_box", 0):
        centre, half = boxes[..., :2], boxes[..., 2:] / 2
        boxes = tf.concat([centre - half, centre + half], -1)
    sides = tf.shape(scores)
    most = tf.cast(scalar(count, 0), tf.int32)
    most = tf.minimum(most, sides[2])

    def of_class(place: Any) -> Any:
        # A pair of indices and their number; the operation itself returns a named tuple.
        return tuple(
            tf.raw_ops.NonMaxSuppressionV4(
                boxes=boxes[place // sides[1]],
                scores=scores[place // sides[1], place % sides[1]],
                max_output_size=most,
                iou_threshold=tf.cast(scalar(overlap, 0.0), tf.float32),
                score_threshold=tf.cast(scalar(least, float("-inf")), tf.float32),
                pad_to_max_output_size=True,
            )
        )

    places = tf.range(sides[0] * sides[1])
    found, valid = tf.map_fn(of_class, places, fn_output_signature=(tf.int32, tf.int32))
    rows = tf.stack(
        [
            tf.broadcast_to((places // sides[1])[:, None], tf.shape(found)),
            tf.broadcast_to((places % sides[1])[:, None], tf.shape(found)),
            found,
        ],
        -1,
    )
    return tf.cast(tf.boolean_mask(rows, tf.range(most)[None] < valid[:, None]), tf.int64)


def scalar(value: Any, default: float) -> Any:
    """Return a value of one number as a scalar."""
    return tf.constant(default) if value is None else tf.reshape(tensor(value), [])
