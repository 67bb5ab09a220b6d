"""A TensorFlow graph that answers everything asked of a model, built once and called without a session.

Whatever the source (a live Keras model, an imported TensorFlow 1 graph), its operations are built inside one
``wrap_function``; the logits are found by walking back from the output, the gradients are added, and each
answer is cut out of the graph as a compiled function. The user's model is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from picasso.errors import ModelError
from picasso.models import input_values, integer_inputs
from picasso.models.arrays import Array, Classes, Shape
from picasso.models.backend import tf, tf1
from picasso.models.card import Layer
from picasso.models.feature_layers import describe, feature_layers
from picasso.models.guided import RECTIFIERS
from picasso.models.incremental.inlining import has_calls, inlined
from picasso.models.incremental.occlusion import Incremental
from picasso.models.incremental.steps import Unsupported

# Operations that pass their first input on unchanged, on the way back from the output.
TRANSPARENT = {"Identity", "IdentityN", "StopGradient", "Squeeze", "EnsureShape", "Reshape", "Cast", "CheckNumerics"}
Build = Callable[[], tuple[Any, Any]]


def backwards(tensor: Any) -> Iterator[Any]:
    """Yield ``tensor`` and those it was passed on from, nearest first, until an operation changes values."""
    while True:
        yield tensor
        operation = tensor.op
        if operation.type not in TRANSPARENT or not operation.inputs:
            return
        tensor = operation.inputs[tensor.value_index if operation.type == "IdentityN" else 0]


def find_scores(output: Any) -> tuple[Any, str]:
    """Return the tensor before the final softmax or sigmoid, and which of the two it was ("" if neither)."""
    for tensor in backwards(output):
        if tensor.op.type in ("Softmax", "Sigmoid"):
            return tensor.op.inputs[0], tensor.op.type
    return output, ""


class Graph:
    """The compiled answers of one classifier.

    Args:
        build: called with the new graph as default; returns the tensors of the input ``(N, H, W, C)`` and of
            the output ``(N, K)``.
        label: how error messages name the model.
        known: the names that the framework gave its layers.
        guided: compute gradients by guided backpropagation.

    Attributes:
        input_shape: ``(H, W, C)``.
        fixed_batch: the only number of inputs that the graph takes at once, or None.
        integers: the smallest and the largest integer that the input takes, or None where it takes floats.
        num_classes: K; a single sigmoid unit counts as the two classes "not" and "is".
        found: in words, how the logits were found.
        notes: what the user should know, such as that log probabilities stand in for logits.
    """

    def __init__(self, build: Build, label: str, known: Collection[str] = (), *, guided: bool = False) -> None:
        self._build, self._label, self._known, self._guided = build, label, known, guided
        self.notes: tuple[str, ...] = ()
        self._compile(trust_scores=True)
        if not self._verify():
            self._compile(trust_scores=False)
            self.found = "log of the probabilities"
            self.notes = (
                "No softmax or sigmoid was found before the output, so log probabilities stand in for logits: "
                "gradients fade where the model is certain.",
            )

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
            answers = [self._call(function, np.full(shape, value, np.float32)) for value in input_values.PROBES]
            return [np.stack(values) for values in zip(*answers, strict=True)]

        return input_values.find(self._input, self._scaled, evaluate)

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
        return Graph(self._build, self._label, self._known, guided=True)

    def incremental(self) -> Incremental:
        """Return what computes occlusion maps of this graph faster.

        Raises:
            Unsupported: the graph can't be taken apart.
        """
        if self.fixed_batch:
            raise Unsupported(f"the model takes exactly {self.fixed_batch} pictures at once")
        wrapped, source, target = self._wrapped, self._input, self._probabilities
        if has_calls(wrapped.graph):
            wrapped, source, target = inlined(wrapped.graph, source.name, target.name)

        def evaluate(tensors: Sequence[Any]) -> Sequence[Any]:
            return list(wrapped.prune([], list(tensors), input_signature=((), {}))()) if tensors else []

        return Incremental(source, target, evaluate)

    # ---- building -----------------------------------------------------------------------------------------

    def _compile(self, *, trust_scores: bool) -> None:
        """Build the graph and cut the prediction out of it; gradients are cut out when first asked for."""
        self._wrapped = tf1.wrap_function(lambda: self._assemble(trust_scores), [])
        self._predict = self._cut([self._input], [self._probabilities, self._logits])
        self._derivatives: dict[str, Any] = {}
        self._maps: dict[str, Any] = {}

    def _assemble(self, trust_scores: bool) -> None:
        with tf1.get_default_graph().gradient_override_map(RECTIFIERS if self._guided else {}):
            self._input, output = self._build()
            whole = integer_inputs.integer_type(self._input)
            if whole:
                integer_inputs.bypass(self._input)
        self.integers: tuple[int, int] | None = (whole.min, whole.max) if whole else None
        # Now: later the operations of the gradients will take the same tensors.
        self._scaled = input_values.behind_first_operations(self._input)
        shape = self._input.shape
        if shape.rank != 4 or None in shape.as_list()[1:]:
            raise ModelError(f"{self._label} must take one input of shape (N, H, W, C), but takes {shape}.")
        if output.shape.rank != 2 or output.shape[1] is None:
            raise ModelError(
                f"{self._label} must answer class probabilities of shape (N, K), but answers {output.shape}."
            )
        self.input_shape: Shape = tuple(shape.as_list()[1:])
        self.fixed_batch: int | None = shape[0]
        output = tf.cast(output, tf.float32)
        scores, kind = find_scores(output)
        scores = tf.reshape(tf.cast(scores, tf.float32), tf.shape(output))
        binary = output.shape[1] == 1
        if not trust_scores:
            scores = tf.math.log(tf.maximum(output, 1e-30)) - (
                tf.math.log(tf.maximum(1 - output, 1e-30)) if binary else 0
            )
        elif not kind:
            # The output itself: probabilities if it looks so on the probe, else logits that need a softmax.
            output = tf.sigmoid(output) if binary else tf.nn.softmax(output)
        self._raw = scores
        self._kind = kind or ("Sigmoid" if binary else "Softmax")
        self.found = f"input of the final {kind.lower()}" if kind else "the output, which has no softmax"
        self._probabilities = tf.concat([1 - output, output], 1) if binary else output
        self._logits = tf.concat([-scores, scores], 1) if binary else scores
        self.num_classes = int(self._probabilities.shape[1])
        self._classes = tf1.placeholder(tf.int64, [None], "picasso_classes")
        score = tf.gather(self._logits, self._classes, batch_dims=1)
        self._layers = feature_layers(self._input.op, scores.op, self._known)
        self._described = describe(self._input.op, self._layers)
        self._gradients = tf.gradients(score, [self._input, *(layer.tensor for layer in self._layers.values())])

    def _verify(self) -> bool:
        """Check on random inputs that the logits found give the probabilities that the model answers.

        A model without softmax whose output already is a distribution must not be squashed a second time.
        """
        probe = np.random.default_rng(0).random((self.fixed_batch or 4, *self.input_shape), np.float32)
        probabilities, logits = self._call(self._predict, probe)
        if self.found.startswith("the output"):
            return not (logits.min() >= 0 and np.abs(logits.sum(1) - 1).max() < 1e-3)
        expected = tf.sigmoid(logits) if self._kind == "Sigmoid" else tf.nn.softmax(logits)
        return bool(np.abs(expected.numpy() - probabilities).max() < 1e-3)

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
        # Without a signature of its own, each call is first tried as one of the whole graph, which fails slowly.
        taken = tuple(tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs)
        return self._wrapped.prune(list(inputs), list(outputs), input_signature=(taken, {}))

    def _call(self, function: Any, inputs: Array, *others: Classes) -> list[Array]:
        return [tensor.numpy() for tensor in function(self._fed(inputs), *map(tf.constant, others))]

    def _fed(self, inputs: Array) -> Any:
        """Return inputs as the graph takes them; where it takes integers, rounded rather than cut off or wrapped."""
        if self.integers:
            inputs = np.clip(np.rint(inputs), *self.integers)
        return tf.constant(inputs, self._input.dtype)
