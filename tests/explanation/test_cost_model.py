"""How long something will take, from what the model was seen to take."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest

from picasso.errors import BadRequest
from picasso.explanation import cost_model
from picasso.explanation.registry import Registry
from picasso.models.arrays import Array
from picasso.visualizations.base import BaseVisualization
from picasso.visualizations.partial_occlusion import PartialOcclusion
from picasso.visualizations.saliency_maps import SaliencyMaps
from tests.fakes import LinearModel


def loaded(cls: type[LinearModel] = LinearModel) -> LinearModel:
    model = cls()
    model.load()
    return model


def test_a_pace_is_measured_in_full_batches() -> None:
    sizes: list[int] = []

    class Sleepy(LinearModel):
        fixed_batch = 10

        def batch_probabilities(self, inputs: Array) -> Array:
            sizes.append(len(inputs))
            # The first time is slow, as it is where something has to be compiled.
            time.sleep(0.5 if len(sizes) == 1 else 0.02)
            return super().batch_probabilities(inputs)

    model = loaded(Sleepy)
    cost_model.measure(model)
    assert sizes == [10] * (1 + cost_model.ROUNDS)
    assert 0.002 <= cost_model.PACES[model] < 0.03


def test_a_pace_goes_with_its_model() -> None:
    model = loaded()
    cost_model.measure(model)
    count = len(cost_model.PACES)
    del model
    gc.collect()
    assert len(cost_model.PACES) == count - 1


def test_passes_of_the_built_in_visualizations() -> None:
    model = loaded()
    passes = {
        name: cls.passes(model, cls.ALLOWED_SETTINGS.parse(settings))
        for name, settings in [("ClassProbabilities", {}), ("SaliencyMaps", {}), ("PartialOcclusion", {"Strides": 20})]
        for cls in [Registry().get(name).require()]
    }
    assert passes == {"ClassProbabilities": 1, "SaliencyMaps": 1 + 2 * 5, "PartialOcclusion": 1 + 20 * 20}


@pytest.mark.parametrize("visualization", [PartialOcclusion, SaliencyMaps])
def test_seconds_are_the_pace_times_the_passes(
    visualization: type[BaseVisualization[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded()
    assert cost_model.seconds_per_image(model, visualization, {}) is None
    monkeypatch.setitem(cost_model.PACES, model, 0.5)
    passes = visualization.passes(model, visualization.ALLOWED_SETTINGS.parse({}))
    assert cost_model.seconds_per_image(model, visualization, {}) == passes / 2


def test_wrong_settings_are_refused_even_before_anything_is_known() -> None:
    with pytest.raises(BadRequest, match="Window must be one of"):
        cost_model.seconds_per_image(loaded(), PartialOcclusion, {"Window": 3})
