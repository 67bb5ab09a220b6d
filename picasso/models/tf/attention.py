"""Find self-attention in a graph, and compute attention weights with their gradients by one pass each.

Attention weights are the output of a softmax over the keys, which is multiplied by values of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from picasso.models.arrays import Array
from picasso.models.tf.backward import between, ordered
from picasso.models.tf.feature_layers import consumers_of, reach
from picasso.models.tf.place_operations import PRODUCTS, sizes
from picasso.models.tf.runtime import tf, tf1

# Operations between the softmax and the product that keep the weights: an Identity is what is left of a dropout.
KEEPING = {"Cast", "Identity", "Reshape"}


def attention_weights(inputs: Any, scores: Any) -> list[Any]:
    """Return the attention weights between two operations, first to last.

    They are ``(N, heads, queries, keys)``, or ``(N', queries, keys)`` with heads or windows within the
    first axis.

    Args:
        inputs: the input operation of the images.
        scores: the operation that computes the logits.
    """
    downstream = reach(inputs, up=False)
    order = [one for one in inputs.graph.get_operations() if one.type == "Softmax" and one in downstream]
    if not order:
        return []
    among = downstream & reach(scores, up=True)
    return [
        one.outputs[0] for one in order if one in among and one.outputs[0].shape.rank in (3, 4) and mixes(one, among)
    ]


def mixes(softmax: Any, among: Collection[Any]) -> bool:
    """Tell whether the output of a softmax is multiplied, as a matrix, by values that depend on the image."""
    waiting = [softmax]
    while waiting:
        current = waiting.pop()
        for one in consumers_of(current, among):
            if one.type in PRODUCTS or one.type == "Einsum":
                return all(tensor.op in among for tensor in one.inputs)
            if one.type in KEEPING:
                waiting.append(one)
    return False


def between_tokens(weights: Sequence[Any], count: int) -> bool:
    """Tell whether all attention weights are between the same ``count`` tokens of an image.

    Attention of a single query, by which some networks pool the tokens, is allowed; attention within windows is not.
    """
    sides = [tuple(sizes(tensor)[-2:]) for tensor in weights]
    return (count, count) in sides and all(side in ((count, count), (1, count)) for side in sides)


class Attention:
    """Attention weights, and their gradients for functions of the scores: one forward pass, and one pass back for each.

    Args:
        cut: returns the part of the graph between two lists of tensors as a compiled function.
        inputs: the input of the graph, ``(N, H, W, C)``.
        scores: the scores, ``(N, S)``.
        weights: attention weights of B blocks, between the same T tokens.

    Raises:
        ValueError: the scores do not depend on the weights in a differentiable way.
    """

    def __init__(
        self, cut: Callable[[Sequence[Any], Sequence[Any]], Any], inputs: Any, scores: Any, weights: Sequence[Any]
    ) -> None:
        with scores.graph.as_default():
            given = tf1.placeholder(tf.float32, [None, scores.shape[1]])
            try:
                products = tf.gradients(scores, list(weights), grad_ys=tf.identity(given))
            except LookupError as error:
                raise ValueError(f"an operation has no gradient: {error}") from error
            # The scores do not depend on what is attended to by tokens that are not read.
            products = [
                tf.zeros_like(one) if found is None else tf.convert_to_tensor(found)
                for one, found in zip(weights, products, strict=True)
            ]
        kept = between(inputs.op, given.op, ordered([one.op for one in products]))
        kept = [inputs] if kept is None else kept
        self._count = len(weights)
        self._forward, self._back = cut([inputs], [*weights, *kept]), cut([given, *kept], products)

    def __call__(self, fed: Any, cotangents: Array) -> tuple[list[Array], Iterator[list[Array]]]:
        """Return the weights of each block ``(n, heads, T, T)``, and their gradients, one function after the other.

        Args:
            fed: the images ``(n, H, W, C)``, a tensor.
            cotangents: the gradients of the functions with respect to the scores, ``(n, functions, S)``.
        """
        found = self._forward(fed)
        weights, kept = found[: self._count], found[self._count :]
        gradients = (
            [by_head(one, len(cotangents)) for one in self._back(tf.constant(cotangents[:, index]), *kept)]
            for index in range(cotangents.shape[1])
        )
        return [by_head(one, len(cotangents)) for one in weights], gradients


def by_head(values: Any, count: int) -> Array:
    """Return values for attention weights as ``(n, heads, T, T)``; exporters put heads into the first axis."""
    array = np.asarray(values.numpy(), np.float32)
    return array.reshape(count, -1, *array.shape[-2:])
