"""How long each visualization takes and how much memory, at its defaults: ``make bench-methods``.

``python -m benchmarks.methods --write`` also puts the tables into docs/performance.md.

Every figure comes from a process of its own, so that no method profits or suffers from what another one left behind.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import networks
from benchmarks.measuring import elsewhere, markdown, put_into_page
from picasso import explain
from picasso.explanation.registry import Registry

SAMPLES = networks.EXAMPLES / "samples"
IMAGES = {"MNIST example": "mnist/8-00061.png", "EfficientNet-Lite0": "photographs/chelsea.png"}
# Much the same work with few and with many samples.
GROWING: tuple[tuple[str, str, Mapping[str, object], Mapping[str, object]], ...] = (
    ("RISE", "masks", {"Masks": 250}, {"Masks": 2000}),
    ("IntegratedGradients", "steps", {"Error": 0.01, "Steps": 32}, {"Error": 0.01, "Steps": 256}),
    ("SaliencyMaps", "samples", {"Method": "SmoothGrad", "Samples": 16}, {"Method": "SmoothGrad", "Samples": 128}),
    ("ScoreCAM", "channels", {"Channels": "64"}, {"Channels": "all"}),
)


def measure(name: str, visualization: str, settings: dict[str, Any], rounds: int) -> dict[str, float]:
    """Return the seconds of an image's maps, and by how much memory grows at most; nothing where it does not fit.

    Args:
        name: the network.
        visualization: the name of the visualization.
        settings: its settings; those that are left out have their defaults.
        rounds: how often; of several, the first one is not timed, and of the others the quickest counts.
    """
    model = networks.network(name)
    if visualization in Registry().unsuitable(model):
        return {}
    # As the server does after loading.
    networks.warm_up_occlusion(model)
    image = SAMPLES / IMAGES[name]
    explain(model, image, "ClassProbabilities")
    before = memory("VmRSS")
    # From here on, the largest memory counts anew.
    Path("/proc/self/clear_refs").write_text("5")
    walls, seconds = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        explain(model, image, visualization, **settings)
        walls.append(time.perf_counter() - wall)
        seconds.append(time.process_time() - cpu)
    return {
        "wall": min(walls[1:] or walls),
        "cpu": min(seconds[1:] or seconds),
        "peak": memory("VmHWM") - before,
        "model": before,
    }


def memory(field: str) -> float:
    """Return one of this process's figures of memory in megabytes: VmRSS now, VmHWM the largest."""
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def times(names: Sequence[str] = ()) -> list[str]:
    """Measure every built-in visualization, or those that are named, and return a Markdown table."""
    head = ["visualization"]
    for name in IMAGES:
        head += [f"{name}: seconds", "CPU s", "MB above the model"]
    rows = []
    for entry in Registry().entries():
        if names and entry.name not in names:
            continue
        row = [entry.name]
        for name in IMAGES:
            one = elsewhere("methods", json.dumps([name, entry.name, {}, 2]))
            row += (
                [f"{one['wall']:.2f}", f"{one['cpu']:.2f}", f"{one['peak']:.0f}"] if one else ["does not fit", "", ""]
            )
        rows.append(row)
        print("| " + " | ".join(row) + " |", flush=True)
    return markdown(head, rows)


def growth(name: str = "EfficientNet-Lite0") -> list[str]:
    """Measure the memory of little and of much work and return a Markdown table."""
    head = ("visualization", "setting", "MB above the model", "ratio of the whole process")
    rows = []
    for visualization, setting, little, much in GROWING:
        small, large = (elsewhere("methods", json.dumps([name, visualization, one, 1])) for one in (little, much))
        whole = [one["peak"] + one["model"] for one in (small, large)]
        values = " and ".join(str(list(one.values())[-1]) for one in (little, much))
        cells = (f"{small['peak']:.0f} and {large['peak']:.0f}", f"{whole[1] / whole[0]:.2f}")
        rows.append((visualization, f"{values} {setting}", *cells))
        print("| " + " | ".join(rows[-1]) + " |", flush=True)
    return markdown(head, rows)


def main() -> None:
    """Print both tables; with ``--write``, put them into docs/performance.md."""
    seconds = times()
    memories = growth()
    print("", *seconds, "", *memories, sep="\n")
    if "--write" in sys.argv:
        put_into_page("methods", seconds)
        put_into_page("growth", memories)


if __name__ == "__main__":
    main()
