"""Object detection: boxes with a class and a score each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import BadRequest, ModelError
from picasso.targets.base import (
    Array,
    Context,
    Floats,
    OutputSpec,
    OutputTask,
    Target,
    Wanted,
    explaining,
    limited,
    one_hot,
)
from picasso.targets.boxes import Candidates, Stacked, iou, suppressed
from picasso.targets.class_names import by_name, number
from picasso.targets.decoders import DECODERS, DecodeBoxes, Decoder
from picasso.targets.predictions import Prediction
from picasso.targets.segmentation import example, numbers_of, split

BOX = re.compile(r"box:\s*(\d{1,4})\s*")
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box(Target):
    """One box of one class.

    Its value says how well a detection matches the box: the weight of a mask in D-RISE (Petsiuk et al., *Black-box
    explanation of object detectors via saliency maps*, arXiv 2006.03204); see
    :func:`picasso.targets.boxes.similarity`. Its score is the class score of the matched raw prediction, which has a
    gradient (Zhao & Chan, *ODAM: gradient-based instance-specific visual explanations for object detection*, ICLR
    2023).

    Attributes:
        spec: what the output means.
        box: left, top, right and bottom in pixels of the input.
        class_scores: the scores of the classes of the detection, ``(K,)``.
        place: the index of the class score of the matched prediction in the raw output; None if there is none.

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import Context, Detection
        >>> spec = Detection((6,), outputs=(("output", (6, 1)),), size=(8, 8), decoder="yolo", classes=2)
        >>> output = np.array([4, 4, 4, 2, 0.1, 0.9], np.float32)  # one box: centre, width, height, two scores
        >>> box = spec.target("box:0", Context(output, ["cat", "dog"], (8, 8), other=None))
        >>> box.name, box.box, box.value(output[None]).round(2).tolist()
        ('dog (box 0)', (2.0, 3.0, 6.0, 5.0), [0.9])
    """

    spec: Detection = field(compare=False, repr=False)
    box: Corners
    class_scores: Floats = field(compare=False)
    place: int | None = None

    @property
    def quantity(self) -> str:
        """The similarity of D-RISE."""
        return "match with the box (overlap x class x score)"

    @property
    def score_quantity(self) -> str:
        """The score of the matched raw prediction."""
        return "score of the box"

    def value(self, outputs: Array) -> Floats:
        """Return the similarity of the most similar candidate of each image, 0..1."""
        return self.spec.stacked(outputs).similarity(self.box, self.class_scores)

    def score(self, scores: Array) -> Floats:
        """Return the class score of the matched prediction."""
        return scores[:, self._place()].astype(np.float64)

    def cotangent(self, scores: Array) -> Array:
        """Return 1 for the class score of the matched prediction and 0 elsewhere."""
        return one_hot(scores, self._place())

    def region(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the pixels inside of the box."""
        (width, height), (rows, columns) = size, self.spec.size
        left, top, right, bottom = self.box
        x, y = (np.arange(width) + 0.5) * columns / width, (np.arange(height) + 0.5) * rows / height
        return np.outer((y >= top) & (y < bottom), (x >= left) & (x < right))

    def _place(self) -> int:
        if self.place is None:
            raise ModelError(
                f"No raw prediction of the model overlaps {self.name}, so it has no gradient. Choose a detected box, "
                "or a visualization without gradients, such as RISE."
            )
        return self.place


