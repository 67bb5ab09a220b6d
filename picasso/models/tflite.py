"""TFLite files, float or quantized, through the LiteRT interpreter: predictions only."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError, reason
from picasso.models.arrays import Array
from picasso.models.predict_only import PredictOnlyModel, runtime


class TFLiteModel(PredictOnlyModel):
    """A classifier in a ``.tflite`` file, float or quantized."""

    framework = "tflite"
    format = "TFLite"

    def load(self, path: str = "", trust_model: bool = False) -> None:
        """Load ``path``; a TFLite file holds no code, so ``trust_model`` changes nothing.

        Raises:
            ModelError: the file is broken, takes several inputs, or is no classifier of pictures.
        """
        file = Path(path)
        interpreter = runtime("ai_edge_litert.interpreter", "tflite", file).Interpreter
        try:
            self._interpreter = interpreter(model_path=str(file))
            self._interpreter.allocate_tensors()
        except Exception as error:
            raise ModelError(f"{file.name} can't be read as TFLite: {reason(error)}.") from error
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4:
            shapes = ", ".join(f"{one['name']} {one['shape'].tolist()}" for one in inputs)
            raise ModelError(f"{file.name} must take one picture (N, H, W, C), but takes {shapes}.")
        self._input, self._output = inputs[0], self._interpreter.get_output_details()[0]
        self.fixed_batch, height, width, channels = (int(side) for side in inputs[0]["shape"])
        self.input_shape = (height, width, channels)
        # The interpreter holds its tensors itself: two callers would overwrite each other's.
        self._lock = threading.Lock()
        self.adopt(file)

    def run(self, inputs: Array) -> Array:
        """Ask the interpreter, quantizing and dequantizing where it works on integers."""
        with self._lock:
            self._interpreter.set_tensor(self._input["index"], quantize(inputs, self._input))
            self._interpreter.invoke()
            answer: NDArray[Any] = self._interpreter.get_tensor(self._output["index"]).copy()
        scale, zero = self._output["quantization"]
        return np.asarray((answer.astype(np.float32) - zero) * scale if scale else answer, np.float32)


def quantize(values: Array, detail: dict[str, Any]) -> NDArray[Any]:
    """Return values as a tensor's own type: integers are ``value / scale + zero``, rounded and clipped."""
    scale, zero = detail["quantization"]
    if not scale:
        return values.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    quantized: NDArray[Any] = np.clip(np.round(values / scale + zero), limits.min, limits.max).astype(detail["dtype"])
    return quantized
