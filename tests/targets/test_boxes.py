"""Boxes, their overlap, the suppression of duplicates and the similarity of detections, against slow computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from picasso.targets.boxes import Candidates, Detection, iou, similarity, suppressed

Box = tuple[int, int, int, int]
BOX = st.tuples(*[st.integers(-3, 12)] * 4)
SCORE = st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.5, 0.7, 0.9, 1.0])


def made(
    boxes: list[Box] | list[tuple[float, ...]], scores: list[list[float]], objectness: list[float] | None = None
) -> Candidates:
    weights = np.ones(len(boxes)) if objectness is None else np.array(objectness)
    shape = (len(boxes), len(scores[0]) if scores else 2)
    return Candidates(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32).reshape(shape),
        weights.astype(np.float32),
    )


def pixels(box: Box) -> set[tuple[int, int]]:
    """Return the unit squares that a box with integer corners covers."""
    left, top, right, bottom = box
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


def slow_iou(one: Box, two: Box) -> float:
    union = pixels(one) | pixels(two)
    return len(pixels(one) & pixels(two)) / len(union) if union else 0.0


@given(st.lists(BOX, max_size=6), BOX)
def test_iou_counts_squares(boxes: list[Box], box: Box) -> None:
    np.testing.assert_allclose(
        iou(np.array(boxes, np.float32), np.array(box)), [slow_iou(one, box) for one in boxes], rtol=1e-12
    )


def test_known_overlaps() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2.5, 2.5, 7.5, 7.5]])
    np.testing.assert_allclose(iou(boxes, (0, 0, 10, 10)), [1, 1 / 3, 0, 1 / 4])


def brute_force(candidates: Candidates, threshold: float, minimum: float, most: int) -> list[tuple[int, int]]:
    """Return the candidate and class of each detection: the best first, unless one of its class hides it."""
    confidence = candidates.scores * candidates.objectness[:, None]
    boxes = [tuple(map(int, box)) for box in candidates.boxes.tolist()]
    pairs = [(m, k) for m in range(len(boxes)) for k in range(confidence.shape[1]) if confidence[m, k] >= minimum]
    taken: list[tuple[int, int]] = []
    for m, k in sorted(pairs, key=lambda pair: (-float(confidence[pair]), pair)):
        hidden = any(k == other and slow_iou(boxes[m], boxes[n]) > threshold for n, other in taken)  # type: ignore[arg-type]
        if not hidden:
            taken.append((m, k))
    return taken[:most]


@given(
    st.lists(st.tuples(BOX, SCORE, SCORE, SCORE), max_size=12),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.sampled_from([0.1, 0.3, 0.45]),
    st.sampled_from([1, 3, 100]),
)
def test_suppression_agrees_with_brute_force(
    rows: list[tuple[Box, float, float, float]], threshold: float, minimum: float, most: int
) -> None:
    candidates = made([row[0] for row in rows], [[row[1], row[2]] for row in rows], [row[3] for row in rows])
    found = suppressed(candidates, threshold, minimum, most)
    assert [(one.candidate, one.index) for one in found] == brute_force(candidates, threshold, minimum, most)


def test_suppression_is_within_a_class_and_best_first() -> None:
    boxes = [(0, 0, 10, 10), (1, 0, 11, 10), (0, 1, 10, 11), (20, 20, 30, 30)]
    candidates = made(boxes, [[0.6, 0.1], [0.8, 0.0], [0.1, 0.5], [0.9, 0.0]], [1, 1, 1, 0.5])
    assert suppressed(candidates) == [
        Detection((1, 0, 11, 10), 0, pytest.approx(0.8), 1),  # type: ignore[arg-type]
        Detection((0, 1, 10, 11), 1, pytest.approx(0.5), 2),  # type: ignore[arg-type]
        Detection((20, 20, 30, 30), 0, pytest.approx(0.45), 3),  # type: ignore[arg-type]
    ]
    assert suppressed(candidates, minimum=0.85) == []


def test_no_candidates() -> None:
    nothing = made([], [])
    assert suppressed(nothing) == []
    assert similarity(nothing, (0, 0, 1, 1), np.array([1.0, 0.0])) == 0


def cosine(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    norm = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return float((one * two).sum()) / norm if norm else 0.0


@given(st.lists(st.tuples(BOX, SCORE, SCORE, SCORE), max_size=8), BOX, SCORE, SCORE)
def test_similarity_is_the_highest_product(
    rows: list[tuple[Box, float, float, float]], box: Box, one: float, two: float
) -> None:
    candidates = made([row[0] for row in rows], [[row[1], row[2]] for row in rows], [row[3] for row in rows])
    wanted = np.array([one, two])
    products = [slow_iou(row[0], box) * cosine(np.array(row[1:3]), wanted) * row[3] * max(row[1:3]) for row in rows]
    assert similarity(candidates, box, wanted) == pytest.approx(max(products, default=0), abs=1e-6)


def test_a_detection_is_as_similar_to_itself_as_it_is_confident() -> None:
    candidates = made([(0, 0, 10, 10), (50, 50, 60, 60)], [[1.0, 0.0], [0.2, 1.0]], [0.75, 0.5])
    assert similarity(candidates, (0, 0, 10, 10), np.array([1.0, 0.0])) == pytest.approx(0.75)
    assert similarity(candidates, (50, 50, 60, 60), np.array([0.2, 1.0])) == pytest.approx(0.5)


def test_a_class_that_disappears_lowers_the_similarity_of_a_model_of_one_class() -> None:
    box, wanted = (0, 0, 10, 10), np.array([0.9])
    values = [similarity(made([box], [[score]]), box, wanted) for score in (0.9, 0.4, 0.0)]
    assert values == pytest.approx([0.9, 0.4, 0.0])