@dataclass(frozen=True)
class Detection(OutputSpec):
    """The raw output ``(D,)`` of a detector: all of its outputs, each flattened, side by side.

    Attributes:
        outputs: the name and the shape of each output.
        size: the height and width of the input.
        decoder: the name of the decoder, a key of :data:`picasso.targets.decoders.DECODERS`.
        classes: the number of classes.
        decode_boxes: the function of the model's class, for the decoder "custom".

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import Detection
        >>> spec = Detection((6,), outputs=(("output", (6, 1)),), size=(8, 8), decoder="yolo", classes=2)
        >>> ((box,),) = spec.decode(np.array([[4, 4, 4, 2, 0.1, 0.9]], np.float32), ["cat", "dog"], top=5)
        >>> box["name"], box["box"]
        ('dog', [2.0, 3.0, 6.0, 5.0])
    """

    outputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    size: tuple[int, int] = (0, 0)
    decoder: str = ""
    classes: int | None = None
    decode_boxes: DecodeBoxes | None = field(default=None, compare=False, repr=False)

    task = OutputTask.DETECTION

    def as_dict(self) -> dict[str, Any]:
        """Return the specification as JSON-ready values, without the function."""
        document = super().as_dict()
        del document["decode_boxes"]
        return document

    @cached_property
    def made(self) -> Decoder:
        """The decoder."""
        options = {"decode_boxes": self.decode_boxes} if self.decode_boxes else {}
        return DECODERS[self.decoder](dict(self.outputs), self.size, self.classes, **options)

    def candidates(self, outputs: Array) -> list[Candidates]:
        """Return the candidates of each image; the latest outputs are decoded only once for all targets."""
        return self._decoded(outputs)[1]

    def stacked(self, outputs: Array) -> Stacked:
        """Return the candidates of all images, one after the other."""
        return self._decoded(outputs)[2]

    def _decoded(self, outputs: Array) -> tuple[Array, list[Candidates], Stacked]:
        latest: tuple[Array, list[Candidates], Stacked] | None = self.__dict__.get("_latest")
        if latest is None or latest[0] is not outputs:
            found = self.made.decode(outputs)
            # The class is frozen, but this does not change its value.
            latest = self.__dict__["_latest"] = outputs, found, Stacked.of(found)
        return latest

    def wrong(self, outputs: Array) -> str:
        """Accept all numbers; the decoder checks the scores."""
        return ""

    def decode(self, outputs: Array, names: Sequence[str], top: int) -> list[tuple[Prediction, ...]]:
        """Return the detected objects, best first, after non-maximum suppression."""
        return [
            tuple(
                Prediction(index=one.index, name=called(names, one.index), prob=one.score, box=list(one.box))
                for one in suppressed(candidates)
            )
            for candidates in self.candidates(outputs)
        ]

    def arrays(self, output: Array) -> dict[str, NDArray[Any]]:
        """Return the detected objects, best first: ``boxes (n, 4)``, ``scores (n,)`` and ``classes (n,)``."""
        found = suppressed(self.candidates(output[None])[0])
        return {
            "boxes": np.array([one.box for one in found], np.float32).reshape(-1, 4),
            "scores": np.array([one.score for one in found], np.float32),
            "classes": np.array([one.index for one in found], np.int64),
        }

    def defaults(self, predictions: Sequence[Prediction], context: Context) -> tuple[Target, ...]:
        """Return the best boxes; none if nothing was detected."""
        return tuple(self.target(f"box:{rank}", context) for rank in range(min(len(predictions), context.top)))

    def parse(self, wanted: Sequence[str | int], names: Sequence[str]) -> list[Wanted]:
        """Return texts such as "box:2", "person", "person@120,80" and "person@10,20,60,80" after checking the names."""
        limited(wanted)
        known, found = by_name(names), dict[Wanted, None]()
        for one in wanted:
            if match := BOX.fullmatch(str(one)):
                found[f"box:{int(match[1])}"] = None
                continue
            name, place = (one, "") if isinstance(one, int) else split(one.strip(), known)
            with explaining(syntax(names)):
                index = "" if name == "" and place else number(names, known, name)
                numbers_of(place, empty=False)
            shown = index if isinstance(index, str) or len(known[names[index]]) > 1 else names[index]
            found[f"{shown}@{place}" if place else str(shown)] = None
        return list(found)

    def target(self, wanted: Wanted, context: Context) -> Target:
        """Return a detected box by its rank, its class or a point in it, or a box that the user drew."""
        (candidates,) = self.candidates(context.output[None])
        found, text = suppressed(candidates), str(wanted)
        if match := BOX.fullmatch(text):
            rank = int(match[1])
            if rank >= len(found):
                raise BadRequest(f"There is no box {rank} in this image; {len(found)} were detected.", field="target")
            one = found[rank]
            return self._box(text, f"{called(context.names, one.index)} (box {rank})", one.box, one.index, candidates)
        name, place = split(text, by_name(context.names))
        index = number(context.names, by_name(context.names), name) if name else None
        numbers = numbers_of(place, empty=False)
        scale = [side / shown for side, shown in zip(self.size[::-1], context.size, strict=True)] * 2
        numbers = [each * factor for each, factor in zip(numbers, scale, strict=False)]
        if len(numbers) == 4 and index is not None:
            corners = (numbers[0], numbers[1], numbers[2], numbers[3])
            if corners[0] >= self.size[1] or corners[1] >= self.size[0]:
                raise BadRequest(
                    f"The box {place.replace(',', ', ')} is not inside the image, which is {context.size[0]} x "
                    f"{context.size[1]} pixels.",
                    field="target",
                )
            return self._box(text, f"{context.names[index]} at {place.replace(',', ', ')}", corners, index, candidates)
        fitting = [one for one in found if index in (None, one.index) and (not numbers or around(one.box, numbers))]
        if not fitting or len(numbers) not in (0, 2):
            where = f" at {place}" if place else ""
            raise BadRequest(f"No {name or 'object'} was detected{where} in this image.", field="target")
        # The smallest box around a point is the one that is meant.
        one = min(fitting, key=lambda each: extent(each.box)) if numbers else fitting[0]
        title = f"{called(context.names, one.index)} (box {found.index(one)})"
        return self._box(text, title, one.box, one.index, candidates)

    def _box(self, text: str, name: str, box: Corners, index: int, candidates: Candidates) -> Box:
        """Return the target for a box of a class, matched with the candidate that overlaps it most."""
        overlap = iou(candidates.boxes, box) * candidates.confidence[:, index] if len(candidates.boxes) else np.zeros(0)
        best = int(overlap.argmax()) if len(overlap) and overlap.max() > 0 else None
        classes = self.made.classes or candidates.scores.shape[1]
        scores = np.eye(classes)[index] if best is None else candidates.scores[best].astype(np.float64)
        place = None if best is None or candidates.places is None else int(candidates.places[best, index])
        return Box(text, name, self, box, scores, place)


def syntax(names: Sequence[str]) -> str:
    """Return how targets are written, with one of the model's classes as the example."""
    name = example(names)
    return (
        f"A target is a detected box by its rank (box:0), a class for its best box ({name}), a class at a point, x and "
        f"y from the top left corner ({name}@120,80), or in a box that you define, left, top, right and bottom "
        f"({name}@10,20,60,80)."
    )


def called(names: Sequence[str], index: int) -> str:
    """Return the name of a class, or its index if the model has more classes than names."""
    return str(names[index]) if index < len(names) else str(index)


def around(box: Corners, point: Sequence[float]) -> bool:
    """Tell whether a box contains a point (x, y)."""
    left, top, right, bottom = box
    return left <= point[0] <= right and top <= point[1] <= bottom


def extent(box: Corners) -> float:
    """Return the area of a box."""
    left, top, right, bottom = box
    return (right - left) * (bottom - top)
