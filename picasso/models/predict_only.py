"""The base class of models that only predict, such as TFLite files, which optional packages run."""

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
from picasso.models.newest import written
from picasso.models.outputs import (
    INDEPENDENT,
    MEASURED,
    Decision,
    Layout,
    OutputKind,
    Range,
    contradictions,
    decide,
    detection,
    for_task,
    independent,
    is_detection,
    layout_of,
    needed,
    parse,
    parse_decoder,
    parse_task,
    probes,
    spec_of,
    to_probabilities,
)
from picasso.targets import OutputTask

log = logging.getLogger(__name__)


class PredictOnlyModel(Model):
    """A model whose predictions are computed by a runtime that gives no gradients.

    The kind of the output values is determined from the user's setting, from the operations in the file, or from
    predictions for test images; see :mod:`picasso.models.outputs`.
    """

    reads_output_kind = reads_task = True

    @abstractmethod
    def run(self, inputs: Array) -> NDArray[Any]:
        """Return the output values for inputs ``(n, H, W, C)``, in a shape that layout_of() accepts."""

    @abstractmethod
    def output_range(self) -> Range | None:
        """Return the range of the output according to the graph in the file; None if it can't be read."""

    def adopt(self, file: Path) -> None:
        """Determine the kind of the output values, and name the model after its file.

        Derived classes call this at the end of ``load``.

        Raises:
            ModelError: the output fits no task.
        """
        self.checkpoint, self.checkpoint_time = file.name, written(file)
        self.files = (file,)
        kind, task = parse(self.output_kind), parse_task(self.task)
        kind = OutputKind.VALUES if kind is None and task in MEASURED else kind
        try:
            found = self.output_range()
        except Exception:
            log.warning("the operations of %s can't be analyzed", file.name, exc_info=True)
            found = None
        images = probes(self.input_shape)
        first = self.run(images[: self.fixed_batch or 1])
        shapes = {"output": tuple(first.shape[1:])}
        if is_detection(shapes, self.input_shape, task):
            self._adopt_detections(file, shapes, task)
            return
        dtype = "" if np.issubdtype(first.dtype, np.floating) else str(first.dtype)
        self._layout = layout_of(first.shape, self.input_shape, self.fixed_batch, task, file.name, dtype)
        count = self._layout.count
        chosen = images[list(needed(found, kind, count))]
        size = self.fixed_batch or len(chosen)
        parts = [self._values(fill_up(chosen[i : i + size], size)) for i in range(0, len(chosen), size)]
        values = np.concatenate(parts)[: len(chosen)].reshape(-1, count)
        decision = for_task(decide(values, found, kind, file.name), task, self._layout, file.name)
        self._decision = decision
        self.spec = spec_of(self._layout, decision, task, self.unit)
        self.num_classes = self.spec.shape[-1]
        notes = (self._layout.note, *decision.notes) if self._layout.note else decision.notes
        if self._layout.is_map and independent(self._layout, decision):
            notes = (*notes, INDEPENDENT)
        self.output_found, self.notes = decision.describe(), self.notes + notes
        same = decision.kind in (OutputKind.LOGITS, OutputKind.SIGMOID_LOGITS, OutputKind.VALUES)
        self.logits_found = "the output" if same else "none: the output is probabilities"

    def _adopt_detections(self, file: Path, shapes: dict[str, tuple[int, ...]], task: OutputTask | None) -> None:
        """Adopt the output of an object detector, which is decoded as it is."""
        spec = detection(
            shapes,
            self.input_shape,
            file.name,
            decoder=parse_decoder(self.task),
            classes=len(self.labels) or None,
            decode_boxes=getattr(self, "decode_boxes", None),
            said=task is not None,
        )
        self._layout = Layout(spec.shape)
        self._decision = Decision(OutputKind.VALUES, "said" if task else "graph", spec.shape[0])
        self.spec, self.num_classes = spec, spec.classes or len(self.class_names())
        self.output_found, self.logits_found = self._decision.describe(), "the output"
        self.notes += (spec.note,) if spec.note else ()

    def check_output(self, inputs: Array) -> tuple[str, ...]:
        """Return warnings if the output for ``inputs`` contradicts the assumption that it consists of logits."""
        count = self._layout.count
        return contradictions(self._decision, lambda: self._batched(self._values, inputs).reshape(-1, count))

    def _values(self, inputs: Array) -> NDArray[Any]:
        """Return the output values ``(n, *shape)`` with the channels of maps last."""
        answer = self.run(inputs)
        if self._layout.channels_first:
            answer = answer.transpose(0, 2, 3, 1)
        return answer.reshape(-1, *self._layout.shape)

    def batch_probabilities(self, inputs: Array) -> Array:
        """Return the outputs ``(n, *spec.shape)``; a single class score becomes two classes, "not" and "is"."""
        values = self._values(inputs).astype(np.float64)
        answer = to_probabilities(values, self._decision.kind, self._layout.count)
        if self._layout.count == 1 and self._decision.kind is not OutputKind.VALUES:
            answer = np.concatenate([1 - answer, answer], axis=-1)
        return np.asarray(answer, np.float32)


def of_type(values: Array, dtype: Any) -> NDArray[Any]:
    """Convert values to another type; for an integer type, they are rounded and clipped to its range."""
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def runtime(module: str, extra: str, packages: Sequence[str], file: Path) -> Any:
    """Import and return the runtime for a model file.

    Args:
        module: the name of the runtime's module.
        extra: the extra of Picasso that installs the runtime.
        packages: the packages that the extra installs.
        file: the model file, for messages.

    Raises:
        ModelError: the runtime is not installed, or a package is too old; the message contains the command to install
            it.
    """
    require_versions(*packages)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(f"{file.name} needs another package: pip install 'picasso-viz[{extra}]'.") from error
