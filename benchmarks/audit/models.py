"""The models of the benchmark: their training, and how much each relies on its proxy.

    python -m benchmarks.audit.models FOLDER

trains the models that are missing in FOLDER. The shared features of each of the three worlds take three minutes on one
processor, and each model about ten seconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit.entries import Entry, entries
from benchmarks.audit.images import Mode, images_of
from benchmarks.audit.networks import (
    Bytes,
    Labels,
    answers,
    digit_network,
    fit,
    network,
    one_thread,
    saved,
    started_from,
)  # fmt: skip
from benchmarks.audit.worlds import WORLDS, photographs, plain
from benchmarks.audit.worlds.digits import digits
from picasso.errors import ModelError

TRAINING, EPOCHS = 2400, 4
FEATURES, FEATURE_EPOCHS = 12_000, 10
# Images of each class for the measured reliance: this many in all, and at least and at most of a class.
TESTS, MIN_TESTS, MAX_TESTS = 400, 40, 100
HALVES = ("tuning", "test")


def features_of(folder: Path, world: str) -> Path:
    """Return the path of the shared features of a world, or of the model of a collection of real images."""
    return folder / (f"{world}.keras" if world not in WORLDS else f"features-{world}.keras")


def prepare(world: str, folder: Path) -> str:
    """Train the shared features of a world on clean images of all classes, or the model of real images."""
    import keras

    file = features_of(folder, world)
    keras.utils.set_random_seed(0)
    if world == photographs.NAME:
        from picasso.examples import preparing

        built = Path(preparing.__file__).parent / "keras-efficientnet-lite" / "data" / "efficientnet_lite0.keras"
        if not built.exists():
            raise ModelError(f"There is no model {built}; make prepare EXAMPLE=keras-efficientnet-lite builds it.")
        shutil.copy(built, file)
        return "photographs: EfficientNet-Lite0"
    if world == plain.NAME:
        model, train, test = digit_network(), digits("train"), digits("test")
        fit(model, train.images[..., None], train.labels.astype(np.int64), 3)
        model.save(file)
        right = answers(model, test.images[..., None]) == test.labels
        return f"mnist: accuracy {right.mean():.3f}"
    classes = len(WORLDS[world].members)
    entry = Entry("clean", world, "", 0.0, classes, 0, "tuning")
    model = network(classes)
    fit(model, *images_of(entry, FEATURES // classes, "train", "confounded", 77), FEATURE_EPOCHS)
    made, targets = images_of(entry, MAX_TESTS, "test", "confounded", 78)
    saved(model, file)
    return f"features of {world}: accuracy {(answers(model, made) == targets).mean():.3f}"


def train(entry: Entry, folder: Path) -> dict[str, Any]:
    """Train one model, measure how much it relies on the proxy, and save both."""
    import keras

    written: dict[str, Any] = {**asdict(entry), "reliance": 0.0}
    if entry.kind != "real":
        keras.utils.set_random_seed(entry.seed_of("weights") % 2**31)
        model = started_from(features_of(folder, entry.world), entry.classes)
        mode: Mode = "fair" if entry.kind == "robust" else "confounded"
        seed = entry.seed_of("training")
        fit(model, *images_of(entry, TRAINING // entry.classes, "train", mode, seed), EPOCHS)
        plain_model = saved(model, folder / f"{entry.model}.keras")
        written |= measured(entry, lambda some: answers(plain_model, some))
    (folder / f"{entry.name}.json").write_text(json.dumps(written, indent=1))
    return written | {"name": entry.name}


def measured(entry: Entry, answer: Callable[[Bytes], Labels]) -> dict[str, float]:
    """Return the accuracy on confounded and on fair images, and the reliance.

    The reliance is the difference of the rates at which the first class is predicted with the proxy on and off, on
    the same images.
    """
    seed, each = entry.seed_of("tests"), min(MAX_TESTS, max(MIN_TESTS, TESTS // entry.classes))
    found = {}
    for mode in ("confounded", "fair"):
        made, targets = images_of(entry, each, "test", mode, seed)
        found[f"{mode}_accuracy"] = float((answer(made) == targets).mean())
    on, off = (images_of(entry, each, "test", mode, seed + 1)[0] for mode in ("on", "off"))
    found["reliance"] = float((answer(on) == 0).mean() - (answer(off) == 0).mean()) if entry.proxy else 0.0
    return found


def main() -> None:
    """Train the missing models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=HALVES, help="by default both, the tuning half first")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    missing = [one for one in entries(options.half) if not (folder / f"{one.name}.json").exists()]
    worlds = dict.fromkeys(one.world for one in missing)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, one_thread) as pool:
        needed = [world for world in worlds if not features_of(folder, world).exists()]
        for prepared in as_completed([pool.submit(prepare, world, folder) for world in needed]):
            print(prepared.result(), flush=True)
        for future in as_completed([pool.submit(train, one, folder) for one in missing]):
            written = future.result()
            numbers = [f"{key} {written[key]:.2f}" for key in ("fair_accuracy", "reliance") if key in written]
            print(written["name"], *numbers, flush=True)


if __name__ == "__main__":
    main()
