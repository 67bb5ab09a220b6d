"""The position of feature map cells in the image, propagated from the input through strides, padding and cropping.

The recursion of starts and steps is that of Araujo, Norris & Sim, *Computing receptive fields of convolutional neural
networks*, Distill 2019, extended to more operations than convolutions and pooling. If an operation before the first
weights is unknown, such as a crop that depends on a condition, the position of its values is measured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from picasso.models.info import Place
from picasso.models.tf.layouts import COLUMNS, ROWS, Factor, Layout, place_of, plain
from picasso.models.tf.place_operations import OF_ALL, OF_ONE, PRODUCTS, Known, sizes

log = logging.getLogger(__name__)

#: Measures the position in the image of the cells of a tensor ``(N, h, w, c)``.
Probe = Callable[[Any], Place | None]

# Operations with weights. Positions after them are not measured, because that takes too long.
WEIGHTED = {"Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative", "Einsum", *PRODUCTS}


def places(inputs: Any, downstream: Iterable[Any], tensors: Mapping[str, Any], probe: Probe) -> dict[str, Place | None]:
    """Return the position of the cells of feature maps in the image, by name; None if it is unknown.

    Args:
        inputs: the input operation of the images.
        downstream: all operations that depend on it, in any order.
        tensors: the feature maps ``(N, h, w, c)`` by name.
        probe: measures the position, for tensors before the first weights.
    """
    walk = Walk(inputs, probe)
    walk.follow(downstream)
    return {name: place_of(walk.layout(tensor), sizes(tensor)) for name, tensor in tensors.items()}


class Walk:
    """The layouts of the tensors that depend on an input, computed one operation after the other.

    Args:
        inputs: the input operation of the images.
        probe: measures the position of a tensor's values, for tensors before the first weights.
        given: the layouts of the first outputs of operations that are known already.
    """

    def __init__(self, inputs: Any, probe: Probe, given: Mapping[Any, Layout] | None = None) -> None:
        self._probe, self._given = probe, given or {}
        batch, height, width, channels = sizes(inputs.outputs[0])
        image = (Factor(height, ROWS, 0.5, 1.0),), (Factor(width, COLUMNS, 0.5, 1.0),)
        self._layouts: dict[Any, list[Known]] = {inputs: [(plain(batch), *image, plain(channels))]}
        self._weighted: set[Any] = set()

    def layout(self, tensor: Any) -> Known:
        """Return the layout of a tensor, or None if it is unknown."""
        found = self._layouts.get(tensor.op)
        return found[tensor.value_index] if found else None

    def follow(self, downstream: Iterable[Any]) -> None:
        """Compute the layouts of operations that depend on the input, given in any order."""
        dependent = set(downstream)
        for operation in next(iter(self._layouts)).graph.get_operations():
            if operation in dependent and operation not in self._layouts:
                self.take(operation)

    def take(self, operation: Any) -> None:
        """Compute and store the layouts of an operation's outputs."""
        if operation.type in WEIGHTED or any(tensor.op in self._weighted for tensor in operation.inputs):
            self._weighted.add(operation)
        try:
            found = self._follow(operation)
        except (AttributeError, LookupError, ValueError, TypeError, ArithmeticError) as error:
            # For unexpected operands the layout is unknown, and loading continues.
            log.debug("where the values of %s lie is not known: %r", operation.name, error)
            found = None
        found = self._given.get(operation, found)
        if not isinstance(found, list):
            found = [found, *[None] * len(operation.outputs)][: len(operation.outputs)]
        if operation not in self._weighted:
            found = [one or self._tried(tensor) for one, tensor in zip(found, operation.outputs, strict=True)]
        self._layouts[operation] = found

    def _tried(self, tensor: Any) -> Known:
        """Return the measured layout of a tensor before the first weights, or None."""
        shape = sizes(tensor)
        if len(shape) != 4 or None in shape[1:] or shape[1] * shape[2] == 1 or not tensor.dtype.is_floating:  # type: ignore[operator]
            return None
        place = self._probe(tensor)
        if place is None:
            return None
        axes = zip(shape[1:3], (ROWS, COLUMNS), place.start, place.step, strict=True)
        return (plain(shape[0]), *((Factor(*axis),) for axis in axes), plain(shape[3]))

    def _follow(self, operation: Any) -> Known | list[Known]:
        """Return the layout of the first output, or of all; None if it can't be determined."""
        before = [self.layout(tensor) for tensor in operation.inputs]
        if operation.type in OF_ALL:
            return OF_ALL[operation.type](operation, before)
        known = next((layout for layout in before if layout is not None), None)
        if known is None or operation.type not in OF_ONE:
            return None
        return OF_ONE[operation.type](operation, known)
