"""Occlusion maps: only what a window changes, against whole images in the best batches."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.measuring import elsewhere, interleaved, markdown, peak
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.occlusion import Box, covered
from picasso.models.tf.runtime import tf
from picasso.visualizations.partial_occlusion import spans

# So many windows of the baseline are measured; all of them take the same time.
SAMPLE = 48


@dataclass(frozen=True)
class Workload:
    """A map to compute."""

    network: str
    window: float
    count: int
    rounds: int = 3


WORKS = (
    Workload("VGG16", 0.2, 20),
    Workload("VGG16", 0.1, 30),
    Workload("ResNet50", 0.2, 20),
    Workload("MobileNetV2", 0.2, 20),
    Workload("EfficientNet-Lite0", 0.1, 20, 5),
    Workload("EfficientNetB0", 0.2, 20),
    Workload("MNIST example", 0.1, 30, 7),
    Workload("scenes segmentation", 0.2, 20, 5),
)


def windows(shape: tuple[int, ...], window: float, count: int) -> list[Box]:
    """Return all windows of a map."""
    rows, columns = (spans(side, window, count) for side in shape[:2])
    return [(left, top, right, bottom) for top, bottom in rows for left, right in columns]


def compute(model: Model, image: Array, fill: Array, boxes: list[Box]) -> Array:
    """Return the outputs for all windows."""
    found = np.empty((len(boxes), *model.spec.shape), np.float32)
    for members, part in model.occlude(image, fill, boxes).parts:
        found[members] = part
    return found


def use(model: Model, image: Array, fill: Array, boxes: list[Box]) -> None:
    """Compute the outputs for all windows and reduce each to one number, as the map of a target does."""
    for _, part in model.occlude(image, fill, boxes).parts:
        part.mean(axis=tuple(range(1, part.ndim)))


def measure(name: str, window: float, count: int, rounds: int) -> dict[str, Any]:
    """Return what a map takes in this process, against whole images."""
    model = networks.network(name)
    image = networks.noise_image(model.input_shape)
    fill, boxes = np.zeros_like(image), windows(model.input_shape, window, count)
    # As the server does after loading.
    networks.warm_up_occlusion(model)
    started = time.perf_counter()
    found = compute(model, image, fill, boxes)
    cold = time.perf_counter() - started
    started = time.perf_counter()
    use(model, image, fill, boxes)
    warm, memory = time.perf_counter() - started, peak()
    some = np.random.default_rng(0).permutation(len(boxes))[:SAMPLE]
    chosen = [boxes[index] for index in some]
    expected = model.predict(covered(image, fill, chosen))
    measured = interleaved(
        lambda: use(model, image, fill, boxes),
        lambda: model.predict(covered(image, fill, chosen)),
        rounds,
        len(boxes) / len(some),
    )
    engine = model._occluder.engine
    assert engine is not None
    plan = engine.plan(boxes, model.occlusion_mb * 1_000_000)
    return {
        "gflops": 2 * plan.macs / statistics.median(measured.ours) / 1e9,
        "ratio": measured.ratio(),
        "said": plan.gain,
        "ours": 1000 * statistics.median(measured.ours) / len(boxes),
        "baseline": 1000 * statistics.median(measured.baseline) / len(boxes),
        "error": float(np.abs(found[some] - expected).max()),
        "cold": cold / warm,
        "memory": memory,
        "method": model.occlude(image, fill, boxes).method,
    }


def product_peak() -> float:
    """Return how many billion operations a CPU second of this machine gives to a large product of matrices."""
    one = tf.random.normal([2048, 2048])
    tf.matmul(one, one).numpy()
    times = []
    for _ in range(5):
        started = time.process_time()
        tf.matmul(one, one).numpy()
        times.append(time.process_time() - started)
    return float(2 * 2048**3 / min(times) / 1e9)


def table() -> list[str]:
    """Measure everything, each network in a process of its own, and return a Markdown table."""
    head = (
        "network", "window", "grid", "CPU ms per window", "whole images", "ratio", "GFLOP/s", "error", "first / next",
        "MB",
    )  # fmt: skip
    rows = []
    prepared = networks.EXAMPLES / "keras-efficientnet-lite" / "data" / "efficientnet_lite0.keras"
    for work in WORKS:
        if work.network == "EfficientNet-Lite0" and not prepared.exists():
            print("EfficientNet-Lite0 is left out: make prepare EXAMPLE=keras-efficientnet-lite")
            continue
        one = elsewhere("occlusion", json.dumps([work.network, work.window, work.count, work.rounds]))
        rows.append((
            work.network, f"{work.window:.0%}", f"{work.count} x {work.count}", f"{one['ours']:.2f}",
            f"{one['baseline']:.2f}", one["ratio"], f"{one['gflops']:.0f}", f"{one['error']:.1e}",
            f"{one['cold']:.1f}", f"{one['memory']:.0f}",
        ))  # fmt: skip
        print(*rows[-1], sep=" | ", flush=True)
    return markdown(head, rows)
