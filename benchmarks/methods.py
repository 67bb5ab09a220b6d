"""How long each visualization takes and how much memory, at its defaults: ``make bench-methods``.

``python -m benchmarks.methods --write`` also puts the table into docs/performance.md.

Every figure comes from a process of its own, so that no method profits or suffers from what another one left behind.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import networks
from benchmarks.measuring import elsewhere, largest_anew, markdown, memory, put_into_page
from picasso import explain
from picasso.explanation.registry import Registry

SAMPLES = networks.EXAMPLES / "samples"
IMAGES = {"MNIST example": "mnist/8-00061.png", "EfficientNet-Lite0": "photographs/chelsea.png"}
#: What a row shows of a network's figures, and with how many decimal places.
CELLS = {"wall": 2, "first": 2, "cpu": 2, "peak": 0}


def measure(name: str, visualization: str, settings: dict[str, Any], rounds: int) -> dict[str, float]:
    """Return the seconds of an image's maps, how many more the first ones take, and by how much memory grows at most.

    It is empty where the visualization does not fit the network.

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
    before = largest_anew()
    walls, seconds = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        explain(model, image, visualization, **settings)
        walls.append(time.perf_counter() - wall)
        seconds.append(time.process_time() - cpu)
    return {
        "wall": min(walls[1:] or walls),
        "first": max(0.0, walls[0] - min(walls)),
        "cpu": min(seconds[1:] or seconds),
        "peak": memory("VmHWM") - before,
        "model": before,
    }


def times(names: Sequence[str] = ()) -> list[str]:
    """Measure every built-in visualization, or those that are named, and return a Markdown table."""
    head = ["visualization"]
    for name in IMAGES:
        head += [f"{name}: seconds", "the first map, more", "CPU s", "MB above the model"]
    rows = []
    for entry in Registry().entries():
        if names and entry.name not in names:
            continue
        row = [entry.name]
        for name in IMAGES:
            one = elsewhere("methods", json.dumps([name, entry.name, {}, 2]))
            row += [f"{one[key]:.{places}f}" for key, places in CELLS.items()] if one else ["does not fit", "", "", ""]
        rows.append(row)
        print("| " + " | ".join(row) + " |", flush=True)
    return markdown(head, rows)


def main() -> None:
    """Print the table; with ``--write``, put it into docs/performance.md."""
    seconds = times()
    print("", *seconds, sep="\n")
    if "--write" in sys.argv:
        put_into_page("methods", seconds)


if __name__ == "__main__":
    main()
