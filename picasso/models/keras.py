"""Keras models: ``.keras``, ``.h5``, or an architecture as JSON with its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from picasso.errors import ModelError, reason
from picasso.models.backend import keras, tf1
from picasso.models.checkpoints import modified, newest
from picasso.models.graph import Graph
from picasso.models.graph_model import GraphModel

MODELS = ("*.keras", "*.h5", "*.hdf5")
RESCALING = (keras.layers.Rescaling, keras.layers.Normalization)


class KerasModel(GraphModel):
    """A classifier that Keras 3 can load.

    Attributes:
        model: the loaded ``keras.Model``; Picasso reads it and never changes it.
    """

    framework = "keras"
    model: keras.Model

    def load(self, data_dir: str | None = None, path: str | None = None, **arguments: Any) -> None:
        """Load ``path``, or the newest model in ``data_dir``.

        Args:
            data_dir: a folder; of several files the newest is taken. Where a ``*.json`` lies beside an
                ``.h5``, it is the architecture and the ``.h5`` holds its weights.
            path: a model file, instead of ``data_dir``.
            arguments: further arguments of ``keras.models.load_model``, such as ``custom_objects``.

        Raises:
            ModelError: nothing to load was found, or Keras could not read it.
        """
        file = Path(path) if path else newest(data_dir, MODELS, "Keras model")
        if not file.exists():
            raise ModelError(f"There is no model file {file}.")
        architectures = sorted(file.parent.glob("*.json"), key=modified) if data_dir and file.suffix != ".keras" else []
        try:
            if architectures:
                self.model = keras.models.model_from_json(architectures[-1].read_text(encoding="utf-8"))
                self.model.load_weights(file)
            else:
                self.model = keras.models.load_model(file, compile=False, **arguments)
        except Exception as error:
            raise ModelError(f"Keras could not load {file}: {reason(error)}.") from error
        self.use(file)

    def use(self, file: Path) -> None:
        """Compile the loaded model and note which file it came from."""
        inputs = self._inputs()
        shape = tuple(inputs[0].shape)
        if len(inputs) != 1:
            raise ModelError(f"The model in {file} takes {len(inputs)} inputs; Picasso shows models of one picture.")

        def build() -> tuple[Any, Any]:
            picture = tf1.placeholder("float32", [None, *shape[1:]], "picasso_input")
            return picture, self.model(picture, training=False)

        self.adopt(Graph(build, f"The model in {file.name}"), file)
        if any(isinstance(layer, RESCALING) for layer in all_layers(self.model)):
            self._respect_rescaling()

    def _respect_rescaling(self) -> None:
        """Feed raw pixel values to a model that rescales them itself, unless the user says otherwise."""
        if not self.preprocessing.values:
            self.preprocessing = dataclasses.replace(self.preprocessing, values="0..255")
        elif self.preprocessing.values != "0..255" and not self._overrides("encode"):
            self.notes += (
                f"The model rescales its input itself, and preprocessing makes it {self.preprocessing.values} before: "
                "if it was trained on plain pixel values, say 0..255.",
            )

    def _inputs(self) -> Sequence[Any]:
        inputs = getattr(self.model, "inputs", None)
        if not inputs:
            raise ModelError("The model has no known input shape; build it before it is saved.")
        return list(inputs)


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model and of the models nested in it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
