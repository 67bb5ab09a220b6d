"""Models of all tasks: how they are recognized, and what gradients and occlusion say about any target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso import explain, load_model
from picasso.errors import BadRequest, ConfigurationError, ModelError
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.models.keras import KerasModel
from picasso.models.occlusion import covered
from picasso.models.outputs import parse_decoder, parse_task
from picasso.targets import Context, Target
from tests.conftest import noise_image

pytestmark = pytest.mark.filterwarnings("ignore")

SIDE = 24


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def segmenter(keras: Any, classes: int = 4, channels: int = 3, height: int = SIDE) -> Any:
    """Return a network whose logits at a pixel read the 5 x 5 pixels around it."""
    keras.utils.set_random_seed(0)
    image = keras.Input((height, SIDE, channels))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="tanh")(image)
    x = keras.layers.Conv2D(classes, 3, padding="same", activation="softmax", kernel_initializer="he_normal")(x)
    return keras.Model(image, x)


def centernet(keras: Any, classes: int = 3) -> Any:
    """Return a detector with a heat map of a quarter of the image's sides; each cell reads 12 x 12 pixels."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(8, 4, strides=4, padding="same", activation="relu")(image)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)

    def head(count: int, name: str, activation: str | None = None) -> Any:
        return keras.layers.Conv2D(count, 1, activation=activation, name=name)(x)

    return keras.Model(
        image, [head(classes, "heatmap", "sigmoid"), head(2, "size", "softplus"), head(2, "offset", "sigmoid")]
    )


def vector(keras: Any, count: int, activation: str | None = None, *, normalized: bool = False) -> Any:
    """Return a small network with a vector as output."""
    keras.utils.set_random_seed(2)
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(count, activation=activation)(x)
    return keras.Model(image, keras.layers.UnitNormalization()(x) if normalized else x)


def targets_of(model: Model, seed: int = 0, wanted: list[str] | None = None) -> tuple[Any, list[Target]]:
    """Return an input ``(1, H, W, C)`` of noise, and its targets."""
    inputs = np.random.default_rng(seed).random((1, *model.input_shape), np.float32)
    output = model.predict(inputs)
    names = [str(name) for name in model.class_names()]
    size = (model.input_shape[1], model.input_shape[0])
    other = np.random.default_rng(seed + 1).random((1, *model.input_shape), np.float32)
    context = Context(output[0], names, size, lambda name: model.predict(other)[0])
    spec = model.spec
    if wanted:
        return inputs, [spec.target(one, context) for one in spec.parse(wanted, names)]
    return inputs, list(spec.defaults(model.decode(output)[0], context))


def numeric(model: Model, inputs: Any, target: Target, at: tuple[int, int, int], step: float = 1e-2) -> float:
    """Return the derivative of a score by a central difference."""
    low, high = inputs.copy(), inputs.copy()
    low[0][at] -= step
    high[0][at] += step
    below, above = model.scores(np.concatenate([low, high]), [target])[:, 0]
    return float((above - below) / (2 * step))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("height", [SIDE, 16])
def test_a_segmenter_lights_up_only_where_it_reads(keras: Any, channels: int, height: int) -> None:
    model = load_model(segmenter(keras, channels=channels, height=height))
    assert model.spec.task == "segmentation"
    assert model.spec.shape == (height, SIDE, 4)
    assert model.logits_found == "input of the final softmax"
    assert "segmentation" in model.notes[0]
    inputs, (target,) = targets_of(model, wanted=["2@10,7"])
    (gradient,) = model.gradients(inputs, [target])[0]
    lit = np.argwhere(np.abs(gradient).max(axis=-1) > 0)
    assert lit.min(axis=0).tolist() == [5, 8]
    assert lit.max(axis=0).tolist() == [9, 12]
    for at in ((7, 10, 0), (5, 8, 0), (9, 11, channels - 1)):
        assert gradient[at] == pytest.approx(numeric(model, inputs, target, at), rel=2e-2, abs=1e-4)


def spots(keras: Any) -> Any:
    """Return a detector of bright squares; each of its cells reads its own 4 x 4 pixels."""
    image = keras.Input((SIDE, SIDE, 1))
    heat = keras.layers.Conv2D(1, 4, strides=4, activation="sigmoid", name="heatmap")(image)
    size = keras.layers.Conv2D(2, 4, strides=4, name="size")(image)
    offset = keras.layers.Conv2D(2, 4, strides=4, name="offset")(image)
    network = keras.Model(image, [heat, size, offset])
    network.get_layer("heatmap").set_weights([np.full((4, 4, 1, 1), 0.5, np.float32), np.array([-4], np.float32)])
    for name, value in (("size", 1.0), ("offset", 0.5)):
        network.get_layer(name).set_weights([np.zeros((4, 4, 1, 2), np.float32), np.full(2, value, np.float32)])
    return network


