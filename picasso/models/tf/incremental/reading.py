"""Convert a TensorFlow graph, from any framework or format, to steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from picasso.models.tf.feature_layers import reach
from picasso.models.tf.incremental import winograd
from picasso.models.tf.incremental.building import builder
from picasso.models.tf.incremental.folding import Convolution, affine
from picasso.models.tf.incremental.products import counter
from picasso.models.tf.incremental.resampling import (
    RESIZES,
    Repetition,
    Samples,
    repeated,
    repetition,
    resized,
    spread,
)
from picasso.models.tf.incremental.steps import Kind, Network, Slide, Step, Unsupported
from picasso.models.tf.runtime import tf

# Operations that do not change their inputs.
TRANSPARENT = {"Identity", "IdentityN", "StopGradient", "PreventGradient", "CheckNumerics", "EnsureShape"}
CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative"}
POOLINGS = {"MaxPool", "AvgPool"}
POINTWISE = {
    "Abs", "Add", "AddN", "AddV2", "BiasAdd", "Elu", "Erf", "Erfc", "Exp", "Expm1", "FusedBatchNormV3", "LeakyRelu",
    "Log", "Log1p", "Maximum", "Minimum", "Mul", "Neg", "Pow", "RealDiv", "Relu", "Relu6", "Rsqrt", "Selu", "Sigmoid",
    "Softmax", "Softplus", "Softsign", "Sqrt", "Square", "SquaredDifference", "Sub", "Tanh",
}  # fmt: skip
# Stateful operations whose state does not change during predictions.
VARIABLES = {"Placeholder", "ReadVariableOp", "VarHandleOp", "VariableV2"}
# A convolution that sums over fewer channels takes longer per multiply-add.
FEW_CHANNELS = 8
# The padding value of a maximum: below all values of a network, but finite to avoid NaN.
LOWEST = -3e38

Evaluate = Callable[[Sequence[Any]], Sequence[Any]]


def read(source: Any, target: Any, evaluate: Evaluate, tiles: Sequence[int] = winograd.TILES) -> Network:
    """Return the network of steps from ``source`` to ``target``, two tensors of one graph.

    Args:
        source: the input tensor ``(N, H, W, C)``.
        target: the output tensor, one row for each input.
        evaluate: returns the values of tensors that do not depend on the input.
        tiles: the sides that Winograd's tiles may have.

    Raises:
        Unsupported: an operation can't be rebuilt.
    """
    downstream = reach(source.op, up=False)
    wanted = downstream & reach(target.op, up=True)
    path = [one for one in source.graph.get_operations() if one in wanted and one is not source.op]
    refuse(path, downstream)
    static = {tensor.name: tensor for one in path for tensor in one.inputs if tensor.op not in downstream}
    values = dict(zip(static, evaluate(list(static.values())), strict=True))
    reader = Reader(source, values, path)
    for operation in path:
        if operation.type not in TRANSPARENT:
            reader.add(operation)
    name = reader.name(target)
    # The flattened copy of a map is the map: it is flattened after its rectangles have been put in their places.
    if target.op.type == "Reshape" and is_map(target.op.inputs[0]):
        name = reader.name(target.op.inputs[0])
    return Network(reader.finish(name, tiles), source.name, name, reader.shapes, reader.types)


def refuse(path: Sequence[Any], downstream: Collection[Any]) -> None:
    """Raise an error for operations that can't be rebuilt: stateful ones, such as random numbers or lookup tables.

    Args:
        path: the operations between input and output.
        downstream: all operations that depend on the input.

    Raises:
        Unsupported: there is such an operation; the message names it.
    """
    seen: set[Any] = set()
    waiting = list(path)
    while waiting:
        operation = waiting.pop()
        if operation in seen:
            continue
        seen.add(operation)
        if operation.op_def.is_stateful and operation.type not in VARIABLES:
            raise Unsupported(f"it has the operation {operation.type}")
        for tensor in operation.inputs:
            if tensor.op not in downstream:
                waiting.append(tensor.op)
                if operation in downstream and tensor.dtype in (tf.resource, tf.variant, tf.string):
                    raise Unsupported(f"it has the operation {operation.type}")


class Reader:
    """Converts operations to steps, one after the other.

    Args:
        source: the input tensor.
        values: the values of the tensors that do not depend on it, by name.
        path: all operations that will be added, and the transparent operations between them.
    """

    def __init__(self, source: Any, values: Mapping[str, Any], path: Sequence[Any]) -> None:
        self.values = values
        self.shapes: dict[str, tuple[int, ...]] = {source.name: static_shape(source)}
        self.types: dict[str, str] = {source.name: source.dtype.name}
        self._steps: list[Step] = []
        self._convolutions: dict[str, Convolution] = {}
        self._aliases: dict[str, str] = {}
        found = {one: repetition(one, values) for one in path}
        self._repetitions = {one: repeat for one, repeat in found.items() if repeat}
        self._hidden = {one for repeat in self._repetitions.values() for one in repeat.hidden}
        for operation in path:
            if operation.type in TRANSPARENT:
                for before, after in zip(operation.inputs, operation.outputs, strict=True):
                    self._aliases[after.name] = self.name(before)
        opaque = [one for one in path if one.type not in TRANSPARENT]
        self._uses = Counter(self.name(tensor) for one in opaque for tensor in one.inputs)

    def name(self, tensor: Any) -> str:
        """Return the name of a tensor, or, for a copy, that of the original."""
        known: str = tensor.name
        return self._aliases.get(known, known)

    def finish(self, target: str, tiles: Sequence[int]) -> list[Step]:
        """Finish the convolutions and return the steps that the tensor ``target`` depends on."""
        for convolution in self._convolutions.values():
            convolution.finish(tiles)
        needed, used = {target}, list[Step]()
        for step in reversed(self._steps):
            if step.output in needed:
                used.append(step)
                needed.update(step.inputs)
        return used[::-1]

    def add(self, operation: Any) -> None:
        """Add an operation as one step for each output, or fold it into the preceding convolution."""
        if operation in self._hidden:
            return
        if operation in self._repetitions:
            self._repeat(operation, self._repetitions[operation])
            return
        if operation.type == "Conv2DBackpropInput" and self._spread(operation):
            return
        for index, output in enumerate(operation.outputs):
            if index == 0 or self._uses[output.name]:
                self._add(operation, output, index)

    def _add(self, operation: Any, output: Any, index: int) -> None:
        """Add a step for one output of an operation, or fold it."""
        dynamic = [tensor for tensor in operation.inputs if tensor.name not in self.values]
        names = tuple(self.name(tensor) for tensor in dynamic)
        shape = self.shapes[output.name] = static_shape(output)
        self.types[output.name] = output.dtype.name
        if self._folds(operation, names):
            return
        step = Step(Kind.WHOLE, output.name, names, shape, builder(operation, self.values, index))
        self._steps.append(step)
        step.count = counter(operation, self.values)
        if operation.type == "Shape":
            step.kind = Kind.COUNT
        elif operation.type == "Mean" and is_map(dynamic[0]) and self._axes(operation.inputs[1]) == [1, 2]:
            step.kind, step.keeps = Kind.MEAN, bool(operation.get_attr("keep_dims"))
        elif is_map(output) and all(is_map(tensor) for tensor in dynamic):
            self._describe(step, operation)

    def _repeat(self, operation: Any, repeat: Repetition) -> None:
        """Add the repetition of rows or columns as one step."""
        output = operation.outputs[0]
        shape = self.shapes[output.name] = static_shape(output)
        self.types[output.name] = output.dtype.name
        height, width = static_shape(repeat.source)[:2]
        factors = (repeat.factor, 1) if repeat.axis == 1 else (1, repeat.factor)

        def run(dynamic: Sequence[Any], *, valid: bool = False) -> Any:
            return tf.repeat(dynamic[0], repeat.factor, axis=repeat.axis)

        step = Step(Kind.RESAMPLE, output.name, (self.name(repeat.source),), shape, run)
        step.samples = repeated(height, factors[0]), repeated(width, factors[1])
        self._steps.append(step)

    def _spread(self, operation: Any) -> bool:
        """Add a transposed convolution as two steps: zeros between the values, and a convolution; tell whether.

        Dumoulin & Visin, *A guide to convolution arithmetic for deep learning*, arXiv 1603.07285, section 4.
        """
        given, output = operation.inputs[2], operation.outputs[0]
        kernel = self.values.get(operation.inputs[1].name)
        dilated = any(gap != 1 for gap in operation.get_attr("dilations"))
        if kernel is None or given.name in self.values or dilated or not (is_map(given) and is_map(output)):
            return False
        if not channels_last(operation):
            return False
        shape, sides = static_shape(output), kernel.shape[:2]
        strides, padding = operation.get_attr("strides")[1:3], operation.get_attr("padding")
        spreads, lengths = [], []
        for axis in (0, 1):
            length, side, stride = static_shape(given)[axis], int(sides[axis]), int(strides[axis])
            before = 0
            if padding == b"SAME":
                before = max(0, (length - 1) * stride + side - shape[axis]) // 2
            elif padding == b"EXPLICIT":
                before = int(operation.get_attr("explicit_paddings")[2 + 2 * axis])
            lengths.append(shape[axis] + side - 1)
            # Where padding is cropped from the result, some values lie before the first place or behind the last.
            if side - 1 - before < 0 or side - 1 - before + stride * (length - 1) >= lengths[axis]:
                return False
            spreads.append(spread(length, stride, side - 1 - before, lengths[axis]))
        between = f"{output.name}:spread"
        self.shapes[between] = (*lengths, static_shape(given)[-1])
        self.types[between] = self.types[output.name] = output.dtype.name
        self.shapes[output.name] = shape

        def zeros(dynamic: Sequence[Any], *, valid: bool = False) -> Any:
            rows, columns = (matrix_of(side, dynamic[0]) for side in spreads)
            return tf.einsum("nhwc,yh,xw->nyxc", dynamic[0], rows, columns)

        flipped = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])

        def run(dynamic: Sequence[Any], *, valid: bool = False) -> Any:
            return tf.nn.conv2d(dynamic[0], flipped, 1, "VALID")

        first = Step(Kind.RESAMPLE, between, (self.name(given),), self.shapes[between], zeros)
        first.samples = spreads[0], spreads[1]
        second = Step(Kind.WINDOW, output.name, (between,), shape, run)
        second.slides = Slide(int(sides[0]), 1, 0), Slide(int(sides[1]), 1, 0)
        second.macs = int(np.prod(kernel.shape))
        self._steps += [first, second]
        return True

    def _folds(self, operation: Any, names: Sequence[str]) -> bool:
        """Fold an affine operation into the convolution before it if nothing else uses that output; tell whether."""
        before = self._convolutions.get(names[0]) if len(names) == 1 and self._uses[names[0]] == 1 else None
        behind = affine(operation, self.values, before.step.shape[-1]) if before else None
        if not before or not behind:
            return False
        output = operation.outputs[0].name
        before.take_in(behind, output)
        self._convolutions[output] = self._convolutions.pop(names[0])
        return True

    def _describe(self, step: Step, operation: Any) -> None:
        """Set the kind of a step, which determines its effect on rectangles, if it is known."""
        kind, dynamic = operation.type, len(step.inputs)
        sides = {self.shapes[name][:2] for name in (*step.inputs, step.output)}
        slides = kind in POOLINGS or (kind in CONVOLUTIONS and operation.inputs[1].name in self.values)
        if slides and channels_last(operation):
            self._slide(step, operation)
            if kind in CONVOLUTIONS:
                self._convolutions[step.output] = Convolution(step, operation, self.values)
        elif (kind == "FusedBatchNormV3" and operation.get_attr("is_training")) or not channels_last(operation):
            # The operation depends on the statistics of all places, or the channels are not the last axis.
            return
        elif kind in POINTWISE and len(sides) == 1 and all(self._uniform(one) for one in operation.inputs):
            step.kind = Kind.POINTWISE if dynamic == 1 else Kind.JOIN
        elif kind == "ConcatV2" and len(sides) == 1 and dynamic == len(operation.inputs) - 1:
            if self._axes(operation.inputs[-1]) in ([3], [-1]):
                step.kind = Kind.JOIN
        elif kind in RESIZES and dynamic == 1:
            step.kind, step.samples = Kind.RESAMPLE, resized(operation, step.shape[:2])
        elif kind in ("Pad", "PadV2") and dynamic == 1:
            self._pad(step, operation)

    def _pad(self, step: Step, operation: Any) -> None:
        """Set the kind of a padding with rows and columns of 0, or with channels."""
        paddings = self.values[operation.inputs[1].name].numpy()
        if not paddings[:3].any():
            step.kind = Kind.POINTWISE
        elif operation.type == "Pad" and not paddings[[0, 3]].any():
            step.kind, step.shift = Kind.PAD, (int(paddings[1, 0]), int(paddings[2, 0]))

    def _slide(self, step: Step, operation: Any) -> None:
        """Set the attributes of a convolution or a pooling."""
        strides, padding = operation.get_attr("strides")[1:3], operation.get_attr("padding")
        if operation.type in CONVOLUTIONS:
            kernel = self.values[operation.inputs[1].name]
            sides, gaps = kernel.shape[:2], operation.get_attr("dilations")[1:3]
            # The last axis of a depthwise filter is the channel multiplier, not the number of output channels.
            thin = operation.type == "DepthwiseConv2dNative"
            step.macs = int(np.prod(kernel.shape))
            step.thin = thin or kernel.shape[2] < FEW_CHANNELS
        else:
            sides, gaps = operation.get_attr("ksize")[1:3], (1, 1)
            step.outside = LOWEST if operation.type == "MaxPool" else 0.0
            step.partial = operation.type == "AvgPool" and padding == b"SAME"
        slides = []
        for axis in (0, 1):
            span = (sides[axis] - 1) * gaps[axis] + 1
            before = 0
            if padding == b"SAME":
                length = self.shapes[step.inputs[0]][axis]
                before = max(0, (step.shape[axis] - 1) * strides[axis] + span - length) // 2
            elif padding == b"EXPLICIT":
                before = int(operation.get_attr("explicit_paddings")[2 + 2 * axis])
            slides.append(Slide(int(span), int(strides[axis]), before))
        step.kind, step.slides = Kind.WINDOW, (slides[0], slides[1])

    def _uniform(self, tensor: Any) -> bool:
        """Tell whether an operand is equal at all places, or depends on the image."""
        value = self.values.get(tensor.name)
        return value is None or value.shape.rank < 3 or all(side == 1 for side in value.shape[-3:-1])

    def _axes(self, tensor: Any) -> list[int]:
        """Return the axes in a static operand, sorted; [] if it is not static."""
        value = self.values.get(tensor.name)
        return [] if value is None else sorted(int(axis) for axis in np.ravel(value.numpy()))


def channels_last(operation: Any) -> bool:
    """Tell whether an operation uses the data format ``(N, H, W, C)``, not ``(N, C, H, W)``."""
    has_format = any(attribute.name == "data_format" for attribute in operation.op_def.attr)
    return not has_format or bool(operation.get_attr("data_format") == b"NHWC")


def is_map(tensor: Any) -> bool:
    """Tell whether a tensor consists of feature maps ``(N, H, W, C)`` of known size."""
    return bool(tensor.shape.rank == 4 and None not in tensor.shape.as_list()[1:] and tensor.dtype.is_floating)


def matrix_of(samples: Samples, like: Any) -> Any:
    """Return the matrix ``(L, l)`` of the samples of an axis, for the height or width ``l`` of a map."""
    length = int(samples.places.max()) + 1
    matrix = np.zeros((len(samples.places), length), np.float32)
    np.add.at(matrix, (np.arange(len(matrix))[:, None], samples.places), samples.weights)
    return tf.constant(matrix, like.dtype)


def static_shape(tensor: Any) -> tuple[int, ...]:
    """Return a tensor's shape without the batch axis; unknown lengths are 0."""
    return tuple(side or 0 for side in tensor.shape.as_list()[1:]) if tensor.shape.rank else ()
