"""Two classes against each other: a logit and a probability that fit together, and maps of the difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.errors import BadRequest
from picasso.explanation.registry import Registry
from picasso.targets import ClassLogit, Contrast
from picasso.targets.class_names import numbers
from tests.conftest import noise_image
from tests.fakes import BlackBoxModel, LinearModel, PooledModel


def test_the_probability_is_the_sigmoid_of_the_logit(linear: LinearModel) -> None:
    names = linear.class_names()
    targets = [Contrast.of(4, 1, names), ClassLogit.of(2, names), Contrast.of(0, 6, names)]
    assert [target.name for target in targets] == ["elk rather than bee", "cat <b>", "ant rather than gnu"]
    inputs = linear.preprocess([noise_image(0), noise_image(1)])
    scores, values = linear.scores(inputs, targets), linear.values(inputs, targets)
    logits = linear.logits(inputs)
    np.testing.assert_array_equal(values[:, 1], linear.predict(inputs)[:, 2])
    np.testing.assert_allclose(scores[:, 0], logits[:, 4] - logits[:, 1], rtol=1e-5)
    np.testing.assert_allclose(values[:, ::2], 1 / (1 + np.exp(-scores[:, ::2])), rtol=1e-4)


def test_gradients_are_differences(linear: LinearModel) -> None:
    names = linear.class_names()
    targets = [Contrast.of(4, 1, names), ClassLogit.of(2, names)]
    inputs = linear.preprocess([noise_image(0), noise_image(1)])
    expected = [linear.weights[4] - linear.weights[1], linear.weights[2]]
    for found in linear.gradients(inputs, targets):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    for found in linear.feature_gradients(inputs, targets):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_where_both_are_impossible_neither_is_the_more_probable() -> None:
    model = BlackBoxModel()
    model.load()
    model.weights = model.weights * 1e5
    inputs = model.preprocess([noise_image()])
    one, other = np.flatnonzero(model.predict(inputs)[0] == 0)[:2].tolist()
    assert model.values(inputs, [Contrast.of(one, other, model.class_names())]).tolist() == [[0.5]]


@pytest.mark.parametrize("name", [entry.name for entry in Registry().entries()])
def test_every_visualization_takes_a_contrast(name: str) -> None:
    model = PooledModel()
    model.load()
    controls = Registry().get(name).require().ALLOWED_SETTINGS.controls()
    settings: dict[str, Any] = {key: 400 for key in ("Samples", "Masks") if key in controls}
    (result,) = explain(model, noise_image(), name, classes=["ant vs cat <b>", "dog"], **settings)
    titles = [panel.title for panel in result.panels if panel.target]
    if name != "ClassProbabilities":
        assert titles == ["ant rather than cat <b>", "dog"]
    assert len(result.predictions) == 5


def test_a_contrast_shows_what_speaks_for_the_one_and_against_the_other(linear: LinearModel) -> None:
    (result,) = explain(linear, noise_image(), "SaliencyMaps", Method="gradient x input", classes="1 vs 0")
    (panel,) = result.panels
    weights, inputs = linear.weights[1] - linear.weights[0], linear.preprocess([noise_image()])[0]
    np.testing.assert_allclose(panel.array, (weights * inputs).sum(-1), atol=1e-5)
    one, other = linear.predict(inputs[None])[0, [1, 0]]
    assert panel.probability == pytest.approx(one / (one + other), rel=1e-5)


def test_contrasts_are_read_from_words() -> None:
    names = ["cat", "dog", "cat vs dog", "a vs b"]
    assert numbers(names, ["cat vs dog"]) == [2], "a class of this very name"
    assert numbers(names, ["dog vs cat", "0 vs 1", "dog vs cat"]) == [(1, 0), (0, 1)]
    assert numbers(names, ["a vs b vs dog", "dog vs a vs b"]) == [(3, 1), (1, 3)]
    with pytest.raises(BadRequest, match="names the same class twice"):
        numbers(names, ["cat vs 0"])
    with pytest.raises(BadRequest, match=r"no class horse\. Specify a name \(cat, dog, .*\), or a number from 0 to 3"):
        numbers(names, ["cat vs horse"])
