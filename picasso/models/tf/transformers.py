"""What only transformers have: attention weights with their gradients, and relevance by AttnLRP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.tf.attention import Attention, between_tokens
from picasso.models.tf.backward import Backward
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.feature_layers import FeatureLayer, reach
from picasso.models.tf.relevance import with_rules
from picasso.models.tf.runtime import tf
from picasso.models.tokens import TokenGrid

UNREAD = (
    "No layer of this transformer was found whose tokens all reach the scores, so class activation maps are not "
    "offered."
)
WINDOWED = "has no attention between all tokens of the image, or where its tokens lie is not known."
UNPLACED = (
    "This is a transformer, but where on the image its tokens lie is not known, so class activation maps are not "
    "offered: they would show the patches before any attention."
)


class Transformer:
    """The attention weights of a graph, their gradients, and relevance by AttnLRP.

    Args:
        cutter: extracts parts of the graph.
        wrapped: the graph, a result of ``tf.compat.v1.wrap_function``.
        inputs: the input of the graph, ``(N, H, W, C)``.
        scores: the scores, ``(N, S)``.
        weights: the attention weights of all blocks, first to last; none if the graph is no transformer.
        label: the name of the model in error messages.
    """

    def __init__(
        self, cutter: Cutter, wrapped: Any, inputs: Any, scores: Any, weights: Sequence[Any], label: str
    ) -> None:
        self._cutter, self._wrapped, self._input, self._scores = cutter, wrapped, inputs, scores
        self._weights, self._label = list(weights), label

    def __bool__(self) -> bool:
        """Tell whether the graph has attention."""
        return bool(self._weights)

    def grid(self, grid: TokenGrid | None, gradient: Array) -> TokenGrid:
        """Return the grid of the tokens between which there is attention, with the tokens that the scores read.

        Args:
            grid: the grid of the last tokens.
            gradient: the gradient of the scores there, for some image, ``(T, D)``.

        Raises:
            ModelError: there is no attention between these tokens.
        """
        if grid is None or not between_tokens(self._weights, grid.count):
            raise ModelError(f"{self._label} {WINDOWED}")
        return replace(grid, readers=tuple(np.flatnonzero((gradient != 0).any(axis=-1)).tolist()))

    def attention(self, fed: Any, cotangents: Array) -> tuple[list[Array], Iterator[list[Array]]]:
        """Return the attention weights of each block and their gradients; see :class:`.attention.Attention`.

        Args:
            fed: the images ``(n, H, W, C)``, a tensor.
            cotangents: the gradients of F functions with respect to the scores, ``(n, F, ...)``.

        Raises:
            ModelError: the graph has no attention, or no gradients there.
        """
        try:
            return self._attention(fed, self._flat(cotangents))
        except ValueError as error:
            raise ModelError(f"The attention of {self._label} has no gradients: {error}.") from None

    def relevance(self, fed: Any, cotangents: Array) -> Array:
        """Return what the backward pass of AttnLRP gives at the input, ``(n, F, H, W, C)``.

        The arguments are those of :meth:`attention`.

        Raises:
            ModelError: the graph has no attention, or an operation that has no rule.
        """
        flat = self._flat(cotangents)
        try:
            backward = self._backward
        except ValueError as error:
            raise ModelError(f"AttnLRP can't explain {self._label}: {error}.") from None
        passed = backward.forward(fed)
        found = [backward.back(passed, tf.constant(flat[:, index])).numpy() for index in range(flat.shape[1])]
        return np.stack(found, axis=1)

    @cached_property
    def _attention(self) -> Attention:
        return Attention(self._cutter.cut, self._input, self._scores, self._weights)

    @cached_property
    def _backward(self) -> Backward:
        scores = with_rules(self._cutter, self._wrapped, self._input, self._scores)
        return Backward(self._cutter.cut, self._input, scores, self._input)

    def _flat(self, cotangents: Array) -> Array:
        """Return gradients with respect to the scores as ``(n, F, S)``."""
        if not self:
            raise ModelError(f"{self._label} has no self-attention.")
        return cotangents.reshape(*cotangents.shape[:2], self._scores.shape[1])


def unplaced(layers: Mapping[str, FeatureLayer], weights: Sequence[Any]) -> bool:
    """Tell whether a network has attention, but no layer behind the first of it.

    Args:
        layers: the layers by name, first to last.
        weights: the attention weights of all blocks, first to last.
    """
    if not weights:
        return False
    behind = reach(weights[0].op, up=False)
    return not any(layer.tensor.op in behind for layer in layers.values())
