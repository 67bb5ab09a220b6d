"""A copy of a model whose weights can be replaced by random ones, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picasso.models.base import Model


@dataclass(frozen=True)
class RandomWeights:
    """A copy of a model with weights of its own, for tests whether maps depend on the weights.

    :meth:`picasso.models.base.Model.random_weights` returns it. The weights of the model itself are never changed.

    Attributes:
        model: the copy. It computes like the model until :attr:`randomize` is called, but slower.
        kernels: the names of the kernels of its convolutions and dense layers, the one next to the output first.
        randomize: called with a number n: the first n kernels become random, the others are as in the model.
    """

    model: Model
    kernels: tuple[str, ...]
    randomize: Callable[[int], None]
