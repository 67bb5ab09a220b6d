"""ONNX files, which are run by ONNX Runtime and only predict: they give no gradients."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso import remedies
from picasso.errors import ModelError, reason
from picasso.models import onnx_inputs
from picasso.models.arrays import Array
from picasso.models.outputs import Analysis, Range, choose_output
from picasso.models.outputs.onnx_graph import ONNXReader
from picasso.models.predict_only import PredictOnlyModel, of_type, runtime
from picasso.models.recognition import Format, Found
from picasso.models.scan import require

log = logging.getLogger(__name__)

# The packages that the extra ``onnx`` installs.
PACKAGES = ("onnx", "onnxruntime")

FRACTIONS = ("tensor(float)", "tensor(float16)", "tensor(double)")


class ONNXModel(PredictOnlyModel):
    """A classifier in an ``.onnx`` file, with channels first (as PyTorch exports it) or last."""

    framework = "onnx"
    format = "ONNX"

    def load(
        self,
        path: str = "",
        output: int | str | None = None,
        input_shape: Sequence[int] | None = None,
        trust_model: bool = False,
        output_kind: str = "",
    ) -> None:
        """Load the ``.onnx`` file ``path``.

        Args:
            path: the file.
            output: the position or name of the output with the class scores, if there are several outputs.
            input_shape: ``(H, W, C)``, for files that do not define it; by default the shape of the arrays from
                :meth:`preprocess`, if a class overrides it.
            trust_model: if True, custom operations and weights in files of other folders are allowed.
            output_kind: the kind of the output values, such as ``"logits"``; detected by default.

        Raises:
            ModelError: the file is broken, has several inputs, or is no image classifier.
        """
        file = Path(path)
        self.output_kind = output_kind or self.output_kind
        require(Found(Format.ONNX, file), trust_model, self.limits)
        onnxruntime = runtime("onnxruntime", "onnx", PACKAGES, file)
        try:
            self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{file.name} can't be read as ONNX: {reason(error)}.") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            shapes = ", ".join(f"{one.name} {one.shape}" for one in inputs)
            raise ModelError(f"{file.name} must take one image (N, H, W, C) or (N, C, H, W), but takes {shapes}.")
        self._file = file
        self._input, self._output = inputs[0].name, chosen_output(self._session.get_outputs(), output, file)
        batch, *sides = inputs[0].shape
        self.fixed_batch = batch if isinstance(batch, int) else None
        self._channels_first = channels_first(sides)
        known = [*sides[1:], sides[0]] if self._channels_first else sides
        if not input_shape and not all(isinstance(side, int) for side in known):
            input_shape = self.shape_of_preprocess()
        height, width, channels = input_shape or known
        if not all(isinstance(side, int) for side in (height, width, channels)):
            how = remedies.argument("input_shape", [224, 224, 3])
            raise ModelError(f"{file.name} takes images of any size; say which, such as {how}.", field="input_shape")
        self.input_shape = (height, width, channels)
        self._type = input_type(inputs[0].type, file)
        self._note_values(onnxruntime)
        self.adopt(file)

    def _note_values(self, onnxruntime: Any) -> None:
        """Set the pixel values that the type of the input or the first operations of the graph imply."""
        if np.issubdtype(self._type, np.integer):
            limits = np.iinfo(self._type)
            self.takes_integers((int(limits.min), int(limits.max)))
            return
        height, width, channels = self.input_shape
        sides = (channels, height, width) if self._channels_first else self.input_shape
        try:
            found = onnx_inputs.find(self._file, (self.fixed_batch or 1, *sides), self._type, onnxruntime)
        except Exception:
            # The pixel values stay a guess, for example if the package onnx is missing or weights are in another file.
            log.info("the first operations of %s can't be analyzed", self._file.name, exc_info=True)
            found = ""
        if found:
            self.takes_values(found, "the model rescales its input itself")

    def output_range(self) -> Range | None:
        """Return the range of the output according to the graph; None if the package ``onnx`` is not installed."""
        try:
            return Analysis(ONNXReader(self._file)).of(self._output)
        except ImportError:
            log.info("without the package onnx, the operations of %s are not looked at", self._file.name)
            return None

    def run(self, inputs: Array) -> NDArray[Any]:
        """Convert inputs to the layout and type of the file's input, and return the output of the runtime."""
        ordered = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)) if self._channels_first else inputs
        ordered = of_type(ordered, self._type)
        (answer,) = self._session.run([self._output], {self._input: ordered})
        return np.asarray(answer)


def channels_first(sides: Sequence[Any]) -> bool:
    """Tell whether the shape of an input is ``(C, H, W)``, as in PyTorch, rather than ``(H, W, C)``.

    Args:
        sides: the three lengths; the unknown ones are names or None.
    """
    first, *others = sides
    if first in (1, 3) or others[1] in (1, 3):
        return first in (1, 3) and others[1] not in (1, 3)
    return isinstance(first, int) and all(not isinstance(side, int) or first < side for side in others)


def input_type(said: str, file: Path) -> Any:
    """Return the NumPy type for ONNX Runtime's name of a type, such as ``tensor(float16)``.

    Raises:
        ModelError: the type is not numeric.
    """
    name = said.removeprefix("tensor(").rstrip(")")
    known = {"float": "float32", "double": "float64"}
    try:
        found = np.dtype(known.get(name, name))
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "iuf":
        raise ModelError(f"{file.name} must take an image of numbers, but takes {said}.")
    return found


def chosen_output(outputs: Sequence[Any], wanted: int | str | None, file: Path) -> str:
    """Return the name of the output with the class scores.

    Raises:
        ModelError: there are several outputs and none was chosen, or the chosen one does not exist or is no tensor.
    """
    described = {one.name: describe_output(one) for one in outputs}
    chosen = outputs[choose_output(described, wanted, file.name)]
    if not chosen.type.startswith("tensor("):
        raise ModelError(
            f"The output {chosen.name} of {file.name} is {described[chosen.name]}, not an array of class scores. If "
            "scikit-learn wrote it, convert the model again without ZipMap: options={'zipmap': False}.",
            field="output",
        )
    return str(chosen.name)


def describe_output(output: Any) -> str:
    """Return the shape of a tensor as text, and its type unless it is floating-point; for other outputs, the type."""
    if not output.type.startswith("tensor("):
        return "a sequence of maps (ZipMap)" if output.type.startswith("seq(map") else output.type
    sides = ", ".join(str(side) if isinstance(side, int | str) else "?" for side in output.shape)
    return f"({sides})" + ("" if output.type in FRACTIONS else f" of {output.type[7:-1]}")
