"""What models share that only answer, without gradients: ONNX and TFLite files."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from picasso.errors import ModelError
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
