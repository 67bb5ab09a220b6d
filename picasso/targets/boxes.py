"""Boxes of object detectors: candidates, intersection over union, non-maximum suppression, similarity of detections.

Boxes are ``left, top, right, bottom`` in pixels of the input, from 0 to its width and height. A model may place a box
partly outside of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """The boxes that a detector proposes for one image, before or after its own suppression of duplicates.

    Attributes:
        boxes: ``(M, 4)``.
        scores: the score of each class, ``(M, K)``, 0..1.
        objectness: the probability that a box contains an object of any class, ``(M,)``; ones if the model has none.
        places: the index of each class score in the flat raw output of the model, ``(M, K)``; None if no number of the
            raw output is the score.
    """

    boxes: Floats
    scores: Floats
    objectness: Floats
    places: Places | None = None

    @property
    def confidence(self) -> Floats:
        """Return the score of each class times the objectness, ``(M, K)``."""
        return self.scores * self.objectness[:, None]


@dataclass(frozen=True)
class Detection:
    """An object that was detected.

    Attributes:
        box: left, top, right, bottom.
        index: the index of the class.
        score: the class score times the objectness, 0..1.
        candidate: the index of the candidate, for its class scores and their places.
    """

    box: tuple[float, float, float, float]
    index: int
    score: float
    candidate: int


def iou(boxes: NDArray[Any], box: NDArray[Any] | tuple[float, ...]) -> NDArray[np.float64]:
    """Return the intersection over union of each of the boxes ``(M, 4)`` with one box, ``(M,)``, 0..1.

    A box without area has none in common with any box, itself included.
    """
    boxes, box = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(box, np.float64)
    common = area(np.concatenate([np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])], axis=1))
    union = area(boxes) + area(box) - common
    shares: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shares


def area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area of boxes ``(..., 4)``; 0 if a right or bottom side is not beyond the left or top one."""
    sides: NDArray[np.float64] = (boxes[..., 2:] - boxes[..., :2]).clip(0)
    return sides[..., 0] * sides[..., 1]


def suppressed(
    candidates: Candidates, threshold: float = 0.5, minimum: float = 0.3, most: int = 100
) -> list[Detection]:
    """Return the detections, best first, by greedy non-maximum suppression within each class.

    Of two boxes of a class that overlap more than ``threshold``, the one with the lower score is left out; of equal
    scores, the later candidate. The scores are class scores times objectness.

    Args:
        candidates: the candidates of one image.
        threshold: the intersection over union above which two boxes are duplicates, 0..1.
        minimum: the minimum score of a detection, 0..1.
        most: the maximum number of detections.
    """
    confidence = candidates.confidence
    found = []
    for index in np.flatnonzero((confidence >= minimum).any(axis=0)).tolist():
        scores = confidence[:, index]
        waiting = np.flatnonzero(scores >= minimum)
        waiting = waiting[np.argsort(-scores[waiting], kind="stable")]
        kept = 0
        while len(waiting) and kept < most:
            best, waiting = int(waiting[0]), waiting[1:]
            left, top, right, bottom = candidates.boxes[best].tolist()
            found.append(Detection((left, top, right, bottom), index, float(scores[best]), best))
            waiting = waiting[iou(candidates.boxes[waiting], candidates.boxes[best]) <= threshold]
            kept += 1
    return sorted(found, key=lambda one: (-one.score, one.candidate, one.index))[:most]


def similarity(candidates: Candidates, box: NDArray[Any] | tuple[float, ...], class_scores: NDArray[Any]) -> float:
    """Return how similar the most similar candidate is to a detection, 0..1: the weight of a mask in D-RISE.

    It is the maximum over the candidates of intersection over union x cosine of the class scores x objectness x best
    class score. D-RISE (Petsiuk et al. 2021, arXiv 2006.03204) has only the first three factors, but most models have
    no objectness, and the cosine ignores how high the scores are: it is 1 for every candidate of a model of one class.

    Args:
        candidates: the candidates of one image, such as a masked one.
        box: the box of the detection.
        class_scores: the class scores of the detection, ``(K,)``.
    """
    overlap = iou(candidates.boxes, box)
    near = np.flatnonzero(overlap)
    if not len(near):
        return 0.0
    scores, one = candidates.scores[near].astype(np.float64), np.asarray(class_scores, np.float64)
    norms = np.linalg.norm(scores, axis=1) * np.linalg.norm(one)
    cosine = np.divide(scores @ one, norms, out=np.zeros_like(norms), where=norms > 0)
    return float(np.max(overlap[near] * cosine.clip(0, 1) * candidates.confidence[near].max(axis=1)))
