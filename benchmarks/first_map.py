"""The first map after the server is ready beside the next ones: ``python -m benchmarks.first_map``.

CPU seconds of the process that computes, for the map that opens first and as it opens, of one image after the other,
and for the same maps of another session, which are in the cache.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measuring import markdown
from benchmarks.serving import Client, Server, cpu_seconds
from picasso.examples import mnist

EXAMPLES = Path(mnist.__file__).parent
NETWORKS = {"MNIST example": "keras", "EfficientNet-Lite0": "keras-efficientnet-lite"}
MAPS = 4


def settings(example: str) -> dict[str, Any]:
    """Return the settings of an example, with its files found from anywhere."""
    found: dict[str, Any] = {}
    folder = EXAMPLES / example
    exec((folder / "config.py").read_text(), found)  # noqa: S102 - a file of ours
    paths: dict[str, Any] = {key: str(folder / found[key]) for key in ("MODEL_CLS_PATH", "LABELS") if key in found}
    arguments = {key: str(folder / value) for key, value in found["MODEL_LOAD_ARGS"].items()}
    return {**paths, "MODEL_CLS_NAME": found["MODEL_CLS_NAME"], "MODEL_LOAD_ARGS": arguments}


def noise_images(folder: Path) -> list[Path]:
    """Make images of smooth noise, none like another."""
    made = []
    for number in range(MAPS):
        blobs = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        made.append(folder / f"{number}.png")
        Image.fromarray(blobs).resize((320, 240), Image.Resampling.BICUBIC).save(made[-1])
    return made


def measure(example: str, visualization: str = "PartialOcclusion") -> tuple[list[float], list[float]]:
    """Return the CPU seconds that the worker takes for each of several maps, the first right after it is ready.

    Then, for the same maps of a second session.
    """
    with tempfile.TemporaryDirectory() as name, Server(settings(example)) as server:
        files = noise_images(Path(name))
        return ask(server, files, visualization), ask(server, files, visualization)


def ask(server: Server, files: list[Path], visualization: str) -> list[float]:
    """Return the CPU seconds that the worker takes for the maps of images in a new session, one after the other."""
    client, taken = Client(server.address), []
    for uid in client.upload(files):
        before = cpu_seconds(server.worker)
        started = client.json("start", "POST", "/api/runs", {"visualization": visualization, "images": [uid]})
        while (state := client.json("poll", "GET", f"{started['url']}?results=false"))["state"] != "finished":
            assert state["state"] in ("waiting", "running"), state
            time.sleep(0.05)
        taken.append(cpu_seconds(server.worker) - before)
    client.close()
    return taken


def main() -> None:
    """Measure each network that is at hand."""
    rows = []
    for name, example in NETWORKS.items():
        (first, *others), again = measure(example)
        listed = (", ".join(f"{one:.2f}" for one in some) for some in (others, again))
        # The clock of processes counts hundredths.
        saved = statistics.median(others) / max(0.01, statistics.mean(again[1:]))
        rows.append((name, f"{first:.2f}", *listed, f"{first / others[0]:.2f}", f"{saved:.0f}"))
        print(*rows[-1], sep=" | ", flush=True)
    head = "network", "first map, CPU s", "next maps, CPU s", "asked again, CPU s", "first / second", "next / again"
    print("\n".join(markdown(head, rows)))


if __name__ == "__main__":
    main()
