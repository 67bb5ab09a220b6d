"""A graph with the operations of a model, from which functions are cut, and its input."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from picasso.errors import ModelError
from picasso.models import value_range
from picasso.models.arrays import Array, Shape
from picasso.models.info import Place
from picasso.models.tf import input_values, integer_inputs
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.guided import RECTIFIERS
from picasso.models.tf.incremental.inlining import has_calls, inlined
from picasso.models.tf.probing import tried
from picasso.models.tf.runtime import tf, tf1

Build = Callable[[], tuple[Any, Any]]
log = logging.getLogger(__name__)


class Several(NamedTuple):
    """Several outputs.

    Attributes:
        flat: all values of an image side by side, ``(N, D)``.
        shapes: the shape of each output without the batch axis, by name; unknown lengths are 0.
    """

    flat: Any
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, tensors: Mapping[str, Any]) -> Several:
        """Return the outputs ``(N, ...)`` with the names."""
        shapes = {name: tuple(side or 0 for side in tensor.shape.as_list()[1:]) for name, tensor in tensors.items()}
        flat = [tf.reshape(tf.cast(tensor, tf.float32), [-1, prod(shapes[name])]) for name, tensor in tensors.items()]
        return cls(flat[0] if len(flat) == 1 else tf.concat(flat, 1), shapes)


class BuiltGraph:
    """The operations of a model in a graph of their own; later ones are added to it.

    Args:
        build: called with the new graph as default; returns the input tensor ``(N, H, W, C)`` and the output.
        label: the name of the model in error messages.
        guided: if True, gradients are those of guided backpropagation.

    Attributes:
        label: the name of the model.
        wrapped: the result of ``tf.compat.v1.wrap_function``.
        cutter: extracts functions from the graph.
        input: the input tensor.
        output: the output tensor, or :class:`Several`.
        input_shape: ``(H, W, C)``.
        fixed_batch: the fixed batch size, or None.
        integers: the minimum and maximum of an integer input, or None for a float input.

    Raises:
        ModelError: the input is no image.
    """

    def __init__(self, build: Build, label: str, *, guided: bool = False) -> None:
        self._build, self.label, self._guided = build, label, guided
        self.wrapped = tf1.wrap_function(self._assemble, [])
        self.cutter = Cutter(self.wrapped)

    def _assemble(self) -> None:
        """Build the operations in the default graph."""
        with tf1.get_default_graph().gradient_override_map(RECTIFIERS if self._guided else {}):
            self.input, self.output = self._build()
            whole = integer_inputs.integer_type(self.input)
            if whole:
                integer_inputs.bypass(self.input)
        self.integers: tuple[int, int] | None = (whole.min, whole.max) if whole else None
        # This must happen before the operations of the gradients are added, which use the same tensors.
        self._scaled = input_values.behind_first_operations(self.input)
        self._bounded = input_values.bounded_to(self.input)
        shape = self.input.shape
        if shape.rank != 4 or None in shape.as_list()[1:]:
            raise ModelError(f"{self.label} must have one input of shape (N, H, W, C), but has {shape}.")
        self.input_shape: Shape = tuple(shape.as_list()[1:])
        self.fixed_batch: int | None = shape[0]

    def cut(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Return the part of the graph between two lists of tensors as a compiled function."""
        return self.cutter.cut(inputs, outputs)

    def fed(self, inputs: Array) -> Any:
        """Return inputs in the type of the graph's input; for integers, they are rounded and clipped."""
        if self.integers:
            inputs = np.clip(np.rint(inputs), *self.integers)
        return tf.constant(inputs, self.input.dtype)

    def call(self, function: Any, inputs: Array) -> list[Array]:
        """Return the results of a function of the input, such as :meth:`cut` returns."""
        return [tensor.numpy() for tensor in function(self.fed(inputs))]

    def computing(self, tensor: Any) -> Callable[[Array], Array]:
        """Return a function that computes a tensor for inputs."""
        function = self.cut([self.input], [tensor])
        return lambda inputs: self.call(function, inputs)[0]

    def evaluate(self, tensors: Sequence[Any]) -> Sequence[Any]:
        """Return the values of tensors that do not depend on the input."""
        return evaluator(self.wrapped)(tensors)

    def try_place(self, tensor: Any) -> Place | None:
        """Measure the position of a tensor's values in the image; None if that fails."""
        try:
            return tried(self.computing(tensor), self.input_shape, self.fixed_batch)
        except Exception:
            log.info("where the values of %s come from can't be tried", tensor.name, exc_info=True)
            return None

    def value_range(self) -> str:
        """Return the range of pixel values implied by the first operations, or ""; see :func:`input_values.find`."""

        def evaluate(tensors: Sequence[Any]) -> list[Any]:
            function = self.cut([self.input], tensors)
            shape = (self.fixed_batch or 1, *self.input_shape)
            answers = [self.call(function, np.full(shape, value, np.float32)) for value in value_range.PROBES]
            return [np.stack(values) for values in zip(*answers, strict=True)]

        return self._bounded or input_values.find(self.input, self._scaled, evaluate)

    def inlined(self, target: Any) -> tuple[Any, Any, Any]:
        """Return a graph in which the operations of functions are part of it, with its input and a tensor there."""
        if has_calls(self.wrapped.graph):
            wrapped, source, found = inlined(self.wrapped.graph, self.input.name, target.name)
            return wrapped, source, found
        return self.wrapped, self.input, target


def evaluator(wrapped: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return a function that computes the values of tensors that do not depend on the graph's input."""

    def evaluate(tensors: Sequence[Any]) -> Sequence[Any]:
        return list(wrapped.prune([], list(tensors), input_signature=((), {}))()) if tensors else []

    return evaluate
