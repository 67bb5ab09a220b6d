"""Metrics on small data whose results can be computed by hand, and on boxes whose results COCO's own code computed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picasso.evaluation import metrics
from picasso.evaluation.metrics import TrueBoxes
from picasso.targets.boxes import Detection

# ---- segmentation -------------------------------------------------------------------------------------------------


def test_mean_iou() -> None:
    truth = np.array([[0, 0, 1], [1, 255, 2]])
    predicted = np.array([[0, 1, 1], [1, 3, 0]])
    counts = metrics.confusion(truth, predicted, 4)
    np.testing.assert_array_equal(counts, [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    # Class 3 is only predicted in the pixel that is left out.
    np.testing.assert_allclose(metrics.ious(counts), [1 / 3, 2 / 3, 0, np.nan])
    assert metrics.mean(metrics.ious(counts)) == pytest.approx(1 / 3)
    assert metrics.pixel_accuracy(counts) == pytest.approx(3 / 5)


def test_a_class_that_is_only_predicted_counts() -> None:
    counts = metrics.confusion(np.array([0, 0]), np.array([0, 1]), 3)
    np.testing.assert_allclose(metrics.ious(counts), [0.5, 0, np.nan])


def test_255_can_be_a_class() -> None:
    values = np.array([255, 255, 299])
    assert metrics.confusion(values, values, 300, ignore=None)[255, 255] == 2


def test_no_pixels() -> None:
    counts = metrics.confusion(np.array([255]), np.array([0]), 2)
    assert metrics.mean(metrics.ious(counts)) is None
    assert metrics.pixel_accuracy(counts) is None


def test_values_that_are_no_class() -> None:
    with pytest.raises(ValueError, match="a class is not 0 to 1"):
        metrics.confusion(np.array([2]), np.array([0]), 2)
    with pytest.raises(ValueError, match="a class is not 0 to 1"):
        metrics.confusion(np.array([0]), np.array([-1]), 2)
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(1,\) differ"):
        metrics.confusion(np.array([0, 1]), np.array([0]), 2)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 255]), st.integers(0, 2)), max_size=20))
def test_iou_counts_pixels(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs, np.int64).reshape(-1, 2).T
    known = [pair for pair in pairs if pair[0] != 255]
    expected = []
    for index in range(3):
        union = [pair for pair in known if index in pair]
        expected.append(union.count((index, index)) / len(union) if union else np.nan)
    np.testing.assert_allclose(metrics.ious(metrics.confusion(truth, predicted, 3)), expected)


# ---- detection ----------------------------------------------------------------------------------------------------

Box = tuple[float, float, float, float]


def objects(*some: tuple[Box, int, bool]) -> TrueBoxes:
    boxes = np.array([box for box, _, _ in some], np.float64).reshape(-1, 4)
    return TrueBoxes(boxes, np.array([one[1] for one in some], np.int64), np.array([one[2] for one in some], bool))


def scenes() -> tuple[list[TrueBoxes], list[list[Detection]]]:
    """Return 12 images with 43 objects, 4 of them crowds, and 87 detections, from a linear congruential generator."""
    state = 1

    def draw(most: int) -> int:
        nonlocal state
        state = (1103515245 * state + 12345) % 2**31
        return (state >> 16) % most

    truth, found = [], []
    for _ in range(12):
        there: list[tuple[Box, int, bool]] = []
        detections: list[Detection] = []
        for _ in range(draw(7)):
            left, top, width, height = draw(70), draw(70), 5 + draw(25), 5 + draw(25)
            index = draw(3)
            there.append(((left, top, left + width, top + height), index, draw(6) == 0))
            for _ in range(draw(4)):
                x, y, right, bottom = (side + draw(5) - 2 for side in there[-1][0])
                drawn = index if draw(5) else draw(3)
                detections.append(Detection((x, y, right, bottom), drawn, (1 + draw(20)) / 20, 0))
        for _ in range(draw(3)):
            left, top = draw(80), draw(80)
            drawn = draw(3)
            detections.append(Detection((left, top, left + 8, top + 8), drawn, (1 + draw(14)) / 20, 0))
        truth.append(objects(*there))
        found.append(detections)
    return truth, found


# The precision of COCOeval (pycocotools 2.0.11) for boxes of all sizes and 100 detections, averaged over the recalls.
# fmt: off
OF_COCO = [
    [0.409691546, 0.409691546, 0.296939694, 0.129630169, 0.129630169, 0.066903429, 0.066903429, 0.018749701, 0.0, 0.0],
    [0.716282265, 0.712662338, 0.712662338, 0.588795487, 0.463667671,
     0.328913761, 0.249375807, 0.132583258, 0.035643564, 0.004569688],
    [0.449386628, 0.449386628, 0.37918888, 0.356911653, 0.356911653, 0.186961553, 0.070942746, 0.025082508, 0.0, 0.0],
    [np.nan] * 10,
]
# fmt: on
AP, AP50 = 0.2582689370238748, 0.5251201463911321


def test_average_precision_is_that_of_coco() -> None:
    truth, found = scenes()
    assert (sum(len(one.boxes) for one in truth), sum(map(len, found))) == (43, 87)
    precisions = metrics.average_precisions(truth, found, 4)
    np.testing.assert_allclose(precisions, OF_COCO, atol=1e-9)
    assert metrics.mean(precisions) == pytest.approx(AP, abs=1e-12)
    assert metrics.mean(precisions[:, 0]) == pytest.approx(AP50, abs=1e-12)


def test_average_precision_by_hand() -> None:
    truth = [objects(((0, 0, 10, 10), 0, False), ((20, 0, 30, 10), 0, False)), objects()]
    found = [
        [Detection((0, 0, 10, 10), 0, 0.9, 0), Detection((20, 0, 30, 8), 0, 0.5, 1)],
        [Detection((0, 0, 10, 10), 0, 0.7, 0)],
    ]
    (row,) = metrics.average_precisions(truth, found, 1)
    # Right, wrong, right: precision 1 up to a recall of 1/2, and 2/3 beyond. The second overlaps by 0.8.
    np.testing.assert_allclose(row[:7], (51 + 50 * 2 / 3) / 101)
    np.testing.assert_allclose(row[7:], 51 / 101)


def test_detections_in_a_crowd_do_not_count() -> None:
    truth = [objects(((0, 0, 10, 10), 0, False), ((20, 0, 60, 40), 0, True))]
    own = Detection((0, 0, 10, 10), 0, 0.5, 0)
    crowd = [Detection((20 + x, 0, 30 + x, 10), 0, 0.9, 0) for x in range(5)]
    np.testing.assert_allclose(metrics.average_precisions(truth, [[own, *crowd]], 1), 1)
    np.testing.assert_allclose(metrics.average_precisions([objects(*[((0, 0, 9, 9), 0, True)])], [crowd], 1), np.nan)


def test_an_object_is_found_once() -> None:
    truth = [objects(((0, 0, 10, 10), 0, False))]
    found = [[Detection((0, 0, 10, 10), 0, score, 0) for score in (0.9, 0.8)]]
    np.testing.assert_allclose(metrics.average_precisions(truth, found, 1), 1)
    truth[0] = objects(((0, 0, 10, 10), 0, False), ((50, 50, 60, 60), 0, False))
    np.testing.assert_allclose(metrics.average_precisions(truth, found, 1), 51 / 101)


def test_no_detections() -> None:
    np.testing.assert_array_equal(
        metrics.average_precisions([objects(((0, 0, 9, 9), 1, False))], [[]], 2), [[np.nan] * 10, [0] * 10]
    )


# ---- regression ---------------------------------------------------------------------------------------------------


def test_errors_of_values() -> None:
    truth = np.array([[1, 5], [2, 5], [3, 5], [4, 5]])
    predicted = np.array([[1, 6], [3, 4], [3, 5], [3, 5]], np.float32)
    np.testing.assert_allclose(metrics.mean_absolute_error(truth, predicted), [0.5, 0.5])
    # Residuals 0 1 0 1, squares around the mean 2.5: 2.25 0.25 0.25 2.25.
    np.testing.assert_allclose(metrics.r_squared(truth, predicted), [1 - 2 / 5, np.nan])
    np.testing.assert_allclose(metrics.r_squared(truth[:, :1], np.full((4, 1), 2.5)), [0])


# ---- embeddings ---------------------------------------------------------------------------------------------------


def test_retrieval(monkeypatch: pytest.MonkeyPatch) -> None:
    angles = np.radians([0, 5, 60, 68, 20, 180])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [100], [1], [1], [0.1], [1]]
    classes = np.array([3, 3, 7, 7, 7, 9])
    # The image at 20 degrees is nearest to that at 5; the only one of class 9 is not counted.
    for most in (metrics.SIMILARITIES, 1):
        monkeypatch.setattr(metrics, "SIMILARITIES", most)
        asked, right = metrics.retrieved(embeddings, classes)
        assert asked.tolist() == [0, 1, 2, 3, 4]
        assert right.tolist() == [True, True, True, True, False]
    assert metrics.retrieved(embeddings[:2], np.array([0, 1]))[0].size == 0


# ---- several labels -----------------------------------------------------------------------------------------------


def test_labels() -> None:
    truth = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1], [0, 0, 1]], bool)
    scores = np.array([[0.9, 0.1, 0.5], [0.8, 0.6, 0.5], [0.7, 0.2, 0.5], [0.1, 0.3, 0.6]])
    np.testing.assert_allclose(metrics.label_accuracies(truth, scores), [0.75, 0.75, 0.75])
    # Label 0: right, wrong, right. Label 2: one right alone, then three equal scores, two of them right.
    expected = [(1 + 2 / 3) / 2, np.nan, 1 / 3 * 1 + 2 / 3 * 3 / 4]
    found = metrics.label_average_precisions(truth, scores)
    np.testing.assert_allclose(found, expected)
    assert metrics.mean(found) == pytest.approx((expected[0] + expected[2]) / 2)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=12))
def test_the_average_precision_of_labels_agrees_with_its_definition(pairs: list[tuple[bool, int]]) -> None:
    number = sum(there for there, _ in pairs)
    expected, recall = 0.0, 0.0
    for threshold in sorted({score for _, score in pairs}, reverse=True):
        chosen = [there for there, score in pairs if score >= threshold]
        expected += (sum(chosen) / max(1, number) - recall) * sum(chosen) / len(chosen)
        recall = sum(chosen) / max(1, number)
    truth = np.array([[there] for there, _ in pairs])
    (found,) = metrics.label_average_precisions(truth, np.array([[score / 4] for _, score in pairs]))
    assert found == pytest.approx(expected if number else np.nan, nan_ok=True)
