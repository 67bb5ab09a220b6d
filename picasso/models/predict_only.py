"""Models that only answer, without gradients: ONNX and TFLite files."""

from __future__ import annotations

import importlib
import threading
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError, reason
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.checkpoints import beside, written


class PredictOnlyModel(Model):
    """A classifier behind a runtime that gives one array for another.

    Whether the answers are probabilities or logits is decided on random inputs: rows of a softmax sum to 1,
    sigmoids lie between 0 and 1, everything else gets a softmax.
    """

    _kind = ""

    @abstractmethod
    def run(self, inputs: Array) -> Array:
        """Return the raw answers ``(n, K)`` for inputs ``(n, H, W, C)``."""

    def adopt(self, file: Path) -> None:
        """Find out what the answers are, and name the model after its file."""
        self.checkpoint, self.checkpoint_time = file.name, written(file)
        # ONNX keeps large weights in a file beside it.
        self.files = beside(file, ("", ".data", "_data"))
        probe = np.random.default_rng(0).random((self.fixed_batch or 4, *self.input_shape), np.float32)
        answer = self.run(probe)
        if answer.ndim != 2:
            raise ModelError(f"{file.name} must answer class scores of shape (N, K), but answers {answer.shape}.")
        inside = bool(answer.min() >= 0 and answer.max() <= 1)
        if answer.shape[1] == 1:
            self._kind = "probability" if inside else "logit"
        else:
            self._kind = "probabilities" if inside else "logits"
        self.num_classes = max(2, answer.shape[1])
        self.logits_found = "the output" if self._kind.startswith("logit") else "none: the output is probabilities"

    def batch_probabilities(self, inputs: Array) -> Array:
        """Run the model and turn logits into probabilities; one unit counts as the classes "not" and "is"."""
        answer = self.run(inputs).astype(np.float64)
        if self._kind == "logits":
            exponentials = np.exp(answer - answer.max(axis=1, keepdims=True))
            answer = exponentials / exponentials.sum(axis=1, keepdims=True)
        elif self._kind == "logit":
            answer = 1 / (1 + np.exp(-answer))
        if answer.shape[1] == 1:
            answer = np.concatenate([1 - answer, answer], axis=1)
        return answer.astype(np.float32)


def runtime(module: str, extra: str, file: Path) -> Any:
    """Import the runtime that an extra installs.

    Raises:
        ModelError: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(f"{file.name} needs another package: pip install 'picasso-viz[{extra}]'.") from error


class ONNXModel(PredictOnlyModel):
    """A classifier in an ``.onnx`` file, channels first (as PyTorch exports it) or last."""

    framework = "onnx"
    format = "ONNX"

    def load(
        self,
        path: str = "",
        output: str | None = None,
        input_shape: Sequence[int] | None = None,
        trust_model: bool = False,
    ) -> None:
        """Load ``path``; an ONNX file holds no code, so ``trust_model`` changes nothing.

        Args:
            path: the file.
            output: which of several outputs holds the class scores, by name.
            trust_model: without meaning here.
            input_shape: ``(H, W, C)``, where the file does not say.

        Raises:
            ModelError: the file is broken, takes several inputs, or is no classifier of pictures.
        """
        file = Path(path)
        onnxruntime = runtime("onnxruntime", "onnx", file)
        try:
            self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{file.name} can't be read as ONNX: {reason(error)}.") from error
        inputs, names = self._session.get_inputs(), [one.name for one in self._session.get_outputs()]
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            shapes = ", ".join(f"{one.name} {one.shape}" for one in inputs)
            raise ModelError(f"{file.name} must take one picture (N, H, W, C) or (N, C, H, W), but takes {shapes}.")
        if output not in (None, *names):
            raise ModelError(f"{file.name} has no output {output!r}; it has {', '.join(names)}.", field="output")
        self._input, self._output = inputs[0].name, output or names[0]
        batch, *sides = inputs[0].shape
        self.fixed_batch = batch if isinstance(batch, int) else None
        # PyTorch's order is recognized by a second axis that is as small as a number of channels.
        self._channels_first = sides[0] in (1, 3) and sides[2] not in (1, 3)
        known = [*sides[1:], sides[0]] if self._channels_first else sides
        height, width, channels = input_shape or known
        if not all(isinstance(side, int) for side in (height, width, channels)):
            raise ModelError(f"{file.name} takes pictures of any size; write input_shape into MODEL_LOAD_ARGS.")
        self.input_shape = (height, width, channels)
        self.adopt(file)

    def run(self, inputs: Array) -> Array:
        """Ask the runtime."""
        ordered = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)) if self._channels_first else inputs
        (answer,) = self._session.run([self._output], {self._input: ordered})
        return np.asarray(answer, np.float32)


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
