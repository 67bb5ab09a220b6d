"""Predictions of a graph in which the values of a layer are changed or replaced, from the layer on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from picasso.models.arrays import Array
from picasso.models.tf.backward import CONTROL, drawn, following, ordered
from picasso.models.tf.runtime import tf

#: The factor and the offset of each channel of a layer, in shapes that broadcast to its output.
Coefficients = tuple[Array, Array]


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
        # Values that are kept may have other axes than images, so that they can't be repeated.
        self._repeatable = not kept and tensor.shape[0] is None
        #: The tensors whose values make a :class:`Before`.
        self.needed = [tensor, *kept]
        self._before, self._rest = cut([inputs], [tensor, *kept]), cut([tensor, *kept], answers)

    def before(self, fed: Any) -> Before:
        """Compute the part up to the layer for a batch of inputs, ``(n, H, W, C)``."""
        value, *kept = self._before(fed)
        return Before(value, kept)

    def answers(
        self, fed: Any, edits: Sequence[Coefficients], together: int, before: Before | None = None
    ) -> Iterator[list[Array]]:
        """Yield the outputs and the scores of a batch for each edit; the part up to the layer is computed once.

        Args:
            fed: the batch ``(n, H, W, C)``, a tensor.
            edits: the factors and the offsets of each edit.
            together: the maximum number of edits of which the rest is computed together, if it needs only the layer.
            before: the result of :meth:`before` for the batch, if it is known.
        """
        before, size = before or self.before(fed), max(1, together) if self._repeatable else 1
        for start in range(0, len(edits), size):
            some = edits[start : start + size]
            yield from apart(self.rest(before, some), len(some))

    def replaced(
        self, fed: Any, maps: Iterable[Array], put: Callable[[Array, Array], Array], together: int
    ) -> Iterator[list[Array]]:
        """Yield the outputs and the scores of a batch for each replacement of the layer's output.

        Args:
            fed: the batch ``(n, H, W, C)``, a tensor.
            maps: the replacements; as many as are computed together are taken at a time.
            put: returns the layer's output, ``(n, ...)``, with a replacement in it, for both.
            together: the maximum number of replacements of which the rest is computed together, if it needs only the
                layer.
        """
        before, size = self.before(fed), max(1, together) if self._repeatable else 1
        value, waiting = before.value.numpy(), iter(maps)
        while some := [put(one, value) for one in islice(waiting, size)]:
            given = tf.constant(np.concatenate(some), before.value.dtype)
            yield from apart([one.numpy() for one in self._rest(given, *before.kept)], len(some))

    def rest(self, before: Before, edits: Sequence[Coefficients]) -> list[Array]:
        """Return the outputs and the scores of n images for each of E edits, ``(E * n, ...)``.

        Args:
            before: the result of :meth:`before` for n images.
            edits: the factors and the offsets of E edits, in shapes that broadcast to the layer's output: it becomes
                ``output * factors + offsets``.
        """
        value, rank = before.value, before.value.shape.rank
        factors, offsets = (
            tf.constant(np.stack([one.reshape((1,) * (rank - one.ndim) + one.shape) for one in ones]), value.dtype)
            for ones in zip(*edits, strict=True)
        )
        changed = tf.reshape(value * factors + offsets, [-1, *value.shape[1:]])
        return [tensor.numpy() for tensor in self._rest(changed, *before.kept)]


def apart(answers: Sequence[Array], count: int) -> Iterator[list[Array]]:
    """Yield the answers ``(n, ...)`` to each of several changes, of which all answers are ``(count * n, ...)``."""
    yield from map(list, zip(*(np.split(one, count) for one in answers), strict=True))


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
