"""The common base class of models whose files are translated into TensorFlow operations: ONNX and TFLite."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError, reason
from picasso.models.arrays import Array, fill_up
from picasso.models.outputs import Range
from picasso.models.tf.built_graph import Build
from picasso.models.tf.graph import Graph
from picasso.models.tf.graph_model import GraphModel
from picasso.models.tf.translation import Untranslatable, called

log = logging.getLogger(__name__)

# The largest difference between the translation and ONNX Runtime, as a fraction of the largest number of the output:
# for numbers with 32 bits; for those with 16 bits, which the translation computes with 32; and for quantized ones, of
# which ONNX Runtime rounds some sums differently.
TOLERANCE, TOLERANCE_16, TOLERANCE_QUANTIZED = 1e-4, 2e-2, 0.1
# A change of the inputs like that of rounding, and how many times its effect a difference may be.
ROUNDING, ROUNDED, MAX_ROUNDED = 1e-6, 4, 1e-2
# Smaller numbers are compared with this one: they may be what rounding leaves of 0.
SMALL = 1e-2
# How many steps quantized outputs may differ.
STEPS = 2
# The contrast of further test images, and the difference of quantized answers that the rounding of sums explains where
# an image is computed alone and with others.
DIMMED, SEPARATE_QUANTIZED = 0.3, 0.03
# The fraction of the numbers of ONNX Runtime that must be finite.
FINITE = 0.5
# The note about models that compute with quantized numbers.
QUANTIZED = (
    "The model is quantized. Its gradients pass through the rounding as if it were not there (straight-through), so "
    "they are those of a similar model without rounding, but 0 where numbers are cut off at the end of their range."
)

# A function from images ``(N, H, W, C)`` to all outputs.
Run = Callable[[Array], list[NDArray[Any]]]


class Source(NamedTuple):
    """A model file to translate.

    Attributes:
        names: the names of the outputs.
        batch: the number of images that the file is made for, or None for any.
        build: returns a function that builds the operations, for a number of images (None for any), and whether a file
            for one image gets several.
        layers: the names of its layers.
        limit: the largest difference from its runtime that the types of numbers explain; see :func:`apart`.
        step: the largest step of quantized outputs, or 0.
        missing: the kinds of its operations that have no translation.
        known_range: returns the range of the output according to the file.
        notes: what to know about the translation.
        check: compares inner values for test images, with the arguments of ``build``, and returns a sentence if they
            differ, or else ""; None if there is no such check.
    """

    names: Sequence[str]
    batch: int | None
    build: Callable[[int | None, bool], Build]
    layers: Collection[str]
    limit: float
    missing: Sequence[str]
    known_range: Callable[[], Range | None]
    step: float = 0.0
    notes: tuple[str, ...] = ()
    check: Callable[[Array, int | None, bool], str] | None = None


class TranslatedModel(GraphModel):
    """A model in a file whose operations are translated into those of TensorFlow.

    The runtime of the format, if it is installed, checks the result on test images. It computes the predictions of
    files that can't be translated; these give no gradients.

    Attributes:
        runtime_name: the name of the runtime.
        report: what to do about files that can't be translated.
    """

    runtime_name = report = ""
    _file: Path

    def adopt_translation(self, source: Source, run: Run | None, trouble: str = "") -> bool:
        """Use the translation of a file if it computes what the runtime does, or else the runtime.

        Args:
            source: the file.
            run: the runtime; None if it can't be used.
            trouble: why it can't be used.

        Returns:
            whether the translation is used.

        Raises:
            ModelError: there is neither a translation nor a runtime, or the output fits no task.
        """
        # Models for one image can mostly compute several at once.
        attempts = [(None, True), (1, False)] if source.batch == 1 else [(source.batch, False)]
        failure, why = None, ""
        for batch, batched in attempts:
            try:
                graph = self._graph_of(source, source.build(batch, batched), source.layers)
                why = self._difference(graph, source, run, batched=batched)
            except Exception as error:
                log.info("%s can't be translated", self._file.name, exc_info=True)
                failure, why = error, f"{error if isinstance(error, Untranslatable) else reason(error)}."
            else:
                if not why:
                    self.adopt(graph, self._file)
                    if not run:
                        unchecked = (
                            f"The translation of the {self.format} file was not compared with {self.runtime_name}: "
                        )
                        self.notes += (unchecked + trouble,)
                    self.notes += source.notes
                    return True
        if len(source.missing) > 1:
            why += f" Operations without a translation: {', '.join(source.missing)}."
        if run:
            self._leave_to(source, run, why)
            return False
        if isinstance(failure, ModelError):
            raise failure
        raise ModelError(
            f"{self._file.name} can't be translated into TensorFlow operations: {why} {self.report} For predictions, "
            f"it needs {self.runtime_name}: {trouble}"
        ) from failure

    def _graph_of(self, source: Source, build: Build, layers: Collection[str] = ()) -> Graph:
        return Graph(build, self._file.name, layers, said=self.said(), known_range=source.known_range)

    def _difference(self, graph: Graph, source: Source, run: Run | None, *, batched: bool) -> str:
        """Return a sentence if a graph does not compute what the runtime does, or else "".

        Without the runtime, a graph that computes several images at once is compared with itself.
        """
        if run is None and not batched:
            return ""
        images = np.stack(self._probe())
        if images.max() <= 1 and (graph.integers or graph.value_range() == "0..255"):
            images *= 255

        def own(group: Array) -> list[NDArray[Any]]:
            return [graph.answers(group)]

        def by_file(images: Array) -> list[NDArray[Any]]:
            return in_batches(run or own, images, source.batch)

        if batched and depends_on_others(own, images, quantized=source.limit == TOLERANCE_QUANTIZED):
            return "its answers for an image depend on the other images of a batch."
        (found,) = in_batches(own, images, graph.fixed_batch)
        moved = lambda: by_file(images * np.float32(1 + ROUNDING))  # noqa: E731
        why = verdict(found, by_file(images), source.limit, moved, self.runtime_name, source.step)
        return why or (source.check(images, graph.fixed_batch, batched) if run and source.check else "")

    def _leave_to(self, source: Source, run: Run, why: str) -> None:
        """Let the runtime compute the predictions."""
        trial = run(np.zeros((source.batch or 1, *self.input_shape), np.float32))
        answers = dict(zip(source.names, trial, strict=True))
        self.takes_fast = False
        self.adopt(self._graph_of(source, called(run, (source.batch, *self.input_shape), answers)), self._file)
        self.notes += (f"This file gives only predictions, no gradients and no feature maps: {why} {self.report}",)


def in_batches(run: Callable[[Array], list[NDArray[Any]]], images: Array, size: int | None) -> list[NDArray[Any]]:
    """Return the outputs for images that are computed in batches of a fixed size, or all at once if it is None."""
    size = size or len(images)
    answers = [run(fill_up(images[start : start + size], size)) for start in range(0, len(images), size)]
    return [np.concatenate(parts)[: len(images)] for parts in zip(*answers, strict=True)]


def depends_on_others(run: Callable[[Array], list[NDArray[Any]]], images: Array, *, quantized: bool) -> bool:
    """Tell whether the outputs for an image change with the other images of its batch.

    Images of other contrast are among them, because a network may normalize by the largest value of all.
    """
    several = np.concatenate([images, images * np.float32(DIMMED)])
    together, alone = (in_batches(run, several, size) for size in (None, 1))
    limit = SEPARATE_QUANTIZED if quantized else TOLERANCE
    return any(apart(one, other, whole=quantized) > limit for one, other in zip(together, alone, strict=True))


def verdict(
    found: NDArray[Any],
    expected: Sequence[NDArray[Any]],
    limit: float,
    moved: Callable[[], Sequence[NDArray[Any]]],
    runtime: str = "the runtime",
    step: float = 0.0,
) -> str:
    """Return a sentence if numbers differ from the expected ones, or else "".

    Args:
        found: all numbers of all outputs for each image, ``(N, D)``.
        expected: the outputs ``(N, ...)``.
        limit: the largest difference; see :func:`apart`.
        moved: returns the outputs for images that differ as by rounding. How much that changes depends on the network.
        runtime: what computes the expected outputs, for the sentence.
        step: the largest step of quantized outputs, or 0.
    """
    sizes = [int(np.prod(one.shape[1:])) for one in expected]
    if found.shape[1] != sum(sizes):
        return "the translation returns another number of values than the file."
    # Numbers with 16 bits may overflow.
    finite = np.mean([np.isfinite(one).mean() for one in expected])
    if finite < FINITE:
        return f"{runtime} returns too few finite numbers for test images to compare the translation with."
    parts = np.split(found, np.cumsum(sizes)[:-1], axis=1)
    outputs = [part.reshape(one.shape) for part, one in zip(parts, expected, strict=True)]
    if any(not np.isfinite(part[np.isfinite(one)]).all() for part, one in zip(outputs, expected, strict=True)):
        return "the translation returns numbers that are not finite."
    whole, small = limit == TOLERANCE_QUANTIZED, max(SMALL, STEPS * step / limit)
    difference = max(apart(part, one, whole=whole, small=small) for part, one in zip(outputs, expected, strict=True))
    if difference > limit:
        rounded = max(apart(part, one) for part, one in zip(moved(), expected, strict=True))
        limit = max(limit, min(ROUNDED * rounded, MAX_ROUNDED))
    if difference <= limit:
        return ""
    return f"the results of its translation differ from those of {runtime} by {difference:.2g} of the largest number."


def apart(found: NDArray[Any], expected: NDArray[Any], *, whole: bool = False, small: float = SMALL) -> float:
    """Return the largest difference of two outputs ``(N, ...)`` as a fraction of the largest number.

    The values of each place of the second axis, and of the last, are compared with the largest of these, or with 1 if
    other values are larger: class scores of a detector are not hidden behind the coordinates of its boxes. With
    ``whole``, all values are compared with the largest of all, because those of quantized models are rounded alike.
    Values below ``small`` are compared with it.
    """
    expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
    finite = np.isfinite(expected) & np.isfinite(found)
    size, error = np.where(finite, np.abs(expected), 0), np.where(finite, np.abs(np.nan_to_num(found - expected)), 0)
    largest = float(size.max(initial=1e-30))
    least, worst = max(small, largest if whole else min(1.0, largest)), 0.0
    for axis in {min(1, expected.ndim - 1), expected.ndim - 1}:
        others = tuple(one for one in range(expected.ndim) if one != axis)
        scales = np.maximum(size.max(axis=others, initial=0), least)
        worst = max(worst, float((error.max(axis=others, initial=0) / scales).max(initial=0)))
    return worst
