"""What models share that only answer, without gradients, behind a runtime that an extra installs."""

from __future__ import annotations

import importlib
import logging
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models.arrays import Array, fill_up
from picasso.models.base import Model
from picasso.models.environment import require_versions
from picasso.models.newest import beside, written
from picasso.models.outputs import (
    OutputKind,
    Range,
    class_count,
    contradictions,
    decide,
    needed,
    parse,
    probes,
    to_probabilities,
)

log = logging.getLogger(__name__)


class PredictOnlyModel(Model):
    """A classifier behind a runtime that gives one array for another.

    What its values are is decided by the user's word, by the operations in the file and by the answers to test images;
    see :mod:`picasso.models.outputs`.
    """

    reads_output_kind = True
    _kind = OutputKind.PROBABILITIES

    @abstractmethod
    def run(self, inputs: Array) -> NDArray[Any]:
        """Return the raw answers for inputs ``(n, H, W, C)``: K values each, in any shape that has the batch first."""

    @abstractmethod
    def output_range(self) -> Range | None:
        """Return the range of the output by the operations in the file, or None where they can't be read."""

    def adopt(self, file: Path) -> None:
        """Find out what the answers are, and name the model after its file.

        Raises:
            ModelError: the output is not that of a classifier.
        """
        self.checkpoint, self.checkpoint_time = file.name, written(file)
        # ONNX keeps large weights in a file beside it.
        self.files = beside(file, ("", ".data", "_data"))
        said = parse(self.output_kind)
        try:
            found = self.output_range()
        except Exception:
            log.warning("the operations of %s can't be followed", file.name, exc_info=True)
            found = None
        images = probes(self.input_shape)
        first = self.run(images[: self.fixed_batch or 1])
        count = class_count(first.shape, self.fixed_batch)
        if count is None or not np.issubdtype(first.dtype, np.floating):
            raise ModelError(
                f"{file.name} must answer class scores of shape (N, K), but answers {first.shape} of type "
                f"{first.dtype}: Picasso shows classifiers."
            )
        chosen = images[list(needed(found, said, count))]
        size = self.fixed_batch or len(chosen)
        parts = [self.run(fill_up(chosen[i : i + size], size)) for i in range(0, len(chosen), size)]
        values = np.concatenate([part.reshape(-1, count) for part in parts])[: len(chosen)]
        decision = decide(values, found, said, file.name)
        self._decision, self._kind, self._count, self.num_classes = decision, decision.kind, count, max(2, count)
        self.output_found, self.notes = decision.describe(), self.notes + decision.notes
        logits = decision.kind in (OutputKind.LOGITS, OutputKind.SIGMOID_LOGITS)
        self.logits_found = "the output" if logits else "none: the output is probabilities"

    def check_output(self, inputs: Array) -> tuple[str, ...]:
        """Look at the values of the output, where they are taken for logits without proof."""
        return contradictions(self._decision, lambda: self._batched(self._values, inputs))

    def _values(self, inputs: Array) -> NDArray[Any]:
        return self.run(inputs).reshape(-1, self._count)

    def batch_probabilities(self, inputs: Array) -> Array:
        """Run the model and make its values probabilities; one value counts as the classes "not" and "is"."""
        values = self._values(inputs).astype(np.float64)
        answer = to_probabilities(values, self._kind, self._count)
        if self._count == 1:
            answer = np.concatenate([1 - answer, answer], axis=1)
        return np.asarray(answer, np.float32)


def of_type(values: Array, dtype: Any) -> NDArray[Any]:
    """Return values as another type; integers are rounded and clipped, not cut off or wrapped."""
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def runtime(module: str, extra: str, packages: Sequence[str], file: Path) -> Any:
    """Import the runtime that an extra installs, for a model file.

    Args:
        module: of the runtime.
        extra: its name among Picasso's extras.
        packages: what the extra installs.
        file: the model file, for messages.

    Raises:
        ModelError: it is not installed, or too old; says how to install it.
    """
    require_versions(*packages)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(f"{file.name} needs another package: pip install 'picasso-viz[{extra}]'.") from error
