"""Questions about channels: the answers agree with single edits, maps and gradients."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso.errors import BadRequest, ModelError
from picasso.inside import questions
from picasso.models import Edit
from picasso.models.base import Model
from tests.conftest import noise_image
from tests.explanation.test_questions import store
from tests.fakes import BlackBoxModel, EmbeddingModel, LinearModel, MultiLabelModel, PooledModel, RegressorModel

SHEET: dict[str, Any] = {
    "kind": "channels", "layer": None, "targets": [], "references": {}, "order": "activation", "region": None,
    "only": None, "start": 0, "count": 10,
}  # fmt: skip
CHANNEL: dict[str, Any] = {
    "kind": "channel", "layer": None, "channel": 1, "scale": 0.0, "value": None, "targets": [], "references": {},
    "crops": False,
}  # fmt: skip


def loaded(kind: type[Model]) -> Any:
    model = kind()
    model.load()
    return model


def image_of(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_the_channels_come_in_order_with_their_maps(tmp_path: Path) -> None:
    model = loaded(PooledModel)
    (path,) = store(tmp_path, noise_image(1))
    found = questions.answer(model, {**SHEET, "path": path})
    means = [one["activation"] for one in found["channels"]]
    assert means == sorted(means, reverse=True)
    assert (found["layer"], found["total"], len(found["channels"])) == ("maps", model.MAPS, model.MAPS)
    maps = model.feature_maps(model.inputs_of([noise_image(1)]))[0]
    for one in found["channels"]:
        values = maps[..., one["channel"]]
        drawn = np.asarray(image_of(one["map"]))[..., 3] / 255
        assert drawn.shape == values.shape
        expected = 0.75 * np.clip(values / max(one["high"], 1e-9), 0, 1) if one["low"] == 0 else None
        assert expected is not None
        np.testing.assert_allclose(drawn, expected, atol=0.01)
    assert image_of(found["view"]).size == (model.input_shape[1], model.input_shape[0])
    rest = questions.answer(model, {**SHEET, "path": path, "start": 1, "count": 2})["channels"]
    assert rest == found["channels"][1:3]
    (only,) = questions.answer(model, {**SHEET, "path": path, "only": [2]})["channels"]
    assert only == next(one for one in found["channels"] if one["channel"] == 2)
    with pytest.raises(BadRequest, match="has 4 channels, from 0 to 3, and none 4"):
        questions.answer(model, {**SHEET, "path": path, "only": [4]})


@pytest.mark.parametrize("change", [{"scale": 0.0}, {"scale": 2.0}, {"scale": None, "value": 0.3}])
def test_a_changed_channel_is_that_of_an_edit(
    tmp_path: Path, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(PooledModel)
    images = [noise_image(seed) for seed in range(5)]
    paths = store(tmp_path, *images)
    monkeypatch.setattr(Model, "batch_size", 2)
    answers = questions.answer(model, {**CHANNEL, **change, "paths": paths})["answers"]
    monkeypatch.undo()
    inputs = model.inputs_of(images)
    before, scores, maps = model.predict(inputs), model.logits(inputs), model.feature_maps(inputs)[..., 1]
    (after,) = model.edits(inputs, [Edit(None, [1], scale=change.get("scale"), value=change.get("value"))])
    best = before.argmax(axis=1)
    relevances = maps * model.feature_gradients(inputs, best.tolist())[..., 1]
    for row, one in enumerate(answers):
        assert one["before"][0]["prob"] == pytest.approx(float(before[row].max()), abs=1e-6)
        assert one["after"][0]["prob"] == pytest.approx(float(after.outputs[row].max()), abs=1e-6)
        assert one["flipped"] == (after.outputs[row].argmax() != best[row])
        assert one["shift"] == pytest.approx(float((after.scores - scores)[row, best[row]]), rel=1e-4, abs=1e-6)
        assert one["mean"] == pytest.approx(float(maps[row].mean()), rel=1e-5)
        for kind, values in (("activation", maps[row]), ("relevance", relevances[row])):
            if values.max() > 0:
                assert one[kind]["value"] == pytest.approx(float(values.max()), rel=1e-5)
                # The receptive field of this layer is not stated.
                assert one[kind]["box"] == [0, 0, model.input_shape[1], model.input_shape[0]]
            else:
                assert one[kind] is None
            assert "crop" not in (one[kind] or {})


def test_exemplars_come_as_images_if_wanted(tmp_path: Path) -> None:
    model = loaded(PooledModel)
    model.mixing = np.abs(model.mixing)
    paths = store(tmp_path, noise_image(1))
    (answer,) = questions.answer(model, {**CHANNEL, "paths": paths, "crops": True})["answers"]
    assert image_of(answer["activation"]["crop"]).size == (model.input_shape[1], model.input_shape[0])


@pytest.mark.parametrize("kind", [RegressorModel, MultiLabelModel, EmbeddingModel])
def test_models_of_other_tasks(tmp_path: Path, kind: type[Model]) -> None:
    model = loaded(kind)
    paths = store(tmp_path, noise_image(1))
    (answer,) = questions.answer(model, {**CHANNEL, "channel": 0, "paths": paths})["answers"]
    # Of several labels, the most probable one counts.
    assert (answer["relevance"] is None) == (kind is not MultiLabelModel)
    assert answer["before"] == list(model.decode(model.predict(model.inputs_of([noise_image(1)])))[0])


def test_what_can_not_be_answered_is_said(tmp_path: Path) -> None:
    (path,) = store(tmp_path, noise_image(1))
    with pytest.raises(ModelError, match="has no feature maps"):
        questions.answer(loaded(BlackBoxModel), {**SHEET, "path": path})
    with pytest.raises(ModelError, match="names channel 99, but the layer has"):
        questions.answer(loaded(LinearModel), {**CHANNEL, "channel": 99, "paths": [path]})
