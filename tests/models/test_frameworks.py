"""Keras models and TensorFlow 1 checkpoints: known answers, and the framework's own as the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.errors import ConfigurationError, ModelError
from picasso.evaluation import model_check
from picasso.models import load_model
from picasso.models.base import Model
from picasso.visualizations.partial_occlusion import spans
from tests.conftest import noise_image

pytestmark = pytest.mark.filterwarnings("ignore")

HEIGHT, WIDTH, CHANNELS, CLASSES = 12, 16, 3, 4
PROBE = np.random.default_rng(1).random((5, HEIGHT, WIDTH, CHANNELS), np.float32)


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from picasso.models.tf.runtime import keras

    keras.utils.set_random_seed(5)
    yield keras
    keras.backend.clear_session()


def convolutional(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((HEIGHT, WIDTH, CHANNELS)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, activation="tanh"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def linear(keras: Any) -> Any:
    layers = keras.layers
    head = [layers.Flatten(), layers.Dense(CLASSES, activation="softmax")]
    return keras.Sequential([keras.Input((HEIGHT, WIDTH, CHANNELS)), *head])


def separate_softmax(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    backbone = keras.Sequential([layers.Conv2D(5, 3, padding="same"), layers.ReLU()])
    scores = layers.Dense(CLASSES)(layers.GlobalMaxPooling2D()(backbone(inputs)))
    return keras.Model(inputs, layers.Softmax()(scores))


def without_softmax(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(layers.Conv2D(2, 3)(inputs))))


def one_sigmoid(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(layers.Conv2D(2, 3)(inputs))))


def hand_written(keras: Any) -> Any:
    """A normalization that is no softmax operation: only the probabilities can be seen."""
    layers = keras.layers
    inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    raw = layers.Dense(CLASSES, activation="exponential")(layers.Flatten()(layers.Conv2D(2, 3)(inputs)))
    total = keras.ops.sum(raw, axis=-1, keepdims=True)
    return keras.Model(inputs, keras.ops.divide(raw, total))


Build = Callable[[Any], Any]


def load(keras: Any, build: Build, folder: Path, suffix: str = ".keras") -> tuple[Any, Model]:
    original = build(keras)
    file = folder / f"model{suffix}"
    original.save(file)
    return original, load_model(file)


@pytest.mark.parametrize("build", [convolutional, linear, separate_softmax])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_answers_are_those_of_the_framework(keras: Any, build: Build, suffix: str, tmp_path: Path) -> None:
    from picasso.models.tf.runtime import tf

    original, model = load(keras, build, tmp_path, suffix)
    assert (model.input_shape, model.num_classes) == ((HEIGHT, WIDTH, CHANNELS), CLASSES)
    assert model.logits_found == "input of the final softmax"
    assert model.notes == ()
    assert model.checkpoint == f"model{suffix}"
    np.testing.assert_allclose(model.predict(PROBE), original(PROBE), atol=1e-6)
    logits = model.logits(PROBE)
    np.testing.assert_allclose(tf.nn.softmax(logits), original(PROBE), atol=1e-6)
    # The judge of gradients: the logit is log p up to a sum that is the same for all classes.
    classes = np.array([0, 1, 2, 3, 0])
    with tf.GradientTape() as tape:
        inputs = tf.constant(PROBE)
        tape.watch(inputs)
        log_odds = tf.gather(tf.math.log(original(inputs)), classes, batch_dims=1) - tf.math.log(original(inputs))[:, 3]
    expected = tape.gradient(log_odds, inputs).numpy()
    ours = model.input_gradients(PROBE, classes) - model.input_gradients(PROBE, [3] * 5)
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max() + 1e-7)
    several = model.input_gradients(PROBE, np.stack([classes, [3] * 5], axis=1))
    np.testing.assert_allclose(several[:, 0] - several[:, 1], expected, atol=1e-5 * np.abs(expected).max() + 1e-7)


def test_the_saliency_of_a_linear_model_is_its_weights(keras: Any, tmp_path: Path) -> None:
    original, model = load(keras, linear, tmp_path)
    weights = original.layers[-1].get_weights()[0].reshape(HEIGHT, WIDTH, CHANNELS, CLASSES)
    (result,) = explain(model, noise_image(2, (WIDTH, HEIGHT)), "SaliencyMaps")
    assert len(result.panels) == CLASSES
    for panel in result.panels:
        np.testing.assert_allclose(panel.array, np.abs(weights[..., panel.class_index]).max(axis=-1), atol=1e-6)


def test_occlusion_lights_up_exactly_where_the_model_reads(keras: Any, tmp_path: Path) -> None:
    top, left, bottom, right = 3, 9, 6, 13

    def one_patch(keras: Any) -> Any:
        model = linear(keras)
        weights = np.zeros((HEIGHT, WIDTH, CHANNELS, CLASSES), np.float32)
        weights[top:bottom, left:right] = np.linspace(-0.05, 0.05, CLASSES, dtype=np.float32)
        model.layers[-1].set_weights([weights.reshape(-1, CLASSES), np.zeros(CLASSES, np.float32)])
        return model

    _, model = load(keras, one_patch, tmp_path)
    settings: dict[str, Any] = {"Window": 0.1, "Strides": 20, "Occlusion": "black", "Show": "probability"}
    (result,) = explain(model, noise_image(3, (WIDTH, HEIGHT)), **settings)
    rows = np.array([start < bottom and stop > top for start, stop in spans(HEIGHT, 0.1, 20)])
    columns = np.array([start < right and stop > left for start, stop in spans(WIDTH, 0.1, 20)])
    for panel in result.panels[1:]:
        assert panel.probability is not None
        np.testing.assert_array_equal(np.abs(panel.array - panel.probability) > 1e-5, rows[:, None] & columns)


def test_a_model_without_softmax_gets_one(keras: Any, tmp_path: Path) -> None:
    original, model = load(keras, without_softmax, tmp_path)
    assert model.logits_found == "the output, which has no softmax"
    np.testing.assert_allclose(model.logits(PROBE), original(PROBE), atol=1e-5)
    np.testing.assert_allclose(model.predict(PROBE).sum(axis=1), 1, atol=1e-6)


def test_one_sigmoid_unit_is_two_classes(keras: Any, tmp_path: Path) -> None:
    original, model = load(keras, one_sigmoid, tmp_path)
    assert model.num_classes == 2
    probability = np.asarray(original(PROBE))
    np.testing.assert_allclose(model.predict(PROBE), np.concatenate([1 - probability, probability], 1), atol=1e-6)
    yes, no = model.input_gradients(PROBE, [1] * 5), model.input_gradients(PROBE, [0] * 5)
    np.testing.assert_allclose(yes, -no, atol=1e-6)


def test_log_probabilities_stand_in_for_logits_with_a_note(keras: Any, tmp_path: Path) -> None:
    original, model = load(keras, hand_written, tmp_path)
    np.testing.assert_allclose(model.predict(PROBE), original(PROBE), atol=1e-6)
    np.testing.assert_allclose(model.logits(PROBE), np.log(np.asarray(original(PROBE))), atol=1e-5)
    assert "log probabilities are used instead of logits" in model.notes[0]
    assert model.notes[0] in model.card().notes


def test_feature_maps_and_their_gradients(keras: Any, tmp_path: Path) -> None:
    original, model = load(keras, convolutional, tmp_path)
    assert [layer.shape for layer in model.layers()][-1] == (3, 5, 8)
    assert [layer.default for layer in model.layers()].count(True) == 1
    maps = model.feature_maps(PROBE)
    expected = keras.Model(original.inputs, original.layers[3].output)(PROBE)
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    # Behind the last feature map the model is linear: pooling, then the dense weights.
    weights = original.layers[-1].get_weights()[0]
    gradients = model.feature_gradients(PROBE, [2] * 5)
    np.testing.assert_allclose(gradients, np.broadcast_to(weights[:, 2] / 15, gradients.shape), atol=1e-6)
    first = model.layers()[0].name
    assert model.feature_gradients(PROBE, [0] * 5, first).shape == model.feature_maps(PROBE, first).shape


def test_the_newest_model_in_a_folder_and_architecture_beside_weights(keras: Any, tmp_path: Path) -> None:
    import os

    from picasso.models.keras import KerasModel

    for index, name in enumerate(("old.keras", "new.keras")):
        linear(keras).save(tmp_path / name)
        os.utime(tmp_path / name, (1_000_000 + index, 1_000_000 + index))
    model = KerasModel()
    model.load(data_dir=str(tmp_path))
    assert model.checkpoint == "new.keras"
    assert model.checkpoint_time.startswith("1970-01-12")

    split = tmp_path / "split"
    split.mkdir()
    original = convolutional(keras)
    (split / "model.json").write_text(original.to_json())
    original.save_weights(split / "model.weights.h5")
    model.load(data_dir=str(split))
    np.testing.assert_allclose(model.predict(PROBE), original(PROBE), atol=1e-6)


def weights() -> tuple[Any, Any]:
    """The kernel and the dense weights of the checkpoint."""
    generator = np.random.default_rng(2)
    return generator.normal(size=(3, 3, 3, 4)).astype("float32"), generator.normal(size=(4, CLASSES)).astype("float32")


def checkpoint(folder: Path, shape: list[int | None] | None, keep: bool) -> Any:
    """Save a TensorFlow 1 graph and return the probabilities it gives for PROBE."""
    from picasso.models.tf.runtime import tf, tf1

    with tf.Graph().as_default(), tf1.Session() as session:
        inputs = tf1.placeholder(tf.float32, shape, "pictures")
        kernel, dense = (tf1.get_variable(f"w{index}", initializer=value) for index, value in enumerate(weights()))
        features = tf1.reduce_mean(tf1.nn.relu(tf1.nn.conv2d(inputs, kernel, 1, "VALID")), [1, 2])
        if keep:
            features *= tf1.placeholder(tf.float32, [], "keep_prob")
        probabilities = tf1.nn.softmax(tf1.matmul(features, dense), name="probabilities")
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, str(folder / "tiny.ckpt"), write_state=False)
        feeds = {"pictures:0": PROBE} | ({"keep_prob:0": 1.0} if keep else {})
        return session.run(probabilities, feeds)


NAMES: dict[str, Any] = {"tf_input_var": "pictures:0", "tf_predict_var": "probabilities:0"}


def test_a_tensorflow_1_checkpoint(keras: Any, tmp_path: Path) -> None:
    expected = checkpoint(tmp_path, [None, HEIGHT, WIDTH, CHANNELS], keep=False)
    for path in ("tiny.ckpt", "tiny.ckpt.index", "tiny.ckpt.meta"):
        model = load_model(tmp_path / path, **NAMES)
        assert model.checkpoint == "tiny.ckpt"
        np.testing.assert_allclose(model.predict(PROBE), expected, atol=1e-6)
    from picasso.models.tf.runtime import tf

    kernel, dense = weights()
    with tf.GradientTape() as tape:
        inputs = tf.constant(PROBE)
        tape.watch(inputs)
        logit = (tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(inputs, kernel, 1, "VALID")), [1, 2]) @ dense)[:, 1]
    np.testing.assert_allclose(model.input_gradients(PROBE, [1] * 5), tape.gradient(logit, inputs), atol=1e-6)


def test_placeholders_without_shape_or_with_constant_values(keras: Any, tmp_path: Path) -> None:
    expected = checkpoint(tmp_path, None, keep=True)
    with pytest.raises(
        ModelError,
        match=r"no known size\. Specify its height, width and channels: input_shape=\[224, 224, 3\] for load_model",
    ):
        load_model(tmp_path / "tiny.ckpt", **NAMES, constant_feeds={"keep_prob:0": 1.0})
    shape = (HEIGHT, WIDTH, CHANNELS)
    model = load_model(tmp_path / "tiny.ckpt", **NAMES, constant_feeds={"keep_prob:0": 1.0}, input_shape=shape)
    np.testing.assert_allclose(model.predict(PROBE), expected, atol=1e-6)


OWN_STYLE = """
from collections.abc import Sequence

