"""Recognize the format of a model file or folder, for the loaders and the scanners.

The format depends on the name, as in the frameworks; the scan checks whether the content fits.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from picasso.errors import ModelError
from picasso.models.newest import modified, newest

# The endings of the files of a TensorFlow 1 checkpoint.
CHECKPOINT = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")
SAVED_MODEL = "saved_model.pb"
KERAS_FILES = ("*.keras", "*.h5", "*.hdf5")
ACCEPTED = (
    "Keras files (.keras, .h5, .hdf5, .json with weights), SavedModel folders, TensorFlow 1 checkpoints and frozen "
    "graphs (.pb), .onnx and .tflite"
)
# The maximum size in bytes of a JSON file in a model's folder; larger ones are ignored.
MAX_JSON = 100_000_000


class Format(StrEnum):
    """The formats of models; the values are their names in messages."""

    KERAS_ARCHIVE = "Keras archive (.keras)"
    KERAS_HDF5 = "Keras file (.h5)"
    KERAS_JSON = "Keras architecture (.json) and weights"
    SAVED_MODEL = "SavedModel"
    CHECKPOINT = "TensorFlow 1 checkpoint"
    FROZEN_GRAPH = "frozen TensorFlow graph (.pb)"
    ONNX = "ONNX"
    TFLITE = "TFLite"


# The formats that consist of one file, by suffix.
SUFFIXES = {
    ".keras": Format.KERAS_ARCHIVE,
    ".h5": Format.KERAS_HDF5,
    ".hdf5": Format.KERAS_HDF5,
    ".json": Format.KERAS_JSON,
    ".pb": Format.FROZEN_GRAPH,
    ".onnx": Format.ONNX,
    ".tflite": Format.TFLITE,
}


@dataclass(frozen=True)
class Found:
    """A recognized model.

    Attributes:
        format: its format.
        path: the file, the folder of a SavedModel, or the prefix of a checkpoint's files.
        weights: the weights of a Keras architecture, or None.
    """

    format: Format
    path: Path
    weights: Path | None = None


def recognize(path: Path) -> Found:
    """Return the model that :func:`picasso.models.load_model` loads from a path.

    Args:
        path: a file, a folder or the prefix of a checkpoint's files.

    Raises:
        ModelError: the path does not exist, or Picasso can't load it.
    """
    if path.is_dir():
        return in_folder(path)
    if (checkpoint := checkpoint_at(path)) is not None:
        return checkpoint
    if not path.exists():
        raise ModelError(f"There is no model file {path}.")
    if not path.is_file():
        raise ModelError(f"{path} is not a regular file. Specify a model file or folder.")
    if path.name == SAVED_MODEL:
        return Found(Format.SAVED_MODEL, path.parent)
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise ModelError(f"Picasso can't load {path}. Supported formats: {ACCEPTED}.")
    # If the folder of an architecture contains no weights, an argument may still name them.
    alone = found is not Format.KERAS_JSON or not any(any(path.parent.glob(one)) for one in KERAS_FILES[1:])
    return Found(found, path) if alone else keras_model(path)


def in_folder(folder: Path) -> Found:
    """Return the newest model in a folder.

    Raises:
        ModelError: there is none.
    """
    if (folder / SAVED_MODEL).is_file():
        return Found(Format.SAVED_MODEL, folder)
    if (version := served(folder)) is not None:
        return Found(Format.SAVED_MODEL, version)
    if any(any(folder.glob(pattern)) for pattern in KERAS_FILES):
        return keras_model(data_dir=folder)
    if any(folder.glob("*.index")):
        return tensorflow_1(data_dir=folder)
    raise ModelError(f"There is no model in the folder {folder}. Supported formats: {ACCEPTED}.")


def served(folder: Path) -> Path | None:
    """Return the newest version of a model in TensorFlow Serving's layout, such as ``flowers/2``, or None."""
    versions = [path for path in folder.glob(f"*/{SAVED_MODEL}") if path.parent.name.isdecimal()]
    # Compared as numbers, as in TensorFlow Serving: 10 is newer than 9.
    return max((path.parent for path in versions), key=lambda path: int(path.name[:30]), default=None)


def checkpoint_at(path: Path) -> Found | None:
    """Return the TensorFlow 1 checkpoint of a path, which is one of its files or their prefix, or None."""
    prefix = Path(CHECKPOINT.sub("", str(path)))
    lies = any(Path(f"{prefix}{ending}").is_file() for ending in (".index", ".meta"))
    return Found(Format.CHECKPOINT, prefix) if lies else None


def tensorflow_1(path: str | Path | None = None, data_dir: str | Path | None = None) -> Found:
    """Return the checkpoint or frozen graph at ``path``, or the newest checkpoint in ``data_dir``.

    Raises:
        ModelError: ``data_dir`` contains none.
    """
    if not path:
        index = newest(str(data_dir or ""), ("*.index",), "TensorFlow checkpoint")
        return Found(Format.CHECKPOINT, index.with_suffix(""))
    if (checkpoint := checkpoint_at(Path(path))) is not None:
        return checkpoint
    frozen = Path(path).suffix.lower() == ".pb"
    return Found(Format.FROZEN_GRAPH if frozen else Format.CHECKPOINT, Path(path))


def keras_model(
    path: str | Path | None = None, data_dir: str | Path | None = None, weights: str | Path | None = None
) -> Found:
    """Return the Keras model at ``path``, or the newest one in ``data_dir``.

    Args:
        path: a model, or an architecture as ``.json``.
        data_dir: a folder. If it contains a ``.json`` that describes a model, the ``.h5`` contains the weights.
        weights: the weights of an architecture; by default the newest file of weights in its folder.

    Raises:
        ModelError: there is none.
    """
    file = Path(path) if path else newest(str(data_dir or ""), KERAS_FILES, "Keras model")
    if not file.exists():
        raise ModelError(f"There is no model file {file}.")
    if not file.is_file():
        # Opening a pipe may never end.
        raise ModelError(f"{file} is not a regular file. Specify a model file or folder.")
    suffix = file.suffix.lower()
    if suffix == ".keras":
        return Found(Format.KERAS_ARCHIVE, file)
    if suffix == ".json":
        beside = Path(weights) if weights else newest(str(file.parent), KERAS_FILES[1:], "file of weights")
        return Found(Format.KERAS_JSON, file, beside)
    architectures = [] if path else sorted(filter(is_architecture, file.parent.glob("*.json")), key=modified)
    if architectures:
        return Found(Format.KERAS_JSON, architectures[-1], Path(weights) if weights else file)
    return Found(Format.KERAS_HDF5, file)


def decoded(file: Path) -> dict[str, Any] | None:
    """Return the document of a JSON file that describes a model, or None for any other file."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_JSON:
            return None
        # Imported here, because the scanners import this module.
        from picasso.models.scan import json_reading

        text = file.read_bytes()
        if json_reading.memory_of(text) > json_reading.MAX_BYTES:
            return None
        document: Any = json.loads(text.decode("utf-8"))
        # Keras 1 encoded its JSON twice.
        while isinstance(document, str):
            document = json.loads(document)
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and {"class_name", "config"} <= document.keys() else None


def is_architecture(file: Path) -> bool:
    """Tell whether a JSON file describes a model, unlike a file of labels."""
    return decoded(file) is not None
