"""Decoders of object detectors: from the raw output of a model to candidate boxes, in NumPy.

The raw output is the concatenation of all outputs of the model, each flattened, in the order of their shapes.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelCodeError, ModelError, PicassoError, reason
from picasso.targets.boxes import Candidates, Floats, Places

#: The shapes of the outputs without the batch axis, by name.
Shapes = Mapping[str, tuple[int, ...]]
#: A model's own function, from its outputs by name to boxes, class scores and optionally objectness for each image.
DecodeBoxes = Callable[[dict[str, Floats]], Sequence[Sequence[Any]]]

#: Candidates whose best class score times objectness is lower are left out. No similarity with them is higher than it.
FLOOR = 0.01
#: The maximum number of candidates of an image; the best are kept.
MAX_CANDIDATES = 1000

# How far a probability may be outside of 0..1, because of rounding.
ROUNDING = 1e-3
# Box sides of all images below this are fractions of the input's width and height, not pixels.
MAX_FRACTION = 2.0
# The classes of TensorFlow's published detectors, trained on COCO: the numbers 1 to 90.
COCO_CLASSES = 90

# The strides of the feature maps of YOLO models, which propose one box for each cell, or three with anchors.
STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
ANCHORS = 3

BOXES, SCORES, CLASSES, COUNT = "detection_boxes", "detection_scores", "detection_classes", "num_detections"
DETECTED = {BOXES, SCORES, CLASSES, COUNT, "detection_multiclass_scores"}
RAW_BOXES, RAW_SCORES, ALL_SCORES = "raw_detection_boxes", "raw_detection_scores", "detection_multiclass_scores"


class Decoder(ABC):
    """A function from the raw output of a model to candidate boxes.

    Args:
        shapes: the shapes of all outputs of the model without the batch axis, by name, in the order of the raw output.
        size: the height and width of the input.
        classes: the number of classes, if it is known.

    Attributes:
        classes: the number of classes, or None if only the decoded boxes tell.
        notes: a sentence for each property of the output that was assumed.
    """

    name: ClassVar[str]
    """The name of the decoder in the settings."""

    def __init__(self, shapes: Shapes, size: tuple[int, int], classes: int | None = None) -> None:
        self.classes = classes
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.height, self.width = size
        self.notes: tuple[str, ...] = ()
        self._starts: dict[str, int] = {}
        self._length = 0
        for name, shape in self.shapes.items():
            self._starts[name] = self._length
            self._length += math.prod(shape)

    @property
    def differentiable(self) -> bool:
        """Whether the class scores of candidates are numbers of the raw output."""
        return True

    @abstractmethod
    def decode(self, raw: Floats) -> list[Candidates]:
        """Return the candidates of each image.

        Those below :data:`FLOOR` are left out, and those beyond the best :data:`MAX_CANDIDATES`.

        Args:
            raw: the raw outputs for some images, ``(N, D)``.

        Raises:
            ModelError: the values are not those of such a model.
        """

    def output(self, raw: Floats, name: str) -> Floats:
        """Return one of the outputs, ``(N, ...)``."""
        start, shape = self._starts[name], self.shapes[name]
        return raw[:, start : start + math.prod(shape)].reshape(len(raw), *shape)

    def places(self, name: str) -> Places:
        """Return the index of each value of an output in the flat raw output, in the shape of the output."""
        start, shape = self._starts[name], self.shapes[name]
        return np.arange(start, start + math.prod(shape), dtype=np.int64).reshape(shape)


class TensorFlowDecoder(Decoder):
    """TensorFlow's object detection models, which name their outputs.

    The candidates are the boxes before suppression (``raw_detection_boxes``) if the model returns them, with places in
    ``raw_detection_scores``. Else they are the detections, without places, because suppression has no gradient; their
    class scores are ``detection_multiclass_scores`` if the model returns them, and else the one score of each
    detection.

    Args:
        shapes: see :class:`Decoder`.
        size: see :class:`Decoder`.
        classes: see :class:`Decoder`.
        background: whether the first of several class scores is that of the background; by default, by the number of
            classes.
    """

    name = "tensorflow"

    classes: int

    def __init__(
        self, shapes: Shapes, size: tuple[int, int], classes: int | None = None, *, background: bool | None = None
    ) -> None:
        super().__init__(shapes, size)
        self._before = pairs_up(self.shapes.get(RAW_BOXES), self.shapes.get(RAW_SCORES))
        self._boxes = RAW_BOXES if self._before else BOXES
        after = {BOXES, SCORES, CLASSES} <= self.shapes.keys()
        if not self._before and not (after and pairs_up(self.shapes[BOXES], (*self.shapes[SCORES], 1))):
            raise ModelError(
                f"A detector of TensorFlow has the outputs {BOXES} (M, 4), {SCORES} (M,) and {CLASSES} (M,). This "
                f"model has {listed(self.shapes)}."
            )
        several = not self._before and pairs_up(self.shapes[BOXES], self.shapes.get(ALL_SCORES))
        self._scores = RAW_SCORES if self._before else ALL_SCORES if several else ""
        if self._scores:
            columns = self.shapes[self._scores][1]
            self._first = int(background if background is not None else classes is None or columns == classes + 1)
            self.classes = columns - self._first
            if background is None and classes is None:
                self.notes = (f"The first of the {columns} class scores of {self._scores} is that of the background.",)
            if self.classes < 1 or (classes is not None and self.classes != classes):
                raise ModelError(
                    f"{self._scores} has {columns} class scores, which fits {columns - 1} classes and the background, "
                    f"or {columns} classes, but not {classes or self.classes} classes."
                )
        else:
            self.classes = classes or COCO_CLASSES
            if classes is None:
                self.notes = (f"The model has {COCO_CLASSES} classes, as in COCO. If not, name them with LABELS.",)

    def decode(self, raw: Floats) -> list[Candidates]:
        """Return the candidates of each image."""
        boxes = self.output(raw, self._boxes)[..., [1, 0, 3, 2]] * self._sides()
        table = self.output(raw, self._scores)[..., self._first :] if self._scores else self._one_score(raw)
        best = table.max(axis=2)
        check_probabilities(best, self._scores or SCORES)
        if not self._before and COUNT in self.shapes:
            number = self.output(raw, COUNT).reshape(-1, 1)
            best = np.where(np.arange(best.shape[1]) < number, best, 0)
        places = self.places(RAW_SCORES)[:, self._first :] if self._before else None
        found = []
        for own, scores, confidence in zip(boxes, table, best, strict=True):
            kept = best_of(confidence, own)
            found.append(Candidates(own[kept], scores[kept], ones(kept), None if places is None else places[kept]))
        return found

    @property
    def differentiable(self) -> bool:
        """Whether the model returns its scores before suppression."""
        return self._before

    def _sides(self) -> Floats:
        return np.array([self.width, self.height, self.width, self.height], np.float32)

    def _one_score(self, raw: Floats) -> Floats:
        """Return the class scores ``(N, M, K)`` of detections with one class and one score."""
        numbers = np.nan_to_num(self.output(raw, CLASSES)).round().astype(np.int64)
        if numbers.max(initial=1) > self.classes:
            raise ModelError(
                f"The model detects class {numbers.max()}, but {self.classes} classes are known. Name all of them "
                "with LABELS."
            )
        # Detections beyond their number have class 0.
        return np.where(numbers[..., None] == np.arange(1, self.classes + 1), self.output(raw, SCORES)[..., None], 0)


class YoloDecoder(Decoder):
    """YOLO models with one output ``(4 + K, M)`` or ``(M, 4 + K)``, as YOLOv8, or with objectness, as YOLOv5.

    The values of a box are the centre's x and y, width, height, the objectness if there is one, and a probability for
    each class.

    Args:
        shapes: see :class:`Decoder`.
        size: see :class:`Decoder`.
        classes: see :class:`Decoder`.
        objectness: whether the output contains objectness; by default, it is decided by the number of classes, or else
            by the number of boxes: models with three boxes for each cell have one.
        normalized: whether boxes are fractions of the input's width and height rather than pixels; by default, they
            are if no value of any box is 2 or more.
    """

    name = "yolo"

    classes: int

    def __init__(
        self,
        shapes: Shapes,
        size: tuple[int, int],
        classes: int | None = None,
        *,
        objectness: bool | None = None,
        normalized: bool | None = None,
    ) -> None:
        super().__init__(shapes, size)
        self._output, self._shape = next(iter(self.shapes.items()), ("", ()))
        if len(self.shapes) != 1 or len(self._shape) != 2:
            raise ModelError(
                f"A YOLO model has one output, (4 + K, M) or (M, 4 + K). This model has {listed(self.shapes)}."
            )
        known = [objectness] if objectness is not None else [False, True]
        fitting = [] if classes is None else [4 + one + classes for one in known]
        # A model proposes many more boxes than it has classes.
        values, boxes = next(
            (pair for pair in (sorted(self._shape), sorted(self._shape, reverse=True)) if pair[0] in fitting),
            sorted(self._shape),
        )
        if objectness is None:
            objectness = values == 5 + classes if classes is not None else boxes in proposals(size, ANCHORS)
        self._values_first = values == self._shape[0]
        self._objectness, self._normalized = objectness, normalized
        self.classes = values - 4 - objectness
        if self.classes < 1 or (classes is not None and self.classes != classes):
            raise ModelError(
                f"The output {self._output} of shape {self._shape} is not that of a YOLO model with "
                f"{'an unknown number of' if classes is None else classes} classes: it must have 4 values for each "
                "box, or 5 with objectness, and one for each class."
            )
        with_it = f"objectness and {self.classes}" if objectness else f"no objectness and {self.classes}"
        self.notes = (f"The output {self._output} of shape {self._shape} has {boxes} boxes, {with_it} class scores.",)

    def decode(self, raw: Floats) -> list[Candidates]:
        """Return the candidates of each image."""
        values, places = self.output(raw, self._output), self.places(self._output)
        if self._values_first:
            values, places = values.swapaxes(1, 2), places.T
        first = 4 + self._objectness
        normalized = self._normalized
        if normalized is None:
            normalized = not (values[..., :4] >= MAX_FRACTION).any()
        scale = np.array([self.width, self.height] if normalized else [1, 1], np.float32)
        best = values[..., first:].max(axis=2)
        check_probabilities(best, self._output)
        if self._objectness:
            best *= values[..., 4]
            check_probabilities(best, self._output)
        found = []
        for one, confidence in zip(values, best, strict=True):
            near = np.flatnonzero(confidence >= FLOOR)
            centre, half = one[near, :2] * scale, one[near, 2:4] * scale / 2
            boxes = np.concatenate([centre - half, centre + half], axis=1)
            kept = best_of(confidence[near], boxes)
            rows = near[kept]
            objectness = one[rows, 4] if self._objectness else ones(rows)
            found.append(Candidates(boxes[kept], one[rows, first:], objectness, places[rows, first:]))
        return found


class CenterNetDecoder(Decoder):
    """CenterNet (arXiv 1904.07850): a heat map ``(h, w, K)``, sizes ``(h, w, 2)`` and offsets ``(h, w, 2)``.

    A cell is a candidate if the heat map of a class has a local maximum there among the nine cells around it; the
    scores of the other classes are 0. The sizes are width and height in cells, the offsets x and y in cells.
    """

    name = "centernet"

    classes: int

    def __init__(self, shapes: Shapes, size: tuple[int, int], classes: int | None = None) -> None:
        super().__init__(shapes, size)
        maps = centernet_maps(self.shapes)
        if maps is None:
            raise ModelError(
                "CenterNet has three outputs: a heat map (h, w, K), sizes (h, w, 2) and offsets (h, w, 2). This model "
                f"has {listed(self.shapes)}."
            )
        self._heat, self._size, self._offset = maps
        self.classes = self.shapes[self._heat][2]
        if classes not in (None, self.classes):
            raise ModelError(f"The heat map {self._heat} has {self.classes} classes, but {classes} are named.")
        self.notes = (f"{self._heat} is the heat map, {self._size} the sizes, and {self._offset} the offsets.",)

    def decode(self, raw: Floats) -> list[Candidates]:
        """Return the candidates of each image."""
        heat = self.output(raw, self._heat)
        check_probabilities(heat, self._heat)
        peaks = np.where((heat == neighbourhood_maximum(heat)) & (heat >= FLOOR), heat, 0)
        best = peaks.max(axis=3)
        image, row, column = np.nonzero(best)
        stride = np.array([self.width / heat.shape[2], self.height / heat.shape[1]], np.float32)
        cells = np.stack([column, row], axis=1).astype(np.float32)
        centre = (cells + self.output(raw, self._offset)[image, row, column]) * stride
        half = self.output(raw, self._size)[image, row, column] * stride / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        scores, confidence = peaks[image, row, column], best[image, row, column]
        places = self.places(self._heat)[row, column]
        ends = np.searchsorted(image, np.arange(len(raw) + 1)).tolist()
        found = []
        for start, end in pairwise(ends):
            kept = start + best_of(confidence[start:end], boxes[start:end])
            found.append(Candidates(boxes[kept], scores[kept], ones(kept), places[kept]))
        return found


class CustomDecoder(Decoder):
    """The function ``decode_boxes()`` of a model class.

    Args:
        shapes: see :class:`Decoder`.
        size: see :class:`Decoder`.
        classes: see :class:`Decoder`.
        decode_boxes: a function from the outputs by name, each ``(N, ...)``, to a list with, for each image, boxes
            ``(M, 4)`` as left, top, right, bottom in pixels of the input, class scores ``(M, K)``, and optionally
            objectness ``(M,)``.
    """

    name = "custom"

    def __init__(
        self, shapes: Shapes, size: tuple[int, int], classes: int | None = None, *, decode_boxes: DecodeBoxes
    ) -> None:
        super().__init__(shapes, size, classes)
        self._decode_boxes = decode_boxes

    @property
    def differentiable(self) -> bool:
        """Not: which number of the raw output is the score of a box is not known."""
        return False

    def decode(self, raw: Floats) -> list[Candidates]:
        """Return the candidates of each image.

        Raises:
            ModelCodeError: the function raised an exception or returned something else.
        """
        # The function must not change what the other targets read.
        raw = raw.view()
        raw.flags.writeable = False
        try:
            decoded = list(self._decode_boxes({name: self.output(raw, name) for name in self.shapes}))
        except PicassoError:
            raise
        except Exception as error:
            raise ModelCodeError(f"decode_boxes() of the model failed: {reason(error)}.") from error
        if len(decoded) != len(raw):
            raise ModelCodeError(f"decode_boxes() returned {len(decoded)} results for {len(raw)} images.")
        found = [own_candidates(one) for one in decoded]
        numbers = {one.scores.shape[1] for one in found} | ({self.classes} if self.classes else set())
        if len(numbers) > 1:
            raise ModelCodeError(
                "decode_boxes() must return as many class scores as the model has classes, for each image; here these "
                f"numbers differ: {', '.join(map(str, sorted(numbers)))}."
            )
        return found


def own_candidates(result: Sequence[Any]) -> Candidates:
    """Return what a model's own function returned for one image as candidates, after checking it."""
    try:
        boxes, scores, *rest = (np.asarray(values, np.float32) for values in result)
        objectness = rest[0] if rest else np.ones(len(boxes), np.float32)
    except Exception as error:
        raise ModelCodeError(f"decode_boxes() must return boxes and class scores: {reason(error)}.") from error
    boxes = boxes.reshape(0, 4) if not boxes.size else boxes
    shapes = (boxes.shape, scores.shape[:1], scores.ndim, objectness.shape, len(rest) < 2)
    if shapes != ((len(boxes), 4), (len(boxes),), 2, (len(boxes),), True) or not scores.shape[1]:
        given = ", ".join(str(one.shape) for one in (boxes, scores, *rest))
        raise ModelCodeError(
            f"decode_boxes() returned arrays of shapes {given} for an image; it must return boxes (M, 4), class scores "
            "(M, K), and optionally objectness (M,)."
        )
    best = scores.max(axis=1) * objectness
    check_probabilities(best, "decode_boxes()")
    kept = best_of(best, boxes)
    return Candidates(boxes[kept], scores[kept], objectness[kept])


