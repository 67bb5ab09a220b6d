"""What a worker on another machine must have in common with the server, because results depend on it."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from picasso import __version__
from picasso.jobs.tasks import TaskQueue

# The packages that results depend on.
PACKAGES = ("keras", "numpy", "pillow", "scipy", "tensorflow")
# What the model of a worker has to share with that of the server, and what messages call it.
MODEL_FACTS = {"fingerprint": "SHA-256", "preprocessing": "preprocessing", "precision": "arithmetic"}


class Refused(Exception):
    """A worker can't compute what the server computes; the message completes "The worker was refused, because"."""


@dataclass(frozen=True)
class Shared:
    """What all workers of an engine have in common.

    Attributes:
        configured: how they find the model; see :func:`picasso.jobs.worker.reference`.
        folder: an existing folder that all machines see.
        tasks: what they compute.
        status: returns the status of the model of the server.
        limit: the time limit of a run, in seconds.
        stall: the time limit of a run without progress, in seconds.
    """

    configured: dict[str, Any]
    folder: Path
    tasks: TaskQueue
    status: Callable[[], Mapping[str, Any]]
    limit: float = math.inf
    stall: float = math.inf


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


def compare_facts(theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """Raise Refused unless the :func:`facts` of a worker are those of the server."""
    for name, our in ours.items():
        if not theirs.get(name):
            raise Refused(f"it can't read {name}" if "/" in name else f"it has no {name}")
        if theirs[name] != our:
            differs = f"{name} differs from that of the server"
            raise Refused(differs if "/" in name else f"it has {name} {theirs[name]}, and the server has {our}")


def compare_models(status: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    """Raise Refused unless a worker has the model of the server.

    Args:
        status: that of the worker's model; see :func:`picasso.jobs.worker.initialize`.
        card: that of the server's model.
    """
    if status["state"] != "ready":
        raise Refused(f"it can't load the model: {status['error'].rstrip('.')}")
    for name, called in MODEL_FACTS.items():
        if (found := status["card"].get(name)) != card.get(name):
            raise Refused(f"the {called} of its model is {found}, and that of the server's {card.get(name)}")
