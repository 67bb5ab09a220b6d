"""TFLite files as TensorFlow graphs: the numbers of LiteRT, with gradients, feature maps and incremental occlusion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.models.loading import load_model
from picasso.models.tf.runtime import keras, tf
from picasso.models.tf.tflite.names import layer_names
from picasso.models.tflite import scores_apart
from picasso.targets import Detection
from tests.models.tflite_files import answers, of_function, of_keras

SIDE, CLASSES = 24, 5
RANDOM = np.random.default_rng(6)
IMAGES = RANDOM.random((4, SIDE, SIDE, 3), np.float32)
EVERYTHING = {Capability.PREDICTIONS, Capability.GRADIENTS, Capability.FEATURE_MAPS}


def network(classes: int = CLASSES) -> Any:
    """Return a residual network with a strided, a depthwise and a dilated convolution and a squeeze-and-excitation."""
    keras.utils.set_random_seed(8)
    layers = keras.layers
    images = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(16, 3, 2, "same", use_bias=False, name="stem")(images)
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", activation="hard_swish", name="thin")(x)
    y = layers.Conv2D(16, 3, padding="same", dilation_rate=2, name="wide")(y)
    gate = layers.Dense(4, "relu", name="squeeze")(layers.GlobalAveragePooling2D(name="pool", keepdims=True)(y))
    y = layers.Multiply(name="scaled")([y, layers.Dense(16, "sigmoid", name="excite")(gate)])
    x = layers.Add(name="added")([x, y])
    x = layers.Conv2D(16, 2, 2, activation="relu", name="last")(layers.MaxPooling2D(2, name="largest")(x))
    answer = layers.Dense(classes, "softmax", name="classes")(layers.GlobalAveragePooling2D(name="mean")(x))
    made = keras.Model(images, answer)
    for layer in made.layers:
        layer.set_weights([one + RANDOM.normal(0, 0.2, one.shape) for one in layer.get_weights()])
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([np.abs(one) + 0.1 for one in layer.get_weights()])
    return made


@pytest.fixture(scope="module")
def original() -> Any:
    return network()


Loaded = Callable[[str], tuple[Model, Path]]


@pytest.fixture(scope="module")
def loaded(original: Any, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    found: dict[str, tuple[Model, Path]] = {}

    def load(kind: str) -> tuple[Model, Path]:
        if kind not in found:
            file = of_keras(original, tmp_path_factory.mktemp(kind) / f"{kind}.tflite", kind, IMAGES)
            found[kind] = load_model(file, preprocess="0..1"), file
        return found[kind]

    return load


@pytest.mark.parametrize(
    ("kind", "tolerance", "note"),
    [
        ("float", 1e-5, ""),
        ("half", 1e-5, ""),
        ("dynamic", 2e-2, "The weights of the model are quantized."),
        ("int8", 1 / 256 + 1e-6, "The model is quantized."),
    ],
)
def test_predictions_are_those_of_litert(kind: str, tolerance: float, note: str, loaded: Loaded) -> None:
    model, file = loaded(kind)
    assert model.capabilities == EVERYTHING
    assert model.fixed_batch is None
    assert " ".join(model.notes).startswith(note)
    (expected,) = answers(file, IMAGES)
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=tolerance)
    assert model.card().logits == "input of the final softmax"


def test_gradients_and_feature_maps_are_those_of_keras(original: Any, loaded: Loaded) -> None:
    (model, _), before = loaded("float"), load_model(original)
    classes = np.arange(len(IMAGES))
    for compute, chosen in ((Model.input_gradients, classes), (Model.guided_gradients, classes[:, None])):
        expected, found = (compute(one, IMAGES, chosen) for one in (before, model))
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert [one.shape for one in model.layers()] == [one.shape for one in before.layers()]
    last, of_keras = (next(one.name for one in each.layers() if one.default) for each in (model, before))
    assert (last, of_keras) == ("last_1", "last")
    np.testing.assert_allclose(model.feature_maps(IMAGES, last), before.feature_maps(IMAGES, of_keras), atol=1e-5)


def test_gradients_of_quantized_models_are_similar(original: Any, loaded: Loaded) -> None:
    before, classes = load_model(original), np.arange(len(IMAGES))
    expected = before.input_gradients(IMAGES, classes).ravel()
    for kind, least in (("half", 0.999), ("dynamic", 0.95), ("int8", 0.9)):
        found = loaded(kind)[0].input_gradients(IMAGES, classes).ravel()
        assert found @ expected / np.linalg.norm(found) / np.linalg.norm(expected) > least


def test_occlusion_is_incremental(original: Any, loaded: Loaded) -> None:
    (model, _), before = loaded("float"), load_model(original)
    boxes = [(x, y, x + 5, y + 7) for y in range(SIDE - 6) for x in range(SIDE - 4)]
    found, expected = np.zeros((2, len(boxes), CLASSES), np.float32)
    occlusion = model.occlude(IMAGES[0], IMAGES[1], boxes)
    for values, parts in ((found, occlusion.parts), (expected, before.occlude(IMAGES[0], IMAGES[1], boxes).parts)):
        for indices, part in parts:
            values[indices] = part
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-3
    model._graph.incremental()  # type: ignore[attr-defined]  # The structure is supported.


def test_operations_without_a_translation_leave_the_predictions_to_litert(tmp_path: Path) -> None:
    scores = tf.constant(RANDOM.normal(size=(3, CLASSES)), tf.float32)

    def squares(x: Any) -> Any:
        return tf.reduce_sum(tf.linalg.diag(tf.nn.softmax(tf.matmul(tf.reduce_mean(x, [1, 2]), scores))), -1)

    file = of_function(squares, (SIDE, SIDE, 3), tmp_path / "m.tflite")
    model = load_model(file, output_kind="probabilities")
    assert model.capabilities == {Capability.PREDICTIONS}
    (note,) = (one for one in model.notes if "only predictions" in one)
    assert "MATRIX_DIAG of the tensor 'diag'" in note
    np.testing.assert_allclose(model.predict(IMAGES), answers(file, IMAGES)[0], atol=1e-6)
    with pytest.raises(ModelError, match="can't be differentiated"):
        model.input_gradients(IMAGES, np.zeros(4, np.int64))


@pytest.mark.parametrize("kind", ["float", "int8", "dynamic"])
def test_files_whose_answers_depend_on_the_batch_keep_their_batch(kind: str, tmp_path: Path) -> None:
    """Normalized by the extremes of all images, which are those of one in a batch of one."""
    images = keras.Input((SIDE, SIDE, 3))
    maps = keras.layers.Conv2D(8, 3, activation="relu")(images)
    maps = maps / (keras.ops.max(maps, axis=(0, 1, 2, 3), keepdims=True) + 1e-3)
    read = keras.layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(images, keras.layers.Dense(4, activation="softmax")(read))
    file = of_keras(network, tmp_path / "normal.tflite", kind, IMAGES)
    model = load_model(file, preprocess="0..1")
    assert model.fixed_batch == 1
    dimmed = np.concatenate([IMAGES, IMAGES * np.float32(0.2)])
    alone = np.concatenate([answers(file, one[None])[0] for one in dimmed])
    np.testing.assert_allclose(model.predict(dimmed), alone, rtol=0, atol=0.01)


def test_wrong_translations_are_not_used(monkeypatch: pytest.MonkeyPatch, loaded: Loaded) -> None:
    from picasso.models.tf.tflite import table

    monkeypatch.setitem(table.OPERATIONS, "HARD_SWISH", lambda node, x: tf.nn.relu(x))
    _, file = loaded("float")
    model = load_model(file)
    assert model.capabilities == {Capability.PREDICTIONS}
    assert any("the results of its translation differ from those of LiteRT by" in note for note in model.notes)


def test_flat_outputs_of_quantized_models_hide_no_wrong_translation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from picasso.models.tf.tflite import table

    model = network(1000)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / 10, 0 * bias])
    file = of_keras(model, tmp_path / "m.tflite", "int8", IMAGES)
    # Numbers with 8 bits are too coarse for probabilities of 1/1000.
    assert np.ptp(answers(file, IMAGES)[0]) <= 2 / 256
    assert Capability.GRADIENTS in load_model(file, preprocess="0..1", output_kind="probabilities").capabilities
    monkeypatch.setitem(table.OPERATIONS, "HARD_SWISH", lambda node, x: tf.nn.relu(x))
    wrong = load_model(file, preprocess="0..1", output_kind="probabilities")
    assert wrong.capabilities == {Capability.PREDICTIONS}
    assert any("the scores of its translation differ from those of LiteRT by" in note for note in wrong.notes)
    np.testing.assert_array_equal(wrong.predict(IMAGES), answers(file, IMAGES)[0])


def test_scores_of_quantized_models_may_differ_as_by_rounding() -> None:
    expected = np.array([[4.0, -1, 0], [1, 2, 0]])
    assert scores_apart(expected + 0.1, expected, 0.0) == ""
    assert scores_apart(expected + 0.3, expected, 0.0) == ""
    assert "by 0.15 of the largest" in scores_apart(expected + 0.6, expected, 0.0)
    assert scores_apart(expected + 0.6, expected, 0.2) == ""
    constant = np.broadcast_to(expected.mean(0), expected.shape)
    assert scores_apart(constant, expected, 0.0)
    # Between the test images, these scores differ less than 0.1 of the largest, and more than rounding explains.
    expected = np.array([[4.0, -1, 0], [4, -1, 0.3]])
    assert "by 0.037" in scores_apart(expected[:1] + [[0, 0, 0.15]] * 2, expected, 0.0)
    assert "not finite" in scores_apart(expected * np.nan, expected, 0.0)


def test_detectors_give_all_outputs(tmp_path: Path) -> None:
    filters = [tf.constant(RANDOM.normal(size=(3, 3, 3, count)), tf.float32) for count in (CLASSES, 2, 2)]

    def centernet(x: Any) -> Any:
        maps, *others = (tf.nn.conv2d(x, one, 4, "SAME") for one in filters)
        return tf.sigmoid(maps), *others

    file = of_function(centernet, (SIDE, SIDE, 3), tmp_path / "m.tflite")
    model = load_model(file, task="detection")
    assert isinstance(model.spec, Detection)
    assert Capability.GRADIENTS in model.capabilities
    flat = np.concatenate([one.reshape(len(IMAGES), -1) for one in answers(file, IMAGES)], 1)
    np.testing.assert_allclose(model.predict(IMAGES).reshape(flat.shape), flat, atol=1e-5)


def test_the_names_of_layers() -> None:
    fused = "net/block_1/expand/Relu6;net/block_1/bn/FusedBatchNormV3;net/block_1/expand/Conv2D"
    assert layer_names([fused, "net/block_1/add/add", "net/pool/Mean", "StatefulPartitionedCall:0"]) == [
        "block_1.expand", "block_1.add", "pool", "StatefulPartitionedCall.0",
    ]  # fmt: skip
    assert layer_names(["a/relu/Relu", "a/conv/Conv2D", "a/relu/Relu_1"]) == ["relu", "conv", "relu_1"]
    assert layer_names(["", "x"]) == ["x", "x"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small"])
def test_published_networks(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(2)
    model = getattr(keras.applications, name)(input_shape=(64, 64, 3), weights=None, classes=10)
    before = load_model(model)
    images = np.random.default_rng(1).random((3, 64, 64, 3), np.float32) * (1 if name == "MobileNetV2" else 255)
    found = load_model(of_keras(model, tmp_path / "m.tflite"))
    np.testing.assert_allclose(found.predict(images), answers(tmp_path / "m.tflite", images)[0], atol=1e-5)
    expected = before.input_gradients(images, np.arange(3))
    np.testing.assert_allclose(
        found.input_gradients(images, np.arange(3)), expected, atol=1e-4 * np.abs(expected).max()
    )
    assert [one.shape for one in found.layers()] == [one.shape for one in before.layers()]
