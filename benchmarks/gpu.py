"""The benchmarks of occlusion and of all methods on a CUDA card: ``make bench-gpu``.

The tables are those of :mod:`benchmarks.occlusion` and :mod:`benchmarks.methods`, with elapsed seconds where these have
CPU seconds, since a CPU that waits for a card says little. Batches are those of the application. Memory is that of the
process, not of the card, of which TensorFlow takes only what it needs. Without a card, the exit status is 2.
"""

from __future__ import annotations

import os
import sys

from benchmarks import methods, occlusion
from benchmarks.measuring import ELAPSED
from picasso.models.tf.runtime import tf


def cards() -> list[str]:
    """Return the names of the cards that TensorFlow can use."""
    found = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(one).get("device_name", one.name) for one in found]


def main() -> None:
    """Print the names of the cards and both tables."""
    names = cards()
    if not names:
        print("TensorFlow finds no GPU on this machine, so there is nothing to measure.", file=sys.stderr)
        raise SystemExit(2)
    # The processes that measure inherit this.
    os.environ[ELAPSED] = "1"
    print(f"{', '.join(names)}, TensorFlow {tf.__version__}; all seconds are elapsed seconds.", flush=True)
    print("", *occlusion.table(), "", *methods.times(), sep="\n")


if __name__ == "__main__":
    main()
