"""Train the two tank detectors of this example.

    python -m picasso.examples.tanks.train [--audit FOLDER --steps 30 --epochs 12]

The first is trained as in the tale: all tanks were photographed under clouds. For the second the weather says nothing.
With ``--audit``, both are audited after each epoch, and FOLDER gets ``cloudy/audit.jsonl`` and ``right/audit.jsonl``.
The shortcut is learned within the first batches, so ``--steps`` makes epochs shorter.
Picasso itself never runs this file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from picasso.callbacks import Audit
from picasso.examples import preparing
from picasso.examples.tanks.prepare_model import IMAGES
from picasso.examples.tanks.scenes import CLASSES, HEIGHT, WIDTH, scenes

DATA = Path(__file__).resolve().parent / "data"
# Which share of the training images has the weather that goes with its class.
MODELS = {"cloudy.keras": 1.0, "right.keras": 0.5}
TRAINING, TESTING, EPOCHS = 2000, 300, 20


def build(name: str) -> keras.Model:
    """Return an untrained network: ``(N, 48, 64, 3)`` in 0..255 to two class probabilities."""
    layers = keras.layers
    stack = [keras.Input((HEIGHT, WIDTH, 3)), layers.Rescaling(1 / 127.5, -1)]
    for channels in (16, 32, 48, 64):
        stack += [
            layers.Conv2D(channels, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(),
        ]
    head = [layers.Flatten(), layers.Dropout(0.4), layers.Dense(len(CLASSES), activation="softmax")]
    return keras.Sequential([*stack, *head], name=name)


def train(
    name: str,
    confounded: float,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    epochs: int = EPOCHS,
    steps_per_epoch: int | None = None,
) -> keras.Model:
    """Train on images of which a share has the weather of its class; return the model without its optimizer."""
    keras.utils.set_random_seed(seed)
    model = build(name)
    images, targets = scenes(TRAINING, confounded, seed=10 + seed)
    images = np.concatenate([images, images[:, :, ::-1]])
    targets = np.concatenate([targets, targets])
    steps = EPOCHS * (len(images) // 64 + 1)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)), "sparse_categorical_crossentropy"
    )
    model.fit(
        images.astype(np.float32),
        targets,
        batch_size=64,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        verbose=0,
        callbacks=list(callbacks),
    )
    plain = build(name)
    plain.set_weights(model.get_weights())
    return plain


def accuracy(model: keras.Model, confounded: float) -> float:
    """Return the accuracy on new images."""
    images, targets = scenes(TESTING, confounded, seed=99)
    answers = model.predict(images.astype(np.float32), verbose=0)
    return float((answers.argmax(axis=1) == targets).mean())


def main() -> None:
    """Train both, and print how they do on images of their own kind, and on fair ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--audit", type=Path, metavar="FOLDER", help="audit after each epoch, and write into this folder"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--steps", type=int, help="batches of 64 images in an epoch; all by default")
    parser.add_argument("--models", type=Path, default=DATA, metavar="FOLDER", help="where to write the models")
    arguments = parser.parse_args()
    arguments.models.mkdir(exist_ok=True)
    (arguments.models / "labels.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    for seed, (name, confounded) in enumerate(MODELS.items()):
        audits = []
        if arguments.audit:
            to = arguments.audit / Path(name).stem
            audits.append(Audit(IMAGES, to=to, labels=CLASSES, preprocess="0..255", before=True))
        model = train(Path(name).stem, confounded, seed, audits, arguments.epochs, arguments.steps)
        preparing.save(model, arguments.models / name)
        print(
            f"{name}: {accuracy(model, confounded):.4f} on its own, {accuracy(model, 0.5):.4f} on fair images",
            flush=True,
        )


if __name__ == "__main__":
    main()
