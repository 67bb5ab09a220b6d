"""The fair share with which the benchmark compares: answers that are known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.sharing import fluid


@pytest.mark.parametrize(
    ("began", "work", "parts", "workers", "expected"),
    [
        # One after the other, and at once: each has half.
        ([0, 5], [5, 1], [1, 1], 1, [5, 6]),
        ([0, 0], [1, 1], [1, 1], 1, [2, 2]),
        # The short one is done at 2, then the other has all.
        ([0, 0], [1, 3], [1, 1], 1, [2, 4]),
        # Two workers for three; then one each.
        ([0, 0, 0], [2, 2, 4], [1, 1, 1], 2, [3, 3, 5]),
        # Alone, only what can use both workers is twice as fast.
        ([0], [4], [2], 2, [2]),
        ([0], [4], [1], 2, [4]),
        # What one can't use, the other has: one third of three workers, and two.
        ([0, 0], [2, 4], [1, 3], 3, [2, 2]),
        # Nobody is there for a while.
        ([1, 9], [2, 2], [1, 1], 1, [3, 11]),
    ],
)
def test_processor_sharing(
    began: Sequence[float], work: Sequence[float], parts: Sequence[int], workers: int, expected: Sequence[float]
) -> None:
    assert fluid(began, work, parts, workers) == pytest.approx(expected)
