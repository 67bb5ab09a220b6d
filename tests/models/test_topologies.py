"""Every way in which people build a classifier in Keras: the same answers, logits and gradients as the framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.errors import ModelError
from picasso.models import load_model
from tests.conftest import noise_image

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (12, 16, 3)
CLASSES = 4
IMAGES = np.random.default_rng(2).random((3, *SHAPE), np.float32)
SOFTMAX = "input of the final softmax"
SIGMOID = "input of the final sigmoid"
GUESSED = "log of the probabilities"


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from picasso.models.tf.runtime import keras

    keras.utils.set_random_seed(5)
    yield keras
    keras.backend.clear_session()


def body(keras: Any, tensor: Any) -> Any:
    layers = keras.layers
    tensor = layers.MaxPooling2D()(layers.Conv2D(6, 3, activation="relu")(tensor))
    tensor = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", name="deep")(tensor)))
    return layers.GlobalAveragePooling2D()(layers.Dropout(0.3)(tensor))


def functional(keras: Any, head: Callable[[Any], Any], shape: tuple[int | None, ...] = SHAPE) -> Any:
    inputs = keras.Input(shape)
    return keras.Model(inputs, head(body(keras, inputs)))


def backbone(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    tensor = layers.Conv2D(8, 3, strides=2, name="last")(layers.Conv2D(6, 3, activation="relu", name="first")(inputs))
    return keras.Model(inputs, layers.ReLU(name="out")(tensor), name="backbone")


def transfer(keras: Any) -> Any:
    layers = keras.layers
    head = [layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(CLASSES, activation="softmax")]
    return keras.Sequential([keras.Input(SHAPE), backbone(keras), *head])


def nested_twice(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([backbone(keras), layers.Conv2D(5, 2, name="deep")], name="inner")
    head = keras.Sequential([layers.Dense(7, activation="relu"), layers.Dense(CLASSES, activation="softmax")])
    return keras.Sequential([keras.Input(SHAPE), inner, layers.GlobalAveragePooling2D(), head])


def residual(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    start = layers.Conv2D(6, 3, padding="same")(inputs)
    branch = layers.Conv2D(6, 3, padding="same", activation="relu")(start)
    joined = layers.Activation("relu", name="block_out")(layers.Add()([branch, start]))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(joined)))


def convolutional_head(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    tensor = layers.Conv2D(CLASSES, 1, name="classes")(layers.Conv2D(6, 3, activation="relu")(inputs))
    return keras.Model(inputs, layers.Softmax()(layers.GlobalAveragePooling2D()(tensor)))


ZOO: dict[str, tuple[Callable[[Any], Any], str]] = {
    "dense with softmax": (lambda k: functional(k, k.layers.Dense(CLASSES, activation="softmax")), SOFTMAX),
    "activation layer": (
        lambda k: functional(k, lambda x: k.layers.Activation("softmax")(k.layers.Dense(4)(x))),
        SOFTMAX,
    ),
    "softmax layer": (lambda k: functional(k, lambda x: k.layers.Softmax()(k.layers.Dense(CLASSES)(x))), SOFTMAX),
    "softmax operation": (lambda k: functional(k, lambda x: k.ops.softmax(k.layers.Dense(CLASSES)(x))), SOFTMAX),
    "reshape behind it": (
        lambda k: functional(k, lambda x: k.layers.Reshape((4,))(k.layers.Dense(4, activation="softmax")(x))),
        SOFTMAX,
    ),
    "several sigmoids": (lambda k: functional(k, k.layers.Dense(CLASSES, activation="sigmoid")), SIGMOID),
    "transfer learning": (transfer, SOFTMAX),
    "nested twice": (nested_twice, SOFTMAX),
    "residual": (residual, SOFTMAX),
    "convolutional head": (convolutional_head, SOFTMAX),
    "one output in a list": (lambda k: functional(k, lambda x: [k.layers.Dense(4, activation="softmax")(x)]), SOFTMAX),
}


def log_odds_gradients(function: Callable[[Any], Any], sigmoid: bool) -> Any:
    """Return the gradients of logit 0 - logit 1, from the probabilities alone."""
    from picasso.models.tf.runtime import tf

    with tf.GradientTape() as tape:
        inputs = tf.constant(IMAGES)
        tape.watch(inputs)
        answer = function(inputs)
        answer = answer[0] if isinstance(answer, list) else answer
        logits = tf.math.log(answer / (1 - answer)) if sigmoid else tf.math.log(answer)
        difference = logits[:, 0] - logits[:, 1]
    return tape.gradient(difference, inputs).numpy()


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo(name: str, keras: Any, tmp_path: Path) -> None:
    build, found = ZOO[name]
    original = build(keras)
    original.save(tmp_path / "model.keras")
    weights = [weight.copy() for weight in original.get_weights()]
    model = load_model(tmp_path / "model.keras", preprocess="0..1")
    answer = original(IMAGES)
    expected = np.asarray(answer[0] if isinstance(answer, list) else answer)
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-6)
    assert model.logits_found == found
    logits = model.logits(IMAGES).astype(np.float64)
    exponentials = np.exp(logits)
    again = 1 / (1 + 1 / exponentials) if found == SIGMOID else exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(again, expected, atol=1e-6)
    ours = model.input_gradients(IMAGES, [0] * 3) - model.input_gradients(IMAGES, [1] * 3)
    gradients = log_odds_gradients(original, found == SIGMOID)
    np.testing.assert_allclose(ours, gradients, atol=1e-5 * np.abs(gradients).max() + 1e-7)
    for layer in model.layers():
        maps = model.feature_maps(IMAGES, layer.name)
        assert maps.shape == (3, *layer.shape)
        assert np.isfinite(model.feature_gradients(IMAGES, [0, 1, 2], layer.name)).all()
    for one, other in zip(original.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert explain(model, noise_image(), "SaliencyMaps")[0].panels


def test_layers_have_the_names_that_their_author_gave_them(keras: Any, tmp_path: Path) -> None:
    names = {}
    for build in (transfer, nested_twice, residual, convolutional_head):
        build(keras).save(tmp_path / "model.keras")
        names[build.__name__] = [layer.name for layer in load_model(tmp_path / "model.keras").layers()]
    assert names["transfer"] == ["first", "out"]
    assert names["nested_twice"] == ["first", "out", "deep"]
    assert names["residual"][-1] == "block_out"
    assert names["convolutional_head"][-1] == "classes"
    assert load_model(tmp_path / "model.keras").layer("classes") == "classes"


def test_two_layers_of_one_name_keep_the_names_around_them(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((10, 14, 6)), layers.Conv2D(5, 3, name="same")], name="inner")
    pieces = [layers.Conv2D(6, 3, name="same"), inner, layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)]
    keras.Sequential([keras.Input(SHAPE), *pieces], name="outer").save(tmp_path / "model.keras")
    names = [layer.name for layer in load_model(tmp_path / "model.keras").layers()]
    assert len(names) == 2
    assert names[0] == "same"
    assert names[1].endswith("inner/same")


@pytest.mark.parametrize(("output", "position"), [("cls", 0), (None, None)])
def test_several_outputs_need_a_choice(output: str | None, position: int | None, keras: Any, tmp_path: Path) -> None:
    layers = keras.layers

    def heads(tensor: Any) -> tuple[Any, Any]:
        return layers.Dense(CLASSES, activation="softmax", name="cls")(tensor), layers.Dense(5, name="box")(tensor)

    by_name = functional(keras, lambda x: dict(zip(("cls", "box"), heads(x), strict=True)))
    in_a_list = functional(keras, lambda x: list(heads(x)))
    for original, choice in ((by_name, output), (in_a_list, position)):
        original.save(tmp_path / "model.keras")
        if choice is None:
            with pytest.raises(ModelError, match=r"has 2 outputs: cls \(None, 4\), box \(None, 5\). Specify the one"):
                load_model(tmp_path / "model.keras")
            continue
        model = load_model(tmp_path / "model.keras", output=choice)
        np.testing.assert_allclose(model.predict(IMAGES), original(IMAGES)[choice], atol=1e-6)


def test_a_fixed_batch_size(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    inputs = keras.Input(batch_shape=(2, *SHAPE))
    features = keras.ops.reshape(layers.Conv2D(4, 3)(inputs), (2, -1))
    original = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(features))
    original.save(tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras", preprocess="0..1")
    assert model.fixed_batch == model.batch_size == 2
    filled = np.concatenate([IMAGES, np.zeros((1, *SHAPE), np.float32)])
    expected = np.concatenate([original(filled[:2]), original(filled[2:])])[:3]
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-6)
    assert model.input_gradients(IMAGES, [0, 1, 2]).shape == (3, *SHAPE)
    (result,) = explain(model, noise_image(), Window=0.3, Strides=5)
    assert result.panels[1].array.shape == (5, 5)


def test_other_channel_counts_and_grey(keras: Any, tmp_path: Path) -> None:
    for channels in (1, 4):
        head = keras.layers.Dense(CLASSES, activation="softmax")
        functional(keras, head, (12, 16, channels)).save(tmp_path / f"{channels}.keras")
    assert explain(load_model(tmp_path / "1.keras"), noise_image(), "SaliencyMaps")[0].panels
    with pytest.raises(ModelError, match=r"takes 4 channels; override view\(\) and encode\(\)"):
        load_model(tmp_path / "4.keras")


def test_an_input_of_any_size_needs_a_size(keras: Any, tmp_path: Path) -> None:
    original = functional(keras, keras.layers.Dense(CLASSES, activation="softmax"), (None, None, 3))
    original.save(tmp_path / "model.keras")
    with pytest.raises(
        ModelError, match=r"Specify height, width and channels: input_shape=\[224, 224, 3\] for load_model\(\)"
    ):
        load_model(tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras", input_shape=SHAPE)
    np.testing.assert_allclose(model.predict(IMAGES), original(IMAGES), atol=1e-6)


def test_subclassed_models(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.features, self.pool = layers.Conv2D(6, 3, activation="relu"), layers.GlobalAveragePooling2D()
            self.scores = layers.Dense(CLASSES)

        def call(self, images: Any, training: bool = False) -> Any:
            return keras.ops.softmax(self.scores(self.pool(self.features(images))))

    original = Own()
    expected = np.asarray(original(IMAGES))
    original.save(tmp_path / "own.keras")
    with pytest.raises(ModelError, match="own.keras uses .*Own, a class or function that is not part of Keras"):
        load_model(tmp_path / "own.keras")
    for shape in (None, SHAPE):
        model = load_model(tmp_path / "own.keras", custom_objects={"Own": Own}, input_shape=shape)
        np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-6)
        assert model.logits_found == SOFTMAX
        assert [layer.shape for layer in model.layers()] == [(10, 14, 6)]


def test_a_sequential_model_that_was_never_built(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    unbuilt = keras.Sequential([layers.Flatten(), layers.Dense(CLASSES, activation="softmax")])
    unbuilt.save(tmp_path / "unbuilt.keras")
    with pytest.raises(ModelError, match="height, width and channels: input_shape="):
        load_model(tmp_path / "unbuilt.keras")
    built = keras.Sequential([layers.Flatten(), layers.Dense(CLASSES, activation="softmax")])
    built(IMAGES)
    built.save(tmp_path / "built.keras")
    model = load_model(tmp_path / "built.keras", input_shape=SHAPE)
    np.testing.assert_allclose(model.predict(IMAGES), built(IMAGES), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "field"),
    # The figures of Araujo, Norris & Sim (Distill, 2019) for the last feature maps.
    [("VGG16", "block5_conv3", 196), ("ResNet50", "conv5_block3_out", 483), ("MobileNetV2", "out_relu", 491)],
)
def test_default_layers_and_receptive_fields_of_known_networks(name: str, layer: str, field: int, keras: Any) -> None:
    from picasso.models.keras import KerasModel

    model = KerasModel()
    model.model = getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3), classes=5)
    model.use(Path(__file__))
    (default,) = [one for one in model.layers() if one.default]
    assert (default.name, default.receptive_field) == (layer, (field, field))


@pytest.mark.parametrize("activation", ["silu", "gelu", "celu", "mish", "hard_silu", "squareplus", "softsign", "relu6"])
def test_an_activation_belongs_to_its_layer(activation: str, keras: Any, tmp_path: Path) -> None:
    """However many operations it is made of: x * sigmoid(x) is one layer, behind its last operation."""
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    tensor = layers.BatchNormalization(name="bn")(layers.Conv2D(6, 3, use_bias=False)(inputs))
    tensor = layers.Activation(activation, name="active")(tensor)
    tensor = layers.Add(name="joined")([tensor, layers.Conv2D(6, 1, name="branch", activation=activation)(tensor)])
    head = layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(tensor))
    original = keras.Model(inputs, head)
    original.save(tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras")
    assert [layer.name for layer in model.layers()] == ["active", "branch", "joined"]
    # Behind the convolution, the factor and the offset of the normalization; constants of activations are scalars.
    assert model.layers()[0].parameters == 3 * 3 * SHAPE[2] * 6 + 2 * 6
    images = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    expected = keras.Model(inputs, original.get_layer("active").output).predict(images, verbose=0)
    np.testing.assert_allclose(model.feature_maps(images, "active"), expected, atol=1e-6)


def test_parameters_and_receptive_fields_of_a_small_network(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    inputs = keras.Input((40, 60, 3))
    tensor = layers.Conv2D(6, (3, 5), strides=(1, 2), name="wide")(inputs)
    tensor = layers.ReLU(name="gaps_out")(layers.BatchNormalization()(layers.Conv2D(8, 3, dilation_rate=2)(tensor)))
    tensor = layers.Conv2D(4, 1, name="late")(layers.AveragePooling2D(2)(tensor))
    squeezed = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(tensor))
    tensor = layers.Conv2D(4, 3, name="gated")(layers.Multiply()([tensor, layers.Reshape((1, 1, 4))(squeezed)]))
    head = layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(tensor))
    keras.Model(inputs, head).save(tmp_path / "model.keras")
    found = {layer.name: layer for layer in load_model(tmp_path / "model.keras").layers()}
    assert (found["wide"].receptive_field, found["wide"].parameters) == ((3, 5), 3 * 5 * 3 * 6 + 6)
    # A dilated window of 3 spans 5 values: 4 further ones, at steps of 1 and 2 pixels.
    assert found["gaps_out"].receptive_field == (7, 13)
    assert found["gaps_out"].parameters == 3 * 3 * 6 * 8 + 8 + 2 * 8
    assert found["late"].receptive_field == (8, 15)
    # Behind squeeze-and-excite, each value depends on the whole image.
    assert found["gated"].receptive_field is None
