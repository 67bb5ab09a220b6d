"""Run every benchmark and print its table: ``make bench``.

Times are CPU seconds over all threads of a process, because wall time says more about the neighbours of a
machine than about a program; each measurement is repeated, interleaved with its baseline, and the median is
shown with its spread. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from picasso import explain
from picasso.examples import mnist
from picasso.models import load_model
from picasso.models.keras import KerasModel
from picasso.visualizations.partial_occlusion import OcclusionSettings

REPEATS = 7
CONFIG = Path(mnist.__file__).parent / "keras" / "config.py"
DIGIT = sorted(mnist.SAMPLES.glob("8*.png"))[0]


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that ``work`` takes in this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def interleaved(ours: Callable[[], object], baseline: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Measure two pieces of work in turn, after one round that is not counted."""
    rounds = [(cpu(ours), cpu(baseline)) for _ in range(REPEATS + 1)][1:]
    return [one for one, _ in rounds], [other for _, other in rounds]


def occlusion_time() -> None:
    """Compare a 30 x 30 occlusion map of a digit with the algorithm of 2017."""
    from benchmarks import original

    model = load_model(CONFIG)
    assert isinstance(model, KerasModel)
    picture, settings = Image.open(DIGIT), OcclusionSettings(0.1, 30, "grey")
    ours, theirs = interleaved(
        lambda: explain(model, picture, Window=0.1, Strides=30),
        lambda: original.occlude(model.model, picture, settings),
    )
    print("\nOcclusion map, MNIST example, 30 x 30 windows of 10%, CPU milliseconds per map")
    for name, times in (("Picasso", ours), ("the algorithm of 2017", theirs)):
        low, middle, high = (1000 * value for value in (min(times), statistics.median(times), max(times)))
        print(f"  {name:<22} median {middle:7.1f}   min {low:7.1f}   max {high:7.1f}")
    ratios = [other / one for one, other in zip(ours, theirs, strict=True)]
    print(
        f"  ratio                  median {statistics.median(ratios):7.2f}   ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def peak(strides: int) -> float:
    """Return the peak memory, in megabytes, of a process that computes one map of ``strides`` x ``strides``."""
    words = [sys.executable, "-m", "benchmarks", "--peak", str(strides)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def occlusion_memory() -> None:
    """Show that the peak memory of occlusion does not grow with the grid."""
    print("\nPeak memory of a process that computes one occlusion map, MNIST example, megabytes")
    small = peak(2)
    print(f"   2 x  2 windows  {small:7.1f}")
    for strides in (10, 30):
        megabytes = peak(strides)
        print(f"  {strides:2} x {strides:2} windows  {megabytes:7.1f}   ratio {megabytes / small:.3f}")


def main() -> None:
    """Run everything, or one map in this process where ``--peak STRIDES`` is given."""
    if "--peak" in sys.argv:
        explain(load_model(CONFIG), DIGIT, Window=0.1, Strides=sys.argv[-1])
        print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
        return
    occlusion_time()
    occlusion_memory()


if __name__ == "__main__":
    main()
