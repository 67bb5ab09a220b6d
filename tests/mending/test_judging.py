"""When a copy counts as mended, and which of two is taken."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.mending.judging import failure
from picasso.mending.measuring import by_group
from picasso.mending.outcome import Both, ClassAnswers, EffectChange, GroupAccuracy, Mending, Quality, WorstGroup


def effect(
    before: Both = (0.8, 0.9), after: Both = (0.0, 0.0), held: Both = (0.0, 0.0), again: Both | None = None
) -> EffectChange:
    return EffectChange("brightness", (0, 1), before, after, held, again)


def groups(before: float, after: float) -> WorstGroup:
    return WorstGroup.of(GroupAccuracy(0.0, 0.5, before), GroupAccuracy(0.3, 0.8, after))


def quality(accuracy: float) -> Quality:
    # Most images are of one class, which alone would be right by a constant answer.
    return Quality(
        (ClassAnswers("tank", 1000, round(1000 * accuracy)), ClassAnswers("no", 10, round(10 * accuracy))), None
    )


@pytest.mark.parametrize(
    ("one", "new", "changed", "held", "why"),
    [
        (effect(), [], (0.2, 0.8), 0.8, ""),
        (effect(after=(0.4, 0.4)), [0.4], (0.2, 0.8), 0.8, ""),
        (effect(after=(0.41, 0.5)), [], (0.2, 0.8), 0.8, "more than half of the effect of brightness remains"),
        (effect(again=(0.41, 0.5)), [], (0.2, 0.8), 0.8, "more than half of the effect of brightness remains"),
        (effect(after=(-0.9, -0.9)), [], (0.2, 0.8), 0.8, ""),
        (effect(after=(-1.2, -0.4)), [], (0.2, 0.8), 0.8, "the effect of brightness is reversed"),
        (effect(), [0.41], (0.2, 0.8), 0.8, "relies on something else"),
        # A constant answer, or a network that is hardly trained, is right in half of the cases.
        (effect(), [], (0.2, 0.55), 0.8, "55% are right (20% before)"),
        (effect(), [], (0.2, 0.8), 0.5, "of the unchanged held-out images, only 50% are right"),
        (effect(), [], (0.82, 0.8), 0.8, "80% are right (82% before)."),
        (effect(), [], (0.8, 0.8), 0.8, ""),
    ],
)
def test_a_copy_is_mended_if_it_relies_less_and_recognises_more(
    one: EffectChange, new: list[float], changed: tuple[float, float], held: float, why: str
) -> None:
    found = failure([one], new, groups(*changed), quality(held), deep=False)
    assert why in found
    assert bool(found) == bool(why)
    named = failure([one], new, groups(*changed), quality(held), deep=True)
    assert ("training the whole network" in named) == bool(why)


@pytest.mark.parametrize(
    ("one", "gone"),
    [
        (effect(after=(0.07, 0.3), held=(0.08, 0.3)), True),
        (effect(after=(0.09, 0.3)), False),
        (effect(held=(0.09, 0.3)), False),
        (effect(again=(0.09, 0.3)), False),
        (effect(before=(0.3, 0.3), after=(0.05, 0.05)), True),
        (effect(before=(0.3, 0.3), after=(0.06, 0.06)), False),
        # Below zero, the change itself has less effect than its control.
        (effect(after=(-0.4, 0.0), held=(-0.4, 0.0)), True),
    ],
)
def test_an_effect_is_gone_if_a_tenth_or_little_remains(one: EffectChange, gone: bool) -> None:
    assert one.is_gone == gone


def test_the_better_copy_is_mended_then_free_of_effects_then_right_more_often() -> None:
    order = [
        Mending(False, "", gone=True, worst=groups(0, 0.9)),
        Mending(True, "", gone=False, worst=groups(0, 0.8)),
        Mending(True, "", gone=True, worst=groups(0, 0.6)),
        Mending(True, "", gone=True, worst=groups(0, 0.7)),
    ]
    assert sorted([order[place] for place in (2, 0, 3, 1)], key=lambda one: one.rank) == order


def test_classes_weigh_the_same_in_the_accuracy_on_changed_images() -> None:
    targets = np.array([0] * 8 + [1] * 4)
    # Unchanged images, and three changes of the first class, but one of the other.
    names = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    changed = np.array([0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1], bool)
    right = targets == 0
    found = by_group(right, targets, names, changed)
    assert found.worst == 0
    assert found.mean == pytest.approx(4 / 6)
    assert found.changed == 0.5
    right[-1] = True
    assert by_group(right, targets, names, changed).changed == 0.75
