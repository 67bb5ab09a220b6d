"""What is computed at the layers of a graph: feature maps, gradients there, and answers while a layer is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models.arrays import Array, Classes
from picasso.models.edits import Edit, Edited
from picasso.models.layer_pass import LayerPass
from picasso.models.tf.backward import Backward, Pass
from picasso.models.tf.built_graph import BuiltGraph
from picasso.models.tf.editing import Before, Editing
from picasso.models.tf.feature_layers import FeatureLayer
from picasso.models.tf.gradients import Gradients
from picasso.models.tf.rectified import unrectified
from picasso.models.tf.runtime import tf


class LayerFunctions:
    """The functions of the layers of a graph, which are compiled on first use.

    Args:
        built: the graph.
        layers: its layers by name.
        tensors: the tensor of each layer from which functions are cut.
        answers: the outputs and the scores, one row for each image.
        shape: the shape of the outputs of an image.
        gradients: the gradients with respect to tensors.
    """

    def __init__(
        self,
        built: BuiltGraph,
        layers: Mapping[str, FeatureLayer],
        tensors: Mapping[str, Any],
        answers: Sequence[Any],
        shape: Sequence[int],
        gradients: Gradients,
    ) -> None:
        self._built, self._layers, self._tensors, self._answers = built, layers, tensors, answers
        self._shape, self._gradients = shape, gradients
        self._maps: dict[str, Any] = {}
        self._editing: dict[str, Editing] = {}
        self._passed: dict[tuple[str, bool], Any] = {}
        self._sums: dict[tuple[str, bool], tuple[Backward, NDArray[np.int64]]] = {}

    def feature_maps(self, inputs: Array, layer: str) -> Array:
        """Return the feature maps of a layer, ``(N, h, w, c)``."""
        if layer not in self._maps:
            self._maps[layer] = self._built.cut([self._built.input], [self._tensors[layer]])
        return self._layers[layer].maps(self._built.call(self._maps[layer], inputs)[0])

    def feature_gradients(self, inputs: Array, cotangents: Array, layer: str) -> Array:
        """Return the gradients of T functions of the scores with respect to a layer's maps, ``(N, T, h, w, c)``."""
        _, gradients = self.features(inputs, cotangents, layer)
        return np.stack(list(gradients), axis=1)

    def features(self, inputs: Array, cotangents: Array, layer: str) -> tuple[Array, Iterator[Array]]:
        """Return a layer's feature maps ``(N, h, w, c)`` and, one function after the other, the gradients there."""
        values, gradients = self._gradients.passes(self._tensors[layer], inputs, cotangents)
        maps = self._layers[layer].maps
        return maps(values.numpy()), (maps(one) for one in gradients)

    def map_gradients(self, inputs: Array, weights: Array, layer: str, *, before: bool = False) -> Array:
        """Return the gradients of a weighted sum of a layer's feature maps with respect to the input, ``(N, H, W, C)``.

        Args:
            inputs: ``(N, H, W, C)``.
            weights: the weight of each value of the feature maps, ``(N, h, w, c)``.
            layer: the name of the layer.
            before: whether the sum is that of the values that go into the rectifier of the layer, if it has one.
        """
        known, tensor = self._layers[layer], self._tensors[layer]
        sides = tensor.shape.as_list()[1:]
        if (layer, before) not in self._sums:
            tensor = unrectified(tensor) if before else tensor
            with tensor.graph.as_default():
                flat_maps = tf.reshape(tf.cast(tensor, tf.float32), [-1, prod(sides)])
            # Feature maps are some of the values of the tensor, in another order.
            places = known.maps(np.arange(prod(sides)).reshape(1, *sides)).ravel()
            source = self._built.input
            self._sums[layer, before] = Backward(self._built.cut, source, flat_maps, source), places
        backward, places = self._sums[layer, before]
        cotangents = np.zeros((len(inputs), prod(sides)), np.float32)
        cotangents[:, places] = weights.reshape(len(inputs), -1)
        return np.asarray(backward.back(backward.forward(self._built.fed(inputs)), tf.constant(cotangents)).numpy())

    def edits(self, inputs: Array, layer: str, edits: Sequence[Edit], together: int) -> Iterator[Edited]:
        """Return the outputs and the scores, both exact, for each edit of a layer, ``(N, *spec.shape)``.

        Args:
            inputs: ``(N, H, W, C)``.
            layer: the name of the layer.
            edits: the edits.
            together: the maximum number of edits to compute together.
        """
        return self._edited(layer, self._built.fed(inputs), edits, together)

    def predict_from(
        self, inputs: Array, layer: str, maps: Iterable[Array], together: int
    ) -> Iterator[tuple[Array, Array]]:
        """Yield the outputs and the scores, both exact, for each replacement of a layer's maps, ``(N, *spec.shape)``.

        Args:
            inputs: ``(N, H, W, C)``.
            layer: the name of the layer.
            maps: the replacements, ``(N, h, w, c)`` each.
            together: the maximum number of replacements to compute together.
        """
        put = self._layers[layer].put
        for answers in self._editing_of(layer).replaced(self._built.fed(inputs), maps, put, together):
            read, scores = (one.reshape(-1, *self._shape) for one in answers)
            yield read, scores

    def layer_pass(self, inputs: Array, layer: str, together: int, *, differentiate: bool) -> LayerPass:
        """Return the feature maps of a layer, the outputs and the scores, all exact, by one forward pass.

        Args:
            inputs: ``(N, H, W, C)``.
            layer: the name of the layer.
            together: the maximum number of edits to compute together.
            differentiate: whether gradients will be asked for.
        """
        editing, tensor = self._editing_of(layer), self._tensors[layer]
        backward = self._gradients.backward_at(tensor) if differentiate else None
        needed = [*self._answers, *editing.needed, *(backward.needed[1:] if backward else [])]
        if (layer, differentiate) not in self._passed:
            self._passed[layer, differentiate] = self._built.cut([self._built.input], needed)
        fed, ends = self._built.fed(inputs), 2 + len(editing.needed)
        outputs, scores, value, *rest = self._passed[layer, differentiate](fed)
        before, passed = Before(value, rest[: ends - 3]), Pass(value, rest[ends - 3 :])
        maps = self._layers[layer].maps

        def gradients(classes: Classes) -> Array:
            if backward is None:
                raise ModelError("Gradients can't be taken of a forward pass that was made without them.")
            chosen = np.asarray(classes[:, None] == np.arange(self._shape[-1]), np.float32)
            return maps(backward.back(passed, tf.constant(chosen)).numpy())

        return LayerPass(
            maps(value.numpy()),
            outputs.numpy().reshape(-1, *self._shape),
            scores.numpy().reshape(-1, *self._shape),
            gradients,
            lambda edits: self._edited(layer, fed, edits, together, before),
        )

    def _edited(
        self, layer: str, fed: Any, edits: Sequence[Edit], together: int, before: Before | None = None
    ) -> Iterator[Edited]:
        """Yield the answers to edits of a layer; see :meth:`edits` and :meth:`Editing.answers`."""
        known = self._layers[layer]
        found = (edit.coefficients(known.shape[-1]) for edit in edits)
        changes = [(known.by_channel(factors), known.by_channel(offsets)) for factors, offsets in found]
        for answers in self._editing_of(layer).answers(fed, changes, together, before):
            read, scores = (one.reshape(-1, *self._shape) for one in answers)
            yield Edited(read, scores)

    def _editing_of(self, layer: str) -> Editing:
        """Return the parts of the graph before a layer and behind it, which are cut on first use."""
        if layer not in self._editing:
            self._editing[layer] = Editing(self._built.cut, self._built.input, self._answers, self._tensors[layer])
        return self._editing[layer]
