"""A TensorFlow graph that computes all predictions and gradients of a model, built once and called without a session.

For any source (a live Keras model, an imported TensorFlow 1 graph), the operations are built inside one
``wrap_function``. The logits are searched for backwards from the output, the gradients are added, and each result is
extracted from the graph as a compiled function. The user's model is never changed. The kind of the output is determined
in :mod:`picasso.models.outputs`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from picasso.errors import ModelError
from picasso.models import outputs, value_range
from picasso.models.arrays import Array, Classes, Shape, fill_up
from picasso.models.info import Layer, Place
from picasso.models.outputs import Decision, OutputKind, Range, Training
from picasso.models.outputs.tensorflow_graph import FUNCTIONS, GraphReader, find_scores
from picasso.models.tf import input_values, integer_inputs
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.feature_layers import describe, feature_layers
from picasso.models.tf.guided import RECTIFIERS
from picasso.models.tf.incremental.inlining import has_calls, inlined
from picasso.models.tf.incremental.occlusion import Incremental
from picasso.models.tf.incremental.steps import Unsupported
from picasso.models.tf.probing import tried
from picasso.models.tf.runtime import tf, tf1

Build = Callable[[], tuple[Any, Any]]
log = logging.getLogger(__name__)

# The maximum difference between the probabilities and those computed from the scores that were found.
TOLERANCE = 1e-3
STAND_IN = (
    "No softmax or sigmoid was found whose input gives the output, so {what} are used instead of logits: gradients "
    "vanish where the model is certain."
)


class Settled(NamedTuple):
    """The interpretation of a graph's output, for other graphs built by the same function.

    Attributes:
        decision: the interpretation of the output.
        verified: True if scores were found that reproduce the probabilities.
    """

    decision: Decision
    verified: bool


class Graph:
    """The compiled functions of one classifier.

    Args:
        build: called with the new graph as default; returns the input tensor ``(N, H, W, C)`` and the output tensor
            with K values for each image.
        label: the name of the model in error messages.
        known: the framework's names of its layers.
        said: the kind of output that the user configured, if any.
        trained: the task that the model was trained for, if its file states it.
        settled: the interpretation of the output if it is known from another graph built by ``build``.
        guided: if True, compute gradients by guided backpropagation.

    Attributes:
        input_shape: ``(H, W, C)``.
        fixed_batch: the fixed batch size, or None.
        integers: the minimum and maximum of an integer input, or None for a float input.
        num_classes: K; 2 for a single value, for the classes "not" and "is".
        decision: the interpretation of the output.
        found: a description of the source of the logits.
        notes: notes for the user, for example if log probabilities replace the logits.

    Raises:
        ModelError: the input is no image, or the output is not that of a classifier.
    """

    def __init__(
        self,
        build: Build,
        label: str,
        known: Collection[str] = (),
        *,
        said: OutputKind | None = None,
        trained: Training | None = None,
        settled: Settled | None = None,
        guided: bool = False,
    ) -> None:
        self._build, self._label, self._known, self._guided = build, label, known, guided
        self._derivatives: dict[str, Any] = {}
        self._maps: dict[str, Any] = {}
        self._wrapped = tf1.wrap_function(self._assemble, [])
        self._cutter = Cutter(self._wrapped)
        with self._wrapped.graph.as_default():
            reader = GraphReader(self._input.op, evaluator(self._wrapped))
            self._scores = find_scores(self._answered, reader, self._count)
            self._values = self._answered
            if self._answered.shape.rank != 2:
                self._values = tf.reshape(self._answered, [-1, self._count])
            self._values = tf.cast(self._values, tf.float32)
        self._settled = settled or self._settle(said, trained)
        self.decision = self._settled.decision
        with self._wrapped.graph.as_default():
            self._finish()
        # Gradients are extracted on first use.
        self._predict = self._cut([self._input], [self._probabilities, self._logits])
        self._described = [] if guided else describe(self._input.op, self._layers, self._try_place)

    # ---- predictions and gradients ------------------------------------------------------------------------

    def probabilities(self, inputs: Array) -> Array:
        """Return the probabilities ``(N, K)``, float32 in 0..1."""
        return self._call(self._predict, inputs)[0]

    def logits(self, inputs: Array) -> Array:
        """Return the logits ``(N, K)``, float32."""
        return self._call(self._predict, inputs)[1]

    def input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return d logit[class] / d input, ``(N, H, W, C)``."""
        return self._call(self._differentiate(self._gradients[0]), inputs, classes)[0]

    def class_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return d logit[class] / d input for k classes, ``(N, k, H, W, C)``, by one forward and k backward passes."""
        count = classes.shape[1]
        name = f"of {count} classes"
        if name not in self._derivatives:
            with self._wrapped.graph.as_default():
                chosen = tf1.placeholder(tf.int64, [None, count])
                scores = [tf.gather(self._logits, chosen[:, index], batch_dims=1) for index in range(count)]
                gradients = tf.stack([tf.gradients(score, self._input)[0] for score in scores], axis=1)
            self._derivatives[name] = self._cut([self._input, chosen], [gradients])
        return self._call(self._derivatives[name], inputs, classes)[0]

    def feature_maps(self, inputs: Array, layer: str) -> Array:
        """Return the feature maps of a layer, ``(N, h, w, c)``."""
        if layer not in self._maps:
            self._maps[layer] = self._cut([self._input], [self._layers[layer].tensor])
        return self._call(self._maps[layer], inputs)[0]

    def feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        """Return d logit[class] / d feature map, ``(N, h, w, c)``."""
        gradient = self._gradients[1 + list(self._layers).index(layer)]
        return self._call(self._differentiate(gradient), inputs, classes)[0]

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
        return self._gradients[0] is not None

    def guided(self) -> Graph:
        """Return the same classifier with gradients by guided backpropagation.

        Raises:
            ModelError: the graph has no ReLUs.
        """
        operations = {operation.type for operation in self._wrapped.graph.get_operations()}
        if not operations & RECTIFIERS.keys():
            raise ModelError(f"{self._label} has no rectifiers (ReLU), which guided backpropagation requires.")
        return Graph(self._build, self._label, self._known, settled=self._settled, guided=True)

    def incremental(self) -> Incremental:
        """Return the incremental computation of occlusion maps for this graph.

        Raises:
            Unsupported: the graph has a structure or an operation that is not supported.
        """
        if self.fixed_batch:
            raise Unsupported(f"the model has a fixed batch size of {self.fixed_batch}")
        wrapped, source, target = self._wrapped, self._input, self._probabilities
        if has_calls(wrapped.graph):
            wrapped, source, target = inlined(wrapped.graph, source.name, target.name)
        return Incremental(source, target, evaluator(wrapped))

    # ---- building -----------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        """Build the operations in the default graph."""
        with tf1.get_default_graph().gradient_override_map(RECTIFIERS if self._guided else {}):
            self._input, self._answered = self._build()
            whole = integer_inputs.integer_type(self._input)
            if whole:
                integer_inputs.bypass(self._input)
        self.integers: tuple[int, int] | None = (whole.min, whole.max) if whole else None
        # This must happen before the operations of the gradients are added, which use the same tensors.
        self._scaled = input_values.behind_first_operations(self._input)
        self._bounded = input_values.bounded_to(self._input)
        shape, answered = self._input.shape, self._answered.shape
        if shape.rank != 4 or None in shape.as_list()[1:]:
            raise ModelError(f"{self._label} must have one input of shape (N, H, W, C), but has {shape}.")
        self.input_shape: Shape = tuple(shape.as_list()[1:])
        self.fixed_batch: int | None = shape[0]
        count = None if answered.rank is None else outputs.class_count(answered.as_list(), self.fixed_batch)
        if count is None or not self._answered.dtype.is_floating:
            kind = "" if self._answered.dtype.is_floating else f" of type {self._answered.dtype.name}"
            raise ModelError(
                f"{self._label} must return class scores of shape (N, K), but returns {answered}{kind}. Picasso "
                "supports only classifiers."
            )
        self._count = count

    def _settle(self, said: OutputKind | None, trained: Training | None) -> Settled:
        """Determine the kind of the output, and whether the scores that were found reproduce its probabilities."""
        try:
            found = self._range()
        except Exception:
            log.warning("the operations of %s can't be analyzed", self._label, exc_info=True)
            found = None
        images = outputs.probes(self.input_shape)[list(outputs.needed(found, said, self._count))]
        tensors = [self._values, *([self._scores.probabilities] if self._scores else [])]
        values, *rebuilt = self._try_out(self._cut([self._input], tensors), images, len(tensors))
        known = "0..255" if self.integers == (0, 255) else self.value_range()
        decision = outputs.decide(values, found, said, self._label, trained=trained, inputs=known)
        if not rebuilt:
            return Settled(decision, False)
        expected = outputs.to_probabilities(values.astype(np.float64), decision.kind, self._count)
        finite = np.isfinite(expected).all(axis=1)
        return Settled(decision, bool(np.abs(expected - rebuilt[0])[finite].max() < TOLERANCE))

    def _range(self) -> Range:
        """Return the range of the output according to the operations of the graph, including those in functions."""
        wrapped, source, target = self._wrapped, self._input, self._answered
        if has_calls(wrapped.graph):
            wrapped, source, target = inlined(wrapped.graph, source.name, target.name)
        return outputs.Analysis(GraphReader(source.op, evaluator(wrapped))).of(target)

    def _try_out(self, function: Any, images: Array, count: int) -> list[Array]:
        """Return the results of a function for test images; NaN for batches on which it fails."""
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
                answer = [np.full((len(some), self._count), np.nan, np.float32)] * count
            answers.append([one[: len(some)] for one in answer])
        return [np.concatenate(parts) for parts in zip(*answers, strict=True)]

    def _finish(self) -> None:
        """Add the probabilities, the logits and their gradients to the graph."""
        kind, binary = self.decision.kind, self._count == 1
        probabilities = outputs.to_probabilities(self._values, kind, self._count, FUNCTIONS)
        self.notes: tuple[str, ...] = self.decision.notes
        if self.decision.constant:
            scores, self.found = 0 * self._values, "none: the output is always 1"
        elif kind in (OutputKind.LOGITS, OutputKind.SIGMOID_LOGITS):
            scores, self.found = self._values, "the output, which has no softmax"
        elif self._scores and self._settled.verified:
            scores, self.found = self._scores.values, f"input of the final {self._scores.link}"
        else:
            odds = binary or kind in (OutputKind.SIGMOID, OutputKind.TANH)
            what = "log-odds of the probabilities" if odds else "log probabilities"
            self.found = what if odds else "log of the probabilities"
            self.notes += (STAND_IN.format(what=what),)
            scores = logarithm(probabilities) - (logarithm(1 - probabilities) if odds else 0)
        self._probabilities = tf.concat([1 - probabilities, probabilities], 1) if binary else probabilities
        self._logits = tf.concat([-scores, scores], 1) if binary else scores
        self.num_classes = max(2, self._count)
        self._classes = tf1.placeholder(tf.int64, [None], "picasso_classes")
        score = tf.gather(self._logits, self._classes, batch_dims=1)
        self._layers = feature_layers(self._input.op, scores.op, self._known)
        self._gradients = tf.gradients(score, [self._input, *(layer.tensor for layer in self._layers.values())])

    def _try_place(self, tensor: Any) -> Place | None:
        """Measure the position of a tensor's values in the image; None if that fails."""
        try:
            function = self._cut([self._input], [tensor])
            return tried(lambda inputs: self._call(function, inputs)[0], self.input_shape, self.fixed_batch)
        except Exception:
            log.info("where the values of %s come from can't be tried", tensor.name, exc_info=True)
            return None

    def layers(self) -> Sequence[Layer]:
        """Return the layers with feature maps, first to last; the last one is the default."""
        return self._described

    def _differentiate(self, gradient: Any) -> Any:
        """Return the compiled function of one gradient tensor; it is compiled on first use."""
        if gradient is None:
            raise ModelError(f"The output of {self._label} can't be differentiated with respect to that layer.")
        gradient = tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
        if gradient.name not in self._derivatives:
            self._derivatives[gradient.name] = self._cut([self._input, self._classes], [gradient])
        return self._derivatives[gradient.name]

    def _cut(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Return the part of the graph between two lists of tensors as a compiled function."""
        return self._cutter.cut(inputs, outputs)

    def _call(self, function: Any, inputs: Array, *others: Classes) -> list[Array]:
        return [tensor.numpy() for tensor in function(self._fed(inputs), *map(tf.constant, others))]

    def _fed(self, inputs: Array) -> Any:
        """Return inputs in the type of the graph's input; for integers, they are rounded and clipped."""
        if self.integers:
            inputs = np.clip(np.rint(inputs), *self.integers)
        return tf.constant(inputs, self._input.dtype)


def evaluator(wrapped: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return a function that computes the values of tensors that do not depend on the graph's input."""

    def evaluate(tensors: Sequence[Any]) -> Sequence[Any]:
        return list(wrapped.prune([], list(tensors), input_signature=((), {}))()) if tensors else []

    return evaluate


def logarithm(probabilities: Any) -> Any:
    """Return the natural logarithm of a tensor, with values below 1e-30 replaced by 1e-30."""
    return tf.math.log(tf.maximum(probabilities, 1e-30))
