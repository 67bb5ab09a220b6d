"""The models at a path: one, or all checkpoints of a training run in a folder, in the order of training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from picasso.models.newest import modified
from picasso.models.recognition import KERAS_FILES, SAVED_MODEL, is_architecture, recognize

# The files and folders of a folder that are models; ``*.index`` stands for the files of a TensorFlow 1 checkpoint.
PATTERNS = (*KERAS_FILES, "*.onnx", "*.tflite", "*.index", f"*/{SAVED_MODEL}")
# The maximum number of checkpoints of a folder.
MAX_CHECKPOINTS = 40
DIGITS = re.compile(r"(\d+)")


def models_at(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the model of a file, or the models of a folder in the order of training, with their settings.

    Args:
        path: a model file, a folder of a SavedModel, or a folder with several models. Of a folder, at most
            :data:`MAX_CHECKPOINTS` are returned, evenly spread, with the first and the last one.

    Raises:
        ModelError: the path does not exist, or there is no model that Picasso can load.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from picasso.models.checkpoints import models_at
        >>> folder = Path(tempfile.mkdtemp())
        >>> for epoch in (10, 2):
        ...     (folder / f"epoch_{epoch}.keras").touch()
        >>> [file.name for file, _ in models_at(folder)]
        ['epoch_2.keras', 'epoch_10.keras']
    """
    files = models_in(path) if path.is_dir() and not (path / SAVED_MODEL).is_file() else []
    if not files:
        # This raises an error if there is no model at all.
        recognize(path)
        return [(path, settings_of(path))]
    architectures = sorted(filter(is_architecture, path.glob("*.json")), key=modified)
    found = []
    for file in spread(in_order(files), MAX_CHECKPOINTS):
        if architectures and file.suffix.lower() in (".h5", ".hdf5"):
            # Beside an architecture, these files contain only weights.
            found.append((file, settings_of(architectures[-1], weights=str(file.resolve()))))
        else:
            found.append((file, settings_of(file)))
    return found


def models_in(folder: Path) -> list[Path]:
    """Return the files and folders of a folder that look like models, in any order."""
    files = {file for pattern in PATTERNS for file in folder.glob(pattern)}
    models = [file.parent if file.name == SAVED_MODEL else file for file in files]
    return [file for file in models if not file.name.startswith(".")]


def settings_of(model: Path, **arguments: str) -> dict[str, Any]:
    """Return the settings that specify a model file."""
    return {"MODEL": str(model.resolve()), "MODEL_LOAD_ARGS": arguments}


def in_order(files: Sequence[Path]) -> list[Path]:
    """Return checkpoints in the order of training: by the numbers in their names, or by time if one has no number."""
    if all(DIGITS.search(file.name) for file in files):
        return sorted(files, key=lambda file: natural(file.name))
    return sorted(files, key=lambda file: (modified(file), natural(file.name)))


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which names sort as people expect: ``epoch_2`` before ``epoch_10``."""
    # A very long number is no epoch, and Python does not convert it.
    parts = DIGITS.split(name)
    return [(int(part[:18]), "") if part.isdecimal() else (-1, part) for part in parts]


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most ``most`` items, evenly spread, with the first and the last one."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]