def test_boxes_with_disjoint_receptive_fields_have_disjoint_maps(keras: Any) -> None:
    model = load_model(spots(keras), labels=["spot"], preprocess="0..1")
    assert model.spec.task == "detection"
    assert "as in CenterNet" in model.notes[0]
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[4:8, 4:8], image[12:16, 16:20] = 255, 200
    fine: dict[str, Any] = {"Strides": 30, "Window": 0.05}
    for name, settings in (("SaliencyMaps", {}), ("PartialOcclusion", fine)):
        (result,) = explain(model, image, name, targets=["box:0", "box:1", "spot@17,13"], **settings)
        assert [one["box"] for one in result.predictions] == [[4, 4, 8, 8], [16, 12, 20, 16]]
        first, second, third = (panel for panel in result.panels if panel.target)
        assert [panel.title for panel in (first, second, third)] == ["spot (box 0)", "spot (box 1)", "spot (box 1)"]
        np.testing.assert_array_equal(second.array, third.array)
        shown = [np.abs(panel.array) > panel.noise_level for panel in (first, second)]
        assert all(one.any() for one in shown)
        assert not (shown[0] & shown[1]).any()
        assert first.context == pytest.approx(0, abs=0.2)
    (result,) = explain(model, np.zeros((SIDE, SIDE), np.uint8), "SaliencyMaps")
    assert (result.predictions, result.panels) == ((), ())
    with pytest.raises(BadRequest, match="There is no box 2 in this image; 2 were detected"):
        explain(model, image, "SaliencyMaps", targets="box:2")
    some = explain(model, [image, image * 0], "SaliencyMaps", targets="box:0")
    assert [len(one.panels) for one in some] == [1, 0]
    assert "There is no box 0 in this image; 0 were detected." in some[1].notes


def test_detectors_in_saved_models(keras: Any, tmp_path: Path) -> None:
    original = spots(keras)
    original.export(tmp_path / "spots")
    model, same = load_model(tmp_path / "spots"), load_model(original)
    assert model.spec.task == "detection"
    inputs = np.random.default_rng(0).random((2, *model.input_shape), np.float32)
    assert model.decode(model.predict(inputs)) == same.decode(same.predict(inputs))
    assert Capability.GRADIENTS in model.capabilities


def test_detectors_of_tensorflow(keras: Any, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")

    class Detector(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.uint8)])  # type: ignore[untyped-decorator]
        def __call__(self, image: Any) -> dict[str, Any]:
            """Detect one box, the more certain the brighter its pixels are, and pad to two boxes."""
            bright = tf.reduce_mean(tf.cast(image[:, 6:12, 3:9], tf.float32), [1, 2, 3]) / 255
            return {
                "detection_boxes": tf.constant([[[0.25, 0.125, 0.5, 0.375], [0.0, 0.0, 0.0, 0.0]]]),
                "detection_scores": tf.stack([bright, 0 * bright], 1),
                "detection_classes": tf.constant([[2.0, 1.0]]),
                "num_detections": tf.constant([1.0]),
            }

    module = Detector()
    tf.saved_model.save(module, str(tmp_path / "d"), signatures=module.__call__)
    labels = ["cat", "dog"]
    model = load_model(tmp_path / "d", labels=labels)
    assert model.spec.task == "detection"
    assert Capability.GRADIENTS not in model.capabilities
    image = np.full((SIDE, SIDE, 3), 230, np.uint8)
    settings: dict[str, Any] = {"Window": 0.1, "Strides": 10, "Occlusion": "black"}
    (result,) = explain(model, image, "PartialOcclusion", **settings)
    (best,) = result.predictions
    assert (best["name"], best["box"]) == ("dog", [3, 6, 9, 12])
    assert best["prob"] == pytest.approx(230 / 255, abs=1e-3)
    panel = result.panels[1]
    assert panel.array.max() > 0.05
    assert panel.array[0, 9] == pytest.approx(0, abs=1e-6)
    with pytest.raises(ModelError, match="SaliencyMaps needs gradients"):
        explain(model, image, "SaliencyMaps")
    with pytest.raises(BadRequest, match="The model has no class cow"):
        explain(model, image, "RISE", targets="cow@3,4")
    (own,) = explain(model, image, "PartialOcclusion", targets=["dog@4,7", "dog@2,5,10,13"], **settings)
    assert [panel.value for panel in own.panels[1:]] == pytest.approx([0.9, 0.9 * 36 / 64], abs=0.01)


