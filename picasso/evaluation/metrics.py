"""How well the outputs of a model agree with the truth, in NumPy: one group of functions for each kind of output.

What can't be computed, such as the precision of a class without truth, is NaN in an array and None as a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.targets.boxes import Detection

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

# The value of pixels in a mask that are left out.
IGNORED = 255
# COCO: the overlaps at which a detection is right, the recalls at which precision is read, and the maximum number of
# detections of a class in an image.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MAX_DETECTIONS = 100
# The maximum number of similarities that are computed at once.
SIMILARITIES = 4_000_000


def mean(values: NDArray[Any]) -> float | None:
    """Return the mean of the values that are not NaN, or None if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


# ---- segmentation -------------------------------------------------------------------------------------------------


def confusion(truth: NDArray[Any], predicted: NDArray[Any], classes: int, ignore: int | None = IGNORED) -> Counts:
    """Return how many pixels of each class (row) were predicted as each class (column), ``(K, K)``.

    Add the results of several images before computing :func:`ious`.

    Args:
        truth: the class of each pixel, of any shape; all other values than ``ignore`` must be classes.
        predicted: the predicted class of each pixel, of the same shape.
        classes: the number of classes.
        ignore: the value of pixels to leave out; None for none.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"the shapes {truth.shape} and {predicted.shape} differ")
    counted = np.ones(truth.shape, bool) if ignore is None else truth != ignore
    rows, columns = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    for values in (rows, columns):
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(f"a class is not 0 to {classes - 1}")
    return np.bincount(rows * classes + columns, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def ious(counts: Counts) -> Floats:
    """Return the intersection over union of each class, NaN for classes neither in the truth nor predicted.

    Their :func:`mean` is the mean IoU.

    Args:
        counts: the sum of the results of :func:`confusion`.
    """
    right = counts.diagonal().astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - right
    shares: Floats = np.divide(right, union, out=np.full(len(right), np.nan), where=union > 0)
    return shares


def pixel_accuracy(counts: Counts) -> float | None:
    """Return the fraction of pixels whose class was predicted, or None without pixels."""
    return float(counts.trace() / counts.sum()) if counts.any() else None


# ---- detection ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrueBoxes:
    """The objects in one image.

    Attributes:
        boxes: ``(G, 4)``: left, top, right, bottom, in the same pixels as the detections.
        classes: the index of the class of each, ``(G,)``.
        crowd: whether a box is around several objects, ``(G,)``. Detections in it count neither as right nor as wrong.
    """

    boxes: Floats
    classes: Counts
    crowd: NDArray[np.bool_]


def average_precisions(truth: Sequence[TrueBoxes], found: Sequence[Sequence[Detection]], classes: int) -> Floats:
    """Return the average precision of each class at each of :data:`THRESHOLDS`, ``(K, 10)``, computed as in COCO.

    It is the mean of the precision at 101 recalls, for boxes of all sizes and at most 100 detections of a class in an
    image. It is NaN for classes without objects in any image. COCO's AP is the :func:`mean` of all, and AP50 that of
    the first column.

    Args:
        truth: the objects in each image.
        found: the detections in each image.
        classes: the number of classes.
    """
    result = np.full((classes, len(THRESHOLDS)), np.nan)
    for index in range(classes):
        objects, scores, right, counted = 0, [], [], []
        for there, detections in zip(truth, found, strict=True):
            own = there.classes == index
            objects += int((own & ~there.crowd).sum())
            some = sorted((one for one in detections if one.index == index), key=lambda one: -one.score)
            some = some[:MAX_DETECTIONS]
            matched, ignored = matches(there.boxes[own], there.crowd[own], np.array([one.box for one in some]))
            scores += [one.score for one in some]
            right.append(matched & ~ignored)
            counted.append(~ignored)
        if objects:
            order = np.argsort(-np.array(scores), kind="stable")
            hits = np.concatenate(right, axis=1)[:, order]
            tried = np.concatenate(counted, axis=1)[:, order]
            result[index] = [precision(*pair, objects) for pair in zip(hits, tried, strict=True)]
    return result


def matches(boxes: Floats, crowd: NDArray[np.bool_], found: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Match the detections of a class in an image, best first, with its objects, each at most once.

    Args:
        boxes: the objects, ``(G, 4)``.
        crowd: whether each is a crowd, which any number of detections may match.
        found: the detections, ``(M, 4)``.

    Returns:
        for each threshold and detection, ``(10, M)``, whether it matches, and whether it matches a crowd.
    """
    matched, ignored = (np.zeros((len(THRESHOLDS), len(found)), bool) for _ in range(2))
    if not len(found) or not len(boxes):
        return matched, ignored
    shares = overlaps(found, boxes, crowd)
    for row, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(boxes), bool)
        for column, share in enumerate(shares):
            # A single object takes precedence over a crowd, and of equal overlaps the last, as in COCO.
            for kind in (~crowd, crowd):
                fitting = np.flatnonzero(kind & free & (share >= threshold))
                if len(fitting):
                    best = fitting[len(fitting) - 1 - share[fitting][::-1].argmax()]
                    free[best] = crowd[best]
                    matched[row, column], ignored[row, column] = True, crowd[best]
                    break
    return matched, ignored


