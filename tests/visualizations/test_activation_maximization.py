"""Activation maximization: planted filters and colours appear, and the notes say the true score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.attribution.ascent import Crops
from picasso.attribution.diversity import similarity
from picasso.errors import BadRequest, ModelError
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Layer
from picasso.visualizations import Input, Task
from picasso.visualizations.activation_maximization import ActivationMaximization, faded
from picasso.visualizations.panel import Panel
from tests.attribution.test_ascent import stripes
from tests.conftest import noise_image
from tests.fakes import BlackBoxModel, GreyModel, LinearModel, PooledModel, SegmenterModel

QUICK: dict[str, Any] = {"Steps": 100, "Faded": False}


def panels_of(model: Model, image: Any = None, **settings: Any) -> list[Panel]:
    (result,) = explain(model, image or noise_image(), ActivationMaximization, **(QUICK | settings))
    return list(result.panels)


def planted(*filters: np.ndarray) -> LinearModel:
    """A model whose classes are filters ``(H, W, C)``."""
    model = LinearModel()
    model.load(shape=filters[0].shape)
    model.weights = np.stack([*filters, *(0 * one for one in [filters[0]] * (7 - len(filters)))]).astype(np.float32)
    return model


@pytest.mark.parametrize(("method", "least"), [("Fourier", 0.7), ("MACO", 0.45)])
@pytest.mark.parametrize("coloured", [True, False])
def test_a_planted_filter_is_found(method: str, least: float, coloured: bool) -> None:
    filter_ = np.repeat(stripes(), 3 if coloured else 1, axis=2)
    panels = panels_of(planted(filter_), classes=["ant"], Method=method, Smallest=1.0)
    (found,) = (panel.array.reshape(filter_.shape) for panel in panels)
    assert np.corrcoef(found.ravel(), filter_.ravel())[0, 1] > least


def test_a_planted_colour_is_found() -> None:
    red = np.zeros((12, 12, 3))
    red[..., 0], red[..., 1:] = 1, -0.5
    (panel,) = panels_of(planted(red), classes=["ant"], Method="Fourier")
    # The mean of waves is 0 before the sigmoid, so not all of the image can be red.
    assert panel.array[..., 0].mean() > panel.array[..., 1:].mean() + 20


def test_parts_that_do_not_count_fade_to_grey() -> None:
    corner = np.zeros((32, 32, 3))
    corner[:8, :8] = 1.0
    (panel,) = panels_of(planted(corner), classes=["ant"], Faded=True, Smallest=1.0)
    assert (np.abs(panel.array[16:, 16:].astype(int) - 128) <= 1).all()
    assert panel.array[:8, :8].std() > 2
    assert (faded(np.zeros((4, 4, 1)), np.zeros((4, 4))) == 0.5).all()


def test_notes_say_what_the_model_says_of_the_image(linear: LinearModel) -> None:
    for panel in panels_of(linear):
        assert panel.kind == "image"
        inputs = (panel.array[None] / 255).astype(np.float32)
        logits, probabilities = linear.logits(inputs)[0], linear.predict(inputs)[0]
        index = panel.class_index
        assert index is not None
        words = panel.note.split()
        assert float(words[words.index("is") + 1].strip(",")) == pytest.approx(logits[index], abs=0.05)
        assert float(words[words.index("probability") + 1].strip(",")) == pytest.approx(probabilities[index], abs=0.02)
        assert panel.note.endswith("after 100 steps.")
        assert panel.value == panel.probability == pytest.approx(probabilities[index], abs=0.02)
        assert logits[index] > linear.logits(linear.encode([noise_image()]))[0, index]


@pytest.mark.parametrize("shape", [(1, 7, 3), (7, 1, 3), (1, 1, 3), (1, 7, 1), (1, 1, 1)])
def test_narrow_images_keep_their_shape(shape: tuple[int, int, int]) -> None:
    for statistics in ("photographs", "the image"):
        (panel,) = panels_of(planted(np.ones(shape)), classes=["ant"], Steps=8, Statistics=statistics)
        assert panel.array.shape == (shape if shape[2] == 3 else shape[:2])


def test_a_score_that_depends_on_nothing_is_said_so() -> None:
    (panel,) = panels_of(planted(np.zeros((6, 9, 3))), classes=["ant"], Steps=8)
    assert panel.note.endswith("after 8 steps. All gradients were 0, so nothing was optimized.")


def test_gradients_that_are_not_finite_are_refused(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    known = linear.gradients
    monkeypatch.setattr(linear, "gradients", lambda *arguments: known(*arguments) * np.nan)
    with pytest.raises(ModelError, match="The gradient of the logit of bee is not finite, so no image"):
        panels_of(linear, classes=["bee"], Steps=8)


def test_images_depend_on_the_seed_alone(linear: LinearModel) -> None:
    (one,) = panels_of(linear, classes=["bee"], Steps=8)
    first, second = explain(
        linear, [noise_image(1), noise_image(2)], ActivationMaximization, classes=["bee"], Steps=8, Faded=False
    )
    for result in (first, second):
        np.testing.assert_array_equal(result.panels[0].array, one.array)
    (other,) = panels_of(linear, classes=["bee"], Steps=8, Seed=1)
    assert (other.array != one.array).mean() > 0.5
    (with_image,) = panels_of(linear, classes=["bee"], Steps=8, Statistics="the image")
    assert (with_image.array != one.array).mean() > 0.5


def test_several_images_have_starts_of_their_own(linear: LinearModel) -> None:
    panels = panels_of(linear, classes=["bee", "ant"], Steps=8, Images=2)
    assert [panel.title for panel in panels] == ["bee (1)", "bee (2)", "ant (1)", "ant (2)"]
    assert (panels[0].array != panels[1].array).mean() > 0.5
    (alone,) = panels_of(linear, classes=["bee"], Steps=8, Seed=1)
    np.testing.assert_array_equal(panels[1].array, alone.array)


def test_contrasts_are_targets(linear: LinearModel) -> None:
    (panel,) = panels_of(linear, classes=["bee vs ant"], Method="Fourier", Smallest=1.0)
    towards: np.ndarray = linear.weights[1] - linear.weights[0]
    assert np.corrcoef(panel.array.ravel(), towards.ravel())[0, 1] > 0.7


def test_progress_and_previews(linear: LinearModel) -> None:
    seen: list[tuple[int, int]] = []
    previews: list[Any] = []
    view = noise_image()
    image = Input(
        "a.png", view, view, linear.encode([view])[0], linear.decode_prob(linear.predict(linear.encode([view])))[0]
    )
    settings = ActivationMaximization.ALLOWED_SETTINGS.parse({"Steps": 8})
    task = Task(linear, [image], settings, lambda *at: seen.append(at), lambda make: previews.append(make()))
    (panels,) = ActivationMaximization().make_visualization(task)
    assert seen[:2] == [(0, 40), (1, 40)]
    assert seen[-1] == (1, 1)
    assert [len(one) for one in previews] == [1 + index // 8 for index in range(40)]
    np.testing.assert_array_equal(previews[-1][-1].array, panels[-1].array)
    assert previews[0][0].note.endswith("after 1 step.")


def test_outputs_of_places_are_not_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    sides: list[float] = []
    drawn = Crops.draw

    def draw(random: Any, count: int, size: tuple[int, int], smallest: float) -> Crops:
        sides.append(smallest)
        return drawn(random, count, size, smallest)

    monkeypatch.setattr(Crops, "draw", draw)
    model = SegmenterModel()
    model.load(shape=(12, 12, 3))
    panels_of(model, classes=["grass"], Steps=8)
    assert sides == [1.0] * 8


def test_grey_models() -> None:
    model = GreyModel()
    model.load()
    (panel,) = panels_of(model, classes=["bee"], Steps=8)
    assert panel.array.ndim == 2


def test_models_without_gradients_are_refused() -> None:
    model = BlackBoxModel()
    model.load()
    with pytest.raises(ModelError, match="gradients"):
        panels_of(model)


class Detectors(LinearModel):
    """Two filters on the whole image, and a channel that responds to either: ``relu`` of both, and their sum."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(16, 16, 1))
        one = stripes()
        self.filters = np.stack([one, one[:, ::-1]]).astype(np.float32) / 16

    def layers(self) -> list[Layer]:
        return [Layer("detectors", (1, 2, 3), default=True)]

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        both = np.maximum(np.einsum("nhwc,khwc->nk", inputs, self.filters), 0)
        # Both cells are the same.
        return np.repeat(np.concatenate([both, both.sum(axis=1, keepdims=True)], axis=1)[:, None, None], 2, axis=2)

    def batch_map_gradients(self, inputs: Array, weights: Array, layer: str) -> Array:
        known = weights.sum(axis=(1, 2))
        behind = (known[:, :2] + known[:, 2:]) * (self.batch_feature_maps(inputs, layer)[:, 0, 0, :2] > 0)
        return np.asarray(np.einsum("nk,khwc->nhwc", behind, self.filters), np.float32)


