"""Which class loads which file: decided by what lies at a path, before any framework is imported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from picasso.errors import ModelError
from picasso.models.base import Model

# What the names of a TensorFlow 1 checkpoint's files end with.
CHECKPOINT = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")
KERAS = (".keras", ".h5", ".hdf5", ".json")
ACCEPTED = (
    "Keras files (.keras, .h5, .hdf5, .json with weights), SavedModel folders, TensorFlow 1 checkpoints and frozen "
    "graphs (.pb), .onnx and .tflite"
)


def open_file(path: Path) -> tuple[Model, dict[str, Any]]:
    """Return an unloaded model of the right class for a path, and the arguments that load it.

    Raises:
        ModelError: there is nothing at the path, or nothing that Picasso can load.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return from_folder(path)
    prefix = CHECKPOINT.sub("", str(path))
    if Path(f"{prefix}.index").is_file() or Path(f"{prefix}.meta").is_file():
        return tensorflow_1(), {"path": prefix}
    if not path.exists():
        raise ModelError(f"There is no model file {path}.")
    if path.name == "saved_model.pb":
        return saved_model(), {"path": str(path.parent)}
    if suffix in KERAS:
        return keras(), {"path": str(path)}
    if suffix == ".pb":
        return tensorflow_1(), {"path": str(path)}
    if suffix == ".onnx":
        return onnx(), {"path": str(path)}
    if suffix == ".tflite":
        return tflite(), {"path": str(path)}
    raise ModelError(f"{path} is no model that Picasso can load: it takes {ACCEPTED}.")


def in_memory(model: Any) -> tuple[Model, dict[str, Any]]:
    """Return the class for a model that is no file, and the arguments that load it.

    Raises:
        ModelError: it is no Keras model.
    """
    kinds = {(cls.__module__.partition(".")[0], cls.__name__) for cls in type(model).__mro__}
    if kinds & {("keras", "Model"), ("tf_keras", "Model")}:
        return keras(), {"model": model}
    raise ModelError(
        f"A {type(model).__name__} is no model that Picasso can load: pass a keras.Model, or the path of a file or "
        f"folder. It takes {ACCEPTED}."
    )


def from_folder(folder: Path) -> tuple[Model, dict[str, Any]]:
    """Return the class for the newest model in a folder."""
    if (folder / "saved_model.pb").is_file():
        return saved_model(), {"path": str(folder)}
    if (version := served(folder)) is not None:
        return saved_model(), {"path": str(version)}
    for patterns, make in ((("*.keras", "*.h5", "*.hdf5"), keras), (("*.index",), tensorflow_1)):
        if any(any(folder.glob(pattern)) for pattern in patterns):
            return make(), {"data_dir": str(folder)}
    raise ModelError(f"There is no model in the folder {folder}: Picasso takes {ACCEPTED}.")


def served(folder: Path) -> Path | None:
    """Return the newest version of a model in TensorFlow Serving's layout, such as ``flowers/2``, or None."""
    versions = [path for path in folder.glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    # By number, as TensorFlow Serving takes them: 10 is newer than 9.
    return max((path.parent for path in versions), key=lambda path: int(path.name[:30]), default=None)


def keras() -> Model:
    """Return an unloaded Keras model."""
    from picasso.models.keras import KerasModel

    return KerasModel()


def tensorflow_1() -> Model:
    """Return an unloaded TensorFlow 1 model."""
    from picasso.models.tensorflow import TFModel

    return TFModel()


def saved_model() -> Model:
    """Return an unloaded SavedModel."""
    from picasso.models.saved_model import SavedModel

    return SavedModel()


def onnx() -> Model:
    """Return an unloaded ONNX model."""
    from picasso.models.onnx import ONNXModel

    return ONNXModel()


def tflite() -> Model:
    """Return an unloaded TFLite model."""
    from picasso.models.tflite import TFLiteModel

    return TFLiteModel()
