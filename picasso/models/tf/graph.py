"""A TensorFlow graph that computes all predictions and gradients of a model, built once and called without a session.

For any source (a live Keras model, an imported TensorFlow 1 graph), the operations are built inside one
``wrap_function``. The logits are searched for backwards from the output, the gradients are added, and each result is
extracted from the graph as a compiled function. The user's model is never changed. The kind of the output is determined
in :mod:`picasso.models.outputs`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models import outputs, value_range
from picasso.models.arrays import Array, Classes, Shape, fill_up
from picasso.models.edits import Edit, Edited
from picasso.models.info import Layer, Place
from picasso.models.layer_pass import LayerPass
from picasso.models.outputs import Decision, OutputKind, Range, Training, probes
from picasso.models.outputs.tensorflow_graph import FUNCTIONS, GraphReader, find_scores
from picasso.models.tf import input_values, integer_inputs
from picasso.models.tf.attention import attention_weights
from picasso.models.tf.backward import Backward, Pass, before_last_product, differentiable, drawn, ordered
from picasso.models.tf.bfloat16 import bfloat16
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.dropping import Dropping
from picasso.models.tf.editing import Before, Editing
from picasso.models.tf.feature_layers import FeatureLayer, coarsest, describe, feature_layers, reach
from picasso.models.tf.folded import folded
from picasso.models.tf.guided import RECTIFIERS
from picasso.models.tf.incremental.inlining import has_calls, inlined
from picasso.models.tf.incremental.occlusion import Incremental
from picasso.models.tf.incremental.steps import Unsupported
from picasso.models.tf.last_pass import LastPass
from picasso.models.tf.probing import tried
from picasso.models.tf.random_kernels import RandomKernels, kernels
from picasso.models.tf.rectified import unrectified
from picasso.models.tf.runtime import tf, tf1
from picasso.models.tf.tokens import last_live, token_maps
from picasso.models.tf.transformers import UNPLACED, UNREAD, Transformer, unplaced
from picasso.models.tokens import TokenGrid
from picasso.targets import Detection, OutputSpec, OutputTask

Build = Callable[[], tuple[Any, Any]]
log = logging.getLogger(__name__)

# The maximum difference between the probabilities and those computed from the scores that were found.
TOLERANCE = 1e-3
# The same if the probabilities are rounded to 8 bits: half a step, and a little.
TOLERANCE_ROUNDED = 2.5e-3
STAND_IN = (
    "No softmax or sigmoid was found whose input gives the output, so {what} are used instead of logits: gradients "
    "vanish where the model is certain."
)


# About this many pixels of the output for a test image suffice to tell the kind of its values.
PIXELS = 1024


class Said(NamedTuple):
    """What the user configured about the output.

    Attributes:
        kind: the kind of its values.
        task: the task.
        unit: the unit of the values of a regression.
        decoder: the name of the decoder of detections.
        classes: the number of classes of a detector.
        decode_boxes: the function of the model's class that decodes detections.
    """

    kind: OutputKind | None = None
    task: OutputTask | None = None
    unit: str = ""
    decoder: str = ""
    classes: int | None = None
    decode_boxes: Callable[..., Any] | None = None


class Several(NamedTuple):
    """Several outputs.

    Attributes:
        flat: all values of an image side by side, ``(N, D)``.
        shapes: the shape of each output without the batch axis, by name; unknown lengths are 0.
    """

    flat: Any
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, tensors: Mapping[str, Any]) -> Several:
        """Return the outputs ``(N, ...)`` with the names."""
        shapes = {name: tuple(side or 0 for side in tensor.shape.as_list()[1:]) for name, tensor in tensors.items()}
        flat = [tf.reshape(tf.cast(tensor, tf.float32), [-1, prod(shapes[name])]) for name, tensor in tensors.items()]
        return cls(flat[0] if len(flat) == 1 else tf.concat(flat, 1), shapes)


class Settled(NamedTuple):
    """The interpretation of a graph's output, for other graphs built by the same function.

    Attributes:
        decision: the interpretation of the output.
        verified: True if scores were found that reproduce the probabilities.
    """

    decision: Decision
    verified: bool


NOTHING_SAID = Said()


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
        self._range_of = known_range or self._range
        self._build, self._label, self._known, self._said, self._guided = build, label, known, said, guided
        self._fixed, self._replaced, self.fast = fixed, replaced, False
        self._backward: dict[str, Backward] = {}
        self._layers: dict[str, FeatureLayer] = {}
        self._maps: dict[str, Any] = {}
        self._editing: dict[str, Editing] = {}
        self._passed: dict[tuple[str, bool], Any] = {}
        self._sums: dict[tuple[str, bool], tuple[Backward, NDArray[np.int64]]] = {}
        self._wrapped = tf1.wrap_function(self._assemble, [])
        self._cutter = Cutter(self._wrapped)
        with self._wrapped.graph.as_default():
            reader = GraphReader(self._input.op, evaluator(self._wrapped))
            self._values = channels_last(self._answered) if self._layout.channels_first else self._answered
            self._scores = None if self._detection else find_scores(self._values, reader, self._layout.shape)
            if self._answered.shape.rank != len(self._layout.shape) + 1:
                self._values = tf.reshape(self._answered, [-1, *self._layout.shape])
            self._values = tf.cast(self._values, tf.float32)
        self._settled = settled or self._settle(trained)
        self.decision = self._settled.decision
        with self._wrapped.graph.as_default():
            self._finish()
        ends = self._input.op, self._flat_scores.op
        self._token_maps = token_maps(*ends, self._known, self._try_place, self._computing)
        self._layers = self._token_maps.among(self._layers)
        weights = attention_weights(*ends)
        if unplaced(self._layers, weights):
            self._layers = {}
            self.notes += (UNPLACED,)
        tensors = [self._outputs, self._flat_scores, *(layer.tensor for layer in self._layers.values()), *weights]
        try:
            self._extract(folded(self._cutter, self._wrapped, self._input, tensors) if fixed else tensors)
        except Exception:
            # Folding only saves time.
            log.info("The normalizations of %s can't be folded; it is computed as it is.", self._label, exc_info=True)
            self._extract(tensors)
        self._described = (
            []
            if guided
            else describe(self._input.op, self._layers, self._try_place, self._default, placed=bool(weights))
        )
        if self._described and not any(layer.default for layer in self._described):
            self._described = []
            self.notes += (UNREAD,)

    # ---- predictions and gradients ------------------------------------------------------------------------

    def outputs(self, inputs: Array) -> Array:
        """Return the outputs ``(N, *spec.shape)``, float32; probabilities in 0..1 unless they are numbers."""
        return self._answers(inputs)[0].reshape(-1, *self.spec.shape)

    def exact_outputs(self, inputs: Array) -> Array:
        """Return the outputs as :meth:`outputs` does without fast arithmetic."""
        return self._call(self._predict, inputs)[0].reshape(-1, *self.spec.shape)

    def answers(self, inputs: Array) -> Array:
        """Return the numbers that the model itself returns, ``(N, D)``, float32."""
        (found,) = self._call(self._cut([self._input], [self._answered]), inputs)
        return found.reshape(len(inputs), -1).astype(np.float32)

    def scores(self, inputs: Array) -> Array:
        """Return the scores ``(N, *spec.shape)``, float32: the logits, or the numbers themselves."""
        return self._answers(inputs)[1].reshape(-1, *self.spec.shape)

    def gradients(self, inputs: Array, cotangents: Array) -> Array:
        """Return the gradients of T scalar functions of the scores with respect to the input, ``(N, T, H, W, C)``.

        Args:
            inputs: ``(N, H, W, C)``.
            cotangents: the gradients of the T functions with respect to the scores, ``(N, T, *spec.shape)``.
        """
        return self._products(self._input, inputs, cotangents)

    def feature_maps(self, inputs: Array, layer: str) -> Array:
        """Return the feature maps of a layer, ``(N, h, w, c)``."""
        if layer not in self._maps:
            self._maps[layer] = self._cut([self._input], [self._tensors[layer]])
        return self._layers[layer].maps(self._call(self._maps[layer], inputs)[0])

    def feature_gradients(self, inputs: Array, cotangents: Array, layer: str) -> Array:
        """Return the gradients with respect to a layer's feature maps, ``(N, T, h, w, c)``; see :meth:`gradients`."""
        _, gradients = self.features(inputs, cotangents, layer)
        return np.stack(list(gradients), axis=1)

    def features(self, inputs: Array, cotangents: Array, layer: str) -> tuple[Array, Iterator[Array]]:
        """Return a layer's feature maps ``(N, h, w, c)`` and, one function after the other, the gradients there."""
        values, gradients = self._passes(self._tensors[layer], inputs, cotangents)
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
            self._sums[layer, before] = Backward(self._cut, self._input, flat_maps, self._input), places
        backward, places = self._sums[layer, before]
        cotangents = np.zeros((len(inputs), prod(sides)), np.float32)
        cotangents[:, places] = weights.reshape(len(inputs), -1)
        return np.asarray(backward.back(backward.forward(self.fed(inputs)), tf.constant(cotangents)).numpy())

    def edits(self, inputs: Array, layer: str, edits: Sequence[Edit], together: int) -> Iterator[Edited]:
        """Return the outputs and the scores, both exact, for each edit of a layer, ``(N, *spec.shape)``.

        Args:
            inputs: ``(N, H, W, C)``.
            layer: the name of the layer.
            edits: the edits.
            together: the maximum number of edits to compute together.
        """
        return self._edited(layer, self.fed(inputs), edits, together)

    def _edited(
        self, layer: str, fed: Any, edits: Sequence[Edit], together: int, before: Before | None = None
    ) -> Iterator[Edited]:
        """Yield the answers to edits of a layer; see :meth:`edits` and :meth:`Editing.answers`."""
        known = self._layers[layer]
        found = (edit.coefficients(known.shape[-1]) for edit in edits)
        changes = [(known.by_channel(factors), known.by_channel(offsets)) for factors, offsets in found]
        for answers in self._editing_of(layer).answers(fed, changes, together, before):
            read, scores = (one.reshape(-1, *self.spec.shape) for one in answers)
            yield Edited(read, scores)

    def layer_pass(self, inputs: Array, layer: str, together: int, *, differentiate: bool) -> LayerPass:
        """Return the feature maps of a layer, the outputs and the scores, all exact, by one forward pass.

        Args:
            inputs: ``(N, H, W, C)``.
            layer: the name of the layer.
            together: the maximum number of edits to compute together.
            differentiate: whether gradients will be asked for.
        """
        editing, tensor = self._editing_of(layer), self._tensors[layer]
        backward = self._backward_at(tensor) if differentiate else None
        needed = [*self._folded_answers, *editing.needed, *(backward.needed[1:] if backward else [])]
        if (layer, differentiate) not in self._passed:
            self._passed[layer, differentiate] = self._cut([self._input], needed)
        fed, ends = self.fed(inputs), 2 + len(editing.needed)
        outputs, scores, value, *rest = self._passed[layer, differentiate](fed)
        before, passed = Before(value, rest[: ends - 3]), Pass(value, rest[ends - 3 :])
        maps = self._layers[layer].maps

        def gradients(classes: Classes) -> Array:
            if backward is None:
                raise ModelError("Gradients can't be taken of a forward pass that was made without them.")
            chosen = np.asarray(classes[:, None] == np.arange(self.spec.shape[-1]), np.float32)
            return maps(backward.back(passed, tf.constant(chosen)).numpy())

        return LayerPass(
            maps(value.numpy()),
            outputs.numpy().reshape(-1, *self.spec.shape),
            scores.numpy().reshape(-1, *self.spec.shape),
            gradients,
            lambda edits: self._edited(layer, fed, edits, together, before),
        )

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
        for answers in self._editing_of(layer).replaced(self.fed(inputs), maps, put, together):
            read, scores = (one.reshape(-1, *self.spec.shape) for one in answers)
            yield read, scores

    def _editing_of(self, layer: str) -> Editing:
        """Return the parts of the graph before a layer and behind it, which are cut on first use."""
        if layer not in self._editing:
            self._editing[layer] = Editing(self._cut, self._input, self._folded_answers, self._tensors[layer])
        return self._editing[layer]

    def _products(self, tensor: Any, inputs: Array, cotangents: Array) -> Array:
        """Return vector-Jacobian products with respect to a tensor, ``(N, T, ...)``."""
        _, found = self._passes(tensor, inputs, cotangents)
        return np.stack(list(found), axis=1)

    def _passes(self, tensor: Any, inputs: Array, cotangents: Array) -> tuple[Any, Iterator[Array]]:
        """Return the value of a tensor, by a forward pass, and vector-Jacobian products, by a backward pass each."""
        backward, flat = self._backward_at(tensor), cotangents.reshape(*cotangents.shape[:2], -1)
        fed = self.fed(inputs)
        passed = self._last.passed(tensor.name, backward, inputs, fed) if self._last else backward.forward(fed)
        products = (backward.back(passed, tf.constant(flat[:, index])).numpy() for index in range(flat.shape[1]))
        return passed.value, products

    def _backward_at(self, tensor: Any) -> Backward:
        """Return the passes for the gradients of the scores with respect to a tensor."""
        if tensor.name not in self._backward:
            try:
                self._backward[tensor.name] = Backward(self._cut, self._input, self._folded_answers[1], tensor)
            except ValueError as error:
                where = "its input" if tensor is self._input else "that layer"
                raise ModelError(
                    f"The output of {self._label} can't be differentiated with respect to {where}: {error}."
                ) from None
        return self._backward[tensor.name]

    def value_range(self) -> str:
        """Return the range of pixel values implied by the first operations, or ""; see :func:`input_values.find`."""

        def evaluate(tensors: Sequence[Any]) -> list[Any]:
            function = self._cut([self._input], tensors)
            shape = (self.fixed_batch or 1, *self.input_shape)
            answers = [self._call(function, np.full(shape, value, np.float32)) for value in value_range.PROBES]
            return [np.stack(values) for values in zip(*answers, strict=True)]

        return self._bounded or input_values.find(self._input, self._scaled, evaluate)

    @property
    def differentiable(self) -> bool:
        """Tell whether the logits have a gradient with respect to the input."""
        return self._differentiable

    def guided(self) -> Graph:
        """Return the same classifier with gradients by guided backpropagation.

        Raises:
            ModelError: the graph has no ReLUs.
        """
        operations = {operation.type for operation in self._wrapped.graph.get_operations()}
        if not operations & RECTIFIERS.keys():
            raise ModelError(f"{self._label} has no rectifiers (ReLU), which guided backpropagation requires.")
        return Graph(
            self._build,
            self._label,
            self._known,
            said=self._said,
            settled=self._settled,
            guided=True,
            fixed=self._fixed,
            replaced=self._replaced,
        )

    def random_kernels(self, seed: int) -> tuple[Graph, RandomKernels]:
        """Return the same model as a graph with kernels of its own, and these kernels, which can become random.

        Raises:
            ModelError: no kernels are found, or they are inside of functions.
        """
        tensors = kernels(self._input, self._answered)
        if not tensors:
            raise ModelError(f"{self._label} has no kernels of convolutions or dense layers that can be found.")
        values = evaluator(self._wrapped)(tensors)
        named = {tensor.name: value.numpy() for tensor, value in zip(tensors, values, strict=True)}
        random = RandomKernels(self._build, named, seed)
        graph = Graph(
            random.build,
            self._label,
            self._known,
            said=self._said,
            settled=self._settled,
            fixed=False,
            replaced=True,
            known_range=self._range_of,
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
        wrapped, source, target = self._wrapped, self._input, self._outputs
        if has_calls(wrapped.graph):
            wrapped, source, target = inlined(wrapped.graph, source.name, target.name)
        return Incremental(source, target, evaluator(wrapped), fast=self.fast)

    # ---- building -----------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        """Build the operations in the default graph."""
        with tf1.get_default_graph().gradient_override_map(RECTIFIERS if self._guided else {}):
            self._input, answered = self._build()
            whole = integer_inputs.integer_type(self._input)
            if whole:
                integer_inputs.bypass(self._input)
        self.integers: tuple[int, int] | None = (whole.min, whole.max) if whole else None
        # This must happen before the operations of the gradients are added, which use the same tensors.
        self._scaled = input_values.behind_first_operations(self._input)
        self._bounded = input_values.bounded_to(self._input)
        shape = self._input.shape
        if shape.rank != 4 or None in shape.as_list()[1:]:
            raise ModelError(f"{self._label} must have one input of shape (N, H, W, C), but has {shape}.")
        self.input_shape: Shape = tuple(shape.as_list()[1:])
        self.fixed_batch: int | None = shape[0]
        if not isinstance(answered, Several):
            if answered.shape.rank is None:
                raise ModelError(f"{self._label} returns an output of unknown shape.")
            sides = {"output": tuple(side or 0 for side in answered.shape.as_list()[1:])}
            if outputs.is_detection(sides, self.input_shape, self._said.task):
                answered = Several.of({"output": answered})
        self._detection = self._as_detection(answered.shapes) if isinstance(answered, Several) else None
        self._answered = answered.flat if isinstance(answered, Several) else answered
        if self._answered.op not in reach(self._input.op, up=False):
            raise ModelError(f"The output of {self._label} does not depend on its input.")
        if self._detection:
            self._layout = outputs.Layout(self._detection.shape)
            return
        dtype = "" if self._answered.dtype.is_floating else self._answered.dtype.name
        sides_of = self._answered.shape.as_list()
        self._layout = outputs.layout_of(
            sides_of, self.input_shape, self.fixed_batch, self._said.task, self._label, dtype
        )

    def _as_detection(self, shapes: Mapping[str, tuple[int, ...]]) -> Detection:
        """Return the specification of a detector with these outputs."""
        said = self._said
        return outputs.detection(
            shapes,
            self.input_shape,
            self._label,
            decoder=said.decoder,
            classes=said.classes,
            decode_boxes=said.decode_boxes,
            said=said.task is not None,
        )

    def _settle(self, trained: Training | None) -> Settled:
        """Determine the kind of the output, and whether the scores that were found reproduce its probabilities."""
        try:
            found = self._range_of()
        except Exception:
            log.warning("the operations of %s can't be analyzed", self._label, exc_info=True)
            found = None
        count, kind = self._layout.count, self._said.kind
        if kind is None and self._said.task in outputs.MEASURED:
            kind = OutputKind.VALUES
        if self._detection:
            return Settled(Decision(OutputKind.VALUES, "said" if self._said.task else "graph", count), False)
        images = probes(self.input_shape)[list(outputs.needed(found, kind, count))]
        tensors = [self._values, *([self._scores.probabilities] if self._scores else [])]
        values, *rebuilt = self._try_out(self._cut([self._input], tensors), images, len(tensors))
        known = "0..255" if self.integers == (0, 255) else self.value_range()
        decided = outputs.decide(values, found, kind, self._label, trained=trained, inputs=known)
        decision = outputs.for_task(decided, self._said.task, self._layout, self._label)
        if not rebuilt:
            return Settled(decision, False)
        expected = outputs.to_probabilities(values.astype(np.float64), decision.kind, count)
        finite = np.isfinite(expected).all(axis=1)
        limit = TOLERANCE_ROUNDED if self._scores and self._scores.rounded else TOLERANCE
        return Settled(decision, bool(np.abs(expected - rebuilt[0])[finite].max() < limit))

    def _range(self) -> Range | None:
        """Return the range of the output according to the operations of the graph, including those in functions."""
        wrapped, source, target = self._wrapped, self._input, self._answered
        if has_calls(wrapped.graph):
            wrapped, source, target = inlined(wrapped.graph, source.name, target.name)
        return outputs.Analysis(GraphReader(source.op, evaluator(wrapped))).of(target)

    def _try_out(self, function: Any, images: Array, count: int) -> list[Array]:
        """Return the results of a function for test images, ``(n, K)``; NaN for batches on which it fails.

        For maps, every image has several rows: those of some of its pixels.
        """
        step = max(1, int(np.prod(self._layout.shape[:-1])) // PIXELS)
        size = self.fixed_batch or len(images)
        answers = []
        for start in range(0, len(images), size):
            some = images[start : start + size]
            try:
                with np.errstate(all="ignore"):
                    answer = self._call(function, fill_up(some, size))
            # Other images would need as much memory.
            except tf.errors.ResourceExhaustedError:
                raise
            except tf.errors.OpError:
                log.warning("%s fails on test images", self._label, exc_info=True)
                answer = [np.full((len(some), *self._layout.shape), np.nan, np.float32)] * count
            rows = [one[: len(some)].reshape(len(some), -1, self._layout.count)[:, ::step] for one in answer]
            answers.append([one.reshape(-1, self._layout.count) for one in rows])
        return [np.concatenate(parts) for parts in zip(*answers, strict=True)]

    def _finish(self) -> None:
        """Add the outputs and the scores to the graph, and find the layers between the input and the scores."""
        kind, binary = self.decision.kind, self._layout.count == 1 and self.decision.kind is not OutputKind.VALUES
        read = outputs.to_probabilities(self._values, kind, self._layout.count, FUNCTIONS)
        self.notes: tuple[str, ...] = self.decision.notes
        if self._layout.note:
            self.notes = (self._layout.note, *self.notes)
        if self._layout.is_map and outputs.independent(self._layout, self.decision):
            self.notes += (outputs.INDEPENDENT,)
        if self.decision.constant:
            scores, self.found = 0 * self._values, "none: the output is always 1"
        elif kind is OutputKind.VALUES:
            scores, self.found = self._values, "the output"
        elif kind in (OutputKind.LOGITS, OutputKind.SIGMOID_LOGITS):
            scores, self.found = self._values, "the output, which has no softmax"
        elif self._scores and self._settled.verified:
            scores, self.found = self._scores.values, f"input of the final {self._scores.link}"
        else:
            odds = binary or kind in (OutputKind.SIGMOID, OutputKind.TANH)
            what = "log-odds of the probabilities" if odds else "log probabilities"
            self.found = what if odds else "log of the probabilities"
            self.notes += (STAND_IN.format(what=what),)
            scores = logarithm(read) - (logarithm(1 - read) if odds else 0)
        self.spec: OutputSpec = self._detection or outputs.spec_of(
            self._layout, self.decision, self._said.task, self._said.unit
        )
        if self._detection and self._detection.note:
            self.notes = (self._detection.note,)
        self._outputs = flat(tf.concat([1 - read, read], -1) if binary else read, self.spec.shape)
        self._flat_scores = flat(tf.concat([-scores, scores], -1) if binary else scores, self.spec.shape)
        self._layers = feature_layers(self._input.op, scores.op, self._known)
        scored = self._detection is None or self._detection.made.differentiable
        self._differentiable = scored and differentiable(self._input, self._flat_scores)

    def _try_place(self, tensor: Any) -> Place | None:
        """Measure the position of a tensor's values in the image; None if that fails."""
        try:
            return tried(self._computing(tensor), self.input_shape, self.fixed_batch)
        except Exception:
            log.info("where the values of %s come from can't be tried", tensor.name, exc_info=True)
            return None

    def _computing(self, tensor: Any) -> Callable[[Array], Array]:
        """Return a function that computes a tensor for inputs."""
        function = self._cut([self._input], [tensor])
        return lambda inputs: self._call(function, inputs)[0]

    def _default(self, layers: Mapping[str, FeatureLayer]) -> str | None:
        """Return the name of the default layer."""
        if self._layout.is_map or self._detection:
            return coarsest(layers, self._layout.count)
        if not self._differentiable or not any(layer.grid for layer in layers.values()):
            return next(reversed([*layers]), None)
        return last_live(layers, lambda name: layers[name].maps(self._tried_gradient(self._tensors[name])))

    def _tried_gradient(self, tensor: Any) -> Array:
        """Return the gradient of a mixture of all scores at a tensor, for an image of noise, ``(1, ...)``."""
        noise = np.random.default_rng(0).random((self.fixed_batch or 1, *self.input_shape), np.float32)
        mixture = np.arange(1, self._flat_scores.shape[1] + 1, dtype=np.float32)
        return self._products(tensor, noise, np.tile(mixture, (len(noise), 1, 1)))[:1, 0]

    def token_gradient(self) -> tuple[TokenGrid, Array] | None:
        """Return the grid of the last tokens, and the gradient of the scores there for some image, ``(T, D)``."""
        last = next((layer for layer in reversed(self._layers.items()) if layer[1].grid), None)
        return (last[1].grid, self._tried_gradient(self._tensors[last[0]])[0]) if last and last[1].grid else None

    @cached_property
    def dropping(self) -> Dropping:
        """Predictions for images some of whose tokens are left out."""
        answers = self._outputs, self._flat_scores
        return Dropping(self._cutter, self._wrapped, self._input, answers, self._token_maps, self._label)

    def layers(self) -> Sequence[Layer]:
        """Return the layers with feature maps, first to last."""
        return self._described

    def _extract(self, tensors: Sequence[Any]) -> None:
        """Extract the predictions from the graph; gradients are extracted on first use.

        Args:
            tensors: the outputs, the flat scores, the feature maps of all layers, and all attention weights.
        """
        answers, self._tensors = tensors[:2], dict(zip(self._layers, tensors[2:], strict=False))
        weights = tensors[2 + len(self._layers) :]
        self.transformer = Transformer(self._cutter, self._wrapped, self._input, answers[1], weights, self._label)
        self._predict, self._folded_answers = self._cut([self._input], answers), answers
        # Weights that change, and random numbers, make each forward pass another one.
        repeatable = self._fixed and not drawn(ordered([tensor.op for tensor in answers]))
        self._last = LastPass(self._cut, self._input, answers) if repeatable else None

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
            middle = before_last_product(self._input, self._folded_answers)
        except ValueError:
            raise ModelError(
                f"{self._label} has no last dense layer or convolution on which all answers depend"
            ) from None
        return self._cut([self._input], [middle]), self._cut([middle], self._folded_answers)

    def _cut(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Return the part of the graph between two lists of tensors as a compiled function."""
        return self._cutter.cut(inputs, outputs)

    def _call(self, function: Any, inputs: Array, *others: Array) -> list[Array]:
        return [tensor.numpy() for tensor in function(self.fed(inputs), *map(tf.constant, others))]

    def fed(self, inputs: Array) -> Any:
        """Return inputs in the type of the graph's input; for integers, they are rounded and clipped."""
        if self.integers:
            inputs = np.clip(np.rint(inputs), *self.integers)
        return tf.constant(inputs, self._input.dtype)


def channels_last(maps: Any) -> Any:
    """Return maps ``(N, K, h, w)`` as ``(N, h, w, K)``: the tensor itself if they are a transposition of one."""
    if maps.op.type == "Transpose" and np.array_equal(tf.get_static_value(maps.op.inputs[1]), [0, 3, 1, 2]):
        return maps.op.inputs[0]
    return tf.transpose(maps, [0, 2, 3, 1])


def flat(tensor: Any, shape: Sequence[int]) -> Any:
    """Return a tensor ``(N, *shape)`` with one row for each image."""
    return tensor if len(shape) == 1 else tf.reshape(tensor, [-1, int(np.prod(shape))])


def evaluator(wrapped: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return a function that computes the values of tensors that do not depend on the graph's input."""

    def evaluate(tensors: Sequence[Any]) -> Sequence[Any]:
        return list(wrapped.prune([], list(tensors), input_signature=((), {}))()) if tensors else []

    return evaluate


def logarithm(probabilities: Any) -> Any:
    """Return the natural logarithm of a tensor, with values below 1e-30 replaced by 1e-30."""
    return tf.math.log(tf.maximum(probabilities, 1e-30))
