"""The effect of single operations of a graph on the layout of a tensor: one function for each kind of operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from picasso.models.tf.layouts import (
    Axis,
    Factor,
    Layout,
    common,
    cropped,
    joined,
    plain,
    reshaped,
    single,
    tokens_of,
    values,
)
from picasso.models.tf.runtime import tf

Known = Layout | None

WINDOWED = {"AvgPool", "Conv2D", "DepthwiseConv2dNative", "MaxPool"}
RESIZING = {"ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor"}
PADDING = {"Pad", "PadV2", "MirrorPad"}
# The maximum fraction of concatenated values outside the line of the largest part, such as rows mirrored at the edges.
MIRRORED = 0.25
REDUCING = {"All", "Any", "Max", "Mean", "Min", "Prod", "Sum"}
PRODUCTS = {"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"}
RESHAPING = {"ExpandDims", "Reshape", "Squeeze"}
# Operations on single values, on several values at the same place, or along channels.
POINTWISE = {
    "Abs", "Add", "AddN", "AddV2", "BiasAdd", "BroadcastTo", "Cast", "Ceil", "CheckNumerics", "ClipByValue", "Cos",
    "DivNoNan", "Elu", "EnsureShape", "Erf", "Erfc", "Exp", "Expm1", "FakeQuantWithMinMaxVars", "Floor", "FloorDiv",
    "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "Identity", "LRN", "LeakyRelu", "Log",
    "Log1p", "LogSoftmax", "Maximum", "Minimum", "Mul", "MulNoNan", "Neg", "Pow", "PreventGradient",
    "QuantizeAndDequantizeV2", "RealDiv",
    "Reciprocal", "Relu", "Relu6", "Round", "Rsqrt", "Select", "SelectV2", "Selu", "Sigmoid", "Sign", "Sin", "Softmax",
    "Softplus", "Softsign", "Sqrt", "Square", "SquaredDifference", "StopGradient", "Sub", "Tanh",
}  # fmt: skip


def sizes(tensor: Any) -> list[int | None]:
    """Return the lengths of a tensor's axes, None if unknown; [] for an unknown rank."""
    return list(tensor.shape.as_list()) if tensor.shape.rank else []


def static(tensor: Any) -> list[int] | None:
    """Return the integers in a constant tensor, or None if it is not constant."""
    value = tf.get_static_value(tensor)
    return None if value is None else [int(one) for one in np.ravel(value)]


def along(layout: Layout, axes: Mapping[int, Axis]) -> Layout:
    """Return a layout with some axes replaced."""
    return tuple(axes.get(index, axis) for index, axis in enumerate(layout))


def spatial(operation: Any) -> tuple[int, int]:
    """Return the indices of the axes of rows and columns."""
    first = 2 if operation.get_attr("data_format") == b"NCHW" else 1
    return first, first + 1


def moved(operation: Any, layout: Layout, moves: Mapping[int, tuple[float, float]]) -> Layout:
    """Return the layout after an operation whose value i along some axes is at ``cells + i * scale`` of its input."""
    before, after = sizes(operation.inputs[0]), sizes(operation.outputs[0])
    if operation.type == "Conv2DBackpropInput":
        before = sizes(operation.inputs[2])
    axes: dict[int, Axis] = {}
    for axis, (cells, scale) in moves.items():
        size = after[axis]
        if scale == 1 and cells == int(cells):
            axes[axis] = cropped(layout[axis], before[axis], int(cells), size)
        else:
            moves_to = plain(size) if size is None else (single(layout[axis], before[axis]).moved(cells, scale, size),)
            axes[axis] = moves_to
    return along(layout, axes)


def window(operation: Any, index: int, kernel: Sequence[int | None]) -> tuple[int, int, int]:
    """Return the length of a window including gaps, its stride, and the padding before the first value, on an axis."""
    axis = spatial(operation)[index]
    stride = int(operation.get_attr("strides")[axis])
    if "Conv" in operation.type:
        span = ((kernel[index] or 1) - 1) * int(operation.get_attr("dilations")[axis]) + 1
    else:
        span = int(operation.get_attr("ksize")[axis])
    long, short = operation.inputs[0], operation.outputs[0]
    if operation.type == "Conv2DBackpropInput":
        long, short = operation.outputs[0], operation.inputs[2]
    padding, padded = operation.get_attr("padding"), 0
    if padding == b"SAME":
        padded = max(0, (sizes(short)[axis] - 1) * stride + span - sizes(long)[axis]) // 2  # type: ignore[operator]
    elif padding == b"EXPLICIT":
        padded = int(operation.get_attr("explicit_paddings")[2 * axis])
    return span, stride, padded


