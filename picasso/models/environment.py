"""Which backend Keras runs on: decided before it is imported, because Keras decides it once, while it is imported."""

from __future__ import annotations

import os
import sys

from picasso.errors import ModelError

BACKEND = "tensorflow"


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
