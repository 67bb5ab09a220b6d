"""Gradients along paths: complete, exact where the gradient does not change, in batches of bounded size."""

from __future__ import annotations

import numpy as np
import pytest

from picasso.attribution import paths
from picasso.attribution.paths import from_several, integrated_gradients
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
    found = integrated_gradients(linear, array, baseline, [4, 1], 64, 0.001)
    assert found.steps == paths.FIRST, "nothing is left to mend"
    np.testing.assert_allclose(found.values, linear.weights[[4, 1]] * (array - baseline), atol=1e-6)
    np.testing.assert_allclose(found.maps, (linear.weights[[4, 1]] * (array - baseline)).sum(axis=-1), atol=1e-6)
    assert found.errors.max() < 1e-6


@pytest.mark.parametrize("steps", [16, 31, 64, 256])
def test_the_integral_of_a_cubic_is_known(steps: int) -> None:
    model = Cubic()
    model.load()
    array = np.random.default_rng(0).random(model.input_shape, np.float32)
    found = integrated_gradients(model, array, np.zeros_like(array), [2], steps)
    assert steps - 8 < found.steps <= steps
    # The trapezoidal rule with n pieces between (i / n)^2 takes 1 + 1 / n^2 for the integral of 3 t^2.
    expected = model.weights[2] * array**3
    np.testing.assert_allclose(found.values[0], expected, rtol=1 / (steps - 1) ** 2 + 4e-5, atol=1e-7)
    off = np.linalg.norm(found.maps[0] - expected.sum(axis=-1)) / np.linalg.norm(expected.sum(axis=-1))
    assert off <= found.errors[0] + 1e-6, "the error that is said is not too small"
    assert found.errors[0] < 12 / steps**2


class Root(LinearModel):
    """Logits are weighted sums of the roots of the pixels, whose slope is infinite at black."""

    def batch_logits(self, inputs: Array) -> Array:
        return super().batch_logits(np.sqrt(inputs))

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(self.weights[classes] * 0.5 / np.sqrt(inputs[:, None]))


def test_an_infinite_slope_at_the_baseline_is_left_out() -> None:
    model = Root()
    model.load()
    array = np.random.default_rng(0).uniform(0.1, 1, model.input_shape).astype(np.float32)
    found = integrated_gradients(model, array, np.zeros_like(array), [2], 256)
    expected = (model.weights[2] * np.sqrt(array)).sum(axis=-1)
    off = np.linalg.norm(found.maps[0] - expected) / np.linalg.norm(expected)
    assert off < min(0.02, 3 * found.errors[0])


class Step(LinearModel):
    """Everything happens within one percent of the way: logits are sigmoids of the mean pixel, at 0.01."""

    middle = 0.01

    def batch_logits(self, inputs: Array) -> Array:
        mean = inputs.mean(axis=(1, 2, 3), dtype=np.float64)
        return np.asarray(np.outer(0.5 + 0.5 * np.tanh((mean - self.middle) * 500), np.arange(1, 8)))

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        share = self.batch_logits(inputs)[:, 0]
        slope = 1000 * share * (1 - share) / inputs[0].size
        ones = np.ones_like(inputs)[:, None]
        return np.asarray(ones * (slope[:, None] * (classes + 1))[:, :, None, None, None], np.float32)


@pytest.mark.parametrize(("steps", "gap"), [(64, 0.01), (512, 1e-4)])
def test_steps_are_spent_where_the_logits_change(steps: int, gap: float) -> None:
    model = Step()
    model.load()
    array, taken = np.ones(model.input_shape, np.float32), []
    found = integrated_gradients(
        model, array, np.zeros_like(array), [0, 6], steps, 0.0, lambda done, total: taken.append(done)
    )
    assert steps - 8 < found.steps <= steps
    rise = np.diff(model.logits(np.stack([np.zeros_like(array), array]))[:, [0, 6]], axis=0)[0]
    np.testing.assert_allclose(found.maps.sum(axis=(1, 2)), rise, rtol=gap)
    # Equal distances err by far more.
    places = ((np.arange(steps) + 0.5) / steps).astype(np.float32)
    inputs = places[:, None, None, None] * array
    equal = model.batch_class_gradients(inputs, np.tile([0, 6], (steps, 1))).mean(axis=0).sum(axis=(1, 2, 3))
    assert steps > 64 or np.abs(equal / rise - 1).max() > 10 * gap
    assert taken == sorted(taken)
    assert taken[-1] == steps


def test_a_rise_that_no_gradient_shows_is_found() -> None:
    """The scores rise between two of the first places, where all gradients are 0."""
    model = Step()
    model.load()
    model.middle = 0.69
    array = np.ones(model.input_shape, np.float32)
    places = (np.arange(paths.FIRST) / (paths.FIRST - 1)) ** paths.WARP
    inputs = places.astype(np.float32)[:, None, None, None] * array
    assert model.batch_class_gradients(inputs, np.full((paths.FIRST, 1), 6)).max() < 1e-6
    rise = np.diff(model.logits(np.stack([np.zeros_like(array), array]))[:, 6])[0]
    found = integrated_gradients(model, array, np.zeros_like(array), [6], 256, 0.01)
    assert abs(found.values.sum() / rise - 1) < 0.01
    # A rise within a thousandth of the way takes a thousand equal steps.
    assert found.steps < 128


def test_batches_are_bounded_and_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    model = PooledModel()
    model.load()
    array, sizes = np.random.default_rng(0).random(model.input_shape, np.float32), []
    whole = integrated_gradients(model, array, np.zeros_like(array), [0, 1], 40)
    monkeypatch.setattr(paths, "BATCH_MB", 2 * 7 * array.size * 4 / 1e6)
    asked = model.batch_class_gradients

    def counted(inputs: Array, classes: Classes) -> Array:
        sizes.append(len(inputs))
        return asked(inputs, classes)

    monkeypatch.setattr(model, "batch_class_gradients", counted)
    parts = integrated_gradients(model, array, np.zeros_like(array), [0, 1], 40)
    np.testing.assert_allclose(parts.values, whole.values, atol=1e-6)
    assert max(sizes) == 7
    assert sum(sizes) == parts.steps == 40


def test_it_ends_when_it_is_exact_enough() -> None:
    model = Step()
    model.load()
    array = np.ones(model.input_shape, np.float32)
    rise = np.diff(model.logits(np.stack([np.zeros_like(array), array]))[:, 6])[0]
    spent = []
    for tolerance in (0.05, 0.01, 0.001):
        found = integrated_gradients(model, array, np.zeros_like(array), [6], 4096, tolerance)
        assert abs(found.values.sum() / rise - 1) < tolerance + 1e-5
        spent.append(found.steps)
    assert spent == sorted(spent)
    assert spent[-1] < 1024


def test_several_baselines_are_averaged_with_their_errors() -> None:
    model = Cubic()
    model.load()
    array = np.random.default_rng(0).random(model.input_shape, np.float32)
    baselines = [np.zeros_like(array), np.full_like(array, 0.5)]
    mean = from_several(model, array, baselines, [2], 20)
    each = [integrated_gradients(model, array, one, [2], 20) for one in baselines]
    np.testing.assert_allclose(mean.values, (each[0].values + each[1].values) / 2)
    np.testing.assert_allclose(mean.change, (each[0].change + each[1].change) / 2)
    assert mean.steps == 40