def windows(operation: Any, layout: Layout) -> Layout:
    """Return the layout after a convolution or a pooling: the position of a value is the centre of its window."""
    kernel = sizes(operation.inputs[1])[:2] if "Conv" in operation.type else []
    moves = {}
    for index, axis in enumerate(spatial(operation)):
        span, stride, padded = window(operation, index, kernel)
        moves[axis] = (span - 1) / 2 - padded, float(stride)
    return channelled(operation, moved(operation, layout, moves))


def extracted(operation: Any, layout: Layout) -> Layout:
    """Return the layout after ExtractImagePatches, whose windows become channels."""
    before, after = sizes(operation.inputs[0]), sizes(operation.outputs[0])
    moves = {}
    for axis in (1, 2):
        stride = int(operation.get_attr("strides")[axis])
        span = (int(operation.get_attr("ksizes")[axis]) - 1) * int(operation.get_attr("rates")[axis]) + 1
        same = operation.get_attr("padding") == b"SAME"
        outside = max(0, ((after[axis] or 0) - 1) * stride + span - (before[axis] or 0)) // 2 if same else 0
        moves[axis] = (span - 1) / 2 - outside, float(stride)
    return along(moved(operation, layout, moves), {3: plain(after[3])})


def spread(operation: Any, layout: Layout) -> Layout:
    """Return the layout after a transposed convolution: each input value is at the centre of its window of outputs."""
    moves = {}
    for index, axis in enumerate(spatial(operation)):
        span, stride, padded = window(operation, index, sizes(operation.inputs[1])[:2])
        moves[axis] = (padded - (span - 1) / 2) / stride, 1 / stride
    return channelled(operation, moved(operation, layout, moves))


def channelled(operation: Any, layout: Layout) -> Layout:
    """Return a layout whose channels have no position in the image, as after a convolution."""
    (channels,) = {1, 2, 3} - set(spatial(operation))
    return along(layout, {channels: plain(sizes(operation.outputs[0])[channels])})


def resized(operation: Any, layout: Layout) -> Layout:
    """Return the layout after a resize, from the positions in the input at which its values are sampled."""
    before, after = sizes(operation.inputs[0]), sizes(operation.outputs[0])
    names = {attribute.name for attribute in operation.op_def.attr}
    half = "half_pixel_centers" in names and operation.get_attr("half_pixel_centers")
    moves = {}
    for axis in (1, 2):
        short, long = float(before[axis] or 0), float(after[axis] or 0)
        if operation.get_attr("align_corners") and long > 1:
            moves[axis] = 0.0, (short - 1) / (long - 1)
            continue
        scale, cells = short / long, 0.0
        if half or operation.type == "ResizeArea":
            cells = scale / 2 - 0.5
        if operation.type == "ResizeNearestNeighbor":
            nearest = np.floor((np.arange(long) + (0.5 if half else 0)) * scale)
            cells = float((nearest - np.arange(long) * scale).mean())
        moves[axis] = cells, scale
    return moved(operation, layout, moves)


def padded(operation: Any, layout: Layout) -> Known:
    """Return the layout after padding."""
    amounts = static(operation.inputs[1])
    if amounts is None:
        return None
    return moved(operation, layout, {axis: (-one, 1) for axis, one in enumerate(amounts[::2]) if axis})


def cut(operation: Any, layout: Layout) -> Known:
    """Return the layout after a Slice."""
    starts = static(operation.inputs[1])
    if starts is None:
        return None
    return moved(operation, layout, {axis: (one, 1) for axis, one in enumerate(starts) if axis})


