"""Averages over batches: the same as over all samples at once, whatever the batches."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.attribution.samples import Samples


@pytest.mark.parametrize("sizes", [[40], [1] * 40, [7, 30, 1, 2]])
def test_batches_make_no_difference(sizes: list[int]) -> None:
    values = np.random.default_rng(0).normal(1e4, 1, (40, 3, 2)).astype(np.float32)
    samples, start = Samples(), 0
    for size in sizes:
        samples.add(values[start : start + size])
        start += size
    exact = values.astype(np.float64)
    assert samples.count == 40
    np.testing.assert_allclose(samples.mean, exact.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(samples.variance, exact.var(axis=0, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(samples.standard_error, exact.std(axis=0, ddof=1) / np.sqrt(40), rtol=1e-6)


def test_a_single_sample_has_no_spread() -> None:
    samples = Samples()
    samples.add(np.full((1, 2), 3, np.float32))
    assert samples.mean.tolist() == [3, 3]
    assert samples.standard_error.tolist() == [0, 0]
