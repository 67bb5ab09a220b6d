"""Resizing: each axis is multiplied by a matrix of the weights of its places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.tf.onnx.table import Node, integers, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """What becomes of an axis.

    Attributes:
        axis: its number.
        side: its new length; None if it stays as it is.
        factor: the new length per old one, before rounding.
        region: the part of the axis that is taken, from 0 to 1, for ``tf_crop_and_resize``.
    """

    axis: int
    side: int | None
    factor: float
    region: tuple[float, float] = (0.0, 1.0)


@operation("Resize", "Upsample")
def resize(node: Node, x: Any, *inputs: Any) -> Any:
    """Enlarge or shrink axes.

    Raises:
        Untranslatable: the new size depends on the image.
    """
    x = tensor(x)
    found, sides = x, lengths(x)
    crop = node.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    changed = [one for one in targets(node, sides, *inputs) if changes(one, sides[one.axis]) or (crop and one.side)]
    if not crop and (image := as_image(node, x, sides, changed)) is not None:
        return image
    for target in changed:
        old = sides[target.axis]
        if not is_integer(old):
            raise Untranslatable("the size of its input depends on the image")
        places = origins(node, old, target)
        found = along(found, weights(node, places, old, target.factor), target.axis)
        outside = (places < 0) | (places > old - 1)
        if crop and outside.any():
            shape = [1] * rank(x)
            shape[target.axis] = int(target.side or old)
            paint = tf.cast(node.get("extrapolation_value", 0.0), found.dtype)
            found = tf.where(tf.constant(outside.reshape(shape)), paint, found)
    return found if x.dtype.is_floating else tf.cast(found, x.dtype)


def changes(target: Target, old: Any) -> bool:
    """Tell whether an axis changes."""
    return target.side is not None and (target.side != old or target.factor != 1)


def as_image(node: Node, x: Any, sides: list[Any], changed: list[Target]) -> Any:
    """Return resized rows and columns ``(N, H, W, C)`` by an operation of TensorFlow that does the same, or None.

    These operations are faster, and the incremental computation of occlusion maps follows them.
    """
    fits = rank(x) == 4 and x.dtype == tf.float32 and {one.axis for one in changed} <= {1, 2}
    if not fits or not changed or not all(map(is_integer, sides[1:3])):
        return None
    new = [int(next((one.side for one in changed if one.axis == axis), None) or sides[axis]) for axis in (1, 2)]
    if any(abs(one.factor * sides[one.axis] - (one.side or 0)) > 1e-6 for one in changed):
        return None
    mode, how, rounding = (node.get(name, default) for name, default in defaults(node).items())
    size = tf.constant(new, tf.int32)
    if mode == "nearest":
        whole = all(after % before == 0 for after, before in zip(new, sides[1:3], strict=True))
        halves = how in ("half_pixel", "pytorch_half_pixel") and rounding.startswith("round")
        if whole and (halves or (how == "asymmetric" and rounding == "floor")):
            return tf.raw_ops.ResizeNearestNeighbor(images=x, size=size)
        return None
    plain = not node.get("exclude_outside", 0) and (
        not node.get("antialias", 0) or min(one.factor for one in changed) >= 1
    )
    if mode != "linear" or not plain or min(new) < 2:
        return None
    centres = {"half_pixel": True, "pytorch_half_pixel": True, "asymmetric": False, "align_corners": False}
    if how not in centres:
        return None
    return tf.raw_ops.ResizeBilinear(
        images=x, size=size, half_pixel_centers=centres[how], align_corners=how == "align_corners"
    )


def defaults(node: Node) -> dict[str, str]:
    """Return the attributes of a resize with their defaults, which depend on the version of the operation."""
    new = node.version >= 11
    return {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel" if new else "asymmetric",
        "nearest_mode": "round_prefer_floor" if new else "floor",
    }


def targets(node: Node, sides: list[Any], *inputs: Any) -> list[Target]:
    """Return what becomes of each axis, from the inputs or attributes that the version of the operation has.

    Raises:
        Untranslatable: the new size depends on the image.
    """
    if node.version < 11:
        roi, scales, sizes = None, np.array(node.get("scales")) if node.get("scales") else inputs[0], None
    else:
        roi, scales, sizes = (*inputs, None, None, None)[:3]
    axes = [axis % len(sides) for axis in node.get("axes") or range(len(sides))]
    before = [sides[axis] for axis in axes]
    wanted: list[int | None]
    if sizes is not None and np.size(sizes):
        wanted, factors = by_sizes(node, new_sides(sizes, before), before)
    elif known(scales) and scales is not None:
        factors = np.ravel(scales).astype(np.float64).tolist()
        wanted = []
        for side, factor in zip(before, factors, strict=True):
            if factor != 1 and not is_integer(side):
                raise Untranslatable("the size of its input depends on the image")
            wanted.append(None if factor == 1 else int(np.floor(side * factor)))
    else:
        raise Untranslatable("its scale depends on the image")
    ends = np.ravel(roi).tolist() if roi is not None and np.size(roi) else [0.0] * len(axes) + [1.0] * len(axes)
    regions = list(zip(ends[: len(axes)], ends[len(axes) :], strict=True))
    # A region of an axis that keeps its length is taken, too.
    wanted = [
        int(side) if new is None and is_integer(side) and region != (0, 1) else new
        for new, side, region in zip(wanted, before, regions, strict=True)
    ]
    return [Target(*one) for one in zip(axes, wanted, factors, regions, strict=True)]


def new_sides(sizes: Any, before: list[Any]) -> list[int]:
    """Return the new length of each axis; an axis of unknown length, such as the batch, stays as it is: 0.

    Raises:
        Untranslatable: the length of another axis depends on the image.
    """
    if not known(sizes):
        raise Untranslatable("its size depends on the image")
    given = zip(np.ravel(sizes), before, strict=True)
    return integers(np.array([0 if not is_integer(old) else new for new, old in given], object), "its size")


def by_sizes(node: Node, sizes: list[int], before: list[Any]) -> tuple[list[int | None], list[float]]:
    """Return the lengths that the policy for the aspect ratio allows, and the factors of the axes.

    Raises:
        Untranslatable: the aspect ratio depends on the image.
    """
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        # The batch, whose length may be unknown, stays as it is.
        factors = [new / old if is_integer(old) else 1.0 for new, old in zip(sizes, before, strict=True)]
        return [new if is_integer(old) else None for new, old in zip(sizes, before, strict=True)], factors
    if not all(map(is_integer, before)):
        raise Untranslatable("its aspect ratio depends on the image")
    ratios = [new / old for new, old in zip(sizes, before, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [int(np.floor(scale * side + 0.5)) for side in before], [scale] * len(before)


def along(x: Any, matrix: Numbers, axis: int) -> Any:
    """Multiply an axis by a matrix ``(new, old)``."""
    order = [*(one for one in range(rank(x)) if one != axis), axis]
    moved = tf.transpose(x if x.dtype.is_floating else tf.cast(x, tf.float32), order)
    found = tf.tensordot(moved, tf.constant(matrix.T, moved.dtype), 1)
    return tf.transpose(found, np.argsort(order).tolist())


def origins(node: Node, old: int, target: Target) -> Numbers:
    """Return where the new places lie between the old ones, whose centres are 0, 1 and so on.

    Raises:
        Untranslatable: the way to transform coordinates is unknown.
    """
    how = node.get("coordinate_transformation_mode", "half_pixel" if node.version >= 11 else "asymmetric")
    new, factor, (start, end) = target.side or 0, target.factor, target.region
    places, length = np.arange(new, dtype=np.float64), factor * old
    centred = (places + 0.5) / factor - 0.5
    if how == "half_pixel":
        return centred
    if how == "half_pixel_symmetric":
        return old / 2 * (1 - new / length) + centred
    if how == "pytorch_half_pixel":
        return centred if length > 1 else np.zeros(new)
    if how == "align_corners":
        return places * (old - 1) / (length - 1) if length > 1 else np.zeros(new)
    if how == "asymmetric":
        return places / factor
    if how == "tf_half_pixel_for_nn":
        return (places + 0.5) / factor
    if how == "tf_crop_and_resize":
        if length <= 1:
            return np.full(new, 0.5 * (start + end) * (old - 1))
        return start * (old - 1) + places * (end - start) * (old - 1) / (length - 1)
    raise Untranslatable(f"it resizes by coordinates called {how}")


ROUNDED: dict[str, Callable[[Numbers], Numbers]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def weights(node: Node, places: Numbers, old: int, factor: float) -> Numbers:
    """Return the weights ``(new, old)`` of the old places; those outside of the image are of the places at its edge."""
    found, mode = np.zeros((len(places), old)), node.get("mode", "nearest")
    if mode == "nearest":
        rounding = node.get("nearest_mode", "round_prefer_floor" if node.version >= 11 else "floor")
        found[np.arange(len(places)), np.clip(ROUNDED[rounding](places), 0, old - 1).astype(int)] = 1
        return found
    # Against aliasing, the kernel covers as many old places as a new one stands for.
    shrink = min(1.0, factor) if node.get("antialias", 0) else 1.0
    cubic = mode == "cubic"
    reach = (2 if cubic else 1) / shrink
    for row, centre in enumerate(places):
        taps = np.arange(int(np.floor(centre - reach)), int(np.ceil(centre + reach)) + 1)
        distance = np.abs(taps - centre) * shrink
        share = cubic_weight(distance, node.get("cubic_coeff_a", -0.75)) if cubic else np.maximum(0, 1 - distance)
        if node.get("exclude_outside", 0):
            share = np.where((taps >= 0) & (taps < old), share, 0)
        np.add.at(found[row], np.clip(taps, 0, old - 1), share / share.sum())
    return found


def cubic_weight(distance: Numbers, a: float) -> Numbers:
    """Return Keys' cubic kernel (1981, doi:10.1109/TASSP.1981.1163711)."""
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))
