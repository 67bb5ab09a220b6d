"""Checks before a framework is imported: the backend of Keras, and the versions of packages.

Keras chooses its backend once, on import.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata

from picasso.errors import ModelError

BACKEND = "tensorflow"
# The oldest versions allowed for reading model files, as in pyproject.toml; older ones are less safe for hostile files.
OLDEST = {
    "tensorflow": "2.18", "keras": "3.12", "tf_keras": "2.18", "h5py": "3.11", "onnx": "1.17", "onnxruntime": "1.24.1",
    "ai-edge-litert": "1.1.2",
}  # fmt: skip


def require_versions(*packages: str) -> None:
    """Raise an error if an installed package is older than Picasso allows; missing packages are ignored.

    Raises:
        ModelError: a package is too old; the message names it, its version and the oldest allowed one.
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
    """Return the leading numbers of a version, such as (3, 12, 0) for ``3.12.0rc1``."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def choose_tensorflow() -> None:
    """Make Keras use TensorFlow, regardless of ``KERAS_BACKEND`` and ``keras.json``.

    Raises:
        ModelError: Keras is already imported with another backend.
    """
    keras = sys.modules.get("keras")
    if keras is None:
        # The environment variable takes precedence over keras.json.
        os.environ["KERAS_BACKEND"] = BACKEND
        return
    chosen = keras.backend.backend()
    if chosen != BACKEND:
        raise ModelError(
            f"Keras was imported with the backend {chosen}, and Picasso reads models with TensorFlow: set "
            f"KERAS_BACKEND={BACKEND} in the environment, or import picasso.models.keras before keras."
        )
