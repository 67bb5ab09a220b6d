"""The provenance of a model: the SHA-256 of its files, and the versions of the packages that compute predictions."""

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

# The packages that may compute a model's predictions; their modules have the same names.
COMPUTING = ("numpy", "tensorflow", "keras", "tf_keras", "onnxruntime", "ai_edge_litert", "torch", "jax")


def fingerprint(paths: Sequence[Path | str]) -> str:
    """Return the SHA-256 of a model's files as 64 hexadecimal digits, or "" if there are none.

    For one file, it is the output of ``sha256sum``. For several files or a folder, it is the SHA-256 of the lines that
    ``sha256sum`` prints for all of them, sorted by their paths relative to their common folder. So it does not depend
    on the location of that folder.

    Args:
        paths: files, and folders, whose files are included recursively.

    Raises:
        ModelError: a file is missing or can't be read.
    """
    # Classes of users may name them as text.
    places = [Path(path).absolute() for path in paths]
    if len(places) == 1 and not places[0].is_dir():
        return digest(places[0])
    found = {file for place in places for file in ([place] if not place.is_dir() else place.rglob("*"))}
    # Only regular files of a folder: reading a pipe might never end.
    files = {file for file in found if file in places or file.is_file()}
    if not files:
        return ""
    shared = os.path.commonpath([place if place.is_dir() else place.parent for place in places])
    named = sorted((os.fsencode(file.relative_to(shared).as_posix()), file) for file in files)
    return hashlib.sha256(b"".join(line(name, digest(file)) for name, file in named)).hexdigest()


def digest(file: Path) -> str:
    """Return the SHA-256 of one file, read in blocks, because it may not fit into memory."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The model file {file.name} can't be read: {error.strerror}.") from error


def line(name: bytes, sha256: str) -> bytes:
    """Return the line that ``sha256sum`` prints for a file, with line breaks in the name escaped."""
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != name else b"") + sha256.encode() + b"  " + escaped + b"\n"


def versions() -> dict[str, str]:
    """Return the versions of Python, Picasso and the packages of :data:`COMPUTING` that this process has imported."""
    found = {"python": platform.python_version(), "picasso": __version__}
    return found | {name: version for name in COMPUTING if name in sys.modules and (version := version_of(name))}


def version_of(name: str) -> str:
    """Return the version of an imported module, or "" if it is unknown."""
    said = getattr(sys.modules[name], "__version__", None)
    if isinstance(said, str):
        return said
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
