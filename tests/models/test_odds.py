"""Log-odds from probabilities: exact as long as float32 has the digits, and said where it has not."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.targets.odds import log_odds
from tests.fakes import softmax


@pytest.mark.parametrize("apart", [1.0, 10.0, 30.0, 70.0])
def test_of_a_softmax_they_are_differences_of_logits(apart: float) -> None:
    logits = np.array([[apart, 0.0, -1.0], [apart / 2, 0.0, 1.0]], np.float32)
    odds, known = log_odds(softmax(logits), [0, 2])
    exact = logits.astype(np.float64)
    expected = [exact[:, k] - np.logaddexp.reduce(np.delete(exact, k, axis=1), axis=1) for k in (0, 2)]
    np.testing.assert_allclose(odds, np.transpose(expected), rtol=1e-5)
    assert known.all()


def test_of_sigmoids_they_are_the_logits() -> None:
    logits = np.array([[3.0, -4.0, 9.0], [0.5, 8.0, -9.0]])
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    odds, known = log_odds(probabilities, [0, 1, 2])
    np.testing.assert_allclose(odds, logits, atol=1e-3)
    assert known.all()


def test_what_float32_has_rounded_away_is_told() -> None:
    assert not log_odds(np.array([[1.0, 0.0, 0.0]], np.float32), [0])[1].any()
    sure = np.float32(1 / (1 + np.exp(-16.0)))
    for probabilities in ([[1 - sure, sure]], [[sure, 0.3]]):
        odds, known = log_odds(np.array(probabilities, np.float32), [int(probabilities[0][1] == sure)])
        assert np.isfinite(odds).all()
        assert not known.any()
