"""The networks of the benchmark and their training. A model starts from the features of its world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit.worlds import SIDE

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]

# The layers after the features.
HEAD = 4
BATCH = 64


def network(classes: int) -> Any:
    """Return an untrained network from ``(N, 48, 48, 3)`` in 0..255 to logits."""
    import keras

    layers = keras.layers
    stack: list[Any] = [keras.Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 255)]
    for channels, size, stride, pool in ((20, 5, 2, True), (32, 3, 1, False), (48, 3, 1, True)):
        stack += [
            layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]
        stack += [layers.MaxPooling2D()] if pool else []
    stack += [layers.Flatten(), layers.Dropout(0.3)]
    head = [layers.Dense(64, use_bias=False), layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    return keras.Sequential([*stack, *head, layers.Dense(classes)])


def digit_network() -> Any:
    """Return an untrained network from plain digits ``(N, 28, 28, 1)`` in 0..255 to ten logits."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )


def fit(model: Any, made: Bytes, targets: Labels, epochs: int) -> None:
    """Train with Adam and a learning rate that decays to zero."""
    import keras

    rate = keras.optimizers.schedules.CosineDecay(1.5e-3, epochs * -(-len(made) // BATCH))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(made.astype(np.float32), targets, batch_size=BATCH, epochs=epochs, verbose=0)


def started_from(features: Path, classes: int) -> Any:
    """Return an untrained network whose features are those of a file."""
    import keras

    model, trained = network(classes), keras.models.load_model(features, compile=False)
    for ours, theirs in zip(model.layers[:-HEAD], trained.layers[:-HEAD], strict=True):
        ours.set_weights(theirs.get_weights())
    return model


def saved(model: Any, file: Path) -> Any:
    """Write the network without its optimizer; return the written one."""
    plain = network(model.output_shape[-1])
    plain.set_weights(model.get_weights())
    plain.save(file)
    return plain


def answers(model: Any, made: Bytes) -> Labels:
    """Return the most probable classes."""
    return np.asarray(model.predict_on_batch(made.astype(np.float32)).argmax(axis=1), np.int64)


def one_thread() -> None:
    """Limit TensorFlow to one thread in this process, because there is one process per processor."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
