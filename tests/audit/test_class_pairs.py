"""The order of pairs of classes, and the cost of an audit."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.audit import audit
from picasso.audit.class_pairs import confusion, ordered
from picasso.audit.dataset import Folder
from picasso.audit.properties import Images
from picasso.audit.trial import TrialContext
from picasso.models.arrays import Array
from tests.audit.test_audit import HEIGHT, WIDTH, Judge

CLASSES, COUNT = 6, 12


def folder(logits: dict[int, Array], bright: int | None = None) -> Folder:
    """Return greyscale images of several classes, of which one is brighter."""
    random = np.random.default_rng(0)
    views: dict[int, Images] = {
        target: np.asarray(random.uniform(0.4, 0.6, (COUNT, HEIGHT, WIDTH, 3)), np.float32) for target in logits
    }
    if bright is not None:
        views[bright] += np.float32(0.3)
    return Folder(views, logits, {target: tuple(map(str, range(COUNT))) for target in logits})


def sure(classes: int = CLASSES) -> dict[int, Array]:
    """Return logits that are correct for all images, by a wide margin."""
    return {target: np.full((COUNT, classes), -5, np.float32) + 10 * np.eye(classes, dtype=np.float32)[target]
            for target in range(classes)}  # fmt: skip


def test_pairs_that_are_mixed_up_come_first() -> None:
    logits = sure()
    logits[2][:6, 4], logits[2][:6, 2] = 5, -5
    logits[4][:3, 2], logits[4][:3, 4] = 5, -5
    mixed = folder(logits)
    assert confusion(mixed, (2, 4)) == pytest.approx(6 / 12 + 3 / 12, abs=2e-3)
    assert confusion(mixed, (0, 1)) == pytest.approx(0, abs=2e-3)
    assert ordered(mixed)[0] == (2, 4)
    assert sorted(ordered(mixed)) == [(one, other) for one in range(CLASSES) for other in range(one + 1, CLASSES)]


def test_and_those_whose_images_look_different() -> None:
    first = ordered(folder(sure(), bright=3))[: CLASSES - 1]
    # All pairs are confused equally, so every other position belongs to the bright class.
    assert sum(3 in pair for pair in ordered(folder(sure(), bright=3))[: 2 * (CLASSES - 1)]) == CLASSES - 1
    assert 3 in first[0] or 3 in first[1]


def test_each_class_is_in_one_of_the_first_pairs() -> None:
    logits = sure()
    # The first three classes are confused with each other; nothing speaks for a pair with another class.
    for target in (0, 1, 2):
        logits[target][:4, (target + 1) % 3], logits[target][:4, target] = 5, -5
    first = ordered(folder(logits))[: CLASSES - 1]
    assert set(first[0]) < {0, 1, 2}
    assert {target for pair in first for target in pair} == set(range(CLASSES))


def test_the_cost_is_told_before_it_starts_and_grows_with_the_chosen_pairs_only() -> None:
    planned = [audit.plan(TrialContext(Judge(), folder(sure(10))), most) for most in (1, 5, 0)]
    costs = [sum(one.passes.values()) for one in planned]
    assert [len(one.pairs) for one in planned] == [1, 5, 45]
    assert costs[1] == 5 * costs[0]
    assert costs[2] == 45 * costs[0]
    assert [len(one.left) for one in planned] == [44, 40, 0]
    assert planned[1].sentence() == (
        f"5 pairs of classes, up to {costs[1]:,} model evaluations. Skipped: 40 pairs of lower priority."
    )


class Counting(Judge):
    """Counts the images that it evaluates."""

    asked = 0

    def batch_logits(self, inputs: Array) -> Array:
        Counting.asked += len(inputs)
        return super().batch_logits(inputs)


def test_the_cost_is_what_the_model_is_asked() -> None:
    model = Counting()
    model.load()
    some = folder(sure(2))
    planned = audit.plan(TrialContext(model, some))
    Counting.asked = 0
    audit.run(TrialContext(model, some))
    # Less than planned, since interventions in which the classes don't differ are skipped.
    assert 0.6 * sum(planned.passes.values()) <= Counting.asked <= sum(planned.passes.values())