class Recognized(NamedTuple):
    """The decoder that fits the outputs of a model.

    Attributes:
        name: its name, or "" if none is known to fit.
        reason: a sentence that says why.
    """

    name: str
    reason: str


DECODERS: dict[str, type[Decoder]] = {
    one.name: one for one in (TensorFlowDecoder, YoloDecoder, CenterNetDecoder, CustomDecoder)
}


def recognize(shapes: Shapes, size: tuple[int, int]) -> Recognized:
    """Return the decoder that fits the names and shapes of a model's outputs; see :class:`Decoder` for the arguments.

    The outputs of other models may look the same, so the user must be told what was assumed.
    """
    if {BOXES, SCORES, CLASSES} <= shapes.keys() or {RAW_BOXES, RAW_SCORES} <= shapes.keys():
        return Recognized("tensorflow", "The outputs are named as those of TensorFlow's object detection models.")
    if centernet_maps(shapes):
        return Recognized("centernet", "The outputs are a heat map and two maps of two channels, as in CenterNet.")
    only = next(iter(shapes.values())) if len(shapes) == 1 else ()
    if len(only) == 2 and min(only) > 4:
        for each in (1, ANCHORS):
            if max(only) in proposals(size, each):
                number = f"{max(only)} boxes, {each} for each cell of the feature maps"
                return Recognized("yolo", f"The output of shape {only} has {number} of a YOLO model.")
    return Recognized("", f"The outputs {listed(shapes)} are not those of a detector that Picasso knows.")


