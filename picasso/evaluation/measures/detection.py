"""Object detection: the average precision of each class, on boxes in COCO's format.

Boxes are moved to where the model sees them. Those of which preprocessing crops more than half are neither expected nor
wrong, as crowds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from picasso.errors import ModelError
from picasso.evaluation import metrics
from picasso.evaluation.measured import Measured, Row, Score
from picasso.evaluation.measures.segmentation import UNKNOWN_PART
from picasso.evaluation.metrics import TrueBoxes
from picasso.evaluation.outputs import Progress, Size, outputs_of
from picasso.evaluation.truth.coco import boxes
from picasso.evaluation.truth.files import counted
from picasso.models.base import Model
from picasso.targets import Detection
from picasso.targets import boxes as found_boxes
from picasso.targets.decoders import FLOOR

# An average precision below the first is as good as none; without regard to classes, one above the second is not.
NONE, SOME = 0.05, 0.2
# Boxes of which less is visible are not expected to be found.
VISIBLE = 0.5


def measure(model: Model, folder: Path, progress: Progress) -> Measured:
    """Return how well objects are detected."""
    spec, names = model.spec, [str(name) for name in model.class_names()]
    if not isinstance(spec, Detection):
        raise ModelError(f"The model {type(model).__name__} detects no objects.")
    truth = boxes(folder, names)
    files, unreadable = list(truth.of), list[str]()
    there, found = list[TrueBoxes](), list[list[found_boxes.Detection]]()
    for index, output, size in outputs_of(model, files, unreadable, progress):
        (candidates,) = spec.candidates(output[None])
        # All detections count, however unlikely they are.
        found.append(found_boxes.suppressed(candidates, minimum=FLOOR))
        there.append(as_seen(model, truth.of[files[index]], size))
    precisions = metrics.average_precisions(there, found, len(names))
    objects = sum(np.bincount(one.classes[~one.crowd], minlength=len(names)) for one in there)
    rows = [
        Row(name, scores, f"{', '.join(f'{one.name} {one.text}' for one in scores)}, {count:,} objects")
        for name, scores, count in zip(names, map(scores_of, precisions), np.atleast_1d(objects), strict=True)
        if count
    ]
    half, average = scores_of(precisions)
    total = f"for {int(np.sum(objects)):,} objects in {counted(there, 'image')}"
    return Measured(
        task=spec.task,
        images=len(there),
        scores=(
            replace(half, detail=f"average precision at an overlap of 0.5, {total}"),
            replace(average, detail="the mean over overlaps of 0.5 to 0.95, as in COCO"),
        ),
        rows=tuple(rows),
        warnings=tuple(warnings_of(model, there, found, half.known)),
        unreadable=tuple(unreadable),
        notes=truth.notes,
    )


def scores_of(precisions: metrics.Floats) -> tuple[Score, Score]:
    """Return COCO's AP50 and AP from the precisions ``(10,)`` of one class, or ``(K, 10)`` of all classes."""
    return Score("AP50", metrics.mean(precisions[..., 0])), Score("AP", metrics.mean(precisions))


def as_seen(model: Model, truth: TrueBoxes, size: Size) -> TrueBoxes:
    """Return the objects of an image of ``size`` with their boxes in pixels of the model's input."""
    height, width, _ = model.input_shape
    left, top, right, bottom = (size and model.part(size)) or (0, 0, *(size or (width, height)))
    scale = np.array([width / (right - left), height / (bottom - top)] * 2)
    moved = (truth.boxes - np.array([left, top, left, top])) * scale
    cut = moved.clip(0, [width, height, width, height])
    area, visible = ((one[:, 2:] - one[:, :2]).prod(axis=1) for one in (moved, cut))
    hidden = visible < VISIBLE * area
    return TrueBoxes(cut, truth.classes, truth.crowd | hidden)


def warnings_of(
    model: Model, there: Sequence[TrueBoxes], found: Sequence[Sequence[found_boxes.Detection]], half: float | None
) -> list[str]:
    """Return warnings if nothing is detected, or hardly anything that is right."""
    said = [UNKNOWN_PART] if model.part((1, 1)) is None else []
    if not any(found):
        return [*said, f"Nothing is detected in any of {len(there)} images: the value range of the input may be wrong."]
    if half is None or half >= NONE:
        return said
    of_any = [replace(one, classes=np.zeros_like(one.classes)) for one in there]
    all_found = [[replace(one, index=0) for one in some] for some in found]
    alike = metrics.mean(metrics.average_precisions(of_any, all_found, 1)[:, 0]) or 0.0
    if alike > SOME:
        why = (
            f"Without regard to their classes, the boxes have an AP50 of {alike:.3f}: the labels may be in another "
            "order than the model's outputs."
        )
    else:
        why = "The decoder, the value range of the input or the order of the channels may be wrong."
    return [*said, f"Hardly any object is detected (AP50 {half:.3f}). {why}"]
