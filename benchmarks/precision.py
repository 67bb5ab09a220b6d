"""Fast arithmetic against exact arithmetic, in one process and in turn: ``python -m benchmarks.precision``.

With ``--write``, the table is put into docs/performance.md.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.measuring import cpu, markdown, put_into_page
from benchmarks.occlusion import WORKS, windows
from picasso.models.keras import KerasModel
from picasso.models.occlusion import Box, covered
from picasso.models.tf.bfloat16 import bfloat16

# So many windows of whole images are measured; all of them take the same time.
SAMPLE = 24
HEAD = (
    "network", "window", "whole images: exact", "fast", "changes only: exact", "fast", "against exact whole images",
    "largest difference", "bfloat16 gradients would differ by",
)  # fmt: skip


def measure(name: str, window: float, count: int, rounds: int) -> dict[str, Any]:
    """Return CPU milliseconds per window of four computations, and by how much fast answers differ."""
    model = networks.network(name)
    image = networks.noise_image(model.input_shape)
    fill, boxes = np.zeros_like(image), windows(model.input_shape, window, count)
    chosen = [boxes[index] for index in np.random.default_rng(0).permutation(len(boxes))[:SAMPLE]]
    inputs, occluders = covered(image, fill, chosen), {}
    # The difference is measured, whatever it is.
    model.precision_limit = 1.0
    for fast in (False, True):
        model.compute_fast(fast=fast)
        occluders[fast] = model._occluder

    def whole(fast: bool) -> np.ndarray[Any, Any]:
        model._graph.fast = fast
        return model.predict(inputs)

    def changes(fast: bool, some: list[Box]) -> np.ndarray[Any, Any]:
        found = np.empty((len(some), *model.spec.shape), np.float32)
        for members, part in occluders[fast].occlude(image, fill, some).parts:
            found[members] = part
        return found

    times: dict[str, list[float]] = {"whole": [], "whole fast": [], "changes": [], "changes fast": []}
    for _ in range(rounds + 1):
        for fast, suffix in ((False, ""), (True, " fast")):
            times[f"whole{suffix}"].append(1000 * cpu(partial(whole, fast)) / len(inputs))
            times[f"changes{suffix}"].append(1000 * cpu(partial(changes, fast, boxes)) / len(boxes))
    exact = whole(fast=False)
    return {
        "times": {key: values[1:] for key, values in times.items()},
        "whole": float(np.abs(whole(fast=True) - exact).max()),
        "changes": float(np.abs(changes(True, chosen) - exact).max()),
        "gradients": gradients(model, inputs[:4]),
    }


def gradients(model: KerasModel, inputs: Any) -> float:
    """Return the largest relative difference that bfloat16 makes to the gradients of an image: of their norms."""
    classes = model.predict(inputs).reshape(len(inputs), -1, model.num_classes)[:, 0].argmax(axis=1)
    exact = model.input_gradients(inputs, classes)
    with bfloat16(True):
        fast = model.input_gradients(inputs, classes)
    pairs = zip(exact, fast, strict=True)
    return max(float(np.linalg.norm(other - one) / np.linalg.norm(one)) for one, other in pairs)


def table() -> list[str]:
    """Measure all networks, each in a process of its own, and return a Markdown table."""
    rows = []
    for work in WORKS:
        order = json.dumps([work.network, work.window, work.count, min(work.rounds, 3)])
        command = [sys.executable, "-m", "benchmarks.precision", order]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        one = json.loads(done.stdout.splitlines()[-1])
        times = {key: statistics.median(values) for key, values in one["times"].items()}
        ratio = statistics.median(
            other / own for own, other in zip(one["times"]["changes fast"], one["times"]["whole"], strict=True)
        )
        rows.append((
            work.network, f"{work.window:.0%}, {work.count} x {work.count}",
            *(f"{each:.2f}" for each in times.values()), f"{ratio:.1f}",
            f"{max(one['whole'], one['changes']):.1e}", f"{one['gradients']:.0%}",
        ))  # fmt: skip
        print(*rows[-1], sep=" | ", flush=True)
    return markdown(HEAD, rows)


def main() -> None:
    """Measure one network, for another process that asks for it, or all."""
    words = [word for word in sys.argv[1:] if word != "--write"]
    if words:
        print(json.dumps(measure(*json.loads(words[0]))))
        return
    lines = table()
    if "--write" in sys.argv:
        put_into_page("precision", lines)


if __name__ == "__main__":
    main()
