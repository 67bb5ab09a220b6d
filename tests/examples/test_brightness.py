"""The classifier in plain NumPy provides what every visualization needs, and its gradients are those of its logits."""

from __future__ import annotations

import numpy as np
import pytest

import picasso
from picasso.errors import ModelError
from picasso.examples.brightness import BrightnessModel
from picasso.explanation.registry import Registry
from picasso.models.info import Capability
from tests.conftest import noise_image


@pytest.fixture
def model() -> BrightnessModel:
    loaded = BrightnessModel()
    loaded.load(side=16, channels=3)
    loaded.warm_up()
    return loaded


@pytest.mark.parametrize("name", [entry.name for entry in Registry().entries()])
def test_every_visualization_but_those_of_attention_takes_it(name: str, model: BrightnessModel) -> None:
    cls = Registry().get(name).cls
    assert cls is not None
    if Capability.ATTENTION in cls.NEEDS:
        with pytest.raises(ModelError, match=f"{name} needs attention"):
            picasso.explain(model, noise_image(), name)
        return
    (result,) = picasso.explain(model, noise_image(), name)
    assert result.predictions[0]["name"] in model.labels
    assert result.model.notes == ()


def test_gradients_are_those_of_the_logits(model: BrightnessModel) -> None:
    inputs = np.full((2, *model.input_shape), 0.25, np.float32)
    brighter = inputs.copy()
    brighter[:, 3, 4, 1] += 0.5
    rise = model.logits(brighter) - model.logits(inputs)
    for number in (0, 1):
        gradients = model.input_gradients(inputs, [number, number])
        np.testing.assert_allclose(0.5 * gradients[:, 3, 4, 1], rise[:, number], rtol=1e-3)
