"""Train the bundled Keras digit classifier.

    python -m picasso.examples.keras.train --mnist FOLDER [--download]

The digits are shifted, turned and scaled a little at random, so that digits which were not centred by
MNIST's authors are read as well. Picasso itself never runs this file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from picasso.examples import mnist

TARGET = Path(__file__).parent / "data" / "mnist.keras"


def build() -> keras.Model:
    """Return the untrained network: ``(N, 28, 28, 1)`` in 0..1 to ten class probabilities."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ],
        name="mnist_cnn",
    )


def train(
    build: Callable[[], keras.Model], folder: Path, epochs: int, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> keras.Model:
    """Train a network on the 60,000 training digits and print the accuracy on the 10,000 test digits."""
    keras.utils.set_random_seed(7)
    digits, tests = mnist.load(folder, "train"), mnist.load(folder, "t10k")
    inputs = digits.images[..., None].astype("float32") / 255
    model = build()
    distort = keras.Sequential(
        [
            keras.layers.RandomRotation(0.03, fill_mode="constant"),
            keras.layers.RandomTranslation(0.07, 0.07, fill_mode="constant"),
            keras.layers.RandomZoom(0.1, fill_mode="constant"),
        ]
    )
    image = keras.Input((28, 28, 1))
    trainer = keras.Model(image, model(distort(image)))
    steps = epochs * (len(inputs) // 128 + 1)
    trainer.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    trainer.fit(inputs, digits.labels, batch_size=128, epochs=epochs, verbose=2, callbacks=list(callbacks))
    guesses = model.predict(tests.images[..., None].astype("float32") / 255, verbose=0).argmax(1)
    print(f"test accuracy {np.mean(guesses == tests.labels):.4f}")
    return model


def run(build: Callable[[], keras.Model], target: Path, description: str) -> None:
    """Read the command line, train, and save the network.

    Args:
        build: returns the untrained network.
        target: the file of the network.
        description: the text of the command line's help.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of the four MNIST .gz files")
    parser.add_argument("--download", action="store_true", help="fetch missing files into that folder first")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.download:
        mnist.download(arguments.mnist)
    model = train(build, arguments.mnist, arguments.epochs)
    target.parent.mkdir(exist_ok=True)
    model.save(target)
    print(f"saved {target} ({target.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    run(build, TARGET, str(__doc__))