def used(shapes: Shapes) -> set[str]:
    """Return the names of the outputs that a decoder reads: of TensorFlow's models, only those known by name."""
    known = {RAW_BOXES, RAW_SCORES} if {RAW_BOXES, RAW_SCORES} <= shapes.keys() else DETECTED
    return shapes.keys() & known or set(shapes)


def proposals(size: tuple[int, int], each: int) -> list[int]:
    """Return how many boxes YOLO models propose for an input, with ``each`` boxes for a cell, by their strides."""
    return [
        each * sum(math.ceil(size[0] / stride) * math.ceil(size[1] / stride) for stride in strides)
        for strides in STRIDES
    ]


def centernet_maps(shapes: Shapes) -> tuple[str, str, str] | None:
    """Return the names of the heat map, the sizes and the offsets, or None if the outputs are not these.

    If the names do not say which output is which, they are in this order.
    """
    if len(shapes) != 3 or any(len(shape) != 3 for shape in shapes.values()):
        return None
    if len({shape[:2] for shape in shapes.values()}) != 1:
        return None
    pairs = [name for name, shape in shapes.items() if shape[2] == 2]
    heat = [name for name in shapes if name not in pairs] or names_with(pairs, "heat", "hm") or pairs[:1]
    rest = [name for name in pairs if name not in heat]
    if len(heat) != 1 or len(rest) != 2:
        return None
    sizes, offsets = names_with(rest, "size", "wh"), names_with(rest, "off", "reg")
    if len(sizes) == 1:
        rest.sort(key=lambda name: name not in sizes)
    elif len(offsets) == 1:
        rest.sort(key=lambda name: name in offsets)
    return heat[0], rest[0], rest[1]


