"""ONNX files, which become TensorFlow graphs with gradients and feature maps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from picasso import remedies
from picasso.errors import ModelError
from picasso.models import onnx_inputs, outputs
from picasso.models.newest import beside
from picasso.models.onnx_runtime import Session
from picasso.models.outputs import Analysis, Range, choose_output
from picasso.models.outputs.onnx_graph import ONNXReader
from picasso.models.recognition import Format, Found
from picasso.models.runtimes import runtime
from picasso.models.scan import require
from picasso.models.tf.built_graph import Build
from picasso.models.tf.onnx import building, reading
from picasso.models.tf.onnx.names import layer_names
from picasso.models.tf.onnx.reading import Port
from picasso.models.tf.onnx.translate import missing
from picasso.models.translated import QUANTIZED, TOLERANCE, TOLERANCE_16, TOLERANCE_QUANTIZED, Source, TranslatedModel

log = logging.getLogger(__name__)

# The packages that the extra ``onnx`` installs.
PACKAGES = ("onnx", "onnxruntime")
FRACTIONS = ("tensor(float)", "tensor(float16)", "tensor(double)")
REPORT = "If it should be supported, report the operation and the exporter of the file to the authors of Picasso."


class ONNXModel(TranslatedModel):
    """A model in an ``.onnx`` file, with channels first (as PyTorch exports it) or last.

    The operations of the file are translated into those of TensorFlow. ONNX Runtime, if it is installed, checks the
    result on test images. It computes the predictions of files that can't be translated; these give no gradients.
    """

    framework = "onnx"
    format = "ONNX"
    runtime_name, report = "ONNX Runtime", REPORT

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
        source = Source(
            self._names,
            self._fixed,
            partial(self._build, model),
            set(layer_names(model.graph.node)),
            tolerance(model),
            missing(model.graph),
            self._output_range,
            notes=(QUANTIZED,) if reading.is_quantized(model) else (),
        )
        translated = self.adopt_translation(source, session.run if session else None, trouble)
        if not translated and not np.issubdtype(self._type, np.integer) and (found := self._value_range()):
            self.takes_values(found, "the model rescales its input itself")

    def _session(self) -> tuple[Session | None, str]:
        """Return a session of ONNX Runtime and "", or None and why there is none."""
        try:
            return Session(self._file, self._source, self._names, self._type, channels_first=self._channels_first), ""
        except ImportError:
            return None, "pip install onnxruntime."
        except ModelError as error:
            log.info("ONNX Runtime can't load %s", self._file.name, exc_info=True)
            return None, str(error)

    def _build(self, model: Any, batch: int | None, batched: bool) -> Build:
        """Return a function that builds the operations of a model."""
        return building.translated(
            model,
            self._source,
            (batch, *self.input_shape),
            self._type,
            channels_first=self._channels_first,
            batched=batched,
            several=len(self._names) > 1,
        )

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


def tolerance(model: Any) -> float:
    """Return the largest difference from ONNX Runtime that the types of numbers of a model explain."""
    if reading.is_quantized(model):
        return TOLERANCE_QUANTIZED
    return TOLERANCE_16 if reading.has_halves(model) else TOLERANCE


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
