"""Find model files: the newest file in a folder, and its modification time."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from picasso import remedies
from picasso.errors import ModelError


def modified(file: Path) -> float:
    """Return the modification time of a file, in seconds since the epoch."""
    return file.stat().st_mtime


def newest(folder: str | None, patterns: Sequence[str], what: str) -> Path:
    """Return the newest file in ``folder`` that matches one of ``patterns``.

    Raises:
        ModelError: no folder is given, it does not exist, or it contains no such file.
    """
    if not folder:
        how = remedies.argument("path", "model file")
        raise ModelError(f"No {what} is specified. Pass a folder as data_dir or a file as path: {how}.")
    if not Path(folder).is_dir():
        raise ModelError(f"There is no folder {folder} to load a {what} from.")
    found = sorted((file for pattern in patterns for file in Path(folder).glob(pattern)), key=modified)
    if not found:
        raise ModelError(f"There is no {what} in {folder}; expected a file like {', '.join(patterns)}.")
    return found[-1]


def beside(prefix: Path, endings: Sequence[str]) -> tuple[Path, ...]:
    """Return the files whose path is ``prefix`` followed by one of ``endings`` (glob patterns), sorted."""
    found = {file for ending in endings for file in prefix.parent.glob(glob.escape(prefix.name) + ending)}
    return tuple(sorted(file for file in found if file.is_file()))


def written(file: Path) -> str:
    """Return the modification time of a file as local time, ``YYYY-MM-DD HH:MM:SS``."""
    return datetime.fromtimestamp(modified(file)).strftime("%Y-%m-%d %H:%M:%S")
