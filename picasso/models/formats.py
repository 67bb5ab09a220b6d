"""Which class loads which format, without importing a framework before it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picasso.errors import ModelError
from picasso.models.base import Model
from picasso.models.recognition import ACCEPTED, Format, recognize


def open_file(path: Path) -> tuple[Model, dict[str, Any]]:
    """Return an unloaded model of the right class for a path, and the arguments that load it.

    Raises:
        ModelError: there is nothing at the path, or nothing that Picasso can load.
    """
    found = recognize(path)
    arguments = {"path": str(found.path)}
    if found.format is Format.SAVED_MODEL:
        return saved_model(), arguments
    if found.format in (Format.CHECKPOINT, Format.FROZEN_GRAPH):
        return tensorflow_1(), arguments
    if found.format is Format.ONNX:
        return onnx(), arguments
    if found.format is Format.TFLITE:
        return tflite(), arguments
    return keras(), arguments | ({"weights": str(found.weights)} if found.weights else {})


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
