"""Read files of Keras 2 with the package ``tf_keras``, and compare its predictions with those of Keras 3."""

from __future__ import annotations

import importlib
import importlib.util
import json
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from picasso.errors import ModelError, reason
from picasso.models.environment import require_versions
from picasso.models.scan import Limits
from picasso.models.tf.runtime import keras, standard
from picasso.models.tf.weight_budget import budget

TF_KERAS = "pip install 'picasso-viz[keras2]'"

# The maximum difference of predictions between Keras 3 and tf_keras, relative to the largest; rounding is far smaller.
TOLERANCE = 1e-3


def document_of(file: Path) -> Any:
    """Return the configuration in a Keras file, or None if there is none."""
    try:
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                return json.loads(archive.read("config.json"))
        with h5py.File(file) as archive:
            return json.loads(archive.attrs["model_config"])
    except Exception:
        # The readers raise undocumented exceptions for broken archives.
        return None


def always_training(document: Any) -> Iterator[str]:
    """Yield the names of layers that a configuration calls with ``training=True``, which Keras 3 does not."""
    if isinstance(document, list):
        for one in document:
            yield from always_training(one)
    elif isinstance(document, dict):
        if "inbound_nodes" in document and says_training(document["inbound_nodes"]):
            yield str(document.get("name") or document.get("class_name"))
        for key, one in document.items():
            if key != "inbound_nodes":
                yield from always_training(one)


def says_training(calls: Any) -> bool:
    """Tell whether the arguments of calls contain ``training=True``."""
    if isinstance(calls, dict):
        return bool(calls.get("training")) or any(map(says_training, calls.values()))
    return isinstance(calls, list) and any(map(says_training, calls))


def need_tf_keras(file: Path, error: Exception | None) -> Any:
    """Return the package ``tf_keras``, which reads files of Keras 2.

    It runs code inside a file, so only scanned or trusted files may be passed to it.

    Raises:
        ModelError: it is not installed; the message states how to install it.
    """
    if is_installed():
        require_versions("tf_keras")
        return importlib.import_module("tf_keras")
    why = f" ({reason(error, 120)})" if error else ""
    raise ModelError(
        f"{file.name} was written by Keras 2, and Keras 3 can't read it{why}. The package tf_keras can: install it "
        f"({TF_KERAS}). Or save it again with Keras 3."
    )


def is_installed() -> bool:
    """Tell whether the package ``tf_keras`` is installed."""
    return importlib.util.find_spec("tf_keras") is not None


def load(tf_keras: Any, file: Path, custom_objects: dict[str, Any] | None, limits: Limits) -> Any:
    """Load a whole model with ``tf_keras``."""
    with standard(tf_keras), budget(tf_keras, limits, file):
        return tf_keras.models.load_model(file, custom_objects=custom_objects, compile=False)


def compared(
    model: Any, file: Path, custom_objects: dict[str, Any] | None, limits: Limits, shape: Sequence[int] | None
) -> tuple[Any, tuple[str, ...]]:
    """Return the model that predicts as in Keras 2, and notes for the user.

    Keras 3 and ``tf_keras`` may read a file differently without an error. Then the model of ``tf_keras`` is correct.

    Args:
        model: the model that Keras 3 read.
        file: its file.
        custom_objects: custom classes and functions by name.
        limits: the limits on reading the file.
        shape: the shape ``(H, W, C)`` of the input if the file does not define it.
    """
    layers = ", ".join(dict.fromkeys(always_training(document_of(file))))
    calls = f"The file calls {layers} with training=True, which Keras 3 leaves out. " if layers else ""
    if not is_installed():
        advice = f"Predictions of Keras 2 differ; to reproduce them, install tf_keras ({TF_KERAS})."
        return model, ((calls + advice,) if calls else ())
    require_versions("tf_keras")
    tf_keras = importlib.import_module("tf_keras")
    try:
        writers = load(tf_keras, file, custom_objects, limits)
        with standard(keras), standard(tf_keras):
            difference = apart(model, writers, shape)
    except Exception:
        # Custom layers derive from classes of only one of the two packages.
        return model, ((calls + "Predictions of Keras 2 may differ.",) if calls else ())
    if difference <= TOLERANCE:
        return model, ()
    return writers, (
        f"{calls}On noise, predictions of Keras 3 for this file of Keras 2 are off by up to {difference:.3g}, so the "
        "model of tf_keras, which wrote the file, is used.",
    )


def apart(one: Any, other: Any, shape: Sequence[int] | None) -> float:
    """Return the maximum relative difference of the outputs of two models for noise in 0..1 and in 0..255."""
    known = list(one.inputs[0].shape)
    sides = list(shape) if shape else known[1:]
    noise = np.random.default_rng(0).random((known[0] or 2, *sides), np.float32)
    noise[len(noise) // 2 :] *= 255
    largest = 0.0
    with warnings.catch_warnings():
        # Keras 3 warns about the structure of the inputs in files of Keras 2, but there is only one input.
        warnings.simplefilter("ignore")
        both = flat(one(noise, training=False)), flat(other(noise, training=False))
    for ours, theirs in zip(*both, strict=True):
        scale = max(1.0, float(np.abs(theirs).max()))
        largest = max(largest, float(np.abs(ours - theirs).max()) / scale)
    return largest


def flat(answer: Any) -> list[Any]:
    """Return the outputs of a model as float32 arrays, in a fixed order."""
    if isinstance(answer, dict):
        answer = [answer[name] for name in sorted(answer)]
    return [one.numpy().astype(np.float32) for one in (answer if isinstance(answer, list | tuple) else [answer])]