def strided(operation: Any, layout: Layout) -> Known:
    """Return the layout after a StridedSlice: ``x[:, 4:-4]``, ``x[:, ::-1]``, ``x[:, 0]`` or ``x[..., None]``."""
    starts, steps = static(operation.inputs[1]), static(operation.inputs[3])
    if starts is None or steps is None:
        return None
    masks = {name: int(operation.get_attr(f"{name}_mask")) for name in ("begin", "ellipsis", "new_axis", "shrink_axis")}
    after: list[Axis] = []
    shape, rest = sizes(operation.inputs[0]), list(enumerate(layout))
    for index, (first, step) in enumerate(zip(starts, steps, strict=True)):
        bit = 1 << index
        if masks["ellipsis"] & bit:
            added = bin(masks["new_axis"] >> (index + 1)).count("1")
            while len(rest) > len(starts) - index - 1 - added:
                after.append(rest.pop(0)[1])
        elif masks["new_axis"] & bit:
            after.append(())
        else:
            axis, before = rest.pop(0)
            if masks["shrink_axis"] & bit:
                continue
            size, now = shape[axis], sizes(operation.outputs[0])[len(after)]
            begins = masks["begin"] & bit or (size is None and first == 0)
            if size is None or now is None:
                after.append(before if begins and step == 1 else plain(now))
                continue
            begin = (0 if step > 0 else size - 1) if begins else first + size if first < 0 else first
            same = begin == 0 and step == 1 and now == size
            begin = min(begin, size - 1)
            if same or step == 1:
                after.append(before if same else cropped(before, size, begin, now))
            else:
                after.append((single(before, size).moved(begin, step, now),))
    return (*after, *(axis for _, axis in rest))


def flipped(operation: Any, layout: Layout) -> Known:
    """Return the layout after a flip."""
    axes, shape = static(operation.inputs[1]), sizes(operation.inputs[0])
    if axes is None:
        return None
    return moved(operation, layout, {axis % len(layout): ((shape[axis] or 1) - 1, -1) for axis in axes})


def transposed(operation: Any, layout: Layout) -> Known:
    """Return the layout after a permutation of the axes."""
    order = static(operation.inputs[1])
    return None if order is None else tuple(layout[axis] for axis in order)


def reduced(operation: Any, layout: Layout) -> Known:
    """Return the layout after a reduction over some axes, such as a mean."""
    named = static(operation.inputs[1])
    if named is None:
        return None
    axes = {axis % len(layout) for axis in named}
    if operation.get_attr("keep_dims"):
        return along(layout, dict.fromkeys(axes, ()))
    return tuple(axis for index, axis in enumerate(layout) if index not in axes)


def tiled(operation: Any, layout: Layout) -> Known:
    """Return the layout after a Tile, from the shapes, because the multiples are not always constant."""
    before, after = sizes(operation.inputs[0]), sizes(operation.outputs[0])
    return along(layout, {axis: plain(now) for axis, now in enumerate(after) if now != before[axis]})


def packed(operation: Any, layout: Layout) -> Layout:
    """Return the layout after stacking tensors along a new axis."""
    axis = int(operation.get_attr("axis")) % (len(layout) + 1)
    return (*layout[:axis], plain(len(operation.inputs)), *layout[axis:])


def unpacked(operation: Any, layout: Layout) -> list[Known]:
    """Return the layouts of the outputs of an Unpack, which removes an axis."""
    axis = int(operation.get_attr("axis")) % len(layout)
    return [(*layout[:axis], *layout[axis + 1 :])] * len(operation.outputs)


def blocks_to_channels(operation: Any, layout: Layout) -> Layout:
    """Return the layout after SpaceToDepth: the position of a value is the centre of its block."""
    side = int(operation.get_attr("block_size"))
    return channelled(operation, moved(operation, layout, dict.fromkeys(spatial(operation), ((side - 1) / 2, side))))


def channels_to_blocks(operation: Any, layout: Layout) -> Layout:
    """Return the layout after DepthToSpace: the values of a block share the cell of their input."""
    side = int(operation.get_attr("block_size"))
    moves = dict.fromkeys(spatial(operation), (0.5 / side - 0.5, 1 / side))
    return channelled(operation, moved(operation, layout, moves))


