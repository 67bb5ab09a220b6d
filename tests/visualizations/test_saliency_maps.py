"""Saliency: a linear model's map is the absolute value of its weights."""

from __future__ import annotations

import numpy as np
import pytest

from picasso import explain
from picasso.errors import ModelError
from picasso.models.arrays import Array, Classes
from picasso.visualizations.saliency_maps import saliency
from tests.conftest import noise_image
from tests.fakes import GreyModel, LinearModel, PooledModel


def test_the_map_of_a_linear_model_is_its_weights(linear: LinearModel) -> None:
    (result,) = explain(linear, noise_image(), "SaliencyMaps")
    assert [panel.class_index for panel in result.panels] == [one["index"] for one in result.predictions]
    for panel in result.panels:
        expected = np.abs(linear.weights[panel.class_index]).max(axis=-1)
        assert panel.array.shape == (6, 9)
        np.testing.assert_allclose(panel.array, expected, atol=1e-6)


def test_the_absolute_value_comes_before_the_maximum() -> None:
    gradients = np.array([[[[-3.0, 1.0, 2.0]]]], np.float32)
    assert saliency(gradients).tolist() == [[[3.0]]]


def test_each_image_has_maps_of_its_own_classes(linear: LinearModel) -> None:
    together = explain(linear, [noise_image(seed) for seed in range(6)], "SaliencyMaps", Transparency=0.5)
    for seed, result in enumerate(together):
        (alone,) = explain(linear, noise_image(seed), "SaliencyMaps", Transparency=0.5)
        assert result.predictions == alone.predictions
        for one, other in zip(result.panels, alone.panels, strict=True):
            np.testing.assert_array_equal(one.array, other.array)
            assert one.transparency == 0.5


def test_the_channel_of_grey_models(linear: LinearModel) -> None:
    model = GreyModel()
    model.load()
    (result,) = explain(model, noise_image(), "SaliencyMaps")
    best = result.panels[0]
    np.testing.assert_allclose(best.array, np.abs(model.weights[best.class_index][..., 0]), atol=1e-6)


# ---- refinements ------------------------------------------------------------------------------------------


class Squared(LinearModel):
    """Logits are weighted sums of squares: the gradient is ``2 w x``, so that noise spreads it by ``2 w sigma``."""

    def batch_logits(self, inputs: Array) -> Array:
        return super().batch_logits(inputs**2)

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        return np.asarray(2 * self.weights[classes] * inputs[:, None])


@pytest.fixture(scope="module")
def squared() -> Squared:
    model = Squared()
    model.load()
    return model


def test_gradient_times_input_of_a_linear_model_sums_to_its_logit(linear: LinearModel) -> None:
    (result,) = explain(linear, noise_image(), "SaliencyMaps", Method="gradient x input")
    inputs = linear.preprocess([noise_image()])
    logits = linear.logits(inputs)[0]
    for panel in result.panels:
        np.testing.assert_allclose(panel.array, (linear.weights[panel.class_index] * inputs[0]).sum(-1), atol=1e-5)
        assert panel.array.sum() == pytest.approx(logits[panel.class_index], abs=1e-4)
        assert panel.signed


def test_smoothgrad_without_noise_is_the_gradient(squared: Squared) -> None:
    (plain,) = explain(squared, noise_image(), "SaliencyMaps")
    (smooth,) = explain(squared, noise_image(), "SaliencyMaps", Method="SmoothGrad", Noise=0)
    for one, two in zip(plain.panels, smooth.panels, strict=True):
        np.testing.assert_allclose(one.array, two.array, rtol=1e-6)
    assert "the standard error is 0.0%" in smooth.panels[0].note


def test_vargrad_is_the_variance_of_the_gradient(squared: Squared) -> None:
    (result,) = explain(squared, noise_image(), "SaliencyMaps", Method="VarGrad", Samples=1000, Noise=0.2)
    sigma = 0.2 * float(np.ptp(squared.preprocess([noise_image()])))
    for panel in result.panels:
        expected = ((2 * squared.weights[panel.class_index] * sigma) ** 2).max(axis=-1)
        # The variance of 1000 draws errs by sqrt(2 / 999) = 4.5%; five times that is never exceeded by chance.
        np.testing.assert_allclose(panel.array, expected, rtol=0.23)


