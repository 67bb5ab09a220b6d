"""TFLite files, float or quantized, which become TensorFlow graphs with gradients and feature maps."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models import outputs, tflite_inputs, value_range
from picasso.models.arrays import Array
from picasso.models.litert import Detail, Interpreter
from picasso.models.outputs import Analysis, Range, choose_output
from picasso.models.outputs.tflite_graph import TFLiteReader
from picasso.models.recognition import Format, Found
from picasso.models.scan import require
from picasso.models.tf.built_graph import Build
from picasso.models.tf.tflite.translate import Translation, computed, missing, translated
from picasso.models.tflite_schema import TFLiteGraph
from picasso.models.translated import (
    QUANTIZED,
    TOLERANCE,
    TOLERANCE_16,
    TOLERANCE_QUANTIZED,
    Source,
    TranslatedModel,
    in_batches,
)

log = logging.getLogger(__name__)

# The scores of quantized models may differ from those of LiteRT by some steps between quantized numbers, or a fraction
# of the largest score, as by rounding. Otherwise they may differ by a fraction of the largest, and of the differences
# between the test images, so that scores that don't depend on the image are refused. Right translations of MobileNetV2
# and V3, ResNet50V2 and EfficientNet-Lite0 differ by 2 steps and 0.006 to 0.033 of the largest. EfficientNetV2B0 with
# random weights, whose scores differ by 0.2 even between two kernels of LiteRT, differs by 39 steps and 0.3.
STEPS, ROUNDED, FRACTION, SPREAD = 4, 0.03, 0.1, 0.5

# The note about models of which only the weights are quantized.
WEIGHTS = (
    "The weights of the model are quantized. LiteRT also rounds the inputs of its layers to 8 bits, for each image "
    "differently. Picasso leaves this rounding out, so its predictions differ a little from those of LiteRT."
)


class TFLiteModel(TranslatedModel):
    """A model in a ``.tflite`` file, float or quantized.

    The operations of the file are translated into those of TensorFlow. LiteRT checks the result on test images. It
    computes the predictions of files that can't be translated; these give no gradients.
    """

    framework = "tflite"
    format = "TFLite"
    runtime_name = "LiteRT"
    report = "If it should be supported, report the operation and the converter of the file to the authors of Picasso."

    def load(
        self,
        path: str = "",
        output: int | str | None = None,
        trust_model: bool = False,
        output_kind: str = "",
    ) -> None:
        """Load the ``.tflite`` file ``path``.

        Args:
            path: the file.
            output: the position or name of the output with the class scores, if there are several outputs.
            trust_model: if True, custom operations are allowed; the interpreter must support them.
            output_kind: the kind of the output values, such as ``"logits"``; detected by default.

        Raises:
            ModelError: the file is broken, has several inputs, or is no image classifier.
        """
        self._file = file = Path(path)
        self.output_kind = output_kind or self.output_kind
        require(Found(Format.TFLITE, file), trust_model, self.limits)
        interpreter = Interpreter(file)
        if len(interpreter.inputs) != 1 or len(interpreter.inputs[0]["shape"]) != 4:
            shapes = ", ".join(f"{one['name']} {one['shape'].tolist()}" for one in interpreter.inputs)
            raise ModelError(f"{file.name} must take one image (N, H, W, C), but takes {shapes}.")
        batch, height, width, channels = (int(side) for side in interpreter.inputs[0]["shape"])
        self.input_shape = (height, width, channels)
        graph, chosen = TFLiteGraph(file), self._chosen(interpreter, output)
        self._note_integers(interpreter.inputs[0])
        if not self._use(graph, interpreter, chosen, batch) and (found := self._value_range(graph, batch)):
            self.takes_values(found, "the model rescales its input itself")

    def _chosen(self, interpreter: Interpreter, wanted: int | str | None) -> dict[str, int]:
        """Return the tensors of the outputs to use by name: one, or all of an object detector.

        Raises:
            ModelError: there are several outputs and none was chosen, or the chosen one does not exist.
        """
        details = interpreter.outputs
        names = {int(detail["index"]): str(detail["name"]) for detail in details}
        if wanted not in names.values():
            names |= interpreter.names()
        found = {names[int(detail["index"])]: detail for detail in details}
        if len(found) < len(details):
            # Some names are equal, so positions replace them.
            found = {str(place): detail for place, detail in enumerate(details)}
        shapes = {name: shape_of(detail)[1:] for name, detail in found.items()}
        if wanted is None and len(found) > 1 and outputs.is_detection(shapes, self.input_shape, self.said().task):
            return {name: int(detail["index"]) for name, detail in found.items()}
        described = {name: str(shape_of(detail)) for name, detail in found.items()}
        name = [*found][choose_output(described, wanted, self._file.name)]
        return {name: int(found[name]["index"])}

    def _use(self, graph: TFLiteGraph, interpreter: Interpreter, chosen: dict[str, int], batch: int) -> bool:
        """Translate the part of a graph that the outputs depend on, or leave its predictions to LiteRT.

        Returns:
            whether it is translated.
        """
        tensors = list(chosen.values())

        def build(batch: int | None, batched: bool) -> Build:
            return translated(graph, chosen, (batch, *self.input_shape), batched=batched)

        def known_range() -> Range | None:
            return Analysis(TFLiteReader(graph)).of(tensors[0])

        limit = TOLERANCE_16 if graph.has_halves() else TOLERANCE
        notes: tuple[str, ...] = ()
        if quantized := graph.quantized():
            limit = TOLERANCE_QUANTIZED
            notes = (QUANTIZED,) if quantized & graph.varying else (WEIGHTS,)
        layers, lacking = Translation(graph, tensors).layers, missing(graph, tensors)
        step = max(map(graph.step, tensors))
        inner = graph.before_activation(tensors[0]) if quantized and len(tensors) == 1 else None
        check = None if inner is None else partial(self._check, graph, inner, batch)
        source = Source(list(chosen), batch, build, layers, limit, lacking, known_range, step, notes, check)
        return self.adopt_translation(source, partial(interpreter.run, outputs=tensors))

    def _check(
        self, graph: TFLiteGraph, tensor: int, made_for: int, images: Array, batch: int | None, batched: bool
    ) -> str:
        """Return a sentence if the scores of a quantized model are not those of LiteRT, or else "".

        Args:
            graph: the graph of the file.
            tensor: the scores, of which the output is the softmax or the sigmoid. That may hide any difference: it is
                flat or 0 for many classes.
            made_for: the number of images that the file is made for.
            images: test images ``(N, H, W, C)``.
            batch: the number of images that the translation computes, or None for any.
            batched: whether it computes several images although the file is made for one.
        """
        by_file = partial(Interpreter(self._file, inner=True).run, outputs=[tensor])
        by_translation = computed(graph, tensor, (batch, *self.input_shape), batched=batched)
        (expected,) = in_batches(by_file, images, made_for)
        (found,) = in_batches(lambda some: [by_translation(some)], images, batch)
        return scores_apart(found, expected, graph.step(tensor))

    def _note_integers(self, source: Detail) -> None:
        """Set the pixel values that an input of integers implies, by its quantization or its type."""
        if not np.issubdtype(source["dtype"], np.integer):
            return
        scale, zero = source["quantization"]
        limits = (int(np.iinfo(source["dtype"]).min), int(np.iinfo(source["dtype"]).max))
        if not scale:
            self.takes_integers(limits)
        elif found := value_range.of_quantization(float(scale), int(zero), limits):
            self.takes_values(found, "the input of the model is quantized")

    def _value_range(self, graph: TFLiteGraph, batch: int) -> str:
        """Return the range of pixel values that the first operations of the file imply, or ""."""
        (source,) = graph.inputs
        if graph.kind(source) != "float32":
            return ""
        try:
            return tflite_inputs.find(self._file, graph, batch, self.input_shape)
        except Exception:
            # The pixel values stay a guess.
            log.info("the first operations of %s can't be analyzed", self._file.name, exc_info=True)
            return ""


def scores_apart(found: NDArray[Any], expected: NDArray[Any], step: float) -> str:
    """Return a sentence if the scores of a quantized model differ from those of LiteRT by more than rounding, or "".

    Args:
        found: the scores of the translation for test images, ``(N, ...)``.
        expected: those of LiteRT.
        step: the step between quantized scores, or 0.
    """
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return "the scores of its translation are not finite, or of another shape than those of LiteRT."
    difference, largest = float(np.abs(found - expected).max()), float(np.abs(expected).max())
    spread = float(np.abs(expected - expected.mean(axis=0)).max())
    if difference <= max(STEPS * step, ROUNDED * largest, min(FRACTION * largest, SPREAD * spread)):
        return ""
    return (
        f"the scores of its translation differ from those of LiteRT by {difference / max(largest, 1e-30):.2g} of the "
        "largest score."
    )


def shape_of(detail: Detail) -> tuple[int, ...]:
    """Return the shape of a tensor."""
    return tuple(int(side) for side in detail["shape"])