def sparser(operation: Any, layout: Layout) -> Known:
    """Return the layout after SpaceToBatchND, before a dilated convolution, for the first part of the batch."""
    sides, amounts = static(operation.inputs[1]), static(operation.inputs[2])
    if not sides or amounts is None:
        return None
    return moved(operation, layout, {axis: (-amounts[2 * axis - 2], side) for axis, side in enumerate(sides, 1)})


def denser(operation: Any, layout: Layout) -> Known:
    """Return the layout after BatchToSpaceND, after a dilated convolution."""
    sides, amounts = static(operation.inputs[1]), static(operation.inputs[2])
    if not sides or amounts is None:
        return None
    return moved(
        operation, layout, {axis: (amounts[2 * axis - 2] / side, 1 / side) for axis, side in enumerate(sides, 1)}
    )


def parts(operation: Any, layout: Layout) -> Known | list[Known]:
    """Return the layouts of the outputs of a split."""
    first = operation.type == "Split"
    chosen = static(operation.inputs[0 if first else 2])
    if chosen is None:
        return None
    axis, start = chosen[0] % len(layout), 0
    found: list[Known] = []
    whole = sum(sizes(tensor)[axis] or 0 for tensor in operation.outputs)
    for tensor in operation.outputs:
        size = sizes(tensor)[axis] or 0
        found.append(along(layout, {axis: cropped(layout[axis], whole, start, size)}))
        start += size
    return found


def concatenated(operation: Any, before: Sequence[Known]) -> Known:
    """Return the layout after a concatenation; along rows or columns, that of the largest part if most values fit."""
    last = operation.type == "ConcatV2"
    chosen = static(operation.inputs[-1 if last else 0])
    operands = list(zip(operation.inputs, before, strict=True))[: -1 if last else None][0 if last else 1 :]
    known = [layout for _, layout in operands if layout is not None]
    if chosen is None or not known:
        return None
    axis = chosen[0] % len(known[0])
    total = sizes(operation.outputs[0])[axis]
    rest = [along(layout, {axis: ()}) for layout in known]
    if tokens := with_tokens(
        [(sizes(tensor)[axis], layout[axis] if layout else None) for tensor, layout in operands], total
    ):
        return along(joined(rest, len(rest[0])) or rest[0], {axis: (tokens,)})
    start, found = 0, plain(total)
    largest, parts = 0, list[tuple[int, Factor]]()
    for tensor, layout in operands:
        size = sizes(tensor)[axis]
        if size is None or total is None:
            break
        one = single(layout[axis], size) if layout else Factor(size)
        if one.side is not None:
            parts.append((start, one))
            if size > largest:
                found, largest = (one.moved(-start, 1, total),), size
        start += size
    if total and largest and elsewhere(parts, found[0]) > total * MIRRORED:
        found = plain(total)
    return along(joined(rest, len(rest[0])) or rest[0], {axis: found})


def with_tokens(operands: Sequence[tuple[int | None, Axis | None]], total: int | None) -> Factor | None:
    """Return the factor of the tokens of an image with others in front of them or behind; None for other values.

    Args:
        operands: the lengths of the axis of the operands, and their factors if they are known.
        total: the length of the axis of the result.
    """
    start, found = 0, list[Factor]()
    for size, axis in operands:
        if size is None or total is None:
            return None
        if axis and (tokens := tokens_of(axis)):
            found.append(Factor(total, grid=tokens[1], first=start + tokens[0]))
        start += size
    return found[0] if len(found) == 1 else None


def elsewhere(parts: Sequence[tuple[int, Factor]], line: Factor) -> int:
    """Return the number of values of some parts that are not on a line; each part has the index of its first value."""
    return sum(
        part.size or 0
        for start, part in parts
        if part.side != line.side
        or abs(part.step - line.step) > abs(line.step) / 8
        or abs(part.start - line.start - start * line.step) > abs(line.step)
    )


def product(operation: Any, before: Sequence[Known]) -> Known:
    """Return the layout after a matrix product: the rows of the first operand, the columns of the second."""
    batched = operation.type.startswith("Batch")
    names = ("adj_x", "adj_y") if batched else ("transpose_a", "transpose_b")
    one, two = (
        (*layout[:-2], layout[-1], layout[-2]) if layout and operation.get_attr(name) else layout
        for layout, name in zip(before, names, strict=True)
    )
    shape = sizes(operation.outputs[0])
    if one is None and two is None:
        return None
    heads = [layout[:-2] for layout in (one, two) if layout is not None]
    head = joined(heads, len(shape) - 2) if len(shape) > 2 else ()
    return (*(head or ()), one[-2] if one else plain(shape[-2]), two[-1] if two else plain(shape[-1]))


