"""LiteRT, which checks the translation of TFLite files and computes those that can't be translated."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError, reason
from picasso.models.arrays import Array
from picasso.models.runtimes import of_type, runtime

# The packages that the extra ``tflite`` installs.
PACKAGES = ("ai-edge-litert",)
Detail = dict[str, Any]


class Interpreter:
    """An interpreter of one file.

    Args:
        file: the ``.tflite`` file.
        inner: True to keep the values of all tensors for :meth:`run`, which is slower and needs more memory.

    Attributes:
        inputs: the descriptions of its inputs.
        outputs: those of its outputs.

    Raises:
        ModelError: LiteRT is not installed, or can't read the file.
    """

    def __init__(self, file: Path, *, inner: bool = False) -> None:
        litert = runtime("ai_edge_litert.interpreter", "tflite", PACKAGES, file)
        options: dict[str, Any] = {}
        if inner:
            # Delegates fuse operations, and don't store what is between them.
            without = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            options = {"experimental_preserve_all_tensors": True, "experimental_op_resolver_type": without}
        try:
            self._interpreter = litert.Interpreter(model_path=str(file), **options)
            self._interpreter.allocate_tensors()
        except Exception as error:
            raise ModelError(f"{file.name} can't be read as TFLite: {reason(error)}.") from error
        self.inputs: list[Detail] = self._interpreter.get_input_details()
        self.outputs: list[Detail] = self._interpreter.get_output_details()
        described = self._interpreter.get_tensor_details() if inner else self.outputs
        self._details: dict[int, Detail] = {int(detail["index"]): detail for detail in described}
        # The interpreter stores its input and output tensors, so only one thread may use it at a time.
        self._lock = threading.Lock()

    def names(self) -> dict[int, str]:
        """Return the names of the outputs in the only signature of a file, by tensor; {} without one."""
        signatures = self._interpreter.get_signature_list()
        if len(signatures) != 1:
            return {}
        details = self._interpreter.get_signature_runner(next(iter(signatures))).get_output_details()
        return {int(detail["index"]): str(name) for name, detail in details.items()}

    def run(self, images: Array, outputs: Sequence[int]) -> list[NDArray[Any]]:
        """Return some outputs for images ``(N, H, W, C)``; quantized numbers are converted from and to float32."""
        with self._lock:
            self._interpreter.set_tensor(self.inputs[0]["index"], quantize(images, self.inputs[0]))
            self._interpreter.invoke()
            answers = [self._interpreter.get_tensor(index).copy() for index in outputs]
        return [dequantize(answer, self._details[index]) for answer, index in zip(answers, outputs, strict=True)]


def quantize(values: Array, detail: Detail) -> NDArray[Any]:
    """Convert values to a tensor's type: to ``value / scale + zero`` if it is quantized, and rounded for integers."""
    scale, zero = detail["quantization"]
    return of_type(np.asarray(values / scale + zero if scale else values, np.float32), detail["dtype"])


def dequantize(answer: NDArray[Any], detail: Detail) -> NDArray[Any]:
    """Convert the values of a tensor to float32 if it is quantized."""
    scale, zero = detail["quantization"]
    return np.asarray((answer.astype(np.float32) - zero) * scale, np.float32) if scale else answer
