"""A TensorFlow graph that answers everything asked of a model, built once and called without a session.

Whatever the source (a live Keras model, an imported TensorFlow 1 graph), its operations are built inside one
``wrap_function``; the logits are found by walking back from the output, the gradients are added, and each
answer is cut out of the graph as a compiled function. The user's model is never changed. What the output
means is decided in :mod:`picasso.models.outputs`.
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

# By how much what the scores become may differ from the probabilities.
TOLERANCE = 1e-3
STAND_IN = (
    "No softmax or sigmoid was found whose input gives the output, so {what} stand in for logits: gradients fade where "
    "the model is certain."
)


class Settled(NamedTuple):
    """What was found out about a graph's output, for others that are built the same way."""

    decision: Decision
    verified: bool


class Graph:
    """The compiled answers of one classifier.

    Args:
        build: called with the new graph as default; returns the tensors of the input ``(N, H, W, C)`` and of
            the output, K values for each image.
        label: how error messages name the model.
        known: the names that the framework gave its layers.
        said: what the user says that the output is, if anything.
        trained: what its file says that the model was trained for, if anything.
        settled: what was found out about the output of the same graph, built differently.
        guided: compute gradients by guided backpropagation.

    Attributes:
        input_shape: ``(H, W, C)``.
        fixed_batch: the only number of inputs that the graph takes at once, or None.
        integers: the smallest and the largest integer that the input takes, or None where it takes floats.
        num_classes: K; a single value counts as the two classes "not" and "is".
        decision: what the values of the output are.
        found: in words, how the logits were found.
        notes: what the user should know, such as that log probabilities stand in for logits.

    Raises:
        ModelError: the graph takes no image, or its output is not that of a classifier.
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
        # Gradients are cut out when first asked for.
        self._predict = self._cut([self._input], [self._probabilities, self._logits])
        self._described = [] if guided else describe(self._input.op, self._layers, self._try_place)

    # ---- answers ------------------------------------------------------------------------------------------

    def probabilities(self, inputs: Array) -> Array:
        """Return ``(N, K)`` probabilities."""
        return self._call(self._predict, inputs)[0]

    def logits(self, inputs: Array) -> Array:
        """Return ``(N, K)`` logits."""
        return self._call(self._predict, inputs)[1]

    def input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return d logit[class] / d input, ``(N, H, W, C)``."""
        return self._call(self._differentiate(self._gradients[0]), inputs, classes)[0]

    def class_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return d logit[class] / d input for k classes of each input, ``(N, k, H, W, C)``: one pass there, k back."""
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
        """Return the range of pixel values that the first operations tell, or ""; see :func:`input_values.find`."""

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
            ModelError: there are no rectifiers.
        """
        operations = {operation.type for operation in self._wrapped.graph.get_operations()}
        if not operations & RECTIFIERS.keys():
            raise ModelError(f"{self._label} has no rectifiers (ReLU), which guided backpropagation is about.")
        return Graph(self._build, self._label, self._known, settled=self._settled, guided=True)

    def incremental(self) -> Incremental:
        """Return what computes occlusion maps of this graph faster.

        Raises:
            Unsupported: the graph can't be taken apart.
        """
        if self.fixed_batch:
            raise Unsupported(f"the model takes exactly {self.fixed_batch} images at once")
        wrapped, source, target = self._wrapped, self._input, self._probabilities
        if has_calls(wrapped.graph):
            wrapped, source, target = inlined(wrapped.graph, source.name, target.name)
        return Incremental(source, target, evaluator(wrapped))

    # ---- building -----------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        """Build the operations, in the graph that is the default."""
        with tf1.get_default_graph().gradient_override_map(RECTIFIERS if self._guided else {}):
            self._input, self._answered = self._build()
            whole = integer_inputs.integer_type(self._input)
            if whole:
                integer_inputs.bypass(self._input)
        self.integers: tuple[int, int] | None = (whole.min, whole.max) if whole else None
        # Now: later the operations of the gradients will take the same tensors.
        self._scaled = input_values.behind_first_operations(self._input)
        self._bounded = input_values.bounded_to(self._input)
        shape, answered = self._input.shape, self._answered.shape
        if shape.rank != 4 or None in shape.as_list()[1:]:
            raise ModelError(f"{self._label} must take one input of shape (N, H, W, C), but takes {shape}.")
        self.input_shape: Shape = tuple(shape.as_list()[1:])
        self.fixed_batch: int | None = shape[0]
        count = None if answered.rank is None else outputs.class_count(answered.as_list(), self.fixed_batch)
        if count is None or not self._answered.dtype.is_floating:
            kind = "" if self._answered.dtype.is_floating else f" of type {self._answered.dtype.name}"
            raise ModelError(
                f"{self._label} must answer class scores of shape (N, K), but answers {answered}{kind}: Picasso shows "
                "classifiers."
            )
        self._count = count

    def _settle(self, said: OutputKind | None, trained: Training | None) -> Settled:
        """Find out what the values of the output are, and whether scores were found that give its probabilities."""
        try:
            found = self._range()
        except Exception:
            log.warning("the operations of %s can't be followed", self._label, exc_info=True)
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
        """Return the range of the output by the operations that lead to it, those inside functions too."""
        wrapped, source, target = self._wrapped, self._input, self._answered
        if has_calls(wrapped.graph):
            wrapped, source, target = inlined(wrapped.graph, source.name, target.name)
        return outputs.Analysis(GraphReader(source.op, evaluator(wrapped))).of(target)

    def _try_out(self, function: Any, images: Array, count: int) -> list[Array]:
        """Return what a function makes of test images; NaN for those that it fails on."""
        size = self.fixed_batch or len(images)
        answers = []
        for start in range(0, len(images), size):
            some = images[start : start + size]
            try:
                with np.errstate(all="ignore"):
                    answer = self._call(function, fill_up(some, size))
            # Other images would not take less memory.
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
        """Try where the values of a tensor come from; None where that fails in any way."""
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
        """Return the compiled function of one gradient tensor, compiling it the first time."""
        if gradient is None:
            raise ModelError(f"The output of {self._label} can't be differentiated with respect to that layer.")
        gradient = tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
        if gradient.name not in self._derivatives:
            self._derivatives[gradient.name] = self._cut([self._input, self._classes], [gradient])
        return self._derivatives[gradient.name]

    def _cut(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Return the part of the graph between two lists of tensors, compiled."""
        return self._cutter.cut(inputs, outputs)

    def _call(self, function: Any, inputs: Array, *others: Classes) -> list[Array]:
        return [tensor.numpy() for tensor in function(self._fed(inputs), *map(tf.constant, others))]

    def _fed(self, inputs: Array) -> Any:
        """Return inputs as the graph takes them; where it takes integers, rounded rather than cut off or wrapped."""
        if self.integers:
            inputs = np.clip(np.rint(inputs), *self.integers)
        return tf.constant(inputs, self._input.dtype)


def evaluator(wrapped: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return a function that gives the values of tensors of a graph that do not depend on its input."""

    def evaluate(tensors: Sequence[Any]) -> Sequence[Any]:
        return list(wrapped.prune([], list(tensors), input_signature=((), {}))()) if tensors else []

    return evaluate


def logarithm(probabilities: Any) -> Any:
    """Return the natural logarithm of a tensor, bounded where it is 0."""
    return tf.math.log(tf.maximum(probabilities, 1e-30))
