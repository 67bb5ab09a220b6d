"""Translate a TFLite graph into TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.models.tf.built_graph import Several

# Imported for the operations that they register.
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.rounding import RANGES, rounded
from picasso.models.tf.runtime import tf, tf1
from picasso.models.tf.tflite import convolutions, elementwise, reductions, shapes
from picasso.models.tf.tflite.elementwise import activated
from picasso.models.tf.tflite.names import layer_names
from picasso.models.tf.tflite.table import OPERATIONS, Node, Sides, tensor
from picasso.models.tf.translation import Untranslatable, known, scope_of
from picasso.models.tflite_schema import Quantization, Step, TFLiteGraph

__all__ = ["Untranslatable", "computed", "missing", "translated"]

MODULES = (convolutions, elementwise, reductions, shapes)
# The maximum size of all constants that are computed.
MAX_BYTES = 2_000_000_000
# Operations that only move or select numbers, and so return numbers of the grid of their input if theirs is the same.
MOVING = {
    "CONCATENATION", "EXPAND_DIMS", "GATHER", "MAX_POOL_2D", "PACK", "PAD", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR",
    "SLICE", "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE", "UNPACK",
}  # fmt: skip
# Those of all of whose inputs the result has numbers.
JOINING = {"CONCATENATION", "PACK"}


def missing(graph: TFLiteGraph, outputs: Sequence[int]) -> list[str]:
    """Return the kinds of operations without a translation that some tensors depend on, sorted."""
    return sorted({one.kind or "of an unknown kind" for one in graph.part(outputs)} - OPERATIONS.keys())


def translated(
    graph: TFLiteGraph, outputs: Mapping[str, int], shape: Sequence[int | None], *, batched: bool
) -> Callable[[], tuple[Any, Any]]:
    """Return a function that builds a graph in the default one and returns its input and its output.

    Args:
        graph: the graph of the file.
        outputs: the tensors to return, by name.
        shape: ``(N or None, H, W, C)``.
        batched: True to compute batches although the file was made for one image.
    """
    translation = Translation(graph, list(outputs.values()))

    def build() -> tuple[Any, Any]:
        images = tf1.placeholder(tf.float32, shape, "picasso_input")
        values = translation.values(images, translation.sides((1, *shape[1:])) if batched else {})
        found = {name: tf.convert_to_tensor(values[index]) for name, index in outputs.items()}
        return images, Several.of(found) if len(found) > 1 else next(iter(found.values()))

    return build


def computed(
    graph: TFLiteGraph, tensor: int, shape: Sequence[int | None], *, batched: bool
) -> Callable[[NDArray[np.float32]], NDArray[Any]]:
    """Return a function that computes one tensor for images; see :func:`translated`."""
    ends: list[Any] = []
    wrapped = tf1.wrap_function(lambda: ends.extend(translated(graph, {"": tensor}, shape, batched=batched)()), [])
    function = Cutter(wrapped).cut(ends[:1], ends[1:])
    return lambda images: np.asarray(function(tf.constant(images))[0])


class Translation:
    """The translation of the part of a graph that some tensors depend on."""

    def __init__(self, graph: TFLiteGraph, outputs: Sequence[int]) -> None:
        self._graph, self._steps = graph, graph.part(outputs)
        # Operations on stored tensors alone belong to no layer.
        live = [one.outputs[0] for one in self._steps if graph.varying.intersection(one.outputs)]
        self._names = dict(zip(live, layer_names(map(graph.name, live)), strict=True))
        self.layers = set(self._names.values())

    def sides(self, shape: Sequence[int | None]) -> dict[int, Sides]:
        """Return the lengths of the axes of all tensors for one image."""
        found: dict[int, Sides] = {}

        def build() -> None:
            values = self.values(tf1.placeholder(tf.float32, shape), {})
            found.update({index: tuple(value.shape) for index, value in values.items()})

        tf1.wrap_function(build, [])
        return found

    def values(self, images: Any, sides: Mapping[int, Sides]) -> dict[int, Any]:
        """Return the values of all tensors.

        Args:
            images: ``(N, H, W, C)``, float32.
            sides: the lengths of their axes for one image, if several are computed at once.

        Raises:
            Untranslatable: an operation has no translation; the message names it and its place.
        """
        (source,) = self._graph.inputs
        values, spent = {source: self._received(images, source)}, 0
        for step in self._steps:
            try:
                with scope_of(self._names.get(step.outputs[0], "stored")):
                    found = self._computed(step, values, sides)
            except Untranslatable as error:
                name = self._graph.name(step.outputs[0])
                raise Untranslatable(f"{step.kind} of the tensor {name!r}: {error}") from None
            spent += sum(one.nbytes for one in found if known(one))
            if spent > MAX_BYTES:
                raise Untranslatable(f"its constants take more than {MAX_BYTES:,} bytes")
            values |= dict(zip(step.outputs, found, strict=True))
        return values

    def _received(self, images: Any, source: int) -> Any:
        """Return the images as the graph gets them: rounded to the grid of a quantized input, or as integers."""
        how, kind = self._graph.quantization(source), self._graph.kind(source)
        if how is not None:
            # The range of the input is evident if the first operation limits it.
            low, high = ((limit - how.zero) * how.scale for limit in RANGES[how.kind])
            return on_grid(tf.clip_by_value(images, float(low), float(high)), how)
        return images if kind == "float32" else tf.cast(images, kind)

    def _computed(self, step: Step, values: dict[int, Any], sides: Mapping[int, Sides]) -> list[Any]:
        """Return the outputs of an operation; those of known values as arrays."""
        if step.kind not in OPERATIONS:
            raise Untranslatable("this operation has no translation")
        for index in step.inputs:
            if index >= 0 and index not in values:
                values[index] = self._stored(index)
        inputs = [None if index < 0 else values[index] for index in step.inputs]
        given = [() if index < 0 else sides.get(index, tuple(values[index].shape)) for index in step.inputs]
        made = [sides[index] for index in step.outputs] if sides else []
        grids = [self._graph.quantization(index) for index in step.outputs]
        kind = "float32" if grids[0] else self._graph.kind(step.outputs[0])
        node = Node(step.kind, step.options, kind, given, made)

        def compute() -> list[Any]:
            found = OPERATIONS[step.kind](node, *inputs)
            several = found if isinstance(found, list) else [found]
            return [activated(one, self._graph.activation(step)) for one in several]

        if known(*inputs):
            with tf.init_scope():
                return [np.asarray(one) for one in compute()]
        found = compute()
        moved = step.inputs if step.kind in JOINING else step.inputs[:1]
        if step.kind in MOVING and all(same(grids[0], self._graph.quantization(index)) for index in moved):
            return found
        return [one if how is None or known(one) else on_grid(one, how) for one, how in zip(found, grids, strict=True)]

    def _stored(self, index: int) -> Any:
        """Return a stored tensor.

        Raises:
            Untranslatable: it is none, or of a type that is not supported.
        """
        found = self._graph.constant(index)
        if found is None:
            raise Untranslatable(f"the values of {self._graph.name(index)!r} can't be read")
        return found


def on_grid(x: Any, how: Quantization) -> Any:
    """Return numbers rounded to those for which integers stand; the gradient is that of x within their range."""
    return rounded(x / tensor(how.scale), tensor(how.zero), how.kind) * tensor(how.scale)


def same(one: Quantization | None, other: Quantization | None) -> bool:
    """Tell whether two tensors have numbers on the same grid."""
    if one is None or other is None:
        return one is other
    return one.kind == other.kind and np.array_equal(one.scale, other.scale) and np.array_equal(one.zero, other.zero)
