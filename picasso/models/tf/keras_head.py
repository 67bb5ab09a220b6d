"""The last dense layer of a Keras model: its features, and copies of the model with other weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso import fileio
from picasso.errors import BadRequest, ModelError, reason
from picasso.models import determinism
from picasso.models.arrays import Array, Classes, fill_up
from picasso.models.base import Model
from picasso.models.head import Head, HeadWeights, Link, linked, one_column, two_columns
from picasso.models.tf.runtime import keras, standard, tf

# The largest difference between the probabilities of the model and those computed from features and head.
TOLERANCE = 1e-4
# The number of images in a batch of the training.
BATCH = 32
UNSUITABLE = (
    "Only Keras models whose class scores come from one dense layer can be mended: a Dense layer on flat features with "
    "one unit for each class (or one for two classes), followed by nothing but softmax, sigmoid or no function. "
)


class KerasHead(Head):
    """The last dense layer of a Keras 3 model.

    Args:
        model: the model of Picasso; its attribute ``model`` is the Keras model.
        network: the Keras model.
        reload: returns the model in another file, with the settings of this one.

    Raises:
        ModelError: the model does not end in a dense layer.
    """

    def __init__(self, model: Model, network: Any, reload: Callable[[Path], Model]) -> None:
        self._model, self._network, self._reload = model, network, reload
        if not isinstance(network, keras.Model):
            raise ModelError(f"{UNSUITABLE}This model was read by tf_keras: save it with Keras 3 first.")
        self._optimizer: Any = None
        shape = [model.fixed_batch, *model.input_shape]
        candidates = [one for one in network._flatten_layers() if fits(one, model.num_classes)]
        height, width, _ = model.input_shape
        probes = model.inputs_of(determinism.probes(width, height))
        for layer in self._called(candidates, shape):
            self._layer, self._features = layer, function_of(network, layer, shape)
            self.name, self.has_bias = str(layer.name), layer.bias is not None
            self.weights = two_columns(*values_of(layer))
            try:
                probabilities, logits = model.predict(probes), self.weights.logits(self.features(probes))
            except Exception as error:
                raise ModelError(f"{UNSUITABLE}Its features could not be read: {reason(error)}.") from error
            for link in Link:
                if logits.shape == probabilities.shape and near(linked(logits, link), probabilities):
                    self.link = link
                    return
        raise ModelError(f"{UNSUITABLE}{model.checkpoint} has no such layer at its end.")

    def _called(self, candidates: Sequence[Any], shape: Sequence[int | None]) -> list[Any]:
        """Return the candidates that are called exactly once with flat features, the last call first."""
        calls: list[tuple[Any, Any]] = []

        def run(image: Any) -> Any:
            with watched(candidates, calls), standard(keras):
                return self._network(image, training=False)

        try:
            tf.function(run).get_concrete_function(tf.TensorSpec(shape, tf.float32))
        except Exception as error:
            raise ModelError(f"{UNSUITABLE}The model could not be traced: {reason(error)}.") from error
        once = [one for one in candidates if sum(layer is one for layer, _ in calls) == 1]
        flat = [layer for layer, features in calls if layer in once and features.shape.rank == 2]
        return flat[::-1]

    def features(self, inputs: Array) -> Array:
        """Return the inputs of the layer, ``(n, D)``."""
        size, parts = self._model.batch_size, []
        for start in range(0, len(inputs), size):
            part = np.asarray(inputs[start : start + size], np.float32)
            given = fill_up(part, size) if self._model.fixed_batch else part
            parts.append(np.asarray(self._features(tf.constant(given)), np.float32)[: len(part)])
        return np.concatenate(parts)

    def write(self, weights: HeadWeights, file: Path) -> None:
        """Write a copy of the model with other weights of the head."""
        if file.suffix != ".keras":
            raise BadRequest(f"The mended model is written as a .keras file, so {file.name} can't be its name.")
        if file.exists():
            raise BadRequest(f"{file.name} exists, and no file is overwritten. Choose another name.", field="out")
        kept, name = self._layer.get_weights(), self._network.name
        try:
            set_weights(self._layer, weights)
            # The name of the network says in the file what it is.
            self._network.name = name if name.endswith("_mended") else f"{name}_mended"
            with fileio.room_on_disk(), fileio.whole(file) as draft:
                self._network.save(draft)
        except OSError:
            raise
        except Exception as error:
            raise ModelError(f"Keras could not write the mended model: {reason(error)}.") from error
        finally:
            self._network.name = name
            self._layer.set_weights(kept)

    def reload(self, file: Path) -> Model:
        """Return the model in a file."""
        return self._reload(file)

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
        """Train all layers with each input once."""
        if self._optimizer is None:
            self._optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
            self._optimizer.build(self._network.trainable_variables)
            self._step = tf.function(self._update, reduce_retracing=True)
        self._optimizer.learning_rate = rate
        order = np.random.default_rng(seed).permutation(len(inputs))
        size = self._model.fixed_batch or BATCH
        for start in range(0, len(order) - size + 1, size):
            between()
            some = order[start : start + size]
            one_hot = np.eye(self._model.num_classes, dtype=np.float32)[targets[some]]
            share = weights[some] / max(float(weights[some].sum()), 1e-12)
            self._step(*(tf.constant(part) for part in (inputs[some], one_hot, share.astype(np.float32))))
        self.weights = two_columns(*values_of(self._layer))

    def _update(self, inputs: Any, one_hot: Any, share: Any) -> None:
        """Take one step of the optimizer on a batch."""
        calls: list[tuple[Any, Any]] = []
        with tf.GradientTape() as tape:
            with watched([self._layer], calls):
                self._network(inputs, training=False)
            logits = tf.matmul(calls[-1][1], self._layer.kernel.value)
            logits += self._layer.bias.value if self.has_bias else 0.0
            if logits.shape[-1] == 1:
                logits = tf.concat([tf.zeros_like(logits), logits], axis=1)
            if self.link is Link.SOFTMAX or self._layer.units == 1:
                losses = tf.nn.softmax_cross_entropy_with_logits(one_hot, logits)
            else:
                losses = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(one_hot, logits), axis=1)
            loss = tf.reduce_sum(losses * share)
        variables = self._network.trainable_variables
        gradients = tape.gradient(loss, [one.value for one in variables])
        known = [(slope, one) for slope, one in zip(gradients, variables, strict=True) if slope is not None]
        self._optimizer.apply([slope for slope, _ in known], [one for _, one in known])


def fits(layer: Any, classes: int) -> bool:
    """Tell whether a layer is a dense layer with one unit for each class, or one unit for two classes."""
    return isinstance(layer, keras.layers.Dense) and layer.built and layer.units in {classes, 1 if classes == 2 else -1}


def values_of(layer: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the kernel and the bias of a layer; the bias is zero if it has none."""
    bias = np.zeros(layer.units, np.float32) if layer.bias is None else layer.bias.numpy()
    return layer.kernel.numpy(), bias


