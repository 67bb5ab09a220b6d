"""Occlusion by Xplique and by Captum, at their best settings: ``make bench-peers``, in an environment of its own.

Xplique takes the same Keras model, in turn with Picasso in one process; it computes the map of one class per run, of
which one is counted. Captum takes torchvision's network of the same architecture, in a process of its own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from benchmarks import networks, occlusion
from benchmarks.measuring import Rounds, cpu, interleaved
from picasso.models.arrays import Array
from picasso.models.keras import KerasModel

WORKS = (
    occlusion.Workload("VGG16", 0.2, 20),
    occlusion.Workload("VGG16", 0.1, 30),
    occlusion.Workload("ResNet50", 0.2, 20),
    occlusion.Workload("MobileNetV2", 0.2, 20),
    occlusion.Workload("EfficientNet-Lite0", 0.2, 20),
    occlusion.Workload("MNIST example", 0.1, 30, 5),
)
TORCHVISION = {"VGG16": "vgg16", "ResNet50": "resnet50", "MobileNetV2": "mobilenet_v2"}
BATCH = 16

Measured = tuple[Callable[[], object], int]


def xplique(model: KerasModel, image: Array, window: float) -> Measured:
    """Return Xplique's work and how many windows that is."""
    from xplique.attributions import Occlusion

    side = image.shape[0]
    patch = round(window * side)
    stride, batch = stride_of(side, patch), 256 if side < 64 else BATCH
    target = np.eye(model.num_classes, dtype=np.float32)[:1]
    explainer = Occlusion(model.model, batch_size=batch, patch_size=patch, patch_stride=stride, occlusion_value=0.0)
    return lambda: explainer.explain(image[None], target), ((side - patch) // stride + 1) ** 2


def captum(name: str, window: float) -> float:
    """Return the CPU seconds that a window takes Captum."""
    words = [sys.executable, "-m", "benchmarks.peer_captum", TORCHVISION[name], str(window)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1])


def stride_of(side: int, patch: int) -> int:
    """Return a stride with which some windows of a large image are measured, all alike, or all of a small one."""
    return max(1, (side - patch) // (5 if side > 64 else 25))


def measure(work: occlusion.Workload) -> None:
    """Print the rows of one map."""
    model = networks.network(work.network)
    image = networks.noise_image(model.input_shape)
    fill, boxes = np.zeros_like(image), occlusion.windows(model.input_shape, work.window, work.count)
    run, count = xplique(model, image, work.window)
    rounds = interleaved(lambda: occlusion.compute(model, image, fill, boxes), run, work.rounds, len(boxes) / count)
    show(work, "Xplique", rounds, len(boxes))
    if work.network in TORCHVISION:
        ours = [cpu(lambda: occlusion.compute(model, image, fill, boxes)) for _ in range(2)]
        theirs = [captum(work.network, work.window) * len(boxes) for _ in range(2)]
        show(work, "Captum", Rounds(ours, theirs), len(boxes))


def show(work: occlusion.Workload, peer: str, rounds: Rounds, count: int) -> None:
    """Print one row."""
    ours, theirs = (f"{1000 * statistics.median(times) / count:.2f}" for times in (rounds.ours, rounds.baseline))
    cells = (work.network, f"{work.window:.0%}", f"{work.count} x {work.count}", peer, ours, theirs, rounds.ratio())
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Measure all maps, or those of the networks that are named."""
    print("| network | window | grid | peer | CPU ms per window | the peer's | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for work in WORKS:
        if len(sys.argv) == 1 or work.network in sys.argv[1:]:
            measure(work)


if __name__ == "__main__":
    main()
