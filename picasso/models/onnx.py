"""ONNX files, through onnxruntime: predictions only."""

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

# What the extra installs.
PACKAGES = ("onnx", "onnxruntime")

FRACTIONS = ("tensor(float)", "tensor(float16)", "tensor(double)")


class ONNXModel(PredictOnlyModel):
    """A classifier in an ``.onnx`` file, channels first (as PyTorch exports it) or last."""

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
        """Load ``path``.

        Args:
            path: the file.
            output: which of several outputs holds the class scores: its position or its name.
            trust_model: whether custom operations, and values in files that lie elsewhere, are let through.
            input_shape: ``(H, W, C)``, where the file does not say.
            output_kind: what the values of the output are, such as ``"logits"``; by default it is found out.

        Raises:
            ModelError: the file is broken, takes several inputs, or is no classifier of images.
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
        """Note for which pixel values the file says that it was made."""
        if np.issubdtype(self._type, np.integer):
            limits = np.iinfo(self._type)
            self.takes_integers((int(limits.min), int(limits.max)))
            return
        height, width, channels = self.input_shape
        sides = (channels, height, width) if self._channels_first else self.input_shape
        try:
            found = onnx_inputs.find(self._file, (self.fixed_batch or 1, *sides), self._type, onnxruntime)
        except Exception:
            # Without the package onnx, or with weights in another file, it stays a guess.
            log.info("the first operations of %s can't be followed", self._file.name, exc_info=True)
            found = ""
        if found:
            self.takes_values(found, "the model rescales its input itself")

    def output_range(self) -> Range | None:
        """Follow the operations in the file, where the package ``onnx`` is installed."""
        try:
            return Analysis(ONNXReader(self._file)).of(self._output)
        except ImportError:
            log.info("without the package onnx, the operations of %s are not looked at", self._file.name)
            return None

    def run(self, inputs: Array) -> NDArray[Any]:
        """Ask the runtime."""
        ordered = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)) if self._channels_first else inputs
        ordered = of_type(ordered, self._type)
        (answer,) = self._session.run([self._output], {self._input: ordered})
        return np.asarray(answer)


def channels_first(sides: Sequence[Any]) -> bool:
    """Tell whether the sides of an input, numbers or names, are in PyTorch's order: channels, rows, columns."""
    first, *others = sides
    if first in (1, 3) or others[1] in (1, 3):
        return first in (1, 3) and others[1] not in (1, 3)
    return isinstance(first, int) and all(not isinstance(side, int) or first < side for side in others)


def input_type(said: str, file: Path) -> Any:
    """Return the type of an input, such as ``tensor(float16)``, as NumPy has it.

    Raises:
        ModelError: it is none of numbers.
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
        ModelError: there are several and none was chosen, the chosen one does not exist, or it is no tensor.
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
    """Say of what shape an output is, and of what type where it is no array of fractions."""
    if not output.type.startswith("tensor("):
        return "a sequence of maps (ZipMap)" if output.type.startswith("seq(map") else output.type
    sides = ", ".join(str(side) if isinstance(side, int | str) else "?" for side in output.shape)
    return f"({sides})" + ("" if output.type in FRACTIONS else f" of {output.type[7:-1]}")
