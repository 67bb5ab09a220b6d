"""ONNX files, through onnxruntime: predictions only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from picasso.errors import ModelError, reason
from picasso.models.arrays import Array
from picasso.models.predict_only import PredictOnlyModel, runtime


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