def test_a_class_that_decodes_boxes_itself(keras: Any, tmp_path: Path) -> None:
    class Own(KerasModel):
        def decode_boxes(self, outputs: dict[str, Any]) -> list[Any]:
            return [([[2, 3, 9, 8]], [[one, 1 - one]]) for one in outputs["output"][:, 0]]

    network = vector(keras, 1, "sigmoid")
    network.save(tmp_path / "m.keras")
    model = Own()
    model.labels = ("cat", "dog")
    model.load(path=str(tmp_path / "m.keras"))
    assert (model.spec.task, model.num_classes) == ("detection", 2)
    (result,) = explain(model, noise_image(), "ClassProbabilities")
    assert {tuple(one["box"]) for one in result.predictions} == {(2, 3, 9, 8)}
    assert Capability.GRADIENTS not in model.capabilities


def test_the_saliency_of_a_linear_regressor_is_its_weights(keras: Any) -> None:
    image = keras.Input((4, 6, 1))
    network = keras.Model(image, keras.layers.Dense(1)(keras.layers.Flatten()(image)))
    network.layers[-1].set_weights([np.arange(24, dtype=np.float32)[:, None] - 7, np.array([3.0], np.float32)])
    model = load_model(network, task="regression", labels=["age"], unit="years")
    (result,) = explain(model, Image.new("L", (6, 4), 90), "SaliencyMaps", Method="gradient x input")
    (panel,) = result.panels
    (given,) = model.inputs_of([Image.new("L", (6, 4), 90)])
    np.testing.assert_allclose(panel.array, (np.arange(24).reshape(4, 6) - 7) * given[..., 0], rtol=1e-5)
    assert (panel.title, panel.unit) == ("age", "age (years)")
    assert result.predictions[0]["unit"] == "years"
    assert result.predictions[0]["value"] == pytest.approx(float(panel.array.sum()) + 3, rel=1e-5)
    inputs, (target,) = targets_of(model)
    np.testing.assert_allclose(model.gradients(inputs, [target]).ravel(), np.arange(24) - 7)


def test_the_gradient_of_a_label_ignores_the_others(keras: Any) -> None:
    original = vector(keras, 5, "sigmoid")
    model = load_model(original)
    assert model.spec.task == "multi-label"
    inputs, (target,) = targets_of(model, wanted=["3"])
    before = model.gradients(inputs, [target])
    weights, bias = original.layers[-1].get_weights()
    changed = np.array([7, -3, 0.5, 1, 9], np.float32)
    original.layers[-1].set_weights([weights * changed, bias + changed - 1])
    np.testing.assert_allclose(load_model(original).gradients(inputs, [target]), before, rtol=1e-5, atol=1e-7)


def test_likeness_with_itself_has_no_gradient(keras: Any) -> None:
    model = load_model(vector(keras, 16, normalized=True))
    assert model.spec.task == "embedding"
    inputs, (itself,) = targets_of(model)
    _, (other,) = targets_of(model, wanted=["like:other.png"])
    assert itself.value(model.predict(inputs)) == pytest.approx(1)
    own, theirs = model.gradients(inputs, [itself, other])[0]
    assert np.abs(own).max() < 1e-5 * np.abs(theirs).max()
    for at in ((3, 4, 0), (10, 12, 2)):
        assert theirs[at] == pytest.approx(numeric(model, inputs, other, at), rel=3e-2, abs=2e-5)


