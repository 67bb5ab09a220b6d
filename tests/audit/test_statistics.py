"""The statistics, compared with reference values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from picasso.audit.statistics import apart, bidirectional_p_values, effect, holm, minimal_detectable_effect
from picasso.evaluation.intervals import interval


def test_an_effect_is_a_paired_test_and_a_fraction_of_the_way() -> None:
    generator = np.random.default_rng(0)
    control = generator.normal(-4, 2, 40)
    changed = control + generator.normal(1, 1, 40)
    before = control - 0.5
    found = effect(before, changed, control, before + 8.0)
    difference = changed - control
    assert found.fraction == pytest.approx(difference.mean() / 8)
    assert found.p == pytest.approx(stats.ttest_1samp(difference, 0, alternative="greater").pvalue)
    low, high = stats.ttest_1samp(difference, 0).confidence_interval()
    assert [found.low, found.high] == pytest.approx([low / 8, high / 8])
    assert found.flips == ((before <= 0) & (changed > 0)).mean()
    assert found.images == 40


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_equal_differences_leave_no_doubt(shift: float, p: float) -> None:
    assert effect(np.full(9, -5.0), np.full(9, shift), np.zeros(9), np.full(9, -3.0)).p == p


def test_classes_that_are_not_apart_show_no_effect() -> None:
    assert effect(np.zeros(9), np.ones(9), np.zeros(9), np.full(9, -1.0)).fraction == 0


def test_what_was_taken_for_the_other_class_before_does_not_flip() -> None:
    before, after = np.array([-1.0, -1, 2, 2]), np.array([1.0, -1, 3, -1])
    assert effect(before, after, after, before + 4.0).flips == 0.25


def test_two_classes_are_apart_where_chance_does_not_explain_it() -> None:
    generator = np.random.default_rng(0)
    ours, theirs = generator.normal(-3, 1, 20), generator.normal(3, 1, 20)
    assert apart(ours, theirs, 0.01)
    assert not apart(theirs, ours, 0.01)
    assert not apart(ours, generator.normal(-3, 1, 20), 0.01)
    assert apart(np.zeros(8), np.ones(8), 0.01)
    assert not apart(np.zeros(8), np.zeros(8), 0.01)


def test_both_directions_are_corrected_one_after_the_other() -> None:
    # Three claims; the first direction of two passes at 5%, so the second is corrected for these two alone.
    found = bidirectional_p_values([(0.001, 0.03), (0.02, 0.002), (0.4, 0.5)], 0.05)
    assert found == pytest.approx([0.04, 0.04, 0.5])
    # A claim needs both directions, even if one is highly significant.
    assert bidirectional_p_values([(1e-9, 0.6)], 0.05) == pytest.approx([0.6])
    assert bidirectional_p_values([], 0.05) == []


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_intervals_of_shares() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20.
    assert list(interval(81, 263)) == pytest.approx([0.2553, 0.3662], abs=1e-4)
    assert list(interval(0, 20)) == pytest.approx([0, 0.1611], abs=1e-4)
    assert interval(0, 0) == (0.0, 1.0)


def test_larger_folders_show_smaller_effects() -> None:
    generator = np.random.default_rng(0)
    seen = []
    for count in (20, 80, 320):
        changed, control = generator.normal(0, 1, (2, count))
        some = effect(np.zeros(count), changed, control, np.full(count, 10.0))
        seen.append(minimal_detectable_effect([some], 0.01))
    assert seen[0] > 1.5 * seen[1] > 2 * seen[2]