def overlaps(found: Floats, boxes: Floats, crowd: NDArray[np.bool_]) -> Floats:
    """Return the intersection over union ``(M, G)``; for crowds, the intersection over the area of the detection."""
    low = np.maximum(found[:, None, :2], boxes[None, :, :2])
    high = np.minimum(found[:, None, 2:], boxes[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    areas, own = ((one[:, 2:] - one[:, :2]).clip(0).prod(axis=1) for one in (found, boxes))
    union = np.where(crowd, areas[:, None], areas[:, None] + own - common)
    shares: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shares


def precision(right: NDArray[np.bool_], counted: NDArray[np.bool_], objects: int) -> float:
    """Return the mean precision at :data:`RECALLS` of detections, best first.

    Args:
        right: whether each is right, ``(M,)``.
        counted: whether each counts, ``(M,)``.
        objects: the number of objects.
    """
    hits = np.cumsum(right)
    tried = np.cumsum(counted)
    precise = hits / np.maximum(tried, 1)
    # The highest precision at this recall or a higher one.
    envelope = np.append(np.maximum.accumulate(precise[::-1])[::-1], 0)
    places = np.searchsorted(hits / objects, RECALLS, side="left")
    return float(envelope[places].mean())


# ---- regression ---------------------------------------------------------------------------------------------------


def mean_absolute_error(truth: NDArray[Any], predicted: NDArray[Any]) -> Floats:
    """Return the mean absolute error of each value, ``(D,)``, of true and predicted values ``(N, D)``."""
    return np.asarray(np.abs(np.subtract(predicted, truth, dtype=np.float64)).mean(axis=0))


def r_squared(truth: NDArray[Any], predicted: NDArray[Any]) -> Floats:
    """Return the coefficient of determination of each value, ``(D,)``, of true and predicted values ``(N, D)``.

    It is 1 for a perfect prediction and 0 for one no better than the mean; NaN if all true values are the same.
    """
    truth = np.asarray(truth, np.float64)
    residual = ((predicted - truth) ** 2).sum(axis=0)
    total = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    varies = np.ptp(truth, axis=0) > 0
    shares: Floats = np.divide(residual, total, out=np.full(len(total), np.nan), where=varies)
    return 1 - shares


# ---- embeddings ---------------------------------------------------------------------------------------------------


def retrieved(embeddings: NDArray[Any], classes: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return for which images the most similar other image, by cosine, is of the same class.

    Images that are the only one of their class are found, but not counted. Of equally similar images, the first is
    taken.

    Args:
        embeddings: ``(N, D)``.
        classes: the class of each image, ``(N,)``.

    Returns:
        the indices of the images that count, ``(n,)``, and whether the most similar image of each is right, ``(n,)``.
    """
    vectors = np.asarray(embeddings, np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
    asked = np.flatnonzero(counts[inverse] > 1)
    right = np.zeros(len(asked), np.bool_)
    rows = max(1, SIMILARITIES // max(1, len(vectors)))
    for start in range(0, len(asked), rows):
        some = asked[start : start + rows]
        similar = vectors[some] @ vectors.T
        similar[np.arange(len(some)), some] = -np.inf
        right[start : start + rows] = inverse[similar.argmax(axis=1)] == inverse[some]
    return asked, right


# ---- several labels -----------------------------------------------------------------------------------------------


def label_accuracies(truth: NDArray[np.bool_], scores: NDArray[Any], threshold: float = 0.5) -> Floats:
    """Return for each label the fraction of images for which it was predicted correctly, ``(K,)``.

    Args:
        truth: whether each image has each label, ``(N, K)``.
        scores: the predicted probabilities, ``(N, K)``.
        threshold: the probability from which a label is predicted.
    """
    return np.asarray(((scores >= threshold) == truth).mean(axis=0))


def label_average_precisions(truth: NDArray[np.bool_], scores: NDArray[Any]) -> Floats:
    """Return the average precision of each label, ``(K,)``; NaN for labels that no image has.

    It is the sum of the precision at each distinct score times the increase of the recall there, without
    interpolation. Their :func:`mean` is the mean average precision.

    Args:
        truth: whether each image has each label, ``(N, K)``.
        scores: the predicted probabilities, ``(N, K)``.
    """
    result = np.full(truth.shape[1], np.nan)
    for index, (there, own) in enumerate(zip(truth.T, scores.T, strict=True)):
        if there.any():
            order = np.argsort(-own, kind="stable")
            # Equal scores can't be told apart: only the last place of each counts.
            ends = np.append(np.flatnonzero(np.diff(own[order])), len(order) - 1)
            hits = np.cumsum(there[order])[ends]
            result[index] = (np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / hits[-1]
    return result
