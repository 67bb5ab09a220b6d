"""Resizing: each axis is multiplied by a matrix of the weights of its places."""

from __future__ import annotations

from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, Untranslatable, integers, is_integer, known, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf


@operation("Resize", "Upsample")
def resize(node: Node, x: Any, *inputs: Any) -> Any:
    """Enlarge or shrink axes."""
    if node.version < 11:
        scales, sizes, roi = (np.array(node.get("scales")) if node.get("scales") else inputs[0]), None, None
    else:
        roi, scales, sizes = (*inputs, None, None, None)[:3]
    x = tensor(x)
    sides = lengths(x)
    axes = [axis % rank(x) for axis in node.get("axes") or range(rank(x))]
    if sizes is not None and np.size(sizes):
        wanted = sizes_of(node, integers(sizes, "its size"), [sides[axis] for axis in axes])
        factors = [new / old if is_integer(old) else 1.0 for new, old in zip(wanted[0], [sides[a] for a in axes], strict=True)]
        factors = wanted[1] or factors
        wanted_sides = wanted[0]
    else:
        if not known(scales):
            raise Untranslatable("its scale depends on the image")
        factors = np.ravel(scales).astype(np.float64).tolist()
        wanted_sides = [None if factor == 1 else int(np.floor(sides[axis] * factor)) for axis, factor in zip(axes, factors, strict=True)]
    regions = np.ravel(roi).astype(np.float64) if roi is not None and np.size(roi) else None
    found = x
    for place, (axis, factor, side) in enumerate(zip(axes, factors, wanted_sides, strict=True)):
        old = sides[axis]
        crop = node.get("coordinate_transformation_mode") == "tf_crop_and_resize"
        if side is None or not is_integer(old) or (side == old and factor == 1 and not crop):
            continue
        region = (regions[place], regions[place + len(axes)]) if regions is not None else (0.0, 1.0)
        weights, outside = matrix(node, old, int(side), factor, region)
        found = along(found, weights, axis)
        if outside.any():
            paint = tf.cast(node.get("extrapolation_value", 0.0), found.dtype)
            shape = [1] * rank(x)
            shape[axis] = int(side)
            found = tf.where(tf.constant(outside.reshape(shape)), paint, found)
    return found if x.dtype.is_floating else tf.cast(found, x.dtype)


def sizes_of(node: Node, sizes: list[int], sides: list[Any]) -> tuple[list[int], list[float] | None]:
    """Return the lengths that the aspect ratio allows, and the common scale, if one is asked for."""
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return sizes, None
    ratios = [new / old for new, old in zip(sizes, sides, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [int(np.floor(scale * side + 0.5)) for side in sides], [scale] * len(sides)


def along(x: Any, weights: Any, axis: int) -> Any:
    """Multiply an axis by a matrix ``(new, old)``."""
    order = [*(one for one in range(rank(x)) if one != axis), axis]
    moved = tf.transpose(tf.cast(x, tf.float32) if not x.dtype.is_floating else x, order)
    found = tf.tensordot(moved, tf.constant(weights.T, moved.dtype), 1)
    return tf.transpose(found, np.argsort(order).tolist())


def matrix(node: Node, old: int, new: int, factor: float, region: tuple[float, float]) -> tuple[Any, Any]:
    """Return the weights ``(new, old)`` of the old places, and which new places lie outside."""
    mode = node.get("mode", "nearest")
    how = node.get("coordinate_transformation_mode", "half_pixel" if node.version >= 11 else "asymmetric")
    places = np.arange(new, dtype=np.float64)
    length = factor * old
    if how == "half_pixel":
        x = (places + 0.5) / factor - 0.5
    elif how == "half_pixel_symmetric":
        adjust = new / length
        x = old / 2 * (1 - adjust) + (places + 0.5) / factor - 0.5
    elif how == "pytorch_half_pixel":
        x = (places + 0.5) / factor - 0.5 if length > 1 else np.zeros(new)
    elif how == "align_corners":
        x = places * (old - 1) / (length - 1) if length > 1 else np.zeros(new)
    elif how == "asymmetric":
        x = places / factor
    elif how == "tf_half_pixel_for_nn":
        x = (places + 0.5) / factor
    elif how == "tf_crop_and_resize":
        start, end = region
        x = start * (old - 1) + places * (end - start) * (old - 1) / (length - 1) if length > 1 else 0.5 * (start + end) * (old - 1) + 0 * places
    else:
        raise Untranslatable(f"it resizes by coordinates called {how}")
    outside = (x < 0) | (x > old - 1) if how == "tf_crop_and_resize" else np.zeros(new, bool)
    weights = np.zeros((new, old))
    if mode == "nearest":
        rounding = node.get("nearest_mode", "round_prefer_floor" if node.version >= 11 else "floor")
        nearest = {
            "round_prefer_floor": lambda v: np.ceil(v - 0.5),
            "round_prefer_ceil": lambda v: np.floor(v + 0.5),
            "floor": np.floor,
            "ceil": np.ceil,
        }[rounding](x)
        weights[np.arange(new), np.clip(nearest, 0, old - 1).astype(int)] = 1
        return weights, outside
    cubic, shrink = mode == "cubic", min(1.0, factor) if node.get("antialias", 0) else 1.0
    a = node.get("cubic_coeff_a", -0.75)
    reach = (2 if cubic else 1) / shrink
    for row, centre in enumerate(x):
        first, last = int(np.floor(centre - reach)) + (0 if shrink < 1 else 0), int(np.ceil(centre + reach))
        taps = np.arange(first, last + 1)
        distance = np.abs(taps - centre) * shrink
        share = cubic_weight(distance, a) if cubic else np.maximum(0, 1 - distance)
        inside = (taps >= 0) & (taps < old)
        if node.get("exclude_outside", 0) or (shrink < 1):
            share = np.where(inside, share, 0)
            share = share / share.sum()
        elif shrink < 1:
            share = share / share.sum()
        np.add.at(weights[row], np.clip(taps, 0, old - 1), share)
    return weights, outside


def cubic_weight(distance: Any, a: float) -> Any:
    """Return Keys' cubic kernel."""
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))
