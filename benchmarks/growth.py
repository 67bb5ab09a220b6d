"""How time and memory grow with the work: ``make bench-growth``.

``python -m benchmarks.growth --write`` also puts the table into docs/performance.md; other words, such as ``pixels`` or
``RISE``, choose rows.

Each figure comes from a process of its own: the CPU seconds after a first run, which compiles, and, above the loaded
model, the largest memory. Seconds and amounts are fitted on logarithmic scales: an exponent of 1 means that twice the
work takes twice as long. What is linear with a fixed part has a smaller one, so that of the last step is shown as well.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import networks, occlusion
from benchmarks.measuring import cpu, elsewhere, largest_anew, markdown, memory, put_into_page
from picasso import explain
from picasso.explanation.pipeline import explain_each
from picasso.models.base import Model

NETWORK, SIDE, CLASSES = "MobileNetV2", 128, 10
IMAGES, PIXELS, TARGETS, WINDOWS = "images", "pixels", "targets", "windows"
#: Short work is repeated, and the fastest counts: until so many CPU seconds have passed, or so often.
LEAST_SECONDS, ROUNDS = 1.0, 10
#: Larger exponents count as worse than linear. Repeated measurements differ by up to 0.05.
LINEAR = 1.1
#: A whole process may grow by so much if its memory counts as flat.
FLAT = 1.1


@dataclass(frozen=True)
class Growing:
    """What grows in a row of the table, and everything else that stays as it is.

    Attributes:
        what: :data:`IMAGES`, :data:`PIXELS`, :data:`TARGETS`, :data:`WINDOWS`, or the name of a setting.
        method: the name of the visualization.
        amounts: how many; of pixels, the sides of the image.
        settings: the other settings.
    """

    what: str
    method: str
    amounts: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def size(self, amount: int) -> int:
        """Return the amount that time should be proportional to: of an image's side, its pixels."""
        return amount**2 if self.what == PIXELS else amount


FEW = {"Strides": 10}
# Sampling does not stop before, at a given standard error.
ALL = {"Error": 0}
GROWING = (
    Growing(IMAGES, "PartialOcclusion", (1, 10, 100), FEW),
    Growing(IMAGES, "SaliencyMaps", (1, 10, 100)),
    Growing(PIXELS, "PartialOcclusion", (64, 128, 256, 512), FEW),
    Growing(PIXELS, "RISE", (64, 128, 256, 512), ALL | {"Masks": 100}),
    Growing(PIXELS, "SaliencyMaps", (64, 128, 256, 512)),
    Growing(PIXELS, "GradCAM", (64, 128, 256, 512)),
    Growing(PIXELS, "ScoreCAM", (64, 128, 256, 512), {"Channels": "64"}),
    Growing(PIXELS, "LIME", (64, 128, 256, 512), ALL | {"Samples": 100}),
    Growing(PIXELS, "XRAI", (64, 128, 256, 512), {"Steps": 8}),
    Growing(TARGETS, "PartialOcclusion", (1, 3, 10), FEW),
    Growing(TARGETS, "RISE", (1, 3, 10), ALL | {"Masks": 500}),
    Growing(TARGETS, "SaliencyMaps", (1, 3, 10)),
    Growing(TARGETS, "GradCAM", (1, 3, 10)),
    Growing(TARGETS, "IntegratedGradients", (1, 3, 10), {"Steps": 32}),
    Growing(TARGETS, "KernelSHAP", (1, 3, 10), ALL | {"Samples": 500}),
    Growing(WINDOWS, "PartialOcclusion", (100, 400, 900, 2500)),
    Growing("Masks", "RISE", (100, 500, 2500), ALL),
    Growing("Samples", "LIME", (100, 500, 2500), ALL),
    Growing("Samples", "KernelSHAP", (200, 700, 2500), ALL),
    Growing("Samples", "SaliencyMaps", (50, 150, 500), ALL | {"Method": "SmoothGrad"}),
    Growing("Steps", "IntegratedGradients", (64, 256, 1024), {"Error": 0.01}),
)


