"""Boxes of object detectors: candidates, intersection over union, non-maximum suppression, similarity of detections.

Boxes are ``left, top, right, bottom`` in pixels of the input, from 0 to its width and height. A model may place a box
partly outside of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

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


@dataclass(frozen=True)
class Stacked:
    """The candidates of several images, one after the other, for the similarities of many boxes.

    Attributes:
        sides: left, top, right and bottom of the boxes of all images together, ``(4, M)``.
        areas: their areas, ``(M,)``.
        directions: the class scores, scaled to length 1, ``(M, K)``.
        confidence: the best class score times the objectness, ``(M,)``.
        ends: for each image, the number of candidates up to and with this image.
    """

    sides: NDArray[np.float64]
    areas: NDArray[np.float64]
    directions: NDArray[np.float64]
    confidence: NDArray[np.float64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, found: Sequence[Candidates]) -> Self:
        """Return the candidates of several images."""
        boxes = np.concatenate([one.boxes for one in found]).astype(np.float64)
        scores = np.concatenate([one.scores for one in found]).astype(np.float64)
        norms = np.linalg.norm(scores, axis=1, keepdims=True)
        return cls(
            np.ascontiguousarray(boxes.T),
            area(boxes),
            np.divide(scores, norms, out=np.zeros_like(scores), where=norms > 0),
            np.concatenate([one.confidence.max(axis=1, initial=0) for one in found]).astype(np.float64),
            np.cumsum([len(one.boxes) for one in found]),
        )

    def similarity(self, box: NDArray[Any] | tuple[float, ...], class_scores: NDArray[Any]) -> NDArray[np.float64]:
        """Return the similarity of each image's most similar candidate to a detection; see :func:`similarity`."""
        one = np.asarray(class_scores, np.float64)
        cosine = self.directions @ (one / (np.linalg.norm(one) or 1.0))
        left, top, right, bottom = (float(side) for side in box)
        width = (np.minimum(self.sides[2], right) - np.maximum(self.sides[0], left)).clip(0)
        common = width * (np.minimum(self.sides[3], bottom) - np.maximum(self.sides[1], top)).clip(0)
        union = self.areas + max(0.0, right - left) * max(0.0, bottom - top) - common
        overlap = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
        values = np.append(overlap * cosine.clip(0, 1) * self.confidence, 0.0)
        starts = np.concatenate([[0], self.ends[:-1]])
        # reduceat() returns the first value of an empty range.
        return np.where(self.ends > starts, np.maximum.reduceat(values, starts), 0.0)


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
    return float(Stacked.of([candidates]).similarity(box, class_scores)[0])
