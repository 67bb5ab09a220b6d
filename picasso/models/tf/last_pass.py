"""The last forward pass of a single image, which its prediction and its gradients at a layer share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from picasso.models.arrays import Array
from picasso.models.tf.backward import Backward, Pass


class Remembered(NamedTuple):
    """A forward pass, with the name of the layer and the input that it belongs to."""

    layer: str
    inputs: Array
    passed: Pass


class LastPass:
    """Predicts single images by the forward pass that gradients at the layer that was used last need.

    A person looks at one image with one method after another: its prediction comes first, and then gradients at one
    layer. Both need the same forward pass, of which only one is kept. It is used for layers, not for the input, whose
    backward pass needs the values of all layers.

    Args:
        cut: returns the part of the graph between two lists of tensors as a compiled function.
        source: the input of the graph, ``(N, H, W, C)``.
        answers: the outputs and the scores of the graph.
    """

    def __init__(self, cut: Callable[[Sequence[Any], Sequence[Any]], Any], source: Any, answers: Sequence[Any]) -> None:
        self._cut, self._source, self._answers = cut, source, list(answers)
        self._functions: dict[str, Any] = {}
        self._layer = ""
        self._last: Remembered | None = None

    def expect(self, layer: str, backward: Backward) -> None:
        """Expect gradients at a layer after the next prediction, as after the last one."""
        if layer not in self._functions:
            self._functions[layer] = self._cut([self._source], [*self._answers, *backward.needed])
        self._layer = layer

    def predict(self, inputs: Array, fed: Any) -> list[Any] | None:
        """Return the outputs and the scores of a single image, or None if no gradients are expected.

        Args:
            inputs: ``(n, H, W, C)``.
            fed: the same as a tensor of the type of the graph's input.
        """
        if not self._layer or len(inputs) != 1:
            return None
        outputs, scores, value, *kept = self._functions[self._layer](fed)
        self.keep(self._layer, inputs, Pass(value, kept))
        return [outputs, scores]

    def keep(self, layer: str, inputs: Array, passed: Pass) -> None:
        """Keep the forward pass of a single image for further gradients at the same layer."""
        if len(inputs) == 1:
            self._last = Remembered(layer, np.array(inputs), passed)

    def find(self, layer: str, inputs: Array) -> Pass | None:
        """Return the forward pass of these inputs if it was kept."""
        last = self._last
        return last.passed if last and last.layer == layer and np.array_equal(last.inputs, inputs) else None
