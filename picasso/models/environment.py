"""What has to be right before a framework is imported: the backend that Keras runs on, and the versions.

Keras decides its backend once, while it is imported.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata

from picasso.errors import ModelError

BACKEND = "tensorflow"
# The oldest versions that model files are read with, as in pyproject.toml; earlier ones do less against hostile files.
OLDEST = {
    "tensorflow": "2.18", "keras": "3.12", "tf_keras": "2.18", "h5py": "3.11", "onnx": "1.17", "onnxruntime": "1.24.1",
    "ai-edge-litert": "1.1.2",
}  # fmt: skip


def require_versions(*packages: str) -> None:
    """Raise an error where a package is older than Picasso allows; one that is not installed is left to its import.

    Raises:
        ModelError: names the package, its version and the oldest that is allowed.
    """
    for package in packages:
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        if numbers(version) < numbers(OLDEST[package]):
            raise ModelError(
                f"{package} {version} is too old to read model files with: install {OLDEST[package]} or newer, with "
                f"pip install --upgrade '{package}>={OLDEST[package]}'."
            )


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with, such as (3, 12, 0) for ``3.12.0rc1``."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def choose_tensorflow() -> None:
    """Let Keras run on TensorFlow, whatever ``KERAS_BACKEND`` and Keras' own ``keras.json`` say.

    Raises:
        ModelError: Keras was imported before, on another backend.
    """
    keras = sys.modules.get("keras")
    if keras is None:
        # The environment wins over keras.json.
        os.environ["KERAS_BACKEND"] = BACKEND
        return
    chosen = keras.backend.backend()
    if chosen != BACKEND:
        raise ModelError(
            f"Keras was imported with the backend {chosen}, and Picasso reads models with TensorFlow: set "
            f"KERAS_BACKEND={BACKEND} in the environment, or import picasso.models.keras before keras."
        )
