"""Fold biases and normalizations, which are affine per channel, into the preceding convolutions."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.tf.incremental import winograd
from picasso.models.tf.incremental.building import builder
from picasso.models.tf.incremental.steps import Step
from picasso.models.tf.runtime import tf

# The minimum number of channels for which Winograd's tiles are faster.
CHANNELS = 96

# Operations that may be affine per channel.
AFFINE = {"FusedBatchNormV3", "BiasAdd", "Add", "AddV2", "Sub", "Mul", "RealDiv"}

Vector = NDArray[np.float64]
Affine = tuple[Vector, Vector]


def affine(operation: Any, values: Mapping[str, Any], channels: int) -> Affine | None:
    """Return the factor and offset per channel, ``(C,)`` each, if an operation is affine per channel, or None.

    Args:
        operation: an operation with one input that depends on the image.
        values: the values of its other inputs, by name.
        channels: the number C of channels of the input and the output.
    """
    if operation.type not in AFFINE:
        return None
    operands = [values.get(tensor.name) for tensor in operation.inputs]
    one, zero = np.ones(channels), np.zeros(channels)
    if operation.type == "FusedBatchNormV3":
        if operation.get_attr("is_training") or operation.get_attr("data_format") != b"NHWC":
            return None
        scale, offset, mean, variance = (
            values[tensor.name].numpy().astype(np.float64) for tensor in operation.inputs[1:]
        )
        factor = scale / np.sqrt(variance + operation.get_attr("epsilon"))
        return factor, offset - mean * factor
    given = next((value for value in operands if value is not None), None)
    if given is None or len(operands) != 2 or any(side != 1 for side in given.shape[:-1]):
        return None
    if given.shape.rank and given.shape[-1] not in (1, channels):
        return None
    vector = np.broadcast_to(np.ravel(given.numpy()).astype(np.float64), channels)
    first = operands[0] is None
    if operation.type in ("BiasAdd", "Add", "AddV2"):
        return one, vector
    if operation.type == "Sub":
        return (one, -vector) if first else (-one, vector)
    if operation.type == "Mul":
        return vector, zero
    if operation.type == "RealDiv" and first:
        return 1 / vector, zero
    return None


class Convolution:
    """A convolution with the factor and offset per channel of the affine operations after it.

    Args:
        step: the step of the convolution; :meth:`finish` extends it to the affine operations.
        operation: the operation of the step.
        values: the values of the operation's inputs that do not depend on the image.
    """

    def __init__(self, step: Step, operation: Any, values: Mapping[str, Any]) -> None:
        self.step, self._operation, self._values = step, operation, values
        self._factor, self._offset = np.ones(step.shape[-1]), np.zeros(step.shape[-1])

    def take_in(self, behind: Affine, output: str) -> None:
        """Fold the next affine operation; the output of the step becomes that of the operation."""
        factor, offset = behind
        self._factor, self._offset = self._factor * factor, self._offset * factor + offset
        self.step.output = output
        self.step.behind += 1

    def finish(self, tiles: Sequence[int]) -> None:
        """Set the filter, the bias and the function of the step; ``tiles`` are the sides allowed for Winograd's."""
        name = self._operation.inputs[1].name
        kernel, bias = self._values[name], None
        if (self._factor != 1).any():
            depthwise = self._operation.type == "DepthwiseConv2dNative"
            factor = self._factor.reshape(kernel.shape[2:] if depthwise else (1, -1))
            kernel = tf.constant(kernel.numpy() * factor, kernel.dtype)
        if self._offset.any():
            bias = tf.constant(self._offset, kernel.dtype)
        convolve = builder(self._operation, ChainMap({name: kernel}, dict(self._values)))

        def run(dynamic: Sequence[Any], *, valid: bool = False) -> Any:
            output = convolve(dynamic, valid=valid)
            return output if bias is None else tf.nn.bias_add(output, bias)

        self.step.run = run
        if self._operation.type == "Conv2D" and self._operation.inputs[0].shape[-1] == kernel.shape[2]:
            self.step.tile = best_tile(self.step, kernel, tiles)
        if self.step.tile:
            self.step.kernel = kernel, tf.zeros(kernel.shape[-1]) if bias is None else bias


def best_tile(step: Step, kernel: Any, tiles: Sequence[int]) -> int:
    """Return the fastest side of Winograd's tiles for a convolution, or 0 if the direct computation is faster."""
    *sides, channels, filters = kernel.shape
    plain = sides == [3, 3] and step.slides and all((one.reach, one.stride) == (3, 1) for one in step.slides)
    if not plain or kernel.dtype != tf.float32 or min(channels, filters) < CHANNELS:
        return 0
    return min((0, *tiles), key=lambda tile: winograd.cost(tile, step.shape[0], step.shape[1], channels, filters))
