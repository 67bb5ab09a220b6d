"""What the callback Explain costs, as a share of an epoch of the MNIST example: ``python -m benchmarks.training``.

    python -m benchmarks.training --mnist FOLDER [--epochs 3]

The bundled digit classifier is trained as its script does, on all 60,000 digits, while the callback records 8 images
after every epoch. Processor seconds of all threads are counted, so that other programs on the machine matter little.
What is taken before the first epoch, when the arguments are checked and graphs are built, is listed apart.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picasso.callbacks import Explain
from picasso.examples import mnist
from picasso.examples.keras.train import build, train
from picasso.models.tf.runtime import keras

IMAGES, LIMIT = 8, 0.02
# The visualization and its settings; of each, one map of each image.
METHODS = ("SaliencyMaps", "GradCAM", "PartialOcclusion")


class Clock(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Notes the processor seconds of each epoch, without what the callbacks behind it take."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.epochs = 0.0, list[float]()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note when an epoch begins."""
        self.begun = time.process_time()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note what it took."""
        self.epochs.append(time.process_time() - self.begun)


class Timed(Explain):
    """The callback with the processor seconds of each epoch."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.taken, self.before = list[float](), 0.0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Check the arguments, and note what that took."""
        begun = time.process_time()
        super().on_train_begin(logs)
        self.before = time.process_time() - begun

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the epoch, and note what that took."""
        begun = time.process_time()
        super().on_epoch_end(epoch, logs)
        self.taken.append(time.process_time() - begun)


def main() -> None:
    """Train, and print the cost of each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of the four MNIST .gz files")
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    tests, clock = mnist.load(arguments.mnist, "t10k"), Clock()
    images, classes = tests.images[:IMAGES, ..., None], [int(one) for one in tests.labels[:IMAGES]]
    with tempfile.TemporaryDirectory() as folder:
        model = build()
        recorded = {
            name: Timed(
                images,
                name,
                to=Path(folder) / name,
                tensorboard=Path(folder) / "logs" / name,
                classes=classes,
                model=model,
            )
            for name in METHODS
        }
        train(lambda: model, arguments.mnist, arguments.epochs, [clock, *recorded.values()])
    epoch = sum(clock.epochs) / len(clock.epochs)
    print(f"epoch of 60,000 digits: {epoch:.1f} processor seconds, without callbacks")
    for name, one in recorded.items():
        later = sum(one.taken[1:]) / max(1, len(one.taken) - 1)
        whole = (one.before + sum(one.taken)) / sum(clock.epochs)
        print(
            f"{name}: {one.before:.2f} s before and {one.taken[0]:.2f} s after the first epoch, "
            f"{later:.2f} s after a later one, {later / epoch:.2%} of an epoch; "
            f"{whole:.2%} of {len(one.taken)} epochs with what is before "
            f"({'within' if later / epoch < LIMIT else 'above'} {LIMIT:.0%})"
        )


if __name__ == "__main__":
    main()