def names_with(names: Sequence[str], *beginnings: str) -> list[str]:
    """Return the names that contain a word with one of the beginnings."""
    pattern = re.compile(rf"(?<![a-z])(?:{'|'.join(beginnings)})", re.IGNORECASE)
    return [name for name in names if pattern.search(name)]


def pairs_up(boxes: tuple[int, ...] | None, scores: tuple[int, ...] | None) -> bool:
    """Tell whether two outputs are boxes ``(M, 4)`` and their scores ``(M, K)``."""
    return boxes is not None and scores is not None and len(scores) == 2 and boxes == (scores[0], 4)


def neighbourhood_maximum(maps: Floats) -> Floats:
    """Return the maximum of the nine cells around each cell of maps ``(N, h, w, K)``."""
    height, width = maps.shape[1:3]
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    rows = np.maximum(np.maximum(padded[:, :height], padded[:, 1:-1]), padded[:, 2:])
    return np.maximum(np.maximum(rows[:, :, :width], rows[:, :, 1:-1]), rows[:, :, 2:])


def best_of(confidence: Floats, boxes: Floats) -> NDArray[np.intp]:
    """Return the indices of the candidates to keep, in their order; boxes that are not finite are left out."""
    kept = np.flatnonzero(confidence >= FLOOR)
    kept = kept[np.isfinite(boxes[kept]).all(axis=1)]
    if len(kept) > MAX_CANDIDATES:
        kept = np.sort(kept[np.argsort(-confidence[kept], kind="stable")[:MAX_CANDIDATES]])
    return kept


def ones(like: NDArray[Any]) -> Floats:
    """Return the objectness of boxes of a model without one."""
    return np.ones(len(like), np.float32)


def check_probabilities(scores: Floats, name: str) -> None:
    """Raise a ModelError if scores are not 0..1."""
    if scores.size and ((scores > 1 + ROUNDING) | (scores < -ROUNDING)).any():
        low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
        raise ModelError(
            f"The scores of {name} go from {low:.4g} to {high:.4g}, but probabilities are 0 to 1. Apply the sigmoid "
            "or softmax in the model, or write decode_boxes() in a model class."
        )


def listed(shapes: Shapes) -> str:
    """Return the names and shapes of outputs for a message."""
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items()) or "none"
