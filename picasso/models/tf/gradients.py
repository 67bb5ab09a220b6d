"""The gradients of functions of a graph's scores with respect to its tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.tf.backward import Backward
from picasso.models.tf.built_graph import BuiltGraph
from picasso.models.tf.last_pass import LastPass
from picasso.models.tf.runtime import tf


class Gradients:
    """Gradients with respect to any tensor of a graph; the passes for a tensor are compiled on first use.

    Args:
        built: the graph.
        scores: the scores, one row for each image.
        last: keeps the last forward pass of a single image; None if passes can't be shared.
    """

    def __init__(self, built: BuiltGraph, scores: Any, last: LastPass | None) -> None:
        self._built, self._scores, self._last = built, scores, last
        self._backward: dict[str, Backward] = {}

    def products(self, tensor: Any, inputs: Array, cotangents: Array) -> Array:
        """Return vector-Jacobian products with respect to a tensor, ``(N, T, ...)``."""
        _, found = self.passes(tensor, inputs, cotangents)
        return np.stack(list(found), axis=1)

    def passes(self, tensor: Any, inputs: Array, cotangents: Array) -> tuple[Any, Iterator[Array]]:
        """Return the value of a tensor, by a forward pass, and vector-Jacobian products, by a backward pass each."""
        backward, flat = self.backward_at(tensor), cotangents.reshape(*cotangents.shape[:2], -1)
        fed = self._built.fed(inputs)
        passed = self._last.passed(tensor.name, backward, inputs, fed) if self._last else backward.forward(fed)
        products = (backward.back(passed, tf.constant(flat[:, index])).numpy() for index in range(flat.shape[1]))
        return passed.value, products

    def backward_at(self, tensor: Any) -> Backward:
        """Return the passes for the gradients of the scores with respect to a tensor."""
        if tensor.name not in self._backward:
            try:
                self._backward[tensor.name] = Backward(self._built.cut, self._built.input, self._scores, tensor)
            except ValueError as error:
                where = "its input" if tensor is self._built.input else "that layer"
                raise ModelError(
                    f"The output of {self._built.label} can't be differentiated with respect to {where}: {error}."
                ) from None
        return self._backward[tensor.name]
