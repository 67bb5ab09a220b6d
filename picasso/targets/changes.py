"""What changes in the output of a model, for each task: of an image and of the same image with hidden regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np

from picasso.targets.base import Array, OutputSpec, OutputTask
from picasso.targets.boxes import iou
from picasso.targets.predictions import Prediction

# Two boxes of a class that overlap at least this much are the same object: the convention of PASCAL VOC and COCO.
SAME_OBJECT = 0.5
# A label applies from this probability on.
APPLIES = 0.5


class Change(TypedDict):
    """One number of an output before and after, as in :class:`~picasso.targets.predictions.Prediction`.

    Attributes:
        index: the index of the class, label or value in the output.
        name: its name.
        before: the number before; None for an object that appears.
        after: the number after; None for an object that vanishes.
        unit: the unit of a value.
        box: left, top, right and bottom of a detected object, before if there is one.
    """

    index: int
    name: str
    before: float | None
    after: float | None
    unit: NotRequired[str]
    box: NotRequired[list[float]]


@dataclass(frozen=True)
class Changes:
    """What changes in an output.

    Attributes:
        entries: the numbers before and after.
        flipped: whether the result is another one: another most probable class, another set of labels with a
            probability of at least 0.5, another largest class of a segmentation, or another set of objects.
        share: the share of the pixels of a segmentation that change their class; None for other tasks.
    """

    entries: tuple[Change, ...]
    flipped: bool = False
    share: float | None = None


@dataclass(frozen=True)
class Answer:
    """The output of a model for one image, ``spec.shape``, and its predictions."""

    output: Array
    predictions: Sequence[Prediction]


def changes(spec: OutputSpec, before: Answer, after: Answer) -> Changes:
    """Return what changes between two answers of a model."""
    return BY_TASK[spec.task](before, after)


def _of_classes(before: Answer, after: Answer) -> Changes:
    """Return the most probable classes before, then those added after."""
    names = {one["index"]: one["name"] for one in (*before.predictions, *after.predictions)}
    return Changes(
        tuple(
            Change(index=index, name=name, before=float(before.output[index]), after=float(after.output[index]))
            for index, name in names.items()
        ),
        _first(before) != _first(after),
    )


def _of_labels(before: Answer, after: Answer) -> Changes:
    return Changes(
        _of_classes(before, after).entries, not np.array_equal(before.output >= APPLIES, after.output >= APPLIES)
    )


def _of_values(before: Answer, after: Answer) -> Changes:
    pairs = zip(before.predictions, after.predictions, strict=True)
    return Changes(
        tuple(
            Change(index=one["index"], name=one["name"], before=one["value"], after=two["value"], unit=one["unit"])
            for one, two in pairs
        )
    )


def _of_masks(before: Answer, after: Answer) -> Changes:
    """Return the share of the pixels of each class, and that of the pixels that change."""
    names = {one["index"]: one["name"] for one in (*before.predictions, *after.predictions)}
    first, second = ({one["index"]: one["share"] for one in each.predictions} for each in (before, after))
    moved = before.output.argmax(axis=-1) != after.output.argmax(axis=-1)
    return Changes(
        tuple(
            Change(index=index, name=name, before=first.get(index, 0.0), after=second.get(index, 0.0))
            for index, name in names.items()
        ),
        _first(before) != _first(after),
        float(moved.mean()),
    )


def _of_objects(before: Answer, after: Answer) -> Changes:
    """Match objects of the same class by their overlap, the best first."""
    left, found = list(after.predictions), []
    for one in before.predictions:
        same = [two for two in left if two["index"] == one["index"]]
        overlaps = iou(np.array([two["box"] for two in same]), np.array(one["box"]))
        match = same[int(overlaps.argmax())] if same and overlaps.max() >= SAME_OBJECT else None
        if match:
            left.remove(match)
        found.append(
            Change(
                index=one["index"],
                name=one["name"],
                before=one["prob"],
                after=match["prob"] if match else None,
                box=one["box"],
            )
        )
    new = [Change(index=two["index"], name=two["name"], before=None, after=two["prob"], box=two["box"]) for two in left]
    return Changes((*found, *new), bool(new) or any(one["after"] is None for one in found))


def _of_vectors(before: Answer, after: Answer) -> Changes:
    """Return the cosine of the angle between the two vectors; 0 for a vector of length 0."""
    first, second = (np.asarray(each.output, np.float64) for each in (before, after))
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    cosine = float(first @ second) / lengths if lengths else 0.0
    return Changes((Change(index=0, name="similarity with the whole image", before=1.0, after=cosine),))


def _first(answer: Answer) -> int | None:
    return answer.predictions[0]["index"] if answer.predictions else None


BY_TASK: dict[OutputTask, Callable[[Answer, Answer], Changes]] = {
    OutputTask.CLASSIFICATION: _of_classes,
    OutputTask.MULTI_LABEL: _of_labels,
    OutputTask.REGRESSION: _of_values,
    OutputTask.SEGMENTATION: _of_masks,
    OutputTask.DETECTION: _of_objects,
    OutputTask.EMBEDDING: _of_vectors,
}
