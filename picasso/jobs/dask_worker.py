"""What the server has computed in the workers of a Dask cluster: small functions of paths and plain values.

Dask sends their names, not their code, so the workers need the same Picasso, as :mod:`picasso.jobs.agreement` checks.
The model is loaded once, because :func:`picasso.jobs.worker.model_of` keeps it in the process.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from picasso.errors import Cancelled
from picasso.jobs import worker
from picasso.jobs.tasks import TaskKind

# How often a task shows that it makes progress.
BEAT_SECONDS = 1.0


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
