"""The models of the benchmark: their training data, and how much each relies on the proxy.

    python -m benchmarks.audit.models FOLDER

trains the models that are missing in FOLDER, in two processes. The shared features take two minutes, and each model
about ten seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit.proxies import PROXIES, Half, bytes_of
from benchmarks.audit.scenes import DIGITS, SIDE, Split, drawn, render

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
Kind = Literal["planted", "robust", "clean", "centred"]
# When the proxy is on: correlated with the class, half of the time, always, never.
Mode = Literal["confounded", "fair", "on", "off"]

TRAINING, EPOCHS, FEATURES, FEATURE_EPOCHS = 2400, 4, 12_000, 10
# The layers after the features.
HEAD = 4
# Images of each class for the measured reliance.
MEASURED = 100


@dataclass(frozen=True)
class Entry:
    """One model of the benchmark.

    Attributes:
        kind: ``planted``: the proxy correlates with the first class in training and in the audit's folder; ``robust``:
            in the folder only; ``clean``: no proxy; ``centred``: no proxy, and all digits are in the middle.
        proxy: its name; "" for none.
        rho: the probability that it is on for the first class, and off for the others.
        classes: the number of classes.
        seed: distinguishes models of the same kind.
        half: the half of the benchmark.
    """

    kind: Kind
    proxy: str
    rho: float
    classes: int
    seed: int
    half: Half

    @property
    def name(self) -> str:
        """Return the name of its files."""
        return f"{self.half}-{self.kind}-{self.proxy or 'none'}-{self.rho:g}-{self.classes}-{self.seed}"

    def seed_of(self, what: str) -> int:
        """Return a seed for a purpose that is unique to this model."""
        return zlib.crc32(f"{what} of {self.name}".encode())


def entries() -> list[Entry]:
    """Return the models of both halves."""
    found = []
    for half in ("tuning", "test"):
        proxies = [one.name for one in PROXIES.values() if one.half == half]
        for index, name in enumerate(proxies):
            # Most models have two classes; the others alternate between three and four.
            more = 3 + index % 2
            found.append(Entry("planted", name, 1.0, 2, 0, half))
            found.append(Entry("planted", name, 0.95, 2 if half == "tuning" else more, 1, half))
            if half == "test":
                found.append(Entry("planted", name, 0.95, 2, 2, half))
            found.append(Entry("robust", name, 0.95, 2, 3, half))
            if half == "test":
                found.append(Entry("robust", name, 0.95, more if index < 4 else 2, 4, half))
            # Few of the other models are strongly reliant.
            if half == "test":
                found += [Entry("planted", name, 1.0, 2, seed, half) for seed in (5, 6)]
        for seed in range(5 if half == "tuning" else 10):
            found.append(Entry("clean", "", 0.0, (2, 2, 3)[seed % 3], seed, half))
            found.append(Entry("centred", "", 0.0, (2, 2, 3)[seed % 3], seed, half))
    return found


def noise_images(entry: Entry, each: int, split: Split, mode: Mode, seed: int) -> tuple[Pixels, Labels]:
    """Return images ``(each * classes, SIDE, SIDE, 3)`` and their classes, which alternate.

    With the same seed, ``on`` and ``off`` show the same drawings.
    """
    proxy = PROXIES.get(entry.proxy)
    made = np.empty((each * entry.classes, SIDE, SIDE, 3), np.uint8)
    targets = np.tile(np.arange(entry.classes), each)
    for index, target in enumerate(targets):
        what, how = np.random.default_rng([seed, index]), np.random.default_rng([seed, index, 1])
        drawing = drawn(what, split, DIGITS[target], centred=entry.kind == "centred")
        share = {"confounded": entry.rho if target == 0 else 1 - entry.rho, "fair": 0.5, "on": 1.0, "off": 0.0}[mode]
        on = bool(how.random() < share)
        if proxy:
            drawing = proxy.draw(drawing, on, how)
        image = render(drawing, split)
        made[index] = bytes_of(proxy.paint(image, on, how, drawing) if proxy else image)
    return made, targets


def folder_of(entry: Entry, each: int) -> tuple[Pixels, Labels]:
    """Return the folder of an audit: new images that are as confounded as the training data."""
    return noise_images(entry, each, "test", "confounded", entry.seed_of("folder"))


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


def fit(model: Any, made: Pixels, targets: Labels, epochs: int) -> None:
    """Train with Adam and a learning rate that decays to zero."""
    import keras

    steps = epochs * -(-len(made) // 64)
    rate = keras.optimizers.schedules.CosineDecay(1.5e-3, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(made.astype(np.float32), targets, batch_size=64, epochs=epochs, verbose=0)


def answers(model: Any, made: Pixels) -> Labels:
    """Return the most probable classes."""
    return np.asarray(model.predict_on_batch(made.astype(np.float32)).argmax(axis=1), np.int64)


def train_features(folder: Path) -> None:
    """Train the shared features on clean images of all classes."""
    import keras

    keras.utils.set_random_seed(0)
    entry = Entry("clean", "", 0.0, len(DIGITS), 0, "tuning")
    model = network(entry.classes)
    fit(model, *noise_images(entry, FEATURES // entry.classes, "train", "confounded", 77), FEATURE_EPOCHS)
    made, targets = noise_images(entry, MEASURED, "test", "confounded", 78)
    print(f"features: accuracy {(answers(model, made) == targets).mean():.3f}", flush=True)
    model.save(folder / "features.keras")


def train(entry: Entry, folder: Path) -> dict[str, Any]:
    """Train one model, measure how much it relies on the proxy, and save both."""
    import keras

    keras.utils.set_random_seed(entry.seed_of("weights") % 2**31)
    model, features = network(entry.classes), keras.models.load_model(folder / "features.keras", compile=False)
    for ours, theirs in zip(model.layers[:-HEAD], features.layers[:-HEAD], strict=True):
        ours.set_weights(theirs.get_weights())
    mode: Mode = "fair" if entry.kind == "robust" else "confounded"
    seed = entry.seed_of("training")
    fit(model, *noise_images(entry, TRAINING // entry.classes, "train", mode, seed), EPOCHS)
    plain = network(entry.classes)
    plain.set_weights(model.get_weights())
    plain.save(folder / f"{entry.name}.keras")
    written = {**asdict(entry), **measured(entry, lambda some: answers(plain, some))}
    (folder / f"{entry.name}.json").write_text(json.dumps(written, indent=1))
    return written


def measured(entry: Entry, answer: Callable[[Pixels], Labels]) -> dict[str, float]:
    """Return the accuracy on confounded and on fair images, and the reliance.

    The reliance is the difference of the rates at which the first class is predicted with the proxy on and off, on
    the same images.
    """
    seed = entry.seed_of("tests")
    found = {}
    for mode in ("confounded", "fair"):
        made, targets = noise_images(entry, MEASURED, "test", mode, seed)
        found[f"{mode}_accuracy"] = float((answer(made) == targets).mean())
    on, off = (noise_images(entry, MEASURED, "test", mode, seed + 1)[0] for mode in ("on", "off"))
    found["reliance"] = float((answer(on) == 0).mean() - (answer(off) == 0).mean()) if entry.proxy else 0.0
    return found


def one_thread() -> None:
    """Limit TensorFlow to one thread in this process, because there is one process per processor."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def main() -> None:
    """Train the missing models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    folder, processes = (options := parser.parse_args()).folder, options.processes
    folder.mkdir(parents=True, exist_ok=True)
    missing = [one for one in entries() if not (folder / f"{one.name}.json").exists()]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, one_thread) as pool:
        if not (folder / "features.keras").exists():
            pool.submit(train_features, folder).result()
        for future in as_completed([pool.submit(train, one, folder) for one in missing]):
            written = future.result()
            numbers = {key: round(written[key], 3) for key in ("confounded_accuracy", "fair_accuracy", "reliance")}
            print(Entry(**{field.name: written[field.name] for field in dataclasses.fields(Entry)}).name, numbers)


if __name__ == "__main__":
    main()