def summed(operation: Any, before: Sequence[Known]) -> Known:
    """Return the layout after an Einsum: an axis of the result is that of the operands with the same letter."""
    equation = operation.get_attr("equation").decode().replace(" ", "")
    operands, result = equation.split("->")
    if "." in equation:
        return None
    axes: dict[str, list[Axis]] = {}
    for letters, layout in zip(operands.split(","), before, strict=True):
        for letter, axis in zip(letters, layout or (), strict=False):
            axes.setdefault(letter, []).append(axis)
    found = tuple(
        common(axes[letter]) if letter in axes else plain(size)
        for letter, size in zip(result, sizes(operation.outputs[0]), strict=True)
    )
    return found if axes else None


def copied(_: Any, before: Sequence[Known]) -> list[Known]:
    """Return the layouts after an operation that copies its inputs."""
    return list(before)


def pointwise(operation: Any, before: Sequence[Known]) -> Known:
    """Return the layout after an elementwise operation."""
    known = [layout for layout in before if layout is not None]
    return joined(known, operation.outputs[0].shape.rank) if known else None


def regrouped(operation: Any, layout: Layout) -> Known:
    """Return the layout after a reshape."""
    shape = sizes(operation.outputs[0])
    if shape == [None, None] and (channels := to_product(operation)) == values(layout[-1]):
        # tf.tensordot computes the shapes for its matrix product when it is called.
        shape = [None, channels]
    return reshaped(layout, shape)


def to_product(operation: Any) -> int | None:
    """Return the number of rows of the matrix that an operation's output is multiplied by; None if it is not."""
    for one in operation.outputs[0].consumers():
        if one.type == "MatMul" and one.inputs[0].op is operation and not one.get_attr("transpose_a"):
            shape = sizes(one.inputs[1])
            return shape[1 if one.get_attr("transpose_b") else 0] if shape else None
    return None


def shifted(operation: Any, layout: Layout) -> Known:
    """Return the layout after a Roll, without the values that come in from the other end."""
    shifts, axes = static(operation.inputs[1]), static(operation.inputs[2])
    if shifts is None or axes is None:
        return None
    shape, found = sizes(operation.inputs[0]), layout
    for amount, axis in zip(shifts, axes, strict=True):
        size = shape[axis]
        moves = plain(size) if size is None else (single(found[axis], size).moved(-amount, 1, size),)
        found = along(found, {axis % len(layout): moves})
    return found


#: Operations whose layout depends on all inputs, and operations whose layout depends on the first input that has one.
OF_ALL: dict[str, Callable[[Any, Sequence[Known]], Known | list[Known]]] = {
    **dict.fromkeys(POINTWISE, pointwise),
    **dict.fromkeys(PRODUCTS, product),
    **dict.fromkeys(("Concat", "ConcatV2"), concatenated),
    "Einsum": summed,
    "IdentityN": copied,
}
OF_ONE: dict[str, Callable[[Any, Layout], Known | list[Known]]] = {
    **dict.fromkeys(PADDING, padded),
    **dict.fromkeys(REDUCING, reduced),
    **dict.fromkeys(RESIZING, resized),
    **dict.fromkeys(RESHAPING, regrouped),
    **dict.fromkeys(WINDOWED, windows),
    **dict.fromkeys(("Split", "SplitV"), parts),
    "BatchToSpaceND": denser,
    "Conv2DBackpropInput": spread,
    "DepthToSpace": channels_to_blocks,
    "ExtractImagePatches": extracted,
    "Pack": packed,
    "ReverseV2": flipped,
    "Roll": shifted,
    "Slice": cut,
    "SpaceToBatchND": sparser,
    "SpaceToDepth": blocks_to_channels,
    "StridedSlice": strided,
    "Tile": tiled,
    "Transpose": transposed,
    "Unpack": unpacked,
}