@pytest.fixture
def detectors() -> Detectors:
    model = Detectors()
    model.load()
    return model


def fits(panel: Panel, filters: np.ndarray) -> list[float]:
    """The correlation of an image with each filter."""
    return [float(np.corrcoef(panel.array.ravel(), one.ravel())[0, 1]) for one in filters]


@pytest.mark.parametrize(("method", "least"), [("Fourier", 0.75), ("MACO", 0.45)])
@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("cell", ["none", "centre", "0, 1"])
def test_the_filter_of_a_channel_is_found(
    detectors: Detectors, method: str, least: float, channel: int, cell: str
) -> None:
    (panel,) = panels_of(detectors, Channels=channel, Cell=cell, Method=method, Smallest=1.0)
    found = fits(panel, detectors.filters)
    assert found[channel] > least
    assert abs(found[1 - channel]) < 0.2
    inputs = (panel.array[None, ..., None] / 255).astype(np.float32)
    value = float(detectors.feature_maps(inputs)[0, 0, 0, channel])
    assert panel.value == pytest.approx(value, abs=0.02)
    assert (panel.target, panel.class_index, panel.unit) == ("", None, "value")
    assert panel.title.startswith(f"channel {channel} of layer detectors")
    start = f"The mean of channel {channel} of layer" if cell == "none" else f"Channel {channel} of layer"
    assert panel.note.startswith(start)
    assert panel.note.endswith("after 100 steps.")


