"""The fit of the last layer: features whose weights are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.mending.fitting import FOLDS, Choice, Fit, Rows, Scale, assign_folds, best_fit
from picasso.models.head import HeadWeights, Link

COUNT = 60


def rows(classes: int = 2, seed: int = 0) -> Rows:
    """Return features whose first columns are the class, and whose last is a shortcut: false in changed images."""
    generator = np.random.default_rng(seed)
    parts, targets, groups, folds, changed = [], [], [], [], []
    owns = [np.eye(classes)[target] + generator.normal(0, 0.25, (COUNT, classes)) for target in range(classes)]
    for is_changed in (False, True):
        for target, own in enumerate(owns):
            shortcut = 2 * target / (classes - 1) - 1
            parts.append(np.hstack([own, np.full((COUNT, 1), -shortcut if is_changed else shortcut)]))
            targets.append(np.full(COUNT, target))
            groups.append(np.full(COUNT, 2 * target + is_changed))
            folds.append(assign_folds(COUNT, target, 0))
            changed.append(np.full(COUNT, is_changed))
    features = np.concatenate(parts).astype(np.float32)
    return Rows(features, *(np.concatenate(some) for some in (targets, groups, folds, changed)))


def old(classes: int = 2) -> HeadWeights:
    """Return weights that use the shortcut alone."""
    kernel = np.zeros((classes + 1, classes))
    kernel[-1] = np.linspace(-5, 5, classes)
    return HeadWeights(kernel, np.zeros(classes))


def fit(some: Rows, weights: HeadWeights, link: Link = Link.SOFTMAX, *, has_bias: bool = True) -> Fit:
    return best_fit(some, weights, link, has_bias=has_bias, between=lambda fraction: None)


@pytest.mark.parametrize("link", Link)
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_weight_of_the_shortcut_vanishes(link: Link, has_bias: bool) -> None:
    found = fit(rows(), old(), link, has_bias=has_bias)
    slope = found.weights.kernel[:, 1] - found.weights.kernel[:, 0]
    assert abs(slope[-1]) < 0.05 * abs(slope[:-1]).min()
    assert found.worst > 0.9
    assert found.mean >= found.worst
    assert has_bias or not found.weights.bias.any()


def test_held_out_rows_are_predicted_by_a_head_that_did_not_see_them() -> None:
    some = rows()
    found = fit(some, old())
    assert len(found.folds) == FOLDS
    logits = found.held_out(some.features, some.folds)
    for fold, weights in enumerate(found.folds):
        held = some.folds == fold
        np.testing.assert_allclose(logits[held], weights.logits(some.features[held]))
    # A row that is held out by another fold has another head.
    assert len({weights.kernel.tobytes() for weights in (*found.folds, found.weights)}) == FOLDS + 1


def test_columns_of_classes_without_images_stay() -> None:
    few = rows()
    before = old(4)
    before = HeadWeights(before.kernel[[0, 1, 4]], before.bias)
    found = fit(few, before)
    assert found.choice.towards_old
    np.testing.assert_array_equal(found.weights.kernel[:, 2:], before.kernel[:, 2:])
    np.testing.assert_allclose(found.weights.bias[2:], before.bias[2:], atol=1e-9)
    assert (found.weights.kernel[:, :2] != before.kernel[:, :2]).any()


def test_classes_and_both_sides_of_a_class_weigh_the_same() -> None:
    some = rows(3)
    few = np.ones(len(some.targets), bool)
    few[np.flatnonzero(some.changed & (some.targets == 2))[5:]] = False
    kept = Rows(some.features[few], some.targets[few], some.groups[few], some.folds[few], some.changed[few])
    assert kept.weights.sum() == pytest.approx(1)
    for target in range(3):
        for changed in (False, True):
            side = (kept.targets == target) & (kept.changed == changed)
            assert kept.weights[side].sum() == pytest.approx(1 / 6)


def test_scaled_weights_give_the_same_logits() -> None:
    features = rows().features
    scale = Scale.of(features, centred=True)
    assert (scale.apply(features) ** 2).sum(axis=1).mean() == pytest.approx(1)
    weights = old()
    np.testing.assert_allclose(scale.scaled(weights).logits(scale.apply(features)), weights.logits(features), atol=1e-5)
    np.testing.assert_allclose(scale.unscaled(scale.scaled(weights)).kernel, weights.kernel)


def test_a_given_penalty_is_used_alone() -> None:
    shown: list[float] = []
    only = Choice(1e-3, True)
    found = best_fit(rows(), old(), Link.SOFTMAX, only=only, between=shown.append)
    assert found.choice == only
    assert len(shown) == FOLDS + 1
    assert shown == sorted(shown)
