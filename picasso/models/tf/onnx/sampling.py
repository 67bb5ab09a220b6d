"""Sampling of images at places that lie between their pixels, with gradients for the images and for the places.

Each axis contributes a few neighbours of a place, with weights: one for the nearest, two for linear interpolation, and
four for cubic interpolation. An image is read at all their combinations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from picasso.models.tf.onnx.table import Node, integers, is_integer, lengths, operation, rank, tensor
from picasso.models.tf.onnx.windows import channels_first, channels_last
from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Untranslatable, known

# The parameter of the cubic interpolation of GridSample.
CUBIC = -0.75


@dataclass(frozen=True)
class Neighbour:
    """A neighbour of places along one axis.

    Attributes:
        index: its index, of int64.
        weight: its share.
    """

    index: Any
    weight: Any


def neighbours(place: Any, length: Any, mode: str, padding: str, borders: tuple[Any, Any]) -> list[Neighbour]:
    """Return the neighbours of places along an axis.

    Args:
        place: in pixels; the centre of the first pixel is 0.
        length: the number of pixels, as a tensor of the type of the places.
        mode: nearest, linear or cubic.
        padding: what lies outside: zeros, border or reflection.
        borders: the places at which the image is reflected.
    """
    place = tf.round(place) if mode == "nearest" else place
    # With mode cubic, only the neighbours are moved into the image.
    if padding == "border" and mode != "cubic":
        place = tf.maximum(tf.minimum(place, length - 1), tf.zeros([], place.dtype))
    elif padding == "reflection" and mode != "cubic":
        place = reflected(place, *borders)
    if mode == "nearest":
        return [neighbour(place, tf.ones_like(place), length, padding, borders)]
    first = tf.stop_gradient(tf.floor(place))
    part = place - first
    shares = (
        [1 - part, part] if mode == "linear" else [cubic(distance) for distance in (part + 1, part, 1 - part, 2 - part)]
    )
    start = 0 if mode == "linear" else -1
    return [neighbour(first + start + step, share, length, padding, borders) for step, share in enumerate(shares)]


def neighbour(index: Any, weight: Any, length: Any, padding: str, borders: tuple[Any, Any]) -> Neighbour:
    """Return a neighbour within the image: outside of it, its weight is 0, or another pixel takes its place."""
    if padding == "zeros":
        inside = tf.logical_and(index >= 0, index < length)
        weight = tf.where(inside, weight, tf.zeros_like(weight))
    elif padding == "reflection":
        index = reflected(index, *borders)
    index = tf.maximum(tf.minimum(index, length - 1), tf.zeros([], length.dtype))
    return Neighbour(tf.cast(index, tf.int64), weight)


def reflected(place: Any, low: Any, high: Any) -> Any:
    """Return places reflected at two borders until they lie between them."""
    reach = high - low
    rest = tf.math.floormod(place - low, tf.where(reach > 0, 2 * reach, tf.ones_like(reach)))
    return tf.where(reach > 0, low + tf.minimum(rest, 2 * reach - rest), low)


def cubic(distance: Any) -> Any:
    """Return Keys' cubic kernel (1981, doi:10.1109/TASSP.1981.1163711) for distances from 0 to 2."""
    a = CUBIC
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return tf.where(distance <= 1, near, far)


def shares(images: Any, batch: Any, axes: Sequence[Sequence[Neighbour]]) -> Iterator[Any]:
    """Yield the weighted values of each combination of neighbours.

    Args:
        images: ``(N, ..., C)``.
        batch: the image of each place, of int64; it broadcasts against the places.
        axes: the neighbours along each axis; their tensors broadcast against each other to the shape of the places.
    """
    sides = tf.shape(images, tf.int64)
    flat = tf.reshape(images, tf.stack([-1, sides[-1]]))
    for combination in product(*axes):
        index, weight = batch, tf.ones([], images.dtype)
        for axis, one in enumerate(combination, 1):
            index = index * sides[axis] + one.index
            weight = weight * tf.cast(one.weight, images.dtype)
        yield tf.gather(flat, index) * weight[..., None]


def sampled(images: Any, batch: Any, axes: Sequence[Sequence[Neighbour]]) -> Any:
    """Return the values of images at places, as in ``shares``: places, then channels."""
    return tf.add_n(list(shares(images, batch, axes)))


def members(images: Any, axes: int) -> Any:
    """Return the numbers of the images of a batch, with as many further axes of length 1 as places have."""
    return tf.reshape(tf.range(tf.shape(images, tf.int64)[0]), [-1, *[1] * axes])


MODES = {"bilinear": "linear", "bicubic": "cubic"}


