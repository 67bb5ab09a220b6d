"""The head of a classifier: its last dense layer, in NumPy, which can be replaced in a copy of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array, Classes

if TYPE_CHECKING:
    from picasso.models.base import Model

Values = NDArray[np.float64]


class Link(StrEnum):
    """How a model turns the output of its last dense layer into probabilities."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"


@dataclass(frozen=True, eq=False)
class HeadWeights:
    """The weights of a dense layer.

    Attributes:
        kernel: ``(D, K)`` for D features and K classes. A layer with one unit, the probability of the second of two
            classes, is stored as two columns, the first of which is zero.
        bias: ``(K,)``; zero if the layer has none.

    Examples:
        >>> import numpy as np
        >>> from picasso.models.head import HeadWeights
        >>> weights = HeadWeights(np.array([[0.0, 2.0]]), np.array([0.0, 1.0]))
        >>> weights.logits(np.array([[3.0]])).tolist()
        [[0.0, 7.0]]
    """

    kernel: Values
    bias: Values

    def logits(self, features: NDArray[np.floating]) -> Values:
        """Return the logits ``(n, K)`` of features ``(n, D)``."""
        return np.asarray(features.astype(np.float64) @ self.kernel + self.bias, np.float64)


class Head(ABC):
    """The last dense layer of a model, and what comes before and after it.

    :meth:`picasso.models.base.Model.head` returns it.

    Attributes:
        name: the name of the layer.
        weights: its weights.
        link: the function after it.
        has_bias: False if its bias can't be changed from zero.
    """

    name: str
    weights: HeadWeights
    link: Link
    has_bias: bool

    @abstractmethod
    def features(self, inputs: Array) -> Array:
        """Return the inputs of the layer, ``(n, D)`` float32, for inputs of the model ``(n, H, W, C)``."""

    @abstractmethod
    def write(self, weights: HeadWeights, file: Path) -> None:
        """Write a copy of the model with other weights of the head as a ``.keras`` file.

        The model in memory and its file stay the same.

        Raises:
            BadRequest: the file exists, or does not end in ``.keras``.
            ModelError: the framework can't write this model.
        """

    @abstractmethod
    def reload(self, file: Path) -> Model:
        """Return the model in a file that :meth:`write` wrote, with the preprocessing and labels of this one.

        Raises:
            ModelError: the file can't be read.
        """

    @abstractmethod
    def train(
        self,
        inputs: Array,
        targets: Classes,
        weights: NDArray[np.float32],
        *,
        rate: float,
        seed: int,
        between: Callable[[], None],
    ) -> None:
        """Train all layers with each input once, by Adam.

        The weights of the model in memory change, and those of the head with them. Normalization and dropout layers
        work as in predictions. Only for models that :meth:`reload` returned. The moments of the gradients are kept
        between calls.

        Args:
            inputs: ``(n, H, W, C)``.
            targets: the classes, ``(n,)``.
            weights: the weight of each input in the loss, ``(n,)``.
            rate: the learning rate.
            seed: the seed of the order of the inputs.
            between: called before each batch.
        """

    def probabilities(self, logits: Values) -> Values:
        """Return the probabilities ``(n, K)`` of logits."""
        return linked(logits, self.link)


def linked(logits: Values, link: Link) -> Values:
    """Return the probabilities of logits ``(n, K)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.models.head import Link, linked
        >>> linked(np.zeros((1, 4)), Link.SOFTMAX).tolist(), linked(np.zeros((1, 4)), Link.SIGMOID).tolist()
        ([[0.25, 0.25, 0.25, 0.25]], [[0.5, 0.5, 0.5, 0.5]])
    """
    if link is Link.SIGMOID:
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def two_columns(kernel: NDArray[np.floating], bias: NDArray[np.floating]) -> HeadWeights:
    """Return weights with a column for each class; a single unit gets a first column of zeros."""
    if kernel.shape[1] == 1:
        kernel, bias = np.pad(kernel, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
    return HeadWeights(kernel.astype(np.float64), bias.astype(np.float64))


def one_column(weights: HeadWeights, units: int) -> Sequence[NDArray[np.float32]]:
    """Return the kernel and the bias of a layer with so many units; the inverse of :func:`two_columns`."""
    kernel, bias = weights.kernel, weights.bias
    if units == 1:
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    return kernel.astype(np.float32), bias.astype(np.float32)
