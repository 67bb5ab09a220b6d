"""ONNX Runtime, which checks the translation of ONNX files and computes those that can't be translated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError, reason
from picasso.models.arrays import Array
from picasso.models.runtimes import of_type


class Session:
    """A session of ONNX Runtime for one file.

    Args:
        file: the ``.onnx`` file.
        source: the name of its input.
        outputs: the names of the outputs to compute.
        dtype: the NumPy type of the input.
        channels_first: True if the input is ``(N, C, H, W)``.

    Raises:
        ImportError: ONNX Runtime is not installed.
        ModelError: it can't read the file.
    """

    def __init__(self, file: Path, source: str, outputs: Sequence[str], dtype: Any, *, channels_first: bool) -> None:
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{file.name} can't be read as ONNX: {reason(error)}.") from error
        self._source, self._outputs, self._dtype = source, list(outputs), dtype
        self._channels_first = channels_first

    def run(self, inputs: Array) -> list[NDArray[Any]]:
        """Return the outputs for images ``(N, H, W, C)``."""
        ordered = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)) if self._channels_first else inputs
        answers = self._session.run(self._outputs, {self._source: of_type(ordered, self._dtype)})
        return [np.asarray(one) for one in answers]
