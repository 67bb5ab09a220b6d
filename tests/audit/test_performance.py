"""Accuracy, confusion and calibration, compared with values calculated by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso.audit.dataset import Folder
from picasso.audit.reporting import performance
from picasso.models.arrays import Array
from tests.fakes import LinearModel


def folder_of(answers: dict[int, list[int]], classes: int) -> Folder:
    """Return a folder whose images are predicted as these classes."""
    logits = {target: np.eye(classes, dtype=np.float32)[some] for target, some in answers.items()}
    views = {target: np.zeros((len(some), 2, 2, 1), np.float32) for target, some in answers.items()}
    return Folder(views, logits, {target: tuple(map(str, range(len(some)))) for target, some in answers.items()})


def test_each_class_has_its_accuracy_and_usual_mistake() -> None:
    folder = folder_of({0: [0] * 9 + [2], 2: [2] * 5 + [1] * 3 + [0] * 2}, 3)
    found = performance.accuracy(folder, ["ant", "bee", "cat"])
    first, second = found["classes"]
    assert (first["name"], first["images"], first["right"], first["mistake"]) == ("ant", 10, 9, "cat")
    assert (second["name"], second["images"], second["right"], second["mistake"]) == ("cat", 10, 5, "bee")
    # Wilson's interval of 9 in 10.
    np.testing.assert_allclose([first["low"], first["high"]], [0.5958, 0.9821], atol=1e-4)
    assert (found["images"], found["right"]) == (20, 14)
    assert found["low"] < 0.7 < found["high"]


def test_confusion_counts_rows_and_what_lies_elsewhere() -> None:
    # Class 1 has no images: its predictions are counted as elsewhere.
    table = performance.confusion(folder_of({0: [0] * 9 + [2], 2: [2] * 5 + [1] * 3 + [0] * 2}, 3))
    assert table.classes == (0, 2)
    assert table.counts == ((9, 1), (2, 5))
    assert table.elsewhere == (0, 3)
    assert table.left_out == 0


def test_of_many_classes_the_most_confused_are_shown() -> None:
    answers = {target: [target] * 8 for target in range(30)}
    answers[4] = [17] * 8
    answers[20] = [20] * 7 + [3]
    table = performance.confusion(folder_of(answers, 30), most=4)
    assert table.classes == (3, 4, 17, 20)
    assert table.left_out == 26
    assert table.counts[1] == (0, 0, 8, 0)


def test_calibration_is_worked_out_by_hand() -> None:
    folder = folder_of({0: [0, 0, 0, 1], 1: [1, 1, 1, 0]}, 2)
    sure = np.array([0.95, 0.95, 0.65, 0.65], np.float32)
    # Class 0: correct with .95, .95, .65; wrong with .65. Class 1 the same, with its columns exchanged.
    wrong = np.array([False, False, False, True])
    zero = np.stack([np.where(wrong, 1 - sure, sure), np.where(wrong, sure, 1 - sure)], axis=1)
    found = performance.calibration(folder, {0: zero, 1: zero[:, ::-1]})
    assert found is not None
    assert [(one.low, one.high, one.images, one.share) for one in found.bins] == [
        (0.6, 0.7, 4, 0.5),
        (0.9, 1.0, 4, 1.0),
    ]
    np.testing.assert_allclose([one.confidence for one in found.bins], [0.65, 0.95], atol=1e-6)
    assert found.error == pytest.approx(0.5 * 0.15 + 0.5 * 0.05, abs=1e-6)


def test_a_model_that_knows_how_sure_to_be_has_no_error() -> None:
    folder = folder_of({0: [0] * 8 + [1] * 2, 1: [1] * 8 + [0] * 2}, 2)
    sure = np.array([[0.8, 0.2]] * 8 + [[0.2, 0.8]] * 2, np.float32)
    found = performance.calibration(folder, {0: sure, 1: sure[:, ::-1]})
    assert found is not None
    assert found.error == pytest.approx(0, abs=1e-6)
    # A bin includes its upper end, also as float32.
    assert [(one.low, one.images) for one in found.bins] == [(0.7, 20)]


def test_labels_that_hold_together_are_not_calibrated_so() -> None:
    folder = folder_of({0: [0] * 4, 1: [1] * 4}, 2)
    several = np.full((4, 2), 0.9, np.float32)
    assert performance.calibration(folder, {0: several, 1: several}) is None


class Sigmoid(LinearModel):
    """A single sigmoid as two classes, whose logits are twice as far apart as those of a softmax."""

    def load(self, **arguments: Any) -> None:
        self.input_shape, self.num_classes = (2, 2, 1), 2

    def batch_logits(self, inputs: Array) -> Array:
        score = 4 * inputs.mean(axis=(1, 2, 3)) - 2
        return np.stack([-score, score], axis=1)

    def batch_probabilities(self, inputs: Array) -> Array:
        one = 1 / (1 + np.exp(-self.batch_logits(inputs)[:, 1]))
        return np.asarray(np.stack([1 - one, one], axis=1), np.float32)


def test_probabilities_are_the_models_own() -> None:
    model = Sigmoid()
    model.load()
    views = np.full((3, 2, 2, 1), 1.0, np.float32)
    folder = Folder({0: views, 1: 1 - views}, {}, {})
    found = performance.probabilities(model, folder)
    # A softmax of these logits would give 0.982.
    np.testing.assert_allclose(found[0][:, 1], 1 / (1 + np.exp(-2)), atol=1e-6)
    np.testing.assert_allclose(found[1][:, 1], 1 / (1 + np.exp(2)), atol=1e-6)
