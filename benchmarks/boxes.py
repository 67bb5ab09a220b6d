"""Maps of many boxes of a detector, which share one set of masked images, against the map of one box."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import networks
from benchmarks.measuring import interleaved
from picasso import explain

BOXES, MASKS = 20, 400


def measure(rounds: int) -> dict[str, Any]:
    """Return what the maps of many boxes take, against that of one box, with the same masks."""
    model = networks.network("scenes detection")
    height, width = model.input_shape[:2]
    generator = np.random.default_rng(0)
    corners = [(int(x), int(y)) for x, y in generator.integers(0, (width - 32, height - 32), (BOXES, 2))]
    targets = [f"{index % model.num_classes}@{x},{y},{x + 28},{y + 32}" for index, (x, y) in enumerate(corners)]
    image = Image.open(networks.EXAMPLES / "scenes" / "samples" / "scenes" / "images" / "01.png")

    def maps(count: int) -> list[Any]:
        return list(explain(model, image, "RISE", targets=targets[:count], Masks=MASKS))

    measured = interleaved(lambda: maps(1), lambda: maps(BOXES), rounds)
    return {
        "ratio": measured.ratio(),
        "ours": statistics.median(measured.ours),
        "baseline": statistics.median(measured.baseline),
    }
