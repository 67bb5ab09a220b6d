"""The MNIST digits: read from a folder of the four original IDX files, or download them into it.

    python -m picasso.examples.mnist FOLDER

writes the bundled sample images again: the first three test digits of each class, as PNG.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLES = Path(__file__).parent / "samples" / "mnist"
MIRROR = "https://storage.googleapis.com/cvdf-datasets/mnist/"

# SHA-256 of the unpacked files (mirrors pack them differently); a download that differs is refused.
FILES = {
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class Digits(NamedTuple):
    """Images ``(N, 28, 28)`` uint8, white ink on black, and their labels ``(N,)`` uint8."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one gzipped IDX file of unsigned bytes (format: LeCun, Cortes & Burges, 1998).

    Raises:
        ValueError: the file is not an IDX file of unsigned bytes, or is incomplete.
    """
    raw = gzip.decompress(path.read_bytes())
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes.")
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">u4", dimensions, offset=4)
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions)
    if values.size != np.prod(shape):
        raise ValueError(f"{path} should hold {np.prod(shape)} bytes of data but holds {values.size}.")
    return values.reshape(shape)


def load(folder: Path, part: str) -> Digits:
    """Return the ``"train"`` (60,000) or ``"t10k"`` (10,000 test) digits found in ``folder``."""

    def find(kind: str) -> Path:
        matches = sorted(folder.glob(f"{part}-{kind}*.gz"))
        if not matches:
            raise FileNotFoundError(f"No {part}-{kind}*.gz in {folder}; run with --download to fetch MNIST into it.")
        return matches[0]

    return Digits(read_idx(find("images")), read_idx(find("labels")))


def download(folder: Path) -> None:
    """Fetch the four files into ``folder``, skipping those already there.

    Raises:
        ValueError: a fetched file does not have the published checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, checksum in FILES.items():
        target = folder / name
        if target.exists():
            continue
        with urllib.request.urlopen(MIRROR + name) as response:  # noqa: S310 - a constant https address
            body = response.read()
        if hashlib.sha256(gzip.decompress(body)).hexdigest() != checksum:
            raise ValueError(f"{MIRROR}{name} does not have the expected checksum; nothing was saved.")
        target.write_bytes(body)


def write_samples(folder: Path, each: int = 3) -> None:
    """Write the first ``each`` test digits of every class as ``<digit>-<index>.png`` into :data:`SAMPLES`."""
    tests = load(folder, "t10k")
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for digit in range(10):
        for index in np.flatnonzero(tests.labels == digit)[:each]:
            Image.fromarray(tests.images[index]).save(SAMPLES / f"{digit}-{index:05d}.png", optimize=True)


if __name__ == "__main__":
    write_samples(Path(sys.argv[1]))
