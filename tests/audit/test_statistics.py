"""The statistics, against numbers computed elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from picasso.audit.statistics import effect, holm, interval, smallest_visible


def test_an_effect_is_a_paired_test_and_a_fraction_of_the_way() -> None:
    generator = np.random.default_rng(0)
    control = generator.normal(-4, 2, 40)
    changed = control + generator.normal(1, 1, 40)
    found = effect(changed, control, 8.0)
    difference = changed - control
    assert found.fraction == pytest.approx(difference.mean() / 8)
    assert found.p == pytest.approx(stats.ttest_1samp(difference, 0, alternative="greater").pvalue)
    low, high = stats.ttest_1samp(difference, 0).confidence_interval()
    assert [found.low, found.high] == pytest.approx([low / 8, high / 8])
    assert found.flips == (changed > 0).mean()
    assert found.pictures == 40


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_equal_differences_leave_no_doubt(shift: float, p: float) -> None:
    assert effect(np.full(9, shift), np.zeros(9), 2.0).p == p


def test_classes_that_are_not_apart_show_no_effect() -> None:
    assert effect(np.ones(9), np.zeros(9), -1.0).fraction == 0


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
        some = effect(generator.normal(0, 1, count), generator.normal(0, 1, count), 10.0)
        seen.append(smallest_visible([some], 0.01))
    assert seen[0] > 1.5 * seen[1] > 2 * seen[2]
