"""A TensorFlow graph that computes all predictions and gradients of a model, built once and called without a session.

For any source (a live Keras model, an imported TensorFlow 1 graph), the operations are built inside one
``wrap_function``. The logits are searched for backwards from the output, the gradients are added, and each result is
extracted from the graph as a compiled function. The user's model is never changed. The kind of the output is determined
in :mod:`picasso.models.outputs`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.info import Layer
from picasso.models.outputs import Range, Training
from picasso.models.tf.attention import attention_weights
from picasso.models.tf.backward import before_last_product, differentiable, drawn, ordered
from picasso.models.tf.bfloat16 import bfloat16
from picasso.models.tf.built_graph import Build, BuiltGraph, evaluator
from picasso.models.tf.dropping import Dropping
from picasso.models.tf.feature_layers import FeatureLayer, coarsest, describe, feature_layers
from picasso.models.tf.folded import folded
from picasso.models.tf.gradients import Gradients
from picasso.models.tf.guided import RECTIFIERS
from picasso.models.tf.incremental.occlusion import Incremental
from picasso.models.tf.incremental.steps import Unsupported
from picasso.models.tf.interpretation import NOTHING_SAID, Interpretation, Said, Settled
from picasso.models.tf.last_pass import LastPass
from picasso.models.tf.layer_functions import LayerFunctions
from picasso.models.tf.random_kernels import RandomKernels, kernels
from picasso.models.tf.tokens import last_live, token_maps
from picasso.models.tf.transformers import UNPLACED, UNREAD, Transformer, unplaced
from picasso.models.tokens import TokenGrid

log = logging.getLogger(__name__)


class Graph:
    """The compiled functions of one model.

    Args:
        build: called with the new graph as default; returns the input tensor ``(N, H, W, C)`` and the output tensor
            with K values for each image or for each of its pixels.
        label: the name of the model in error messages.
        known: the framework's names of its layers.
        said: what the user configured about the output.
        trained: the task that the model was trained for, if its file states it.
        settled: the interpretation of the output if it is known from another graph built by ``build``.
        guided: if True, compute gradients by guided backpropagation.
        fixed: if True, the weights never change.
        replaced: if True, other weights are put in; then only whole images are computed.
        known_range: returns the range of the output if the operations of the graph do not show it.

    Attributes:
        input_shape: ``(H, W, C)``.
        fixed_batch: the fixed batch size, or None.
        integers: the minimum and maximum of an integer input, or None for a float input.
        spec: what the output means; a single class score becomes two, for the classes "not" and "is".
        decision: the interpretation of the output.
        found: a description of the source of the logits.
        inside: the functions of its layers.
        transformer: its attention weights, if it has any, and their gradients.
        notes: notes for the user, for example if log probabilities replace the logits.
        fast: if True, outputs, scores and occlusion are computed with bfloat16; gradients and feature maps never are.

    Raises:
        ModelError: the input is no image, or the output fits no task.
    """

    def __init__(
        self,
        build: Build,
        label: str,
        known: Collection[str] = (),
        *,
        said: Said = NOTHING_SAID,
        trained: Training | None = None,
        settled: Settled | None = None,
        guided: bool = False,
        fixed: bool = True,
        replaced: bool = False,
        known_range: Callable[[], Range | None] | None = None,
    ) -> None:
        self._build, self._known, self._said = build, known, said
        self._fixed, self._replaced, self.fast = fixed, replaced, False
        built = self._built = BuiltGraph(build, label, guided=guided)
        read = self._read = Interpretation(built, said, trained=trained, settled=settled, known_range=known_range)
        self.input_shape, self.fixed_batch, self.integers = built.input_shape, built.fixed_batch, built.integers
        self.spec, self.decision, self.found, self.notes = read.spec, read.decision, read.found, read.notes
        with built.wrapped.graph.as_default():
            layers = feature_layers(built.input.op, read.scores.op, known)
            scored = read.detection is None or read.detection.made.differentiable
            self._differentiable = scored and differentiable(built.input, read.flat_scores)
        ends = built.input.op, read.flat_scores.op
        self._token_maps = token_maps(*ends, known, built.try_place, built.computing)
        self._layers = self._token_maps.among(layers)
        weights = attention_weights(*ends)
        if unplaced(self._layers, weights):
            self._layers = {}
            self.notes += (UNPLACED,)
        tensors = [read.outputs, read.flat_scores, *(layer.tensor for layer in self._layers.values()), *weights]
        try:
            self._extract(folded(built.cutter, built.wrapped, built.input, tensors) if fixed else tensors)
        except Exception:
            # Folding only saves time.
            log.info("The normalizations of %s can't be folded; it is computed as it is.", label, exc_info=True)
            self._extract(tensors)
        self._described = (
            []
            if guided
            else describe(built.input.op, self._layers, built.try_place, self._default, placed=bool(weights))
        )
        if self._described and not any(layer.default for layer in self._described):
            self._described = []
            self.notes += (UNREAD,)

    # ---- building -----------------------------------------------------------------------------------------

    def _extract(self, tensors: Sequence[Any]) -> None:
        """Extract the predictions from the graph; gradients are extracted on first use.

        Args:
            tensors: the outputs, the flat scores, the feature maps of all layers, and all attention weights.
        """
        built, answers = self._built, tensors[:2]
        self._tensors = dict(zip(self._layers, tensors[2:], strict=False))
        weights = tensors[2 + len(self._layers) :]
        self.transformer = Transformer(built.cutter, built.wrapped, built.input, answers[1], weights, built.label)
        self._predict, self._folded_answers = built.cut([built.input], answers), answers
        # Weights that change, and random numbers, make each forward pass another one.
        repeatable = self._fixed and not drawn(ordered([tensor.op for tensor in answers]))
        self._last = LastPass(built.cut, built.input, answers) if repeatable else None
        self._gradients = Gradients(built, answers[1], self._last)
        self.inside = LayerFunctions(built, self._layers, self._tensors, answers, self.spec.shape, self._gradients)

    def _default(self, layers: Mapping[str, FeatureLayer]) -> str | None:
        """Return the name of the default layer."""
        if self._read.layout.is_map or self._read.detection:
            return coarsest(layers, self._read.layout.count)
        if not self._differentiable or not any(layer.grid for layer in layers.values()):
            return next(reversed([*layers]), None)
        return last_live(layers, lambda name: layers[name].maps(self._tried_gradient(self._tensors[name])))

    def _tried_gradient(self, tensor: Any) -> Array:
        """Return the gradient of a mixture of all scores at a tensor, for an image of noise, ``(1, ...)``."""
        noise = np.random.default_rng(0).random((self.fixed_batch or 1, *self.input_shape), np.float32)
        mixture = np.arange(1, self._read.flat_scores.shape[1] + 1, dtype=np.float32)
        return self._gradients.products(tensor, noise, np.tile(mixture, (len(noise), 1, 1)))[:1, 0]

    # ---- predictions and gradients ------------------------------------------------------------------------

    def outputs(self, inputs: Array) -> Array:
        """Return the outputs ``(N, *spec.shape)``, float32; probabilities in 0..1 unless they are numbers."""
        return self._answers(inputs)[0].reshape(-1, *self.spec.shape)

    def exact_outputs(self, inputs: Array) -> Array:
        """Return the outputs as :meth:`outputs` does without fast arithmetic."""
        return self._built.call(self._predict, inputs)[0].reshape(-1, *self.spec.shape)

    def answers(self, inputs: Array) -> Array:
        """Return the numbers that the model itself returns, ``(N, D)``, float32."""
        (found,) = self._built.call(self._built.cut([self._built.input], [self._read.answered]), inputs)
        return found.reshape(len(inputs), -1).astype(np.float32)

    def scores(self, inputs: Array) -> Array:
        """Return the scores ``(N, *spec.shape)``, float32: the logits, or the numbers themselves."""
        return self._answers(inputs)[1].reshape(-1, *self.spec.shape)

    def _answers(self, inputs: Array) -> list[Array]:
        """Return the outputs and the flat scores."""
        fed = self.fed(inputs)
        if self.fast:
            # The rest is exact, so that scores have small steps and probabilities sum to 1. Feature maps are exact, so
            # that a fast prediction can't share them.
            body, tail = self._halves
            with bfloat16(True):
                (before,) = body(fed)
            found = tail(before)
        else:
            found = (self._last and self._last.predict(inputs, fed)) or self._predict(fed)
        return [tensor.numpy() for tensor in found]

    @cached_property
    def _halves(self) -> tuple[Any, Any]:
        """The graph before its last product as a function, and that product with what follows."""
        try:
            middle = before_last_product(self._built.input, self._folded_answers)
        except ValueError:
            raise ModelError(
                f"{self._built.label} has no last dense layer or convolution on which all answers depend"
            ) from None
        return self._built.cut([self._built.input], [middle]), self._built.cut([middle], self._folded_answers)

    def gradients(self, inputs: Array, cotangents: Array) -> Array:
        """Return the gradients of T scalar functions of the scores with respect to the input, ``(N, T, H, W, C)``.

        Args:
            inputs: ``(N, H, W, C)``.
            cotangents: the gradients of the T functions with respect to the scores, ``(N, T, *spec.shape)``.
        """
        return self._gradients.products(self._built.input, inputs, cotangents)

    def fed(self, inputs: Array) -> Any:
        """Return inputs in the type of the graph's input; for integers, they are rounded and clipped."""
        return self._built.fed(inputs)

    # ---- what is known of it -------------------------------------------------------------------------------

    @property
    def differentiable(self) -> bool:
        """Tell whether the logits have a gradient with respect to the input."""
        return self._differentiable

    def layers(self) -> Sequence[Layer]:
        """Return the layers with feature maps, first to last."""
        return self._described

    def value_range(self) -> str:
        """Return the range of pixel values implied by the first operations, or ""; see :func:`input_values.find`."""
        return self._built.value_range()

    def token_gradient(self) -> tuple[TokenGrid, Array] | None:
        """Return the grid of the last tokens, and the gradient of the scores there for some image, ``(T, D)``."""
        last = next((layer for layer in reversed(self._layers.items()) if layer[1].grid), None)
        return (last[1].grid, self._tried_gradient(self._tensors[last[0]])[0]) if last and last[1].grid else None

    # ---- other computations of it --------------------------------------------------------------------------

    @cached_property
    def dropping(self) -> Dropping:
        """Predictions for images some of whose tokens are left out."""
        answers = self._read.outputs, self._read.flat_scores
        built = self._built
        return Dropping(built.cutter, built.wrapped, built.input, answers, self._token_maps, built.label)

    def guided(self) -> Graph:
        """Return the same classifier with gradients by guided backpropagation.

        Raises:
            ModelError: the graph has no ReLUs.
        """
        operations = {operation.type for operation in self._built.wrapped.graph.get_operations()}
        if not operations & RECTIFIERS.keys():
            raise ModelError(f"{self._built.label} has no rectifiers (ReLU), which guided backpropagation requires.")
        return Graph(
            self._build,
            self._built.label,
            self._known,
            said=self._said,
            settled=self._read.settled,
            guided=True,
            fixed=self._fixed,
            replaced=self._replaced,
        )

    def random_kernels(self, seed: int) -> tuple[Graph, RandomKernels]:
        """Return the same model as a graph with kernels of its own, and these kernels, which can become random.

        Raises:
            ModelError: no kernels are found, or they are inside of functions.
        """
        tensors = kernels(self._built.input, self._read.answered)
        if not tensors:
            raise ModelError(f"{self._built.label} has no kernels of convolutions or dense layers that can be found.")
        values = self._built.evaluate(tensors)
        named = {tensor.name: value.numpy() for tensor, value in zip(tensors, values, strict=True)}
        random = RandomKernels(self._build, named, seed)
        graph = Graph(
            random.build,
            self._built.label,
            self._known,
            said=self._said,
            settled=self._read.settled,
            fixed=False,
            replaced=True,
            known_range=self._read.range_of,
        )
        return graph, random

    def incremental(self) -> Incremental:
        """Return the incremental computation of occlusion maps for this graph.

        Raises:
            Unsupported: the graph has a structure or an operation that is not supported.
        """
        if self._replaced:
            raise Unsupported("its weights are replaced")
        if self.fixed_batch:
            raise Unsupported(f"the model has a fixed batch size of {self.fixed_batch}")
        wrapped, source, target = self._built.inlined(self._read.outputs)
        return Incremental(source, target, evaluator(wrapped), fast=self.fast)