def test_a_direction_is_a_weighted_sum(detectors: Detectors) -> None:
    (panel,) = panels_of(detectors, Channels="0:1, 1:-2", Layer="detectors", Method="Fourier", Smallest=1.0)
    first, _ = fits(panel, detectors.filters)
    assert panel.title == "channel 0 - 2 channel 1 of layer detectors"
    # A channel behind a ReLU can't be less than 0.
    assert first > 0.8
    inputs = (panel.array[None, ..., None] / 255).astype(np.float32)
    maps = detectors.feature_maps(inputs)[0, 0, 0]
    assert panel.value == pytest.approx(float(maps[0] - 2 * maps[1]), abs=0.02)
    (both,) = panels_of(detectors, Channels="0, 1:.5e0", Method="Fourier", Smallest=1.0)
    assert both.title == "channel 0 + 0.5 channel 1 of layer detectors"
    one, other = fits(both, detectors.filters)
    assert one > 0.6
    assert one > other > 0.15


def test_diverse_images_show_all_that_a_channel_responds_to(detectors: Detectors) -> None:
    wanted = {"Channels": 2, "Method": "Fourier", "Smallest": 1.0, "Images": 2, "Steps": 200}
    alike = [fits(panel, detectors.filters) for panel in panels_of(detectors, **wanted)]
    diverse = panels_of(detectors, Diversity=2, **wanted)
    found = [fits(panel, detectors.filters) for panel in diverse]
    assert [panel.title[-3:] for panel in diverse] == ["(1)", "(2)"]
    # Without it, both images show both filters; with it, each shows another one.
    assert all(min(one) > 0.4 for one in alike)
    assert sorted(int(np.argmax(one)) for one in found) == [0, 1]
    assert all(max(one) > 0.8 and min(one) < 0.2 for one in found)


