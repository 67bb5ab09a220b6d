"""Predictions of a graph in which channels of a layer are changed, from the layer's values on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from picasso.models.arrays import Array
from picasso.models.tf.backward import CONTROL, drawn, following, ordered
from picasso.models.tf.runtime import tf


class Before(NamedTuple):
    """What a pass up to a layer leaves behind.

    Attributes:
        value: the layer's output ``(N, ...)``.
        kept: the other values that the rest of the graph needs, such as those of a skip connection around the layer.
    """

    value: Any
    kept: Sequence[Any]


class Editing:
    """The part of a graph up to a layer, and the part from there on, compiled once each.

    Args:
        cut: returns the part of the graph between two lists of tensors as a compiled function.
        inputs: the input of the graph, ``(N, H, W, C)``.
        answers: the outputs and the scores of the graph.
        tensor: the layer's output, ``(N, ...)``.
    """

    def __init__(
        self, cut: Callable[[Sequence[Any], Sequence[Any]], Any], inputs: Any, answers: Sequence[Any], tensor: Any
    ) -> None:
        kept = others(inputs, answers, tensor)
        self._before, self._rest = cut([inputs], [tensor, *kept]), cut([tensor, *kept], answers)

    def before(self, fed: Any) -> Before:
        """Compute the part up to the layer for a batch of inputs, ``(n, H, W, C)``."""
        value, *kept = self._before(fed)
        return Before(value, kept)

    def rest(self, before: Before, factors: Array, offsets: Array) -> list[Array]:
        """Return the outputs and the scores if the layer's output is ``output * factors + offsets``.

        Args:
            before: the result of :meth:`before`.
            factors: the factor of each channel, in a shape that broadcasts to the output.
            offsets: the offset of each channel, in the same shape.
        """
        dtype = before.value.dtype
        changed = before.value * tf.constant(factors, dtype) + tf.constant(offsets, dtype)
        return [tensor.numpy() for tensor in self._rest(changed, *before.kept)]


def others(inputs: Any, answers: Sequence[Any], tensor: Any) -> list[Any]:
    """Return the tensors that answers need besides the values of a tensor, each once.

    They depend on the images or on random numbers, but not on the tensor. If the operations that use them can't be
    separated from those before, it is the input, and the rest of the graph repeats what does not depend on the tensor.

    Args:
        inputs: the input of the graph.
        answers: the tensors that are computed in the end.
        tensor: the tensor that is given.
    """
    operations = ordered([one.op for one in answers])
    of_images = following([inputs.op, *drawn(operations)], operations)
    behind = following([tensor.op], operations).keys() - {tensor.op}
    before = of_images.keys() - behind
    if any(one.type in CONTROL for one in of_images) or any(
        not before.isdisjoint(one.control_inputs) for one in behind
    ):
        return [inputs]
    used = [one for operation in operations if operation in behind for one in operation.inputs]
    found = {one.name: one for one in [*used, *answers] if one.op in before}
    return [one for name, one in found.items() if name != tensor.name]
