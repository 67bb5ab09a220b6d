"""Files of Keras 2, as the package tf_keras, which wrote them, reads them."""

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

# By how much the answers of two readings may differ, relative to the largest one; rounding stays far below.
TOLERANCE = 1e-3


def document_of(file: Path) -> Any:
    """Return the configuration that a file of Keras holds, or None where there is none."""
    try:
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                return json.loads(archive.read("config.json"))
        with h5py.File(file) as archive:
            return json.loads(archive.attrs["model_config"])
    except Exception:
        # A broken archive fails in more ways than its reader documents.
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
    """Return the package ``tf_keras``, which reads what Keras 2 wrote.

    It runs code that a file holds: only a file that was scanned, or that is trusted, may go to it.

    Raises:
        ModelError: it is not installed; says what to do.
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
    """Tell whether the package ``tf_keras`` is there."""
    return importlib.util.find_spec("tf_keras") is not None


def load(tf_keras: Any, file: Path, custom_objects: dict[str, Any] | None, limits: Limits) -> Any:
    """Load a whole model with ``tf_keras``."""
    with standard(tf_keras), budget(tf_keras, limits, file):
        return tf_keras.models.load_model(file, custom_objects=custom_objects, compile=False)


def compared(
    model: Any, file: Path, custom_objects: dict[str, Any] | None, limits: Limits, shape: Sequence[int] | None
) -> tuple[Any, tuple[str, ...]]:
    """Return the model that answers as the file's writer does, and what the user should know.

    Keras 3 and ``tf_keras`` may read one file differently, without an error: then ``tf_keras`` is right.

    Args:
        model: as Keras 3 read it.
        file: where it was read from.
        custom_objects: classes and functions of the user's.
        limits: how much reading the file may cost.
        shape: ``(H, W, C)`` of the input, where the file does not say.
    """
    layers = ", ".join(dict.fromkeys(always_training(document_of(file))))
    calls = f"The file calls {layers} with training=True, which Keras 3 leaves out. " if layers else ""
    if not is_installed():
        advice = f"Its writer's answers differ; to have them, install tf_keras ({TF_KERAS})."
        return model, ((calls + advice,) if calls else ())
    require_versions("tf_keras")
    tf_keras = importlib.import_module("tf_keras")
    try:
        writers = load(tf_keras, file, custom_objects, limits)
        with standard(keras), standard(tf_keras):
            difference = apart(model, writers, shape)
    except Exception:
        # Layers of the user's own are of one of the two packages only.
        return model, ((calls + "Its writer's answers may differ.",) if calls else ())
    if difference <= TOLERANCE:
        return model, ()
    return writers, (
        f"{calls}On noise, what Keras 3 makes of this file of Keras 2 answers up to {difference:.3g} off: taken are "
        "the answers of tf_keras, which wrote it.",
    )


def apart(one: Any, other: Any, shape: Sequence[int] | None) -> float:
    """Return by how much the outputs of two models differ on noise in 0..1 and in 0..255, relative to the largest."""
    known = list(one.inputs[0].shape)
    sides = list(shape) if shape else known[1:]
    noise = np.random.default_rng(0).random((known[0] or 2, *sides), np.float32)
    noise[len(noise) // 2 :] *= 255
    largest = 0.0
    with warnings.catch_warnings():
        # Keras 3 is not content with how files of Keras 2 order their inputs, of which there is one.
        warnings.simplefilter("ignore")
        both = flat(one(noise, training=False)), flat(other(noise, training=False))
    for ours, theirs in zip(*both, strict=True):
        scale = max(1.0, float(np.abs(theirs).max()))
        largest = max(largest, float(np.abs(ours - theirs).max()) / scale)
    return largest


def flat(answer: Any) -> list[Any]:
    """Return the outputs of a model as arrays, in a fixed order."""
    if isinstance(answer, dict):
        answer = [answer[name] for name in sorted(answer)]
    return [one.numpy().astype(np.float32) for one in (answer if isinstance(answer, list | tuple) else [answer])]