import numpy as np

from picasso.models.tensorflow import TFModel


class Own(TFModel):
    def preprocess(self, raw_inputs):
        images = [image.convert("RGB").resize((16, 12)) for image in raw_inputs]
        return np.stack([np.asarray(image) for image in images]).reshape(-1, 12, 16, 3).astype("float32") / 255
"""


def test_a_checkpoint_in_the_style_of_the_original(keras: Any, tmp_path: Path) -> None:
    from picasso.models.tf.runtime import tf, tf1

    with tf.Graph().as_default(), tf1.Session() as session:
        given = tf1.placeholder(tf.float32, name="images")
        kernel, dense = (tf1.get_variable(f"w{index}", initializer=value) for index, value in enumerate(weights()))
        inputs = tf1.reshape(given, [-1, HEIGHT, WIDTH, CHANNELS])
        features = tf1.reduce_mean(tf1.nn.relu(tf1.nn.conv2d(inputs, kernel, 1, "VALID")), [1, 2])
        tf1.nn.softmax(tf1.matmul(features, dense), name="answer")
        session.run(tf1.global_variables_initializer())
        (tmp_path / "data").mkdir()
        tf1.train.Saver().save(session, str(tmp_path / "data" / "own.ckpt"))
        expected = session.run("answer:0", {given: PROBE})
    (tmp_path / "model.py").write_text(OWN_STYLE)
    arguments = {"data_dir": "data", "tf_input_var": "images:0", "tf_predict_var": "answer:0"}
    settings = f'MODEL_CLS_PATH = "model.py"\nMODEL_CLS_NAME = "Own"\nMODEL_LOAD_ARGS = {arguments}\n'
    (tmp_path / "config.py").write_text(settings)
    model = load_model(tmp_path / "config.py")
    assert model.input_shape == (HEIGHT, WIDTH, CHANNELS)
    np.testing.assert_allclose(model.predict(PROBE), expected, atol=1e-6)
    for name in ("ClassProbabilities", "PartialOcclusion", "SaliencyMaps"):
        (result,) = explain(model, noise_image(), name)
        assert np.isfinite([panel.array.max() for panel in result.panels]).all()
    # Without the class nobody knows the shape; the settings file is where the reader says it.
    (tmp_path / "plain.py").write_text(f'MODEL = "data/own.ckpt"\nMODEL_LOAD_ARGS = {arguments | {"data_dir": None}}\n')
    with pytest.raises(ModelError, match=r'channels: MODEL_LOAD_ARGS = {"input_shape": \[224, 224, 3\]}') as caught:
        load_model(tmp_path / "plain.py")
    assert caught.value.field == "input_shape"


@pytest.mark.parametrize(
    ("give", "shape"),
    [
        (lambda images: np.zeros((len(images), 5, 4, 1)), (5, 4, 1)),
        (lambda images: np.stack([np.asarray(image) for image in images]), None),
        (lambda images: np.zeros((len(images), 784)), None),
        (lambda images: 1 / 0, None),
    ],
)
def test_the_shape_that_preprocess_gives(give: Callable[[Any], Any], shape: Any) -> None:
    from tests.fakes import LinearModel

    model = LinearModel()
    assert model.shape_of_preprocess() is None
    model.preprocess = give  # type: ignore[method-assign, assignment]
    assert model.shape_of_preprocess() == shape


def test_wrong_tensor_names_list_likely_ones(keras: Any, tmp_path: Path) -> None:
    checkpoint(tmp_path, [None, HEIGHT, WIDTH, CHANNELS], keep=False)
    with pytest.raises(
        ModelError, match="tf_input_var = 'x:0' is not a tensor of this graph; likely ones are pictures:0"
    ):
        load_model(tmp_path / "tiny.ckpt", tf_input_var="x:0", tf_predict_var="probabilities:0")
    with pytest.raises(ModelError, match="tf_predict_var = 'x:0' .* likely ones are probabilities:0"):
        load_model(tmp_path / "tiny.ckpt", tf_input_var="pictures:0", tf_predict_var="x:0")
    (tmp_path / "tiny.ckpt.meta").unlink()
    with pytest.raises(ModelError, match=r"no tiny.ckpt.meta"):
        load_model(tmp_path / "tiny.ckpt", **NAMES)


def test_files_that_are_no_models(keras: Any, tmp_path: Path) -> None:
    from picasso.models.keras import KerasModel

    zoo = Path(__file__).parents[1] / "zoo"
    whole = (zoo / "keras2_zip.keras").read_bytes(), (zoo / "keras2_plain.h5").read_bytes()
    for name, body, message in [
        ("empty.keras", b"", "empty.keras is empty; copy the model again"),
        ("empty.h5", b"", "empty.h5 is empty; copy the model again"),
        ("hello.keras", b"hello", "it is neither a .keras nor an .h5 file"),
        ("hello.h5", b"hello", "it is neither a .keras nor an .h5 file"),
        ("cut.keras", whole[0][:-100], "cut.keras is truncated: .* copy it again"),
        ("cut.h5", whole[1][:-100], "cut.h5 was not loaded: it is truncated: it has"),
        ("other.h5", whole[0], "other.h5 contains a .keras file; rename it to other.keras"),
        ("other.keras", whole[1], "other.keras contains a .h5 file; rename it to other.h5"),
    ]:
        (tmp_path / name).write_bytes(body)
        with pytest.raises(ModelError, match=message) as caught:
            load_model(tmp_path / name)
        assert "\n" not in caught.value.message
    with pytest.raises(ModelError, match="There is no model file"):
        load_model(tmp_path / "missing.keras")
    (tmp_path / "image.gif").write_bytes(b"GIF")
    with pytest.raises(ModelError, match=r"^Picasso can't load "):
        load_model(tmp_path / "image.gif")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match=r"no Keras model in .*empty; expected a file like \*.keras"):
        KerasModel().load(data_dir=str(empty))
    with pytest.raises(ModelError, match="Pass a folder as data_dir or a file as path"):
        KerasModel().load()


def test_two_inputs_are_refused(keras: Any, tmp_path: Path) -> None:
    images = [keras.Input((4, 4, 3)) for _ in range(2)]
    merged = keras.layers.Flatten()(keras.layers.Add()(images))
    keras.Model(images, keras.layers.Dense(2)(merged)).save(tmp_path / "two.keras")
    with pytest.raises(ModelError, match=r"has 2 inputs \(.*\)\. Picasso supports only models with one image input"):
        load_model(tmp_path / "two.keras")


def test_settings_that_do_not_fit_the_class(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from picasso.models.tensorflow import TFModel\n\nclass Mine(TFModel):\n    pass\n"
    )
    (tmp_path / "config.yaml").write_text(
        "MODEL_CLS_PATH: mine.py\nMODEL_CLS_NAME: Mine\nMODEL_LOAD_ARGS: {wrong: 1}\n"
    )
    with pytest.raises(
        ConfigurationError,
        match=r"Mine\.load\(\) doesn't accept these arguments: .*unexpected keyword argument 'wrong'",
    ):
        load_model(tmp_path / "config.yaml")
    (tmp_path / "mine.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(ConfigurationError, match="can't be imported: ModuleNotFoundError"):
        load_model(tmp_path / "config.yaml")


def test_one_line_with_labels_and_preprocessing(keras: Any, tmp_path: Path) -> None:
    original = linear(keras)
    original.save(tmp_path / "mine.keras")
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    image = noise_image(4, (WIDTH, HEIGHT))
    model = load_model(tmp_path / "mine.keras", labels=tmp_path / "labels.txt", preprocess="-1..1 crop")
    (result,) = explain(model, image, "ClassProbabilities")
    expected = np.asarray(original(np.asarray(image, np.float32)[None] / 127.5 - 1))[0]
    assert {one["name"] for one in result.predictions} == {"ant", "bee", "cat", "dog"}
    np.testing.assert_allclose([one["prob"] for one in result.predictions], sorted(expected)[::-1], atol=1e-6)
    assert result.model.notes == ()
    assert result.model.preprocessing == "crop, values -1..1"

    settings = 'MODEL = "mine.keras"\nLABELS = "labels.txt"\nPREPROCESS = "-1..1 crop"\n'
    (tmp_path / "config.py").write_text(settings)
    assert load_model(tmp_path / "config.py").class_names() == ("ant", "bee", "cat", "dog")


def test_a_guessed_range_is_said_so(keras: Any, tmp_path: Path) -> None:
    _, model = load(keras, linear, tmp_path)
    assert model.card().preprocessing == "stretch, values 0..1 (a guess)"
    assert any("is a guess" in note for note in model.card().notes)


def test_rescaling_inside_the_model_is_seen_and_not_applied_twice(keras: Any, tmp_path: Path) -> None:
    def rescaling(keras: Any) -> Any:
        layers = keras.layers
        inner = keras.Sequential([layers.Rescaling(1 / 127.5, offset=-1), layers.Flatten()])
        head = layers.Dense(CLASSES, activation="softmax")
        return keras.Sequential([keras.Input((HEIGHT, WIDTH, CHANNELS)), inner, head])

    original, model = load(keras, rescaling, tmp_path)
    image = noise_image(4, (WIDTH, HEIGHT))
    np.testing.assert_array_equal(model.preprocess([image])[0], np.asarray(image, np.float32))
    assert model.card().notes == ()
    np.testing.assert_allclose(model.predict(model.preprocess([image])), original(np.asarray(image)[None]), atol=1e-6)
    twice = load_model(tmp_path / "model.keras", preprocess="0..1")
    assert "rescales its input itself" in twice.card().notes[0]


def test_a_preprocess_function_of_the_users_own(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linear(keras).save(tmp_path / "mine.keras")
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        f"def good(images):\n    return np.stack([np.asarray(i.resize(({WIDTH}, {HEIGHT}))) for i in images]) / 300\n"
        "def wrong(images):\n    return np.zeros((1, 2, 3))\n"
        "def fails(images):\n    raise KeyError('x')\n"
    )
    image = noise_image(4, (WIDTH, HEIGHT))
    expected = np.asarray(image, np.float32) / 300
    monkeypatch.syspath_prepend(str(tmp_path))
    ways: list[Any] = [f"{tmp_path / 'mine.py'}:good", "mine:good", lambda images: np.asarray(images[0])[None] / 300]
    for words in ways:
        model = load_model(tmp_path / "mine.keras", preprocess=words)
        np.testing.assert_allclose(model.preprocess([image])[0], expected, atol=1e-6)
        assert model.card().preprocessing == "your function"
        assert model.card().notes == ()
    for name, error, message in [
        ("wrong", ModelError, r"returned an array of shape \(1, 2, 3\), not \(1, 12, 16, 3\)"),
        ("fails", ModelError, "failed: KeyError: x"),
        ("none", ConfigurationError, "has no function none"),
    ]:
        with pytest.raises(error, match=message):
            load_model(tmp_path / "mine.keras", preprocess=f"mine:{name}")
    with pytest.raises(ConfigurationError, match="nowhere, which PREPROCESS names, can't be imported"):
        load_model(tmp_path / "mine.keras", preprocess="nowhere:good")


def test_a_model_in_memory(keras: Any) -> None:
    original = convolutional(keras)
    model = load_model(original, preprocess="0..1", labels=[f"class {index}" for index in range(CLASSES)])
    image = noise_image(4, (WIDTH, HEIGHT))
    expected = np.asarray(original(np.asarray(image, np.float32)[None] / 255))
    np.testing.assert_allclose(model.predict(model.preprocess([image])), expected, atol=1e-6)
    (result,) = explain(model, image, "SaliencyMaps")
    card = result.model
    assert (card.checkpoint, card.checkpoint_time, card.fingerprint) == (f"{original.name} (in memory)", "", "")
    assert dict(model_check.check(model, []).lines())["checkpoint"] == f"{original.name} (in memory)"
    for wrong in (None, object(), {"layers": []}):
        with pytest.raises(
            ModelError, match=r"can't load an object of the type \w+\. Pass a keras\.Model, or the path"
        ):
            load_model(wrong)


def test_labels_of_the_wrong_length(keras: Any, tmp_path: Path) -> None:
    linear(keras).save(tmp_path / "mine.keras")
    with pytest.raises(ModelError, match="There are 3 class names for the 4 classes"):
        load_model(tmp_path / "mine.keras", labels=["a", "b", "c"])