def noise_images(folder: Path, side: int, count: int) -> list[Path]:
    """Write images of smooth noise, none like another, and return their files."""
    files = [folder / f"{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        blobs = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(blobs).resize((side, side), Image.Resampling.BICUBIC).save(file)
    return files


def work_of(model: Model, growing: Growing, amount: int, files: Sequence[Path]) -> Callable[[], None]:
    """Return the work of one figure. Results are dropped one by one, as the server stores them one by one."""
    if growing.what == WINDOWS:
        image = networks.noise_image(model.input_shape)
        # More than the settings of the visualization offer.
        boxes = occlusion.windows(model.input_shape, 0.2, round(amount**0.5))
        return lambda: occlusion.use(model, image, np.zeros_like(image), boxes)
    targets = range(amount if growing.what == TARGETS else 1)
    own: dict[str, Any] = {} if growing.what in (IMAGES, PIXELS, TARGETS) else {growing.what: amount}

    def work() -> None:
        for _ in explain_each(model, files, growing.method, targets=targets, **growing.settings, **own):
            pass

    return work


def measure(index: int, amount: int) -> dict[str, float]:
    """Return the CPU seconds and the memory, in megabytes, of one figure.

    Args:
        index: the row, an index of :data:`GROWING`.
        amount: one of its amounts.
    """
    growing = GROWING[index]
    side, count = amount if growing.what == PIXELS else SIDE, amount if growing.what == IMAGES else 1
    model = networks.network(NETWORK, input_shape=(side, side, 3), classes=CLASSES)
    # As the server does after loading.
    networks.warm_up_occlusion(model)
    with tempfile.TemporaryDirectory() as folder:
        files = noise_images(Path(folder), side, count)
        explain(model, files[0], "ClassProbabilities")
        before = largest_anew()
        # The first run compiles, which one image is enough for.
        work_of(model, growing, amount, files[:1])()
        work, seconds = work_of(model, growing, amount, files), list[float]()
        while sum(seconds) < LEAST_SECONDS and len(seconds) < ROUNDS:
            seconds.append(cpu(work))
    return {"cpu": min(seconds), "peak": memory("VmHWM") - before, "model": before}


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the exponent p of ``seconds ~ sizes ** p`` by least squares on logarithmic scales."""
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)


def cells(growing: Growing, found: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """Return a row of the table from what :func:`measure` has found for each of the amounts."""
    sizes, seconds = [growing.size(amount) for amount in growing.amounts], [one["cpu"] for one in found]
    whole = [one["model"] + one["peak"] for one in found]
    amounts = [f"{amount} x {amount}" if growing.what == PIXELS else f"{amount}" for amount in growing.amounts]
    fitted, last = exponent(sizes, seconds), exponent(sizes[-2:], seconds[-2:])
    flat = growing.what == PIXELS or whole[-1] / whole[0] <= FLAT
    return (
        f"{growing.what} of {growing.method}: {', '.join(amounts)}",
        ", ".join(f"{one:.2f}" for one in seconds),
        f"{fitted:.2f}, at last {last:.2f}{'' if max(fitted, last) <= LINEAR else ' (worse than linear)'}",
        ", ".join(f"{one['peak']:.0f}" for one in found),
        f"{whole[-1] / whole[0]:.2f}{'' if flat else ' (not flat)'}",
    )


def table(some: Sequence[str] = ()) -> list[str]:
    """Measure all rows, or those in which something named in ``some`` grows, and return a Markdown table."""
    head = ("what grows", "CPU s", "exponent", "MB above the model", "whole process, largest / smallest amount")
    rows = []
    for index, growing in enumerate(GROWING):
        if some and growing.what not in some and growing.method not in some:
            continue
        found = [elsewhere("growth", json.dumps([index, amount])) for amount in growing.amounts]
        rows.append(cells(growing, found))
        print("| " + " | ".join(rows[-1]) + " |", flush=True)
    return markdown(head, rows)


def main() -> None:
    """Print the table; with ``--write``, put it into docs/performance.md."""
    words = [word for word in sys.argv[1:] if word != "--write"]
    lines = table(words)
    print("", *lines, sep="\n")
    if "--write" in sys.argv:
        put_into_page("growth", lines)


if __name__ == "__main__":
    main()