@pytest.mark.parametrize(
    ("make", "task", "wanted"),
    [
        (segmenter, "", ["0", "1@3,4", "2@2,2,20,20"]),
        (centernet, "detection", ["0@2,2,9,9", "1@12,12,20,20"]),
        (lambda keras: vector(keras, 3), "regression", ["0", "value:2"]),
        (lambda keras: vector(keras, 5, "sigmoid"), "", ["0", "3 vs 1"]),
        (lambda keras: vector(keras, 8, normalized=True), "", ["like:other"]),
    ],
)
def test_occlusion_equals_painting_and_asking_at_all_positions(
    make: Any, task: str, wanted: list[str], keras: Any
) -> None:
    model = load_model(make(keras), task=task)
    inputs, targets = targets_of(model, wanted=wanted)
    fill = np.random.default_rng(5).random(model.input_shape, np.float32)
    boxes = [(x, y, x + 5, y + 4) for y in range(0, 20, 3) for x in range(0, 19, 3)]
    expected = model.values(covered(inputs[0], fill, boxes), targets)
    incremental = model._graph.incremental()  # type: ignore[attr-defined]
    parts = list(incremental.run(inputs[0], fill, boxes, incremental.plan(boxes, 10**8)))
    members = np.concatenate([some for some, _ in parts])
    outputs = np.concatenate([part for _, part in parts]).reshape(-1, *model.spec.shape)
    found = np.empty_like(expected)
    found[members] = np.stack([target.value(outputs) for target in targets], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    checked = model._occluder  # type: ignore[attr-defined]
    assert checked.engine, checked.reason
    lazily = model.occlude(inputs[0], fill, boxes)
    for some, part in lazily.parts:
        for index, target in enumerate(targets):
            np.testing.assert_allclose(target.value(part), expected[some, index], atol=1e-5)


def test_targets_share_one_set_of_masked_images(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, counted = load_model(segmenter(keras)), list[int]()
    predict = model.batch_probabilities

    def counting(inputs: Any) -> Any:
        counted.append(len(inputs))
        return predict(inputs)

    monkeypatch.setattr(model, "batch_probabilities", counting)
    explain(model, noise_image(), "RISE", targets=["0", "1"], Masks=60)
    few = sum(counted)
    counted.clear()
    explain(model, noise_image(), "RISE", targets=["0", "1", "2", "3", "@4,4", "@8,8", "@9,2"], Masks=60)
    assert sum(counted) == few == 61


def test_tasks_are_parsed() -> None:
    assert parse_task("") is None
    assert [parse_task(text) for text in ("Multi label", "multilabel", "multi-label")] == ["multi-label"] * 3
    assert parse_task("detection yolo") == "detection"
    assert [parse_decoder(text) for text in ("multi label", "detection", "Detection yolo", "detection-yolo")] == [
        *("", "", "yolo", "yolo")
    ]
    with pytest.raises(
        ConfigurationError, match=r"no task 'segmantation'; task is one of .* Did you mean 'segmentation'"
    ):
        parse_task("segmantation")


def test_what_a_task_cannot_be_is_said(keras: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must return numbers of shape \(N, M\), but returns \(N, 24, 24, 4\)"):
        load_model(segmenter(keras), task="regression")
    with pytest.raises(ModelError, match="not those of a detector"):
        load_model(segmenter(keras), task="detection")
    with pytest.raises(ConfigurationError, match="no decoder 'rcnn' of detections"):
        load_model(centernet(keras), task="detection rcnn")


def test_small_numbers_have_maps(keras: Any) -> None:
    image = keras.Input((SIDE, SIDE, 1))
    network = keras.Model(image, keras.layers.Dense(1)(keras.layers.Flatten()(image)))
    weights, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([np.abs(weights) * 1e-9, bias])
    model = load_model(network, task="regression")
    for name in ("PartialOcclusion", "SaliencyMaps", "IntegratedGradients"):
        (result,) = explain(model, noise_image(), name)
        assert not [panel for panel in result.panels if panel.target and panel.flat]


def test_the_form_of_the_image_tells_where_the_channels_are(keras: Any) -> None:
    image = keras.Input((20, 40, 3))
    network = keras.Model(image, keras.layers.Permute((3, 1, 2))(keras.layers.Conv2D(10, 1)(image)))
    assert load_model(network).spec.shape == (20, 40, 10)


def test_independent_classes_of_pixels_are_said(keras: Any) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    model = load_model(keras.Model(image, keras.layers.Conv2D(3, 1, activation="sigmoid")(image)))
    assert "independent (a sigmoid for each)" in model.spec.note
    assert model.spec.note.split(". ")[-1] in " ".join(model.notes)


def test_class_activation_maps_are_not_of_the_scores(keras: Any) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    features = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="features")(image)
    model = load_model(keras.Model(image, keras.layers.Conv2D(4, 1, name="scores")(features)), task="segmentation")
    assert [layer.name for layer in model.layers() if layer.default] == ["features"]