@operation("GridSample")
def grid_sample(node: Node, x: Any, grid: Any) -> Any:
    """Return images ``(N, C, ...)`` read at places ``(N, ..., axes)``: from -1 to 1, for the last axis first."""
    x, grid = tensor(x), tensor(grid)
    mode = node.get("mode", "linear")
    padding, align = node.get("padding_mode", "zeros"), node.get("align_corners", 0)
    sides = tf.cast(tf.shape(x)[2:], grid.dtype)
    axes = []
    for axis in range(rank(x) - 2):
        length, coordinate = sides[axis], grid[..., rank(x) - 3 - axis]
        if align:
            place, borders = (coordinate + 1) / 2 * (length - 1), (tf.zeros([], grid.dtype), length - 1)
        else:
            place, borders = ((coordinate + 1) * length - 1) / 2, (tf.constant(-0.5, grid.dtype), length - 0.5)
        axes.append(neighbours(place, length, MODES.get(mode, mode), padding, borders))
    return channels_first(sampled(channels_last(x), members(x, rank(x) - 2), axes))


@operation("AffineGrid")
def affine_grid(node: Node, theta: Any, sides: Any) -> Any:
    """Return the places of an image of known size under affine maps ``(N, axes, axes + 1)``, for ``GridSample``."""
    theta = tensor(theta)
    lines = []
    if not known(sides):
        raise Untranslatable("its size depends on the image")
    for side in integers(np.ravel(sides)[2:], "its size"):
        ends = 1.0 if node.get("align_corners", 0) else 1 - 1 / side
        lines.append(np.linspace(-ends, ends, side) if side > 1 else np.zeros(1))
    places = np.meshgrid(*lines, indexing="ij")[::-1]
    known_part = tf.constant(np.stack([*places, np.ones_like(places[0])], -1), theta.dtype)
    axes = "zyx"[-len(lines) :]
    return tf.einsum(f"{axes}k,njk->n{axes}j", known_part, theta)


@operation("RoiAlign")
def region_samples(node: Node, x: Any, regions: Any, batch: Any) -> Any:
    """Return regions ``(R, 4)`` of images ``(N, C, H, W)`` as small images, each pixel from several samples.

    The regions are left, top, right and bottom. With ``sampling_ratio`` 0, a pixel has about one sample for each pixel
    of the image below it, so regions differ in the number of samples.
    """
    x, regions = tensor(x), tensor(regions)
    half = node.version >= 16 and node.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    boxes = regions * node.get("spatial_scale", 1.0) - (0.5 if half else 0.0)
    corners, reach = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    reach = reach if half else tf.maximum(reach, 1)
    axes, counted = [], tf.ones([1, 1, 1, 1, 1], x.dtype)
    for axis, name in ((0, "output_height"), (1, "output_width")):
        length = tf.cast(tf.shape(x)[2 + axis], boxes.dtype)
        found = samples_along(node, corners[:, 1 - axis], reach[:, 1 - axis], length, node.get(name, 1))
        # (R, output, samples) becomes (R, height, 1, samples, 1) or (R, 1, width, 1, samples).
        axes.append([Neighbour(apart(one.index, axis), apart(one.weight, axis)) for one in found[0]])
        counted = counted * tf.cast(apart(found[1], axis), x.dtype)
    image = tf.reshape(tf.cast(tensor(batch), tf.int64), [-1, 1, 1, 1, 1])
    parts = shares(channels_last(x), image, axes)
    if node.get("mode", "avg") == "max":
        # As ONNX defines it: the largest of the weighted neighbours of all samples.
        largest = tf.reduce_max(tf.stack(list(parts)), 0)
        low = tf.constant(x.dtype.min, x.dtype)
        return channels_first(tf.reduce_max(tf.where(counted[..., None] > 0, largest, low), [3, 4]))
    return channels_first(tf.reduce_sum(tf.add_n(list(parts)) * counted[..., None], [3, 4]))


def apart(value: Any, axis: int) -> Any:
    """Return ``(R, output, samples)`` with axes of length 1 for the other direction."""
    return value[:, :, None, :, None] if axis == 0 else value[:, None, :, None, :]


def samples_along(node: Node, start: Any, reach: Any, length: Any, outputs: int) -> tuple[list[Neighbour], Any]:
    """Return the neighbours of the samples ``(R, outputs, samples)`` along an axis, and the share of each sample."""
    ratio, width = node.get("sampling_ratio", 0), reach / outputs
    own = tf.fill(tf.shape(reach), tf.cast(ratio, reach.dtype)) if ratio > 0 else tf.maximum(tf.math.ceil(width), 1)
    own = tf.stop_gradient(own)
    places = (
        tf.range(tf.reduce_max(own), dtype=reach.dtype) if ratio <= 0 else tf.range(float(ratio), dtype=reach.dtype)
    )
    offsets = tf.range(float(outputs), dtype=reach.dtype)[None, :, None] * width[:, None, None]
    place = start[:, None, None] + offsets + (places + 0.5) * width[:, None, None] / own[:, None, None]
    inside = tf.logical_and(place >= -1, place <= length)
    found = neighbours(place, length, "linear", "border", (0, 0))
    zero = tf.zeros_like(place)
    masked = [Neighbour(one.index, tf.where(inside, one.weight, zero)) for one in found]
    share = tf.where(places < own[:, None], 1 / own[:, None], tf.zeros([], reach.dtype))
    return masked, tf.broadcast_to(share[:, None, :], tf.shape(place))