def test_images_of_a_target_may_have_to_differ() -> None:
    model = PooledModel()
    model.load(shape=(12, 12, 3))
    wanted = {"classes": ["bee"], "Images": 3, "Steps": 60, "Method": "Fourier"}
    grams: list[float] = []
    for strength in (0, 5):
        panels = panels_of(model, Diversity=strength, **wanted)
        assert [panel.target for panel in panels] == ["1"] * 3
        inputs = (np.stack([panel.array for panel in panels]) / 255).astype(np.float32)
        grams.append(similarity(model.feature_maps(inputs)[:, None])[0])
    assert grams[1] < grams[0] - 0.05


@pytest.mark.parametrize(
    ("settings", "field", "message"),
    [
        ({"Channels": "3"}, "Channels", "Layer detectors has 3 channels, from 0 to 2, and no channel 3. Choose some"),
        ({"Channels": "1, 1:2"}, "Channels", "Channels names channel 1 more than once"),
        ({"Channels": "1:0"}, "Channels", "The weight of channel 1 in Channels must be a number other than 0"),
        ({"Channels": "1:1e99"}, "Channels", "that 32 bits can hold, not 1e99"),
        ({"Channels": "red"}, "Channels", "Channels must be a channel such as 17, or .*, or none, not 'red'"),
        ({"Channels": True}, "Channels", "not 'True'"),
        ({"Channels": "1", "Cell": "0, 2"}, "Cell", "has 1 x 2 cells, rows 0 to 0 and .*, and none at 0, 2"),
        ({"Channels": "1", "Cell": "7"}, "Cell", "Cell must be a row and a column from 0, such as 4, 7, or centre"),
        ({"Cell": "0, 0"}, "Channels", "Cell is given without Channels, so it would change nothing"),
        ({"Layer": "detectors"}, "Channels", "Layer is given without Channels"),
    ],
)
def test_channels_that_make_no_sense_are_refused(
    detectors: Detectors, settings: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(BadRequest, match=message) as caught:
        panels_of(detectors, **settings)
    assert caught.value.field == field


def test_one_image_differs_from_no_other(detectors: Detectors) -> None:
    with pytest.raises(BadRequest, match="Set Images to 2 or more") as caught:
        panels_of(detectors, Diversity=1)
    assert caught.value.field == "Diversity"


def test_layers_that_do_not_exist_are_refused(detectors: Detectors) -> None:
    with pytest.raises(ModelError, match="There is no layer 'conv'"):
        panels_of(detectors, Channels=1, Layer="conv")
    segmenter = SegmenterModel()
    segmenter.load()
    for settings in ({"Channels": 1}, {"Images": 2, "Diversity": 1}):
        with pytest.raises(ModelError, match="has no layer with feature maps"):
            panels_of(segmenter, **settings)


def test_channels_are_sought_once_for_all_uploaded_images(
    detectors: Detectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = 0
    known = Detectors.batch_map_gradients

    def counting(self: Detectors, inputs: Array, weights: Array, layer: str) -> Array:
        nonlocal counted
        counted += len(inputs)
        return known(self, inputs, weights, layer)

    monkeypatch.setattr(Detectors, "batch_map_gradients", counting)
    given: dict[str, Any] = {"Channels": "2", "Steps": 10, "Crops": 3, "Images": 2}
    first, second = explain(detectors, [noise_image(1), noise_image(2)], ActivationMaximization, **given)
    assert len(first.panels) == 2
    np.testing.assert_array_equal(first.panels[1].array, second.panels[1].array)
    settings = ActivationMaximization.ALLOWED_SETTINGS.parse(given)
    assert ActivationMaximization.passes(detectors, settings) == 3 * counted == 180
    diverse = ActivationMaximization.ALLOWED_SETTINGS.parse(given | {"Diversity": 1})
    assert ActivationMaximization.passes(detectors, diverse) == 240


def test_passes_count_gradients(linear: LinearModel) -> None:
    settings = ActivationMaximization.ALLOWED_SETTINGS.parse({"Steps": 10, "Crops": 3, "Images": 2})
    counted = 0

    class Counting(LinearModel):
        def batch_gradients(self, inputs: Array, cotangents: Array) -> Array:
            nonlocal counted
            counted += len(inputs)
            return super().batch_gradients(inputs, cotangents)

    model = Counting()
    model.load()
    panels_of(model, Steps=10, Crops=3, Images=2)
    assert ActivationMaximization.passes(model, settings) == 3 * counted
