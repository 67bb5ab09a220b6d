"""TFLite files, float or quantized, which are run by LiteRT and only predict: they give no gradients."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError, reason
from picasso.models import tflite_inputs, value_range
from picasso.models.arrays import Array
from picasso.models.outputs import Analysis, Range, choose_output
from picasso.models.outputs.tflite_graph import TFLiteReader
from picasso.models.predict_only import PredictOnlyModel, of_type, runtime
from picasso.models.recognition import Format, Found
from picasso.models.scan import require

log = logging.getLogger(__name__)

# The packages that the extra ``tflite`` installs.
PACKAGES = ("ai-edge-litert",)


class TFLiteModel(PredictOnlyModel):
    """A classifier in a ``.tflite`` file, float or quantized."""

    framework = "tflite"
    format = "TFLite"

    def load(
        self,
        path: str = "",
        output: int | str | None = None,
        trust_model: bool = False,
        output_kind: str = "",
    ) -> None:
        """Load the ``.tflite`` file ``path``.

        Args:
            path: the file.
            output: the position or name of the output with the class scores, if there are several outputs.
            trust_model: if True, custom operations are allowed; the interpreter must support them.
            output_kind: the kind of the output values, such as ``"logits"``; detected by default.

        Raises:
            ModelError: the file is broken, has several inputs, or is no image classifier.
        """
        file = Path(path)
        self._file, self.output_kind = file, output_kind or self.output_kind
        require(Found(Format.TFLITE, file), trust_model, self.limits)
        litert = runtime("ai_edge_litert.interpreter", "tflite", PACKAGES, file)
        try:
            self._interpreter = litert.Interpreter(model_path=str(file))
            self._interpreter.allocate_tensors()
        except Exception as error:
            raise ModelError(f"{file.name} can't be read as TFLite: {reason(error)}.") from error
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4:
            shapes = ", ".join(f"{one['name']} {one['shape'].tolist()}" for one in inputs)
            raise ModelError(f"{file.name} must take one image (N, H, W, C), but takes {shapes}.")
        self._input, self._output = inputs[0], chosen_output(self._interpreter, output, file)
        self.fixed_batch, height, width, channels = (int(side) for side in inputs[0]["shape"])
        self.input_shape = (height, width, channels)
        # The interpreter stores its input and output tensors, so only one thread may use it at a time.
        self._lock = threading.Lock()
        self._note_values(litert)
        self.adopt(file)

    def _note_values(self, litert: Any) -> None:
        """Set the pixel values that the type of the input, its quantization or the first operations imply."""
        dtype = self._input["dtype"]
        if not np.issubdtype(dtype, np.integer):
            try:
                scaled = tflite_inputs.find(self._file, litert, self.fixed_batch or 1, self.input_shape)
            except Exception:
                # The pixel values stay a guess, for example if the runtime's schema is missing or differs.
                log.info("the first operations of %s can't be analyzed", self._file.name, exc_info=True)
                return
            if scaled:
                self.takes_values(scaled, "the model rescales its input itself")
            return
        scale, zero = self._input["quantization"]
        limits = (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        if not scale:
            self.takes_integers(limits)
        elif found := value_range.of_quantization(float(scale), int(zero), limits):
            self.takes_values(found, "the input of the model is quantized")

    def output_range(self) -> Range | None:
        """Return the range of the output according to the graph; None if the runtime has no schema of the format."""
        try:
            return Analysis(TFLiteReader(self._file)).of(int(self._output["index"]))
        except ImportError:
            log.info("without a description of the format, the operations of %s are not looked at", self._file.name)
            return None

    def run(self, inputs: Array) -> NDArray[Any]:
        """Return the output values for inputs; quantized inputs and outputs are converted from and to float32."""
        with self._lock:
            self._interpreter.set_tensor(self._input["index"], quantize(inputs, self._input))
            self._interpreter.invoke()
            answer: NDArray[Any] = self._interpreter.get_tensor(self._output["index"]).copy()
        scale, zero = self._output["quantization"]
        return np.asarray((answer.astype(np.float32) - zero) * scale, np.float32) if scale else answer


def chosen_output(interpreter: Any, wanted: int | str | None, file: Path) -> dict[str, Any]:
    """Return the description of the tensor with the class scores.

    Raises:
        ModelError: there are several outputs and none was chosen, or the chosen one does not exist.
    """
    details: list[dict[str, Any]] = interpreter.get_output_details()
    names = {int(detail["index"]): str(detail["name"]) for detail in details}
    if wanted not in names.values():
        names |= names_by_signature(interpreter)
    shapes = {names[int(detail["index"])]: shape_of(detail) for detail in details}
    if len(shapes) < len(details):
        # Some names are equal, so positions replace them.
        shapes = {str(place): shape_of(detail) for place, detail in enumerate(details)}
    return details[choose_output(shapes, wanted, file.name)]


def names_by_signature(interpreter: Any) -> dict[int, str]:
    """Return the names of the outputs in the only signature of a file, by tensor index; {} without one."""
    signatures = interpreter.get_signature_list()
    if len(signatures) != 1:
        return {}
    details = interpreter.get_signature_runner(next(iter(signatures))).get_output_details()
    return {int(detail["index"]): str(name) for name, detail in details.items()}


def shape_of(detail: dict[str, Any]) -> str:
    """Return the shape of a tensor as text."""
    return str(tuple(int(side) for side in detail["shape"]))


def quantize(values: Array, detail: dict[str, Any]) -> NDArray[Any]:
    """Convert values to a tensor's type: to ``value / scale + zero`` if it is quantized, and rounded for integers."""
    scale, zero = detail["quantization"]
    return of_type(np.asarray(values / scale + zero if scale else values, np.float32), detail["dtype"])