@operation("MaxRoiPool")
def region_maxima(node: Node, x: Any, regions: Any) -> Any:
    """Return the largest numbers in the cells of regions ``(R, 5)``: image, left, top, right and bottom."""
    x, regions = tensor(x), tensor(regions)
    rows, columns = node.get("pooled_shape")
    # Halves are rounded up, as in C.
    boxes = tf.floor(regions[:, 1:] * node.get("spatial_scale", 1.0) + 0.5)

    def one(values: Any) -> Any:
        image, box = values
        found = tf.gather(x, tf.cast(image, tf.int64))
        for axis, (start, end, cells) in ((1, (box[1], box[3], rows)), (2, (box[0], box[2], columns))):
            width = tf.maximum(end - start + 1, 1) / cells
            steps, places = tf.range(float(cells)), tf.range(tf.cast(tf.shape(x)[axis + 1], tf.float32))
            low, high = tf.floor(steps * width) + start, tf.math.ceil((steps + 1) * width) + start
            inside = tf.logical_and(places >= low[:, None], places < high[:, None])
            shape = [1, cells, -1] if axis == 2 else [cells, -1, 1]
            inside = tf.reshape(inside, [1, *shape])
            wide = tf.expand_dims(found, axis)
            most = tf.reduce_max(tf.where(inside, wide, tf.constant(x.dtype.min, x.dtype)), axis + 1)
            # A cell outside of the image is 0.
            found = tf.where(tf.reduce_any(inside, axis + 1), most, tf.zeros([], x.dtype))
        return found

    return tf.map_fn(one, (regions[:, 0], tf.cast(boxes, tf.float32)), fn_output_signature=x.dtype)


@operation("DeformConv")
def deformable_convolution(node: Node, x: Any, filters: Any, offsets: Any, bias: Any = None, mask: Any = None) -> Any:
    """Return a convolution that reads each of its places with an offset (Dai et al., 2017, arXiv:1703.06211).

    Args:
        node: strides, pads, dilations, ``group`` and ``offset_group``.
        x: ``(N, C, ...)``.
        filters: ``(K, C / group, ...)``.
        offsets: in pixels, ``(N, offset groups * places of the filter * axes, ...)``.
        bias: ``(K,)``.
        mask: factors, ``(N, offset groups * places of the filter, ...)``.

    Raises:
        Untranslatable: the size of its output depends on the image.
    """
    x, filters, offsets = tensor(x), tensor(filters), tensor(offsets)
    axes, groups, parts = rank(x) - 2, node.get("group", 1), node.get("offset_group", 1)
    outputs, _, *kernel = filters.shape.as_list()
    strides, spread = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    pads, sides, taps = node.get("pads") or [0] * 2 * axes, lengths(offsets)[2:], prod(kernel)
    if not all(map(is_integer, sides)):
        raise Untranslatable("the size of its output depends on the image")
    moved = tf.reshape(offsets, [-1, taps, axes, *sides])
    starts = [np.arange(side) * stride - pad for side, stride, pad in zip(sides, strides, pads[:axes], strict=True)]
    windows = np.meshgrid(*starts, indexing="ij")
    within = np.meshgrid(*(np.arange(side) * step for side, step in zip(kernel, spread, strict=True)), indexing="ij")
    around = []
    for axis in range(axes):
        base = windows[axis][None] + within[axis].reshape([-1, *[1] * axes])
        length = tf.cast(tf.shape(x)[2 + axis], x.dtype)
        around.append(neighbours(moved[:, :, axis] + tf.constant(base, x.dtype), length, "linear", "zeros", (0, 0)))
    channels = x.shape[1] // parts
    images = channels_last(tf.reshape(x, tf.concat([[-1, channels], tf.shape(x)[2:]], 0)))
    read = sampled(images, members(images, axes + 1), around)
    if mask is not None:
        read = read * tf.reshape(tensor(mask), [-1, taps, *sides, 1])
    # (N parts, taps, places, channels of a part) becomes (N, places, groups, taps, channels of a group).
    read = tf.reshape(read, [-1, parts, taps, prod(sides), channels])
    read = tf.reshape(tf.transpose(read, [0, 3, 2, 1, 4]), [-1, prod(sides), taps, groups, x.shape[1] // groups])
    own = tf.reshape(filters, [groups, outputs // groups, x.shape[1] // groups, taps])
    found = tf.reshape(tf.einsum("nptgc,gkct->ngkp", read, own), [-1, outputs, *sides])
    return found if bias is None else found + tf.reshape(tensor(bias), [1, -1, *[1] * axes])
