"""Edits of layers: what they accept, what they change, and what models in plain NumPy answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models import Edit
from picasso.models.info import Capability
from tests.fakes import CLASSES, BlackBoxModel, LinearModel, PooledModel, SegmenterModel

INPUTS = np.random.default_rng(0).random((4, 6, 9, 3), np.float32)


def loaded(cls: type[Any] = PooledModel) -> Any:
    model = cls()
    model.load()
    return model


def test_channels_are_scaled_or_set() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    scaled, value, values = (Edit("a", (2, 0), **what) for what in ({"scale": -2}, {"value": 5}, {"value": [5, 6]}))
    np.testing.assert_array_equal(scaled.changed(maps), maps * [-2, 1, -2])
    np.testing.assert_array_equal(value.changed(maps)[..., 0], np.full((2, 2), 5))
    np.testing.assert_array_equal(values.changed(maps)[0, 0], [6, 1, 5])
    np.testing.assert_array_equal(Edit("a", [], scale=0).changed(maps), maps)
    assert values.changed(maps).dtype == np.float32


def test_equal_edits_are_equal_keys() -> None:
    array = Edit("a", np.array([1, 2]), value=np.array([0.5, 1]))  # type: ignore[arg-type]
    assert array == Edit("a", [1, 2], value=(0.5, 1.0))
    assert len({array, Edit("a", (1, 2), value=[0.5, 1])}) == 1
    assert repr(array) == "Edit(layer='a', channels=(1, 2), scale=None, value=(0.5, 1.0))"


@pytest.mark.parametrize(
    ("channels", "what", "why"),
    [
        ([0], {}, "needs either scale, a factor, or value, the new value"),
        ([0], {"scale": 0, "value": 1}, "needs either scale"),
        ([0, 1, 0], {"scale": 0}, "names a channel more than once"),
        ([-1], {"scale": 0}, r"whole numbers from 0 on, not \[-1\]"),
        ([0.5], {"scale": 0}, "whole numbers"),
        ([True, False], {"scale": 0}, "whole numbers"),
        (3, {"scale": 0}, "needs a list of channels, whole numbers from 0 on, not 3"),
        ("01", {"scale": 0}, "whole numbers"),
        ([0], {"scale": np.nan}, "needs a finite number as its scale, not nan"),
        ([0], {"value": "0"}, "needs a finite number as its value, not '0'"),
        ([0], {"scale": -1e39}, "needs a finite number as its scale, not -1e[+]39"),
        ([0], {"value": 10**400}, "needs a finite number as its value, not 1000"),
        ([0], {"value": [np.inf]}, "needs a finite number as its value, not inf"),
        ([0, 1], {"value": [1, 2, 3]}, "has 3 values for 2 channels"),
    ],
)
def test_what_is_not_valid_is_refused(channels: Any, what: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelError, match=f"^The edit of layer 'a' .*{why}"):
        Edit("a", channels, **what)


def test_pooled_maps_are_edited() -> None:
    model = loaded()
    off, mean = Edit(None, [1], scale=0), Edit("maps", [0, 2], value=[0.25, 0.5])
    first, second = model.edits(INPUTS, [off, mean])
    maps = model.feature_maps(INPUTS).mean((1, 2))
    np.testing.assert_allclose(first.scores, maps * [1, 0, 1, 1] @ model.dense + model.bias, rtol=0, atol=1e-6)
    truth = (maps * [0, 1, 0, 1] + [0.25, 0, 0.5, 0]) @ model.dense + model.bias
    np.testing.assert_allclose(second.scores, truth, rtol=0, atol=1e-6)
    exponentials = np.exp(truth)
    np.testing.assert_allclose(second.outputs, exponentials / exponentials.sum(1, keepdims=True), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(model.edited(INPUTS, mean), second.outputs)
    np.testing.assert_array_equal(model.edited(INPUTS, Edit(None, range(4), scale=1)), model.predict(INPUTS))


def test_an_edited_input_is_another_input() -> None:
    for cls in (LinearModel, PooledModel):
        model, edit = loaded(cls), Edit("input", [2], scale=0.5)
        (found,) = model.edits(INPUTS, [edit])
        np.testing.assert_array_equal(found.outputs, model.predict(edit.changed(INPUTS)))
        np.testing.assert_array_equal(found.scores, model.logits(edit.changed(INPUTS)))


def test_consecutive_edits_of_a_layer_are_made_together(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = loaded(), []
    answer = model.batch_edits

    def counted(inputs: Any, layer: str, edits: Any) -> Any:
        calls.append((len(inputs), layer, len(edits)))
        return answer(inputs, layer, edits)

    monkeypatch.setattr(model, "batch_edits", counted)
    edits = [Edit(layer, [0], scale=0) for layer in (None, "maps", "input", "maps")]
    found = list(model.edits(INPUTS, edits))
    assert calls == [(4, "maps", 2), (4, "input", 1), (4, "maps", 1)]
    np.testing.assert_array_equal(found[0].outputs, found[3].outputs)


def test_any_number_of_inputs_and_fixed_batches() -> None:
    model, edit = loaded(), Edit("maps", [3], value=1)
    expected = model.edited(INPUTS, edit)
    assert model.edited(INPUTS[:0], edit).shape == (0, CLASSES)
    model.fixed_batch = 3
    np.testing.assert_allclose(model.edited(INPUTS, edit), expected, rtol=1e-6)
    assert next(model.edits(INPUTS[:1], [edit])).scores.shape == (1, CLASSES)
    with pytest.raises(ModelError, match=r"edits\(\) of the model takes at most 3 inputs at once, not 4\."):
        model.edits(INPUTS, [edit])


def test_unknown_layers_channels_and_shapes_are_refused_at_once() -> None:
    model = loaded()
    with pytest.raises(ModelError, match=r"There is no layer 'b'; the layers are input, maps\."):
        model.edits(INPUTS, [Edit("b", [0], scale=0)])
    with pytest.raises(ModelError, match=r"layer 'maps' names channel 4, but the layer has 4 channels, from 0 to 3\."):
        model.edits(INPUTS, [Edit(None, [0], scale=0), Edit(None, [1, 4], scale=0)])
    with pytest.raises(ModelError, match=r"takes inputs \(N, 6, 9, 3\), not \(4, 9, 3\)"):
        model.edited(INPUTS[:, 0], Edit(None, [0], scale=0))


def test_models_that_cannot_edit_say_so() -> None:
    class Unable(LinearModel):
        batch_edits = SegmenterModel.batch_edits

    class Silent(BlackBoxModel):
        batch_edits = SegmenterModel.batch_edits

    edit = Edit(None, [0], scale=0)
    with pytest.raises(ModelError, match=r"SegmenterModel has no layer with feature maps\."):
        loaded(SegmenterModel).edits(INPUTS, [edit])
    with pytest.raises(ModelError, match=r"The model Silent can't give feature maps\."):
        loaded(Silent).edits(INPUTS, [edit])
    assert Capability.FEATURE_MAPS in Unable.capabilities
    with pytest.raises(ModelError, match=r"The model Unable can't edit its layers; its class has no batch_edits\(\)\."):
        loaded(Unable).edits(INPUTS, [edit])


def test_answers_that_are_not_finite_are_refused() -> None:
    model = loaded()
    model.dense[0, 0] = np.nan
    with pytest.raises(ModelError, match="the output of the model is not a finite number"):
        model.edited(INPUTS, Edit(None, [0], scale=2))


def test_maps_are_replaced() -> None:
    model = loaded()
    for layer in ("input", "maps"):
        maps, edit = model.feature_maps(INPUTS, layer), Edit(layer, [1], scale=0)
        same, edited = model.predict_from(INPUTS, iter([maps, edit.changed(maps)]), layer)
        np.testing.assert_array_equal(same.outputs, model.predict(INPUTS))
        np.testing.assert_array_equal(same.scores, model.logits(INPUTS))
        np.testing.assert_array_equal(edited.outputs, model.edited(INPUTS, edit))
    default, _ = model.predict_from(INPUTS, [maps, maps])
    np.testing.assert_array_equal(default.outputs, same.outputs)
    assert next(model.predict_from(INPUTS[:0], [maps[:0]])).outputs.shape == (0, CLASSES)


def test_maps_that_are_not_valid_are_refused() -> None:
    class Unable(LinearModel):
        batch_predict_from = SegmenterModel.batch_predict_from

    class Silent(BlackBoxModel):
        batch_predict_from = SegmenterModel.batch_predict_from

    model = loaded()
    maps = model.feature_maps(INPUTS)
    with pytest.raises(ModelError, match=r"maps of layer 'maps' must be \(4, 2, 3, 4\), not \(3, 2, 3, 4\)"):
        list(model.predict_from(INPUTS, [maps[:3]]))
    with pytest.raises(ModelError, match="that replace those of layer 'maps' must be finite numbers"):
        list(model.predict_from(INPUTS, [maps * np.nan]))
    with pytest.raises(ModelError, match=r"There is no layer 'b'; the layers are input, maps\."):
        model.predict_from(INPUTS, [maps], "b")
    with pytest.raises(ModelError, match=r"its class has no batch_predict_from\(\)\."):
        loaded(Unable).predict_from(INPUTS, [INPUTS])
    with pytest.raises(ModelError, match=r"The model Silent can't give feature maps\."):
        loaded(Silent).predict_from(INPUTS, [INPUTS])
    model.fixed_batch = 3
    with pytest.raises(ModelError, match=r"predict_from\(\) of the model takes at most 3 inputs at once, not 4\."):
        model.predict_from(INPUTS, [maps])
    fixed = next(model.predict_from(INPUTS[:2], [maps[:2]]))
    np.testing.assert_allclose(fixed.outputs, model.predict(INPUTS[:2]), rtol=0, atol=1e-6)
