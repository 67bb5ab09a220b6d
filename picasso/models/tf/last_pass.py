"""The last forward pass of a single image, which its prediction and its gradients share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from picasso.models.arrays import Array
from picasso.models.tf.backward import Backward, Pass

# The most bytes that a forward pass may leave in memory.
KEPT = 100_000_000


class Remembered(NamedTuple):
    """A forward pass, with the name of the tensor and the input that it belongs to."""

    tensor: str
    inputs: Array
    passed: Pass


class LastPass:
    """Predicts single images by the forward pass that the gradients that were computed last need.

    A person looks at one image after the other with one method: its prediction comes first, and then gradients at one
    layer or at the input. Both need the same forward pass. Only the last one is kept, if it is not large. If the
    next prediction comes without such gradients in between, as in questions about hidden parts, none are expected any
    longer.

    Args:
        cut: returns the part of the graph between two lists of tensors as a compiled function.
        source: the input of the graph, ``(N, H, W, C)``.
        answers: the outputs and the scores of the graph.
    """

    def __init__(self, cut: Callable[[Sequence[Any], Sequence[Any]], Any], source: Any, answers: Sequence[Any]) -> None:
        self._cut, self._source, self._answers = cut, source, list(answers)
        self._functions: dict[str, Any] = {}
        self._expected = ""
        self._last: Remembered | None = None

    def predict(self, inputs: Array, fed: Any) -> list[Any] | None:
        """Return the outputs and the scores of a single image, or None if no gradients are expected.

        Args:
            inputs: ``(n, H, W, C)``.
            fed: the same as a tensor of the type of the graph's input.
        """
        tensor, self._expected, self._last = self._expected, "", None
        if not tensor or len(inputs) != 1:
            return None
        outputs, scores, value, *kept = self._functions[tensor](fed)
        self._last = Remembered(tensor, np.array(inputs), Pass(value, kept))
        return [outputs, scores]

    def passed(self, tensor: str, backward: Backward, inputs: Array, fed: Any) -> Pass:
        """Return the forward pass of inputs for gradients at a tensor: the last one, or a new one.

        Args:
            tensor: the name of the tensor.
            backward: its passes.
            inputs: ``(n, H, W, C)``.
            fed: the same as a tensor of the type of the graph's input.
        """
        last = self._last
        same = last and last.tensor == tensor and np.array_equal(last.inputs, inputs)
        found = last.passed if last and same else backward.forward(fed)
        if len(inputs) == 1 and size(found) <= KEPT:
            if tensor not in self._functions:
                self._functions[tensor] = self._cut([self._source], [*self._answers, *backward.needed])
            self._expected, self._last = tensor, Remembered(tensor, np.array(inputs), found)
        return found


def size(passed: Pass) -> int:
    """Return the number of bytes that a forward pass leaves in memory."""
    return sum(tensor.shape.num_elements() * tensor.dtype.size for tensor in (passed.value, *passed.kept))
