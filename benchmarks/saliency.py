"""Saliency maps of the top five classes: one pass forward and five back, against five passes of both."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.measuring import interleaved

CLASSES = 5


def measure(name: str, count: int, rounds: int) -> dict[str, Any]:
    """Return what the gradients of ``count`` images take, against asking for one class after the other."""
    model = networks.network(name)
    one = networks.noise_image(model.input_shape)
    images = np.stack([np.roll(one, 5 * index, axis=0) for index in range(count)])
    classes = np.argsort(-model.predict(images), axis=1)[:, :CLASSES]
    measured = interleaved(
        lambda: model.input_gradients(images, classes),
        lambda: [model.input_gradients(images, classes[:, index]) for index in range(CLASSES)],
        rounds,
    )
    together = model.input_gradients(images, classes)
    apart = np.stack([model.input_gradients(images, classes[:, index]) for index in range(CLASSES)], axis=1)
    return {
        "ratio": measured.ratio(),
        "ours": statistics.median(measured.ours) / count,
        "baseline": statistics.median(measured.baseline) / count,
        "error": float(np.abs(together - apart).max() / np.abs(apart).max()),
    }
