"""Captum's occlusion of torchvision's networks, in a process of its own: PyTorch and TensorFlow don't share one.

python -m benchmarks.peer_captum NETWORK WINDOW prints the CPU seconds that one window takes.
"""

from __future__ import annotations

import sys
import time

import torch
import torchvision
from captum.attr import Occlusion

SIDE = 224
BATCH = 16


def main() -> None:
    """Measure one map of few windows, after one that is not counted."""
    name, window = sys.argv[1], float(sys.argv[2])
    patch = round(window * SIDE)
    # Captum takes no stride beyond the window.
    stride = min(patch, (SIDE - patch) // 5)
    explainer = Occlusion(getattr(torchvision.models, name)(weights=None).eval())
    image = torch.rand(1, 3, SIDE, SIDE)
    times = []
    for _ in range(2):
        started = time.process_time()
        with torch.no_grad():
            explainer.attribute(
                image, (3, patch, patch), strides=(3, stride, stride), target=0, perturbations_per_eval=BATCH
            )
        times.append(time.process_time() - started)
    print(times[-1] / (-(-(SIDE - patch) // stride) + 1) ** 2)


if __name__ == "__main__":
    main()
