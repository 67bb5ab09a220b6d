"""What the output of a graph means: its task, the kind of its values, and the scores behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from picasso.errors import ModelError
from picasso.models import outputs
from picasso.models.arrays import Array, fill_up
from picasso.models.outputs import Decision, OutputKind, Range, Training, probes
from picasso.models.outputs.tensorflow_graph import FUNCTIONS, GraphReader, find_scores
from picasso.models.tf.built_graph import BuiltGraph, Several, evaluator
from picasso.models.tf.feature_layers import reach
from picasso.models.tf.runtime import tf
from picasso.targets import Detection, OutputSpec, OutputTask

log = logging.getLogger(__name__)

# The maximum difference between the probabilities and those computed from the scores that were found.
TOLERANCE = 1e-3
# The same if the probabilities are rounded to 8 bits: half a step, and a little.
TOLERANCE_ROUNDED = 2.5e-3
STAND_IN = (
    "No softmax or sigmoid was found whose input gives the output, so {what} are used instead of logits: gradients "
    "vanish where the model is certain."
)
# About this many pixels of the output for a test image suffice to tell the kind of its values.
PIXELS = 1024


class Said(NamedTuple):
    """What the user configured about the output.

    Attributes:
        kind: the kind of its values.
        task: the task.
        unit: the unit of the values of a regression.
        decoder: the name of the decoder of detections.
        classes: the number of classes of a detector.
        decode_boxes: the function of the model's class that decodes detections.
    """

    kind: OutputKind | None = None
    task: OutputTask | None = None
    unit: str = ""
    decoder: str = ""
    classes: int | None = None
    decode_boxes: Callable[..., Any] | None = None


class Settled(NamedTuple):
    """The interpretation of a graph's output, for other graphs built by the same function.

    Attributes:
        decision: the interpretation of the output.
        verified: True if scores were found that reproduce the probabilities.
    """

    decision: Decision
    verified: bool


NOTHING_SAID = Said()


class Interpretation:
    """The interpretation of a graph's output, and the operations that follow from it, which are added to the graph.

    Args:
        built: the graph.
        said: what the user configured about the output.
        trained: the task that the model was trained for, if its file states it.
        settled: the interpretation of the output if it is known from another graph built by the same function.
        known_range: returns the range of the output if the operations of the graph do not show it.

    Attributes:
        answered: the output as the model itself returns it, ``(N, ...)``.
        layout: the form of the output.
        detection: the specification of a detector, or None.
        settled: the interpretation for other graphs built by the same function.
        decision: the interpretation of the values.
        spec: what the output means; a single class score becomes two, for the classes "not" and "is".
        outputs: the outputs, one row for each image.
        scores: the tensor of scores that was found.
        flat_scores: the scores, one row for each image.
        found: a description of the source of the scores.
        notes: notes for the user.
        range_of: returns the range of the output.

    Raises:
        ModelError: the output fits no task.
    """

    def __init__(
        self,
        built: BuiltGraph,
        said: Said,
        *,
        trained: Training | None = None,
        settled: Settled | None = None,
        known_range: Callable[[], Range | None] | None = None,
    ) -> None:
        self._built, self._said = built, said
        self.range_of = known_range or self._range
        with built.wrapped.graph.as_default():
            self._lay_out()
            reader = GraphReader(built.input.op, built.evaluate)
            self._values = channels_last(self.answered) if self.layout.channels_first else self.answered
            self._scores = None if self.detection else find_scores(self._values, reader, self.layout.shape)
            if self.answered.shape.rank != len(self.layout.shape) + 1:
                self._values = tf.reshape(self.answered, [-1, *self.layout.shape])
            self._values = tf.cast(self._values, tf.float32)
        self.settled = settled or self._settle(trained)
        self.decision = self.settled.decision
        with built.wrapped.graph.as_default():
            self._finish()

    def _lay_out(self) -> None:
        """Determine the form of the output."""
        answered, built = self._built.output, self._built
        if not isinstance(answered, Several):
            if answered.shape.rank is None:
                raise ModelError(f"{built.label} returns an output of unknown shape.")
            sides = {"output": tuple(side or 0 for side in answered.shape.as_list()[1:])}
            if outputs.is_detection(sides, built.input_shape, self._said.task):
                answered = Several.of({"output": answered})
        self.detection = self._as_detection(answered.shapes) if isinstance(answered, Several) else None
        self.answered = answered.flat if isinstance(answered, Several) else answered
        if self.answered.op not in reach(built.input.op, up=False):
            raise ModelError(f"The output of {built.label} does not depend on its input.")
        if self.detection:
            self.layout = outputs.Layout(self.detection.shape)
            return
        dtype = "" if self.answered.dtype.is_floating else self.answered.dtype.name
        sides_of = self.answered.shape.as_list()
        self.layout = outputs.layout_of(
            sides_of, built.input_shape, built.fixed_batch, self._said.task, built.label, dtype
        )

    def _as_detection(self, shapes: Mapping[str, tuple[int, ...]]) -> Detection:
        """Return the specification of a detector with these outputs."""
        said = self._said
        return outputs.detection(
            shapes,
            self._built.input_shape,
            self._built.label,
            decoder=said.decoder,
            classes=said.classes,
            decode_boxes=said.decode_boxes,
            said=said.task is not None,
        )

    def _settle(self, trained: Training | None) -> Settled:
        """Determine the kind of the output, and whether the scores that were found reproduce its probabilities."""
        try:
            found = self.range_of()
        except Exception:
            log.warning("the operations of %s can't be analyzed", self._built.label, exc_info=True)
            found = None
        count, kind = self.layout.count, self._said.kind
        if kind is None and self._said.task in outputs.MEASURED:
            kind = OutputKind.VALUES
        if self.detection:
            return Settled(Decision(OutputKind.VALUES, "said" if self._said.task else "graph", count), False)
        images = probes(self._built.input_shape)[list(outputs.needed(found, kind, count))]
        tensors = [self._values, *([self._scores.probabilities] if self._scores else [])]
        values, *rebuilt = self._try_out(self._built.cut([self._built.input], tensors), images, len(tensors))
        known = "0..255" if self._built.integers == (0, 255) else self._built.value_range()
        decided = outputs.decide(values, found, kind, self._built.label, trained=trained, inputs=known)
        decision = outputs.for_task(decided, self._said.task, self.layout, self._built.label)
        if not rebuilt:
            return Settled(decision, False)
        expected = outputs.to_probabilities(values.astype(np.float64), decision.kind, count)
        finite = np.isfinite(expected).all(axis=1)
        limit = TOLERANCE_ROUNDED if self._scores and self._scores.rounded else TOLERANCE
        return Settled(decision, bool(np.abs(expected - rebuilt[0])[finite].max() < limit))

    def _range(self) -> Range | None:
        """Return the range of the output according to the operations of the graph, including those in functions."""
        wrapped, source, target = self._built.inlined(self.answered)
        return outputs.Analysis(GraphReader(source.op, evaluator(wrapped))).of(target)

    def _try_out(self, function: Any, images: Array, count: int) -> list[Array]:
        """Return the results of a function for test images, ``(n, K)``; NaN for batches on which it fails.

        For maps, every image has several rows: those of some of its pixels.
        """
        step = max(1, int(np.prod(self.layout.shape[:-1])) // PIXELS)
        size = self._built.fixed_batch or len(images)
        answers = []
        for start in range(0, len(images), size):
            some = images[start : start + size]
            try:
                with np.errstate(all="ignore"):
                    answer = self._built.call(function, fill_up(some, size))
            # Other images would need as much memory.
            except tf.errors.ResourceExhaustedError:
                raise
            except tf.errors.OpError:
                log.warning("%s fails on test images", self._built.label, exc_info=True)
                answer = [np.full((len(some), *self.layout.shape), np.nan, np.float32)] * count
            rows = [one[: len(some)].reshape(len(some), -1, self.layout.count)[:, ::step] for one in answer]
            answers.append([one.reshape(-1, self.layout.count) for one in rows])
        return [np.concatenate(parts) for parts in zip(*answers, strict=True)]

    def _finish(self) -> None:
        """Add the outputs and the scores to the graph."""
        kind, binary = self.decision.kind, self.layout.count == 1 and self.decision.kind is not OutputKind.VALUES
        read = outputs.to_probabilities(self._values, kind, self.layout.count, FUNCTIONS)
        self.notes: tuple[str, ...] = self.decision.notes
        if self.layout.note:
            self.notes = (self.layout.note, *self.notes)
        if self.layout.is_map and outputs.independent(self.layout, self.decision):
            self.notes += (outputs.INDEPENDENT,)
        if self.decision.constant:
            self.scores, self.found = 0 * self._values, "none: the output is always 1"
        elif kind is OutputKind.VALUES:
            self.scores, self.found = self._values, "the output"
        elif kind in (OutputKind.LOGITS, OutputKind.SIGMOID_LOGITS):
            self.scores, self.found = self._values, "the output, which has no softmax"
        elif self._scores and self.settled.verified:
            self.scores, self.found = self._scores.values, f"input of the final {self._scores.link}"
        else:
            odds = binary or kind in (OutputKind.SIGMOID, OutputKind.TANH)
            what = "log-odds of the probabilities" if odds else "log probabilities"
            self.found = what if odds else "log of the probabilities"
            self.notes += (STAND_IN.format(what=what),)
            self.scores = logarithm(read) - (logarithm(1 - read) if odds else 0)
        self.spec: OutputSpec = self.detection or outputs.spec_of(
            self.layout, self.decision, self._said.task, self._said.unit
        )
        if self.detection and self.detection.note:
            self.notes = (self.detection.note,)
        self.outputs = flat(tf.concat([1 - read, read], -1) if binary else read, self.spec.shape)
        signed = tf.concat([-self.scores, self.scores], -1) if binary else self.scores
        self.flat_scores = flat(signed, self.spec.shape)


def channels_last(maps: Any) -> Any:
    """Return maps ``(N, K, h, w)`` as ``(N, h, w, K)``: the tensor itself if they are a transposition of one."""
    if maps.op.type == "Transpose" and np.array_equal(tf.get_static_value(maps.op.inputs[1]), [0, 3, 1, 2]):
        return maps.op.inputs[0]
    return tf.transpose(maps, [0, 2, 3, 1])


def flat(tensor: Any, shape: Sequence[int]) -> Any:
    """Return a tensor ``(N, *shape)`` with one row for each image."""
    return tensor if len(shape) == 1 else tf.reshape(tensor, [-1, int(np.prod(shape))])


def logarithm(probabilities: Any) -> Any:
    """Return the natural logarithm of a tensor, with values below 1e-30 replaced by 1e-30."""
    return tf.math.log(tf.maximum(probabilities, 1e-30))
