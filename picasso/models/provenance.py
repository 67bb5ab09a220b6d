"""Which model it is: the SHA-256 of the files it was loaded from, and the versions of what computes its answers."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from picasso import __version__
from picasso.errors import ModelError

# What may compute a model's answers, where it is loaded: the name of its module, which is also that of its package.
COMPUTING = ("numpy", "tensorflow", "keras", "tf_keras", "onnxruntime", "ai_edge_litert", "torch", "jax")


def fingerprint(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of a model's files as 64 hexadecimal digits, or "" where there are none.

    For one file it is what ``sha256sum`` says. For several files or a folder it is the SHA-256 of the lines that
    ``sha256sum`` writes for all of them, sorted by their names within the folder that they share: it does not
    depend on where that folder is.

    Args:
        paths: the files, and folders of which every file counts, at any depth.

    Raises:
        ModelError: a file is gone or can't be read.
    """
    if len(paths) == 1 and not paths[0].is_dir():
        return digest(paths[0])
    places = [path.absolute() for path in paths]
    found = {file for place in places for file in ([place] if not place.is_dir() else place.rglob("*"))}
    # Of a folder only regular files: there may be a pipe in it, and that would never end.
    files = {file for file in found if file in places or file.is_file()}
    if not files:
        return ""
    shared = os.path.commonpath([place if place.is_dir() else place.parent for place in places])
    named = sorted((os.fsencode(file.relative_to(shared).as_posix()), file) for file in files)
    return hashlib.sha256(b"".join(line(name, digest(file)) for name, file in named)).hexdigest()


def digest(file: Path) -> str:
    """Return the SHA-256 of one file, read in blocks: it may be larger than the memory."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The model file {file.name} can't be read: {error.strerror}.") from error


def line(name: bytes, sha256: str) -> bytes:
    """Return the line that ``sha256sum`` writes for a file; a name can't pretend to be two lines."""
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != name else b"") + sha256.encode() + b"  " + escaped + b"\n"


def versions() -> dict[str, str]:
    """Return the versions of Python, of Picasso, and of those of :data:`COMPUTING` that this process has loaded."""
    found = {"python": platform.python_version(), "picasso": __version__}
    return found | {name: version for name in COMPUTING if name in sys.modules and (version := version_of(name))}


def version_of(name: str) -> str:
    """Return the version of a loaded module, or "" where it does not say."""
    said = getattr(sys.modules[name], "__version__", None)
    if isinstance(said, str):
        return said
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
