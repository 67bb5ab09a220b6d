"""ONNX files, which become TensorFlow graphs with gradients and feature maps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso import remedies
from picasso.errors import ModelError, reason
from picasso.models import onnx_inputs, outputs
from picasso.models.arrays import Array, fill_up
from picasso.models.newest import beside
from picasso.models.onnx_runtime import Session
from picasso.models.outputs import Analysis, Range, choose_output
from picasso.models.outputs.onnx_graph import ONNXReader
from picasso.models.predict_only import runtime
from picasso.models.recognition import Format, Found
from picasso.models.scan import require
from picasso.models.tf.graph import Graph
from picasso.models.tf.graph_model import GraphModel
from picasso.models.tf.onnx import building, reading
from picasso.models.tf.onnx.names import layer_names
from picasso.models.tf.onnx.reading import Port
from picasso.models.tf.onnx.table import Untranslatable
from picasso.models.tf.onnx.translate import missing

log = logging.getLogger(__name__)

# The packages that the extra ``onnx`` installs.
PACKAGES = ("onnx", "onnxruntime")
FRACTIONS = ("tensor(float)", "tensor(float16)", "tensor(double)")
# The largest difference between the translation and ONNX Runtime, as a fraction of the largest number of the output:
# for numbers with 32 bits; for those with 16 bits, which the translation computes with 32; and for quantized ones, of
# which ONNX Runtime rounds some sums differently.
TOLERANCE, TOLERANCE_16, TOLERANCE_QUANTIZED = 1e-4, 2e-2, 0.1
# A change of the inputs like that of rounding, and how many times its effect a difference may be.
ROUNDING, ROUNDED, MAX_ROUNDED = 1e-6, 4, 1e-2
# Smaller numbers are compared with this one: they may be what rounding leaves of 0.
SMALL = 1e-2
# The fraction of the numbers of ONNX Runtime that must be finite.
FINITE = 0.5
REPORT = "If it should be supported, report the operation and the exporter of the file to the authors of Picasso."
UNCHECKED = "The translation of the ONNX file was not compared with ONNX Runtime: "
QUANTIZED = (
    "The model is quantized. Its gradients pass through the rounding as if it were not there (straight-through), so "
    "they are those of a similar model without rounding."
)


class ONNXModel(GraphModel):
    """A model in an ``.onnx`` file, with channels first (as PyTorch exports it) or last.

    The operations of the file are translated into those of TensorFlow. ONNX Runtime, if it is installed, checks the
    result on test images. It computes the predictions of files that can't be translated; these give no gradients.
    """

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
        self._file = file = Path(path)
        self.output_kind = output_kind or self.output_kind
        require(Found(Format.ONNX, file), trust_model, self.limits)
        runtime("onnx", "onnx", PACKAGES, file)
        model = reading.read(file)
        sources = reading.inputs_of(model)
        if len(sources) != 1 or len(sources[0].shape) != 4:
            shapes = ", ".join(f"{one.name} {one.shape}" for one in sources)
            raise ModelError(f"{file.name} must take one image (N, H, W, C) or (N, C, H, W), but takes {shapes}.")
        self._source, self._type = sources[0].name, reading.numpy_type(sources[0].type, file)
        batch, *sides = sources[0].shape
        self._channels_first = channels_first(sides)
        self.input_shape = self._shape_of(sides, input_shape)
        self._fixed = batch if isinstance(batch, int) else None
        self._names = self._chosen(reading.outputs_of(model), output)
        given, stated = self.labels, reading.class_names(model)
        self.labels = given or stated
        part = reading.part(model, self._names)
        if self._source not in {*self._names, *(name for node in part.graph.node for name in reading.used_by(node))}:
            raise ModelError(f"The output {', '.join(self._names)} of {file.name} does not depend on its input.")
        self._use(part)
        if not given and len(stated) != self.num_classes:
            self.labels = ()
        # Large models store their weights in a second file, such as model.onnx.data.
        self.files = beside(file, ("", ".data", "_data"))

    def _shape_of(self, sides: Sequence[Any], given: Sequence[int] | None) -> tuple[int, int, int]:
        """Return the shape ``(H, W, C)`` of the input, from its sides in the file and what the user configured."""
        known = [*sides[1:], sides[0]] if self._channels_first else sides
        if not given and not all(isinstance(side, int) for side in known):
            given = self.shape_of_preprocess()
        height, width, channels = given or known
        if not all(isinstance(side, int) for side in (height, width, channels)):
            how = remedies.argument("input_shape", [224, 224, 3])
            raise ModelError(
                f"{self._file.name} takes images of any size; say which, such as {how}.", field="input_shape"
            )
        return int(height), int(width), int(channels)

    def _chosen(self, ports: Sequence[Port], wanted: int | str | None) -> list[str]:
        """Return the names of the outputs to use: one, or all of an object detector."""
        shapes = {one.name: tuple(side if isinstance(side, int) else 0 for side in one.shape[1:]) for one in ports}
        if wanted is None and len(ports) > 1 and outputs.is_detection(shapes, self.input_shape, self.said().task):
            return [one.name for one in ports]
        return [chosen_output(ports, wanted, self._file)]

    def _use(self, model: Any) -> None:
        """Translate the part of a model that the outputs depend on, or leave its predictions to ONNX Runtime."""
        session, trouble = self._session()
        # Models for one image can mostly compute several at once.
        attempts = [(None, True), (1, False)] if self._fixed == 1 else [(self._fixed, False)]
        failure, why = None, ""
        for batch, batched in attempts:
            try:
                graph = self._translated(model, batch, batched=batched)
                why = self._difference(graph, session, model, batched=batched)
            except Exception as error:
                log.info("%s can't be translated", self._file.name, exc_info=True)
                failure, why = error, f"{error if isinstance(error, Untranslatable) else reason(error)}."
            else:
                if not why:
                    self.adopt(graph, self._file)
                    self.notes += () if session else (f"{UNCHECKED}{trouble}",)
                    self.notes += (QUANTIZED,) if reading.is_quantized(model) else ()
                    return
        if len(unknown := missing(model.graph)) > 1:
            why += f" Operations without a translation: {', '.join(unknown)}."
        if session:
            self._leave_to(session, why)
        elif isinstance(failure, ModelError):
            raise failure
        else:
            raise ModelError(
                f"{self._file.name} can't be translated into TensorFlow operations: {why} {REPORT} For predictions, it "
                f"needs ONNX Runtime: {trouble}"
            ) from failure

    def _session(self) -> tuple[Session | None, str]:
        """Return a session of ONNX Runtime and "", or None and why there is none."""
        try:
            return Session(self._file, self._source, self._names, self._type, channels_first=self._channels_first), ""
        except ImportError:
            return None, "pip install onnxruntime."
        except ModelError as error:
            log.info("ONNX Runtime can't load %s", self._file.name, exc_info=True)
            return None, str(error)

    def _translated(self, model: Any, batch: int | None, *, batched: bool) -> Graph:
        """Return the graph of the translated model."""
        shape, several = (batch, *self.input_shape), len(self._names) > 1
        build = building.translated(
            model,
            self._source,
            shape,
            self._type,
            channels_first=self._channels_first,
            batched=batched,
            several=several,
        )
        names = set(layer_names(model.graph.node))
        return Graph(build, self._file.name, names, said=self.said(), known_range=self._output_range)

    def _difference(self, graph: Graph, session: Session | None, model: Any, *, batched: bool) -> str:
        """Return a sentence if a graph does not compute what ONNX Runtime does, or else "".

        Without ONNX Runtime, a graph that computes several images at once is compared with itself.
        """
        if session is None and not batched:
            return ""
        images = np.stack(self._probe())
        if graph.integers or graph.value_range() == "0..255":
            images *= 255

        def own(group: Array) -> list[NDArray[Any]]:
            return [graph.answers(group)]

        def by_file(images: Array) -> list[NDArray[Any]]:
            return in_batches(session.run if session else own, images, self._fixed)

        (found,) = in_batches(own, images, graph.fixed_batch)
        limit = self._tolerance(model)
        return verdict(found, by_file(images), limit, lambda: by_file(images * np.float32(1 + ROUNDING)))

    def _tolerance(self, model: Any) -> float:
        """Return the largest difference that the types of numbers explain."""
        if reading.is_quantized(model):
            return TOLERANCE_QUANTIZED
        return TOLERANCE_16 if reading.has_halves(model) else TOLERANCE

    def _leave_to(self, session: Session, why: str) -> None:
        """Let ONNX Runtime compute the predictions."""
        shape = (self._fixed, *self.input_shape)
        trial = session.run(np.zeros((self._fixed or 1, *self.input_shape), np.float32))
        answers = dict(zip(self._names, trial, strict=True))
        build = building.called(session.run, shape, answers)
        graph = Graph(build, self._file.name, said=self.said(), known_range=self._output_range)
        self.takes_fast = False
        self.adopt(graph, self._file)
        self.notes += (f"This file gives only predictions, no gradients and no feature maps: {why} {REPORT}",)
        if not np.issubdtype(self._type, np.integer) and (found := self._value_range()):
            self.takes_values(found, "the model rescales its input itself")

    def _value_range(self) -> str:
        """Return the range of pixel values that the first operations of the file imply, or ""."""
        import onnxruntime

        height, width, channels = self.input_shape
        sides = (channels, height, width) if self._channels_first else self.input_shape
        try:
            return onnx_inputs.find(self._file, (self._fixed or 1, *sides), self._type, onnxruntime)
        except Exception:
            # The pixel values stay a guess, for example if weights are in another file.
            log.info("the first operations of %s can't be analyzed", self._file.name, exc_info=True)
            return ""

    def _output_range(self) -> Range | None:
        """Return the range of the output according to the operations of the file."""
        return Analysis(ONNXReader(self._file)).of(self._names[0])


def in_batches(run: Callable[[Array], list[NDArray[Any]]], images: Array, size: int | None) -> list[NDArray[Any]]:
    """Return the outputs for images that are computed in batches of a fixed size, or all at once if it is None."""
    size = size or len(images)
    answers = [run(fill_up(images[start : start + size], size)) for start in range(0, len(images), size)]
    return [np.concatenate(parts)[: len(images)] for parts in zip(*answers, strict=True)]


def verdict(
    found: NDArray[Any], expected: Sequence[NDArray[Any]], limit: float, moved: Callable[[], Sequence[NDArray[Any]]]
) -> str:
    """Return a sentence if numbers differ from the expected ones, or else "".

    Args:
        found: all numbers of all outputs for each image, ``(N, D)``.
        expected: the outputs ``(N, ...)``.
        limit: the largest difference; see :func:`apart`.
        moved: returns the outputs for images that differ as by rounding. How much that changes depends on the network.
    """
    sizes = [int(np.prod(one.shape[1:])) for one in expected]
    if found.shape[1] != sum(sizes):
        return "the translation returns another number of values than the file."
    # Numbers with 16 bits may overflow.
    finite = np.mean([np.isfinite(one).mean() for one in expected])
    if finite < FINITE:
        return "ONNX Runtime returns too few finite numbers for test images to compare the translation with."
    parts = np.split(found, np.cumsum(sizes)[:-1], axis=1)
    outputs = [part.reshape(one.shape) for part, one in zip(parts, expected, strict=True)]
    if any(not np.isfinite(part[np.isfinite(one)]).all() for part, one in zip(outputs, expected, strict=True)):
        return "the translation returns numbers that are not finite."
    whole = limit == TOLERANCE_QUANTIZED
    difference = max(apart(part, one, whole=whole) for part, one in zip(outputs, expected, strict=True))
    if difference > limit:
        rounded = max(apart(part, one) for part, one in zip(moved(), expected, strict=True))
        limit = max(limit, min(ROUNDED * rounded, MAX_ROUNDED))
    if difference <= limit:
        return ""
    return (
        f"the results of its translation differ from those of ONNX Runtime by {difference:.2g} of the largest number."
    )


def apart(found: NDArray[Any], expected: NDArray[Any], *, whole: bool = False) -> float:
    """Return the largest difference of two outputs ``(N, ...)`` as a fraction of the largest number.

    The values of each place of the second axis, and of the last, are compared with the largest of these, or with 1 if
    other values are larger: class scores of a detector are not hidden behind the coordinates of its boxes. With
    ``whole``, all values are compared with the largest of all, because those of quantized models are rounded alike.
    """
    expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
    finite = np.isfinite(expected) & np.isfinite(found)
    size, error = np.where(finite, np.abs(expected), 0), np.where(finite, np.abs(np.nan_to_num(found - expected)), 0)
    largest = float(size.max(initial=1e-30))
    least, worst = max(SMALL, largest if whole else min(1.0, largest)), 0.0
    for axis in {min(1, expected.ndim - 1), expected.ndim - 1}:
        others = tuple(one for one in range(expected.ndim) if one != axis)
        scales = np.maximum(size.max(axis=others, initial=0), least)
        worst = max(worst, float((error.max(axis=others, initial=0) / scales).max(initial=0)))
    return worst


def channels_first(sides: Sequence[Any]) -> bool:
    """Tell whether the shape of an input is ``(C, H, W)``, as in PyTorch, rather than ``(H, W, C)``.

    Args:
        sides: the three lengths; the unknown ones are names or None.
    """
    first, *others = sides
    if first in (1, 3) or others[1] in (1, 3):
        return first in (1, 3) and others[1] not in (1, 3)
    return isinstance(first, int) and all(not isinstance(side, int) or first < side for side in others)


def chosen_output(ports: Sequence[Port], wanted: int | str | None, file: Path) -> str:
    """Return the name of the output with the class scores.

    Raises:
        ModelError: there are several outputs and none was chosen, or the chosen one does not exist or is no tensor.
    """
    described = {one.name: describe_output(one) for one in ports}
    chosen = ports[choose_output(described, wanted, file.name)]
    if not chosen.type.startswith("tensor("):
        raise ModelError(
            f"The output {chosen.name} of {file.name} is {described[chosen.name]}, not an array of class scores. If "
            "scikit-learn wrote it, convert the model again without ZipMap: options={'zipmap': False}.",
            field="output",
        )
    return chosen.name


def describe_output(output: Port) -> str:
    """Return the shape of a tensor as text, and its type unless it is floating-point; for other outputs, the type."""
    if not output.type.startswith("tensor("):
        return "a sequence of maps (ZipMap)" if output.type.startswith("seq(map") else output.type
    sides = ", ".join(str(side) if isinstance(side, int | str) else "?" for side in output.shape)
    return f"({sides})" + ("" if output.type in FRACTIONS else f" of {output.type[7:-1]}")
