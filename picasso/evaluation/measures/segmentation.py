"""Segmentation: the intersection over union of each class, and the pixels that are right, on masks.

The classes of the output are enlarged to the mask without interpolation. Pixels that preprocessing crops do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picasso.evaluation import metrics
from picasso.evaluation.measured import Measured, Row, Score
from picasso.evaluation.outputs import Progress, outputs_of
from picasso.evaluation.truth.files import counted
from picasso.evaluation.truth.masks import masks, read_mask
from picasso.models.base import Model

UNKNOWN_PART = (
    "The model's class has its own view() or preprocess(), so the input is assumed to show each whole image, resized."
)


def measure(model: Model, folder: Path, progress: Progress) -> Measured:
    """Return how well the classes of pixels are predicted."""
    names = [str(name) for name in model.class_names()]
    truth = masks(folder)
    files, unreadable, images = list(truth.of), list[str](), list[int]()
    counts = np.zeros((len(names), len(names)), np.int64)
    for index, output, size in outputs_of(model, files, unreadable, progress):
        mask = read_mask(truth.of[files[index]], len(names), size)
        predicted = enlarged(output.argmax(axis=-1), mask.shape[::-1], model.part(mask.shape[::-1]))
        seen = predicted >= 0
        counts += metrics.confusion(mask[seen], predicted[seen], len(names))
        images.append(index)
    ious = metrics.ious(counts)
    pixels = max(1, int(counts.sum()))
    rows = [
        Row(name, (Score("IoU", iou),), f"IoU {iou:.3f}, {share:.1%} of the pixels, {answered:.1%} predicted")
        for name, iou, share, answered in zip(
            names, ious.tolist(), counts.sum(axis=1) / pixels, counts.sum(axis=0) / pixels, strict=True
        )
        if not np.isnan(iou)
    ]
    average = metrics.mean(ious)
    return Measured(
        task=model.spec.task,
        images=len(images),
        scores=(
            Score("mean IoU", average, f"the mean over {counted(rows, 'class', 'classes')}"),
            Score("pixel accuracy", metrics.pixel_accuracy(counts), f"{pixels:,} pixels of {counted(images, 'image')}"),
        ),
        rows=tuple(rows),
        warnings=tuple(warnings_of(model, names, counts, average)),
        unreadable=tuple(unreadable),
        notes=truth.notes,
    )


def enlarged(
    classes: NDArray[np.integer], size: tuple[int, ...], part: tuple[float, float, float, float] | None
) -> NDArray[np.int64]:
    """Return the class of each pixel of an image, ``(H, W)``; -1 for pixels that the model does not see.

    Args:
        classes: the class of each position of the output, ``(h, w)``.
        size: the width and height of the image.
        part: the part of the image that the model sees; None for all of it.
    """
    (rows, columns), (width, height) = classes.shape, size
    left, top, right, bottom = part or (0, 0, width, height)
    x = np.floor((np.arange(width) + 0.5 - left) / (right - left) * columns).astype(np.int64)
    y = np.floor((np.arange(height) + 0.5 - top) / (bottom - top) * rows).astype(np.int64)
    found = classes[np.ix_(y.clip(0, rows - 1), x.clip(0, columns - 1))].astype(np.int64)
    inside = np.outer((y >= 0) & (y < rows), (x >= 0) & (x < columns))
    return np.where(inside, found, -1)


def warnings_of(model: Model, names: Sequence[str], counts: metrics.Counts, average: float | None) -> list[str]:
    """Return warnings about predictions that are constant or no better than guesses, and about strange masks."""
    found = [UNKNOWN_PART] if model.part((1, 1)) is None else []
    there, answered = np.flatnonzero(counts.sum(axis=1)), np.flatnonzero(counts.sum(axis=0))
    if len(there) == 1:
        found.append(
            f"All pixels of the masks are of the class {names[there[0]]}, except those with the value "
            f"{metrics.IGNORED}, which are left out. If {metrics.IGNORED} stands for a class in these masks, write its "
            "number instead."
        )
    if len(there) < 2 or average is None:
        return found
    if len(answered) == 1:
        found.append(f"All pixels are predicted as {names[answered[0]]}: the value range of the input may be wrong.")
    elif average <= guessed(counts):
        found.append(
            f"A mean IoU of {average:.3f} is what guessing gives: the order of the classes, the numbers in the masks, "
            "the value range or the order of the channels may be wrong."
        )
    return found


def guessed(counts: metrics.Counts) -> float:
    """Return the mean IoU of random guesses, or of the most frequent class for all pixels if that is higher."""
    shares = counts.sum(axis=1) / counts.sum()
    classes, own = len(shares), shares[shares > 0]
    # Of the pixels of a class with the share p, 1 / K are right, and so is the same share of the other pixels wrong.
    at_random = (own / (classes * own + 1 - own)).mean()
    return float(max(at_random, own.max() / len(own)))
