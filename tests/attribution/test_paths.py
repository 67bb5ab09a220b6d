"""Gradients along paths: complete, exact where the gradient does not change, in batches of bounded size."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.attribution import paths
from picasso.attribution.paths import integrated_gradients
from picasso.models.arrays import Array, Classes
from tests.fakes import LinearModel, PooledModel


class Cubic(LinearModel):
    """Logits are weighted sums of cubes of the pixels: the integral is known, and the gradient is not constant."""

    def batch_logits(self, inputs: Array) -> Array:
        return super().batch_logits(inputs**3)

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        return np.asarray(self.weights[classes] * 3 * inputs[:, None] ** 2)


def test_of_a_linear_model_they_are_weights_times_the_difference(linear: LinearModel) -> None:
    array = np.random.default_rng(0).random(linear.input_shape, np.float32)
    baseline = np.full_like(array, 0.5)
    found = integrated_gradients(linear, array, baseline, [4, 1], 8)
    np.testing.assert_allclose(found, linear.weights[[4, 1]] * (array - baseline), atol=1e-6)


@pytest.mark.parametrize("steps", [16, 256])
def test_the_error_of_a_cubic_is_that_of_the_midpoint_rule(steps: int) -> None:
    model = Cubic()
    model.load()
    array = np.random.default_rng(0).random(model.input_shape, np.float32)
    (found,) = integrated_gradients(model, array, np.zeros_like(array), [2], steps)
    exact = model.weights[2] * array**3
    # The midpoint rule takes 1 - 1 / (4 n^2) for the integral of 3 t^2 over 0..1.
    np.testing.assert_allclose(found, exact * (1 - 1 / (4 * steps**2)), rtol=2e-5, atol=1e-7)


def test_batches_are_bounded_and_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = PooledModel()
    model.load()
    array, seen = np.random.default_rng(0).random(model.input_shape, np.float32), []
    whole = integrated_gradients(model, array, np.zeros_like(array), [0, 1], 20)
    monkeypatch.setattr(paths, "BATCH_MB", 2 * 7 * array.size * 4 / 1e6)
    parts = integrated_gradients(model, array, np.zeros_like(array), [0, 1], 20, lambda *done: seen.append(done))
    np.testing.assert_allclose(parts, whole, atol=1e-9)
    assert seen == [(7, 20), (14, 20), (20, 20)]
