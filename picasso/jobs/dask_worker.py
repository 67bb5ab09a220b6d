"""What the server has computed in the workers of a Dask cluster: small functions of paths and plain values.

Dask sends their names, not their code, so the workers need the same Picasso; :func:`facts` makes sure of that. The
model is loaded once, because :func:`picasso.jobs.worker.model_of` keeps it in the process.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from picasso import __version__
from picasso.errors import Cancelled
from picasso.jobs import worker
from picasso.jobs.tasks import TaskKind

# The packages that results depend on.
PACKAGES = ("keras", "numpy", "pillow", "scipy", "tensorflow")
# How often a task shows that it makes progress.
BEAT_SECONDS = 1.0


def facts(configured: dict[str, Any]) -> dict[str, str]:
    """Return what has to be the same in the server and in its workers, by what messages call it.

    Args:
        configured: a :func:`picasso.jobs.worker.reference`.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    versions = {"picasso": __version__, "python": python} | {name: metadata.version(name) for name in PACKAGES}
    file = configured["file"]
    return versions | ({f"the settings file {file}": digest(Path(file))} if file else {})


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, or "" if it can't be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def echo(probe: str) -> str:
    """Return the content of a file in the folder of the server, and write it to the file NAME-echo beside it.

    Args:
        probe: the path of the file.

    Raises:
        OSError: this machine can't see the folder, or can't write to it.
    """
    file = Path(probe)
    text = file.read_text(encoding="utf-8")
    file.with_name(f"{file.name}-echo").write_text(text, encoding="utf-8")
    return text


def load(configured: dict[str, Any]) -> dict[str, Any]:
    """Load the model and return its status; see :func:`picasso.jobs.worker.initialize`."""
    return worker.initialize(configured)


def compute(kind: TaskKind, folder: str, shard: int, beat: str) -> None:
    """Compute a task; write a byte to a file first, and touch it as long as the task makes progress.

    Args:
        kind: the kind of the task.
        folder: the folder of its job.
        shard: its number.
        beat: the file; once it is gone, so is the server, and the task stops.
    """
    # The server computes what was not begun with another worker.
    with suppress(FileNotFoundError), Path(beat).open("r+b") as file:
        file.write(b"1")
    touched = time.monotonic()

    def checkpoint() -> None:
        nonlocal touched
        if time.monotonic() - touched > BEAT_SECONDS:
            touched = time.monotonic()
            try:
                os.utime(beat)
            except FileNotFoundError:
                raise Cancelled from None

    worker.run_task(kind, folder, shard, checkpoint)


def leave() -> None:
    """End this process at once; what started it starts another."""
    os._exit(1)