def set_weights(layer: Any, weights: HeadWeights) -> None:
    """Give a layer other weights."""
    kernel, bias = one_column(weights, layer.units)
    layer.set_weights([kernel] if layer.bias is None else [kernel, bias])


def near(one: NDArray[np.floating], other: NDArray[np.floating]) -> bool:
    """Tell whether probabilities agree."""
    return bool(np.abs(one - other).max() <= TOLERANCE)


def function_of(network: Any, layer: Any, shape: Sequence[int | None]) -> Any:
    """Return a compiled function from the input of a network to that of one of its layers."""

    def run(image: Any) -> Any:
        calls: list[tuple[Any, Any]] = []
        with watched([layer], calls), standard(keras):
            network(image, training=False)
        return calls[-1][1]

    return tf.function(run, input_signature=[tf.TensorSpec(shape, tf.float32)])


@contextmanager
def watched(layers: Sequence[Any], calls: list[tuple[Any, Any]]) -> Iterator[None]:
    """Record the inputs of layers while a network is called, without changing the network."""

    def recording(layer: Any) -> Callable[..., Any]:
        def call(inputs: Any, *arguments: Any, **options: Any) -> Any:
            calls.append((layer, tf.convert_to_tensor(inputs)))
            return type(layer).call(layer, inputs, *arguments, **options)

        return call

    for layer in layers:
        # Not setattr(): Keras tracks attributes that are set on layers.
        layer.__dict__["call"] = recording(layer)
    try:
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)