@pytest.mark.parametrize("method", ["SmoothGrad", "VarGrad"])
def test_the_seed_makes_it_reproducible(squared: Squared, method: str) -> None:
    one, same, other = (
        explain(squared, noise_image(), "SaliencyMaps", Method=method, Samples=8, Seed=seed)[0].panels[0].array
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_image_among_others_has_the_same_map(squared: Squared) -> None:
    (alone,) = explain(squared, noise_image(1), "SaliencyMaps", Method="SmoothGrad", Samples=8)
    _, among = explain(squared, [noise_image(0), noise_image(1)], "SaliencyMaps", Method="SmoothGrad", Samples=8)
    np.testing.assert_array_equal(alone.panels[0].array, among.panels[0].array)


def test_guided_backpropagation_needs_rectifiers(linear: LinearModel) -> None:
    with pytest.raises(ModelError, match="can't give guided gradients; take the gradient instead"):
        explain(linear, noise_image(), "SaliencyMaps", Method="guided backpropagation")


def test_the_pooled_fake_differentiates_as_it_should() -> None:
    model = PooledModel()
    model.load()
    inputs = model.preprocess([noise_image()]).astype(np.float32)
    (gradient,) = model.input_gradients(inputs, [2])
    for place in ((0, 0, 0), (5, 8, 2), (3, 4, 1)):
        step = np.zeros_like(inputs)
        step[0][place] = 0.002
        change = (model.logits(inputs + step) - model.logits(inputs - step))[0, 2] / 0.004
        assert gradient[place] == pytest.approx(change, abs=2e-4)


def test_smoothgrad_stops_when_the_error_is_small_enough(squared: Squared) -> None:
    counts = []
    for error in (0.2, 0.02, 0):
        (result,) = explain(squared, noise_image(), "SaliencyMaps", Method="SmoothGrad", Samples=700, Error=error)
        counts.append(int(result.panels[0].note.removeprefix("Mean of ").partition(" ")[0]))
    assert counts[0] <= counts[1] <= counts[2] == 700
    (odd,) = explain(squared, noise_image(), "SaliencyMaps", Method="SmoothGrad", Samples=5)
    assert odd.panels[0].note.startswith("Mean of 4 noisy copies; ")


class Cubic(LinearModel):
    """The gradient of the logit of each class is a quadratic function of the pixels."""

    def batch_logits(self, inputs: Array) -> Array:
        return np.asarray(inputs**3).reshape(len(inputs), -1)[:, : self.num_classes]

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        gradients = np.zeros((len(inputs), classes.shape[1], inputs[0].size), np.float32)
        flat = inputs.reshape(len(inputs), -1)
        for row, some in enumerate(classes):
            gradients[row, range(len(some)), some] = 3 * flat[row, some] ** 2
        return gradients.reshape(len(inputs), classes.shape[1], *self.input_shape)


@pytest.mark.parametrize("batch", [1, 7, None])
def test_pairs_of_copies_cancel_the_first_order(batch: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Cubic()
    model.load()
    if batch:
        monkeypatch.setattr("picasso.attribution.paths.batch_size", lambda model, targets: batch)
    (result,) = explain(model, noise_image(), "SaliencyMaps", Method="SmoothGrad", Samples=20, Error=0, Noise=0.1)
    (inputs,) = model.preprocess([noise_image()])
    sigma = 0.1 * float(np.ptp(inputs))
    for panel in result.panels:
        place = panel.class_index
        assert place is not None
        value = inputs.reshape(-1)[place]
        noise = [
            np.random.default_rng([0, number]).standard_normal(inputs.shape, np.float32).reshape(-1)[place]
            for number in range(10)
        ]
        # The mean over pairs of 3 (x + s)^2 and 3 (x - s)^2 has no term of the first order.
        expected = 3 * (value**2 + np.mean(np.square(sigma * np.array(noise))))
        assert panel.array.max() == pytest.approx(expected, rel=1e-4)
