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
    found, taken = integrated_gradients(linear, array, baseline, [4, 1], 64, 0.001)
    assert taken == paths.FIRST, "nothing is left to mend"
    np.testing.assert_allclose(found, linear.weights[[4, 1]] * (array - baseline), atol=1e-6)


@pytest.mark.parametrize("steps", [16, 64, 256])
def test_the_integral_of_a_cubic_is_known(steps: int) -> None:
    model = Cubic()
    model.load()
    array = np.random.default_rng(0).random(model.input_shape, np.float32)
    ((found,), _) = integrated_gradients(model, array, np.zeros_like(array), [2], steps)
    # With n equal pieces the midpoint rule takes 1 - 1 / (4 n^2) for the integral of 3 t^2; here there are more than
    # a quarter as many pieces as steps.
    np.testing.assert_allclose(found, model.weights[2] * array**3, rtol=1 / (steps / 4) ** 2 / 4 + 2e-5, atol=1e-7)


class Step(LinearModel):
    """Everything happens within one percent of the way: logits are sigmoids of the mean pixel, at 0.01."""

    def batch_logits(self, inputs: Array) -> Array:
        mean = inputs.mean(axis=(1, 2, 3), dtype=np.float64)
        return np.asarray(np.outer(1 / (1 + np.exp(-(mean - 0.01) * 1000)), np.arange(1, 8)))

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        share = self.batch_logits(inputs)[:, 0]
        slope = 1000 * share * (1 - share) / inputs[0].size
        ones = np.ones_like(inputs)[:, None]
        return np.asarray(ones * (slope[:, None] * (classes + 1))[:, :, None, None, None], np.float32)


@pytest.mark.parametrize(("steps", "gap"), [(64, 0.01), (1024, 1e-4)])
def test_steps_are_spent_where_the_logits_change(steps: int, gap: float) -> None:
    model = Step()
    model.load()
    array, taken = np.ones(model.input_shape, np.float32), []
    found, spent = integrated_gradients(
        model, array, np.zeros_like(array), [0, 6], steps, 0.0, lambda done, total: taken.append(done)
    )
    assert steps - paths.PRICE < spent <= steps
    rise = np.diff(model.logits(np.stack([np.zeros_like(array), array]))[:, [0, 6]], axis=0)[0]
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), rise, rtol=gap)
    # Equal distances err by far more.
    places = ((np.arange(steps) + 0.5) / steps).astype(np.float32)
    inputs = places[:, None, None, None] * array
    equal = model.batch_class_gradients(inputs, np.tile([0, 6], (steps, 1))).mean(axis=0).sum(axis=(1, 2, 3))
    assert steps > 64 or np.abs(equal / rise - 1).max() > 10 * gap
    assert taken == sorted(taken)
    assert taken[-1] == steps


def test_batches_are_bounded_and_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    model = PooledModel()
    model.load()
    array, sizes = np.random.default_rng(0).random(model.input_shape, np.float32), []
    whole, _ = integrated_gradients(model, array, np.zeros_like(array), [0, 1], 40)
    monkeypatch.setattr(paths, "BATCH_MB", 2 * 7 * array.size * 4 / 1e6)
    asked = model.batch_class_gradients

    def counted(inputs: Array, classes: Classes) -> Array:
        sizes.append(len(inputs))
        return asked(inputs, classes)

    monkeypatch.setattr(model, "batch_class_gradients", counted)
    parts, spent = integrated_gradients(model, array, np.zeros_like(array), [0, 1], 40)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert max(sizes) == 7
    assert sum(sizes) == spent <= 40


def test_it_ends_when_it_is_exact_enough() -> None:
    model = Step()
    model.load()
    array = np.ones(model.input_shape, np.float32)
    rise = np.diff(model.logits(np.stack([np.zeros_like(array), array]))[:, 6])[0]
    spent = []
    for tolerance in (0.05, 0.01, 0.001):
        found, steps = integrated_gradients(model, array, np.zeros_like(array), [6], 4096, tolerance)
        assert abs(found.sum() / rise - 1) < tolerance + 1e-5
        spent.append(steps)
    assert spent == sorted(spent)
    assert spent[-1] < 1024
