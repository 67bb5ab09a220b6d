"""Every format that people bring: answers equal to the framework's own, or one sentence that names the remedy."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.errors import ModelError
from picasso.models import load_model
from picasso.models.info import Capability
from tests.conftest import noise_image
from tests.zoo.make_files import CLASSES, FOLDER, SHAPE

pytestmark = pytest.mark.filterwarnings("ignore")

with np.load(FOLDER / "expected.npz") as archive:
    EXPECTED = {name: archive[name] for name in archive.files}
IMAGES = EXPECTED["images"]


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from picasso.models.tf.runtime import keras

    keras.utils.set_random_seed(5)
    yield keras
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def tf() -> Any:
    from picasso.models.tf.runtime import tf

    return tf


# ---- Keras 1 and 2 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "trust"),
    [
        ("keras2_plain.h5", "keras2_plain.h5", False),
        ("keras2_separable.h5", "keras2_separable.h5", False),
        ("keras2_nested.h5", "keras2_nested.h5", False),
        ("keras2_operation.h5", "keras2_operation.h5", False),
        ("keras2_zip.keras", "keras2_zip.keras", False),
        ("keras2_split", "keras2_split/model.json", False),
        ("keras1", "keras1/model.json", False),
        ("keras1", "keras1", False),
    ],
)
def test_files_of_earlier_keras(name: str, path: str, trust: bool) -> None:
    model = load_model(FOLDER / path, preprocess="0..1", trust_model=trust)
    np.testing.assert_allclose(model.predict(IMAGES), EXPECTED[name], atol=1e-6)
    assert model.logits_found == "input of the final softmax"
    assert explain(model, noise_image(), "SaliencyMaps")


@pytest.mark.parametrize(
    "path", ["keras2_nested.h5", "keras2_operation.h5", "keras2_zip.keras", "keras2_split/model.json"]
)
def test_what_keras_3_refuses_says_what_to_do(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.models.tf.keras2.importlib.util.find_spec", lambda name: None)
    needed = r"install it \(pip install 'picasso-viz\[keras2\]'\)"
    with pytest.raises(ModelError, match=f"written by Keras 2, .* tf_keras can: {needed}. Or save it again") as caught:
        load_model(FOLDER / path)
    assert "\n" not in caught.value.message


def test_files_of_keras_2_that_hold_code_need_trust(tmp_path: Path) -> None:
    document = json.loads((FOLDER / "keras2_split" / "model.json").read_text())
    (tmp_path / "weights.h5").write_bytes((FOLDER / "keras2_split" / "weights.h5").read_bytes())
    document["config"]["layers"][1]["config"]["kernel_initializer"]["module"] = "somebody.code"
    (tmp_path / "model.json").write_text(json.dumps(document))
    refused = 'the class "GlorotUniform" is imported from the module "somebody.code"; layer "'
    with pytest.raises(ModelError, match=f"{refused}.*kernel_initializer. If you trust the file: trust_model=True"):
        load_model(tmp_path / "model.json")


@pytest.mark.parametrize("name", ["a layer", "größe", "lay:er", "_first", " "])
def test_layers_may_have_names_that_graphs_do_not_take(tf: Any, tmp_path: Path, name: str) -> None:
    import keras

    inputs = keras.Input(SHAPE, name=f"{name} in")
    features = keras.Sequential([keras.layers.Conv2D(4, 3, name=name)], name=f"{name} nested")(inputs)
    head = keras.layers.Dense(CLASSES, "softmax", name=f"{name} out")
    model = keras.Model(inputs, head(keras.layers.GlobalMaxPooling2D()(features)), name=f"{name} model")
    model.save(tmp_path / "named.keras")
    loaded = load_model(tmp_path / "named.keras", preprocess="0..1")
    np.testing.assert_allclose(loaded.predict(IMAGES), np.asarray(model(IMAGES)), atol=1e-6)
    assert len(loaded.layers()) == 1
    load_model(model, preprocess="0..1")
    assert [layer.name for layer in model.layers][::3] == [f"{name} in", f"{name} out"]
    assert model.name == f"{name} model"


@pytest.fixture(scope="module")
def always_training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Write a file of Keras 2 whose normalization always uses the statistics of the batch; return its answers too."""
    import tf_keras

    layers = tf_keras.layers
    inputs = tf_keras.Input(SHAPE)
    features = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3)(inputs), training=True)
    head = layers.Dense(CLASSES, "softmax", kernel_initializer="random_normal")
    model = tf_keras.Model(inputs, head(layers.GlobalMaxPooling2D()(layers.ReLU()(features))))
    head.set_weights([10 * weight for weight in head.get_weights()])
    file = tmp_path_factory.mktemp("keras2") / "training.h5"
    model.save(file)
    model.save(file.with_suffix(""), save_format="tf")
    return file, np.asarray(model(IMAGES), np.float32)


def test_a_file_of_keras_2_is_read_as_its_writer_reads_it(
    always_training: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, expected = always_training
    model = load_model(file)
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-5)
    (note,) = [note for note in model.notes if "tf_keras" in note]
    assert note.startswith("The file calls norm with training=True, which Keras 3 leaves out. On noise, predictions of")
    assert load_model(FOLDER / "keras2_plain.h5").format == "Keras 2 file (.h5)"
    # Without the package that wrote it, the difference is known and said.
    monkeypatch.setattr("picasso.models.tf.keras2.importlib.util.find_spec", lambda name: None)
    model = load_model(file)
    assert np.abs(model.predict(IMAGES) - expected).max() > 0.01
    (note,) = [note for note in model.notes if "tf_keras" in note]
    assert (
        "norm with training=True, which Keras 3 leaves out. Predictions of Keras 2 differ; to reproduce them, install"
        in note
    )


def test_weights_alone_and_json_that_is_no_model(tmp_path: Path) -> None:
    weights = FOLDER / "keras2_split" / "weights.h5"
    with pytest.raises(ModelError, match=r"weights.h5 contains only weights. Put the architecture beside it"):
        load_model(weights)
    (tmp_path / "model.json").write_text('{"a": 1}')
    (tmp_path / "weights.h5").write_bytes(weights.read_bytes())
    with pytest.raises(ModelError, match="model.json was not loaded: the JSON does not describe a Keras model"):
        load_model(tmp_path / "model.json")
    # A file of labels beside the weights is no architecture.
    with pytest.raises(ModelError, match="contains only weights"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_bytes((FOLDER / "keras1" / "model.json").read_bytes())
    with pytest.raises(ModelError, match="The weights in weights.h5 do not fit model.json"):
        load_model(tmp_path)


def test_keras_1_models_that_cannot_be_converted(keras: Any) -> None:
    from picasso.models.tf.keras1 import convert

    for document, message in [
        ({"class_name": "Model", "config": []}, "is a Model of Keras 1; only Sequential"),
        ({"class_name": "Sequential", "config": []}, "does not specify its input shape"),
    ]:
        with pytest.raises(ModelError, match=message):
            convert(document)
    for kind, more, message in [
        ("LSTM", {}, "is a LSTM, which can't be converted"),
        ("Dense", {"dim_ordering": "th"}, "orders its channels first"),
    ]:
        layer = {"class_name": kind, "config": {"name": "x", "batch_input_shape": [None, 4, 4, 3], **more}}
        with pytest.raises(ModelError, match=message):
            convert({"class_name": "Sequential", "config": [layer]})


def test_classes_of_somebodys_own_are_named_in_full(keras: Any, tmp_path: Path) -> None:
    import tf_keras

    @keras.saving.register_keras_serializable(package="flowers")
    class Scale(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return 0.5 * inputs

    class Older(tf_keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return 0.5 * inputs

    for library, layer, name in ((keras, Scale, "scale"), (tf_keras, Older, "older")):
        layers = [library.Input(SHAPE), layer(), library.layers.Flatten(), library.layers.Dense(CLASSES, "softmax")]
        for suffix in (".keras", ".h5"):
            library.Sequential(layers).save(tmp_path / f"{name}{suffix}")
    del keras.saving.get_custom_objects()["flowers>Scale"]
    for name, own in (("scale", "flowers>Scale"), ("older", "Older")):
        short = own.rpartition(">")[2]
        for suffix in (".keras", ".h5"):
            with pytest.raises(ModelError) as caught:
                load_model(tmp_path / f"{name}{suffix}")
            remedy = f'custom_objects={{"{own}": {short}}} for load_model().'
            said = f"uses {own}, a class or function that is not part of Keras. Pass it: {remedy}"
            assert caught.value.message == f"{name}{suffix} {said}"
    for suffix in (".keras", ".h5"):
        assert load_model(tmp_path / f"scale{suffix}", custom_objects={"flowers>Scale": Scale}).num_classes == CLASSES
    # What the operator's own code registers is his, too.
    keras.saving.register_keras_serializable(package="flowers")(Scale)
    try:
        assert load_model(tmp_path / "scale.keras").num_classes == CLASSES
    finally:
        del keras.saving.get_custom_objects()["flowers>Scale"]


# ---- code inside model files ------------------------------------------------------------------------------------


def test_lambda_layers_are_refused_unless_trusted(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    doubling = layers.Lambda(lambda x: x * 2)
    head = [layers.Flatten(), layers.Dense(CLASSES, activation="softmax")]
    original = keras.Sequential([keras.Input(SHAPE), doubling, *head])
    for name in ("code.keras", "code.h5"):
        original.save(tmp_path / name)
        with pytest.raises(
            ModelError, match=f"{name} was not loaded: a layer Lambda runs .* trust the file: trust_model=True"
        ):
            load_model(tmp_path / name)
        trusted = load_model(tmp_path / name, trust_model=True)
        np.testing.assert_allclose(trusted.predict(IMAGES), original(IMAGES), atol=1e-6)


def test_graphs_that_write_files_are_refused_unless_trusted(tf: Any, tmp_path: Path) -> None:
    target = tmp_path / "written.txt"

    class Writer(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            tf.io.write_file(str(target), "owned")
            return tf.nn.softmax(tf.reduce_mean(images, [1, 2]))

    module = Writer()
    tf.saved_model.save(module, str(tmp_path / "evil"), signatures=module.__call__)
    target.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="evil was not loaded: the operation WriteFile writes files.*trust_model=True"):
        load_model(tmp_path / "evil")
    assert not target.exists()
    assert load_model(tmp_path / "evil", trust_model=True).num_classes == 3


# ---- TensorFlow graphs ------------------------------------------------------------------------------------------


def network(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    features = layers.BatchNormalization()(layers.Conv2D(6, 3, activation="silu")(inputs))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(features)))


def check(model: Any, expected: Any, gradients: Any = None) -> None:
    """Compare with the framework's own answers, and see that maps can be made."""
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-6)
    assert model.logits_found == "input of the final softmax"
    assert np.isfinite(model.feature_gradients(IMAGES, [0, 1, 2])).all()
    if gradients is not None:
        ours = model.input_gradients(IMAGES, [0] * 3) - model.input_gradients(IMAGES, [1] * 3)
        np.testing.assert_allclose(ours, gradients, atol=1e-5 * np.abs(gradients).max() + 1e-7)


def log_odds_gradients(tf: Any, function: Callable[[Any], Any]) -> Any:
    """Return the gradients of log p0 - log p1, which is logit 0 - logit 1."""
    with tf.GradientTape() as tape:
        inputs = tf.constant(IMAGES)
        tape.watch(inputs)
        logarithms = tf.math.log(function(inputs))
        difference = logarithms[:, 0] - logarithms[:, 1]
    return tape.gradient(difference, inputs).numpy()


def test_saved_models_of_keras(keras: Any, tf: Any, tmp_path: Path) -> None:
    original = network(keras)
    original.export(tmp_path / "exported", verbose=False)
    gradients = log_odds_gradients(tf, original)
    for path in ("exported", "exported/saved_model.pb"):
        check(load_model(tmp_path / path), original(IMAGES), gradients)
    assert load_model(tmp_path / "exported").checkpoint == "exported"


def test_saved_models_of_tf_keras(tf: Any, tmp_path: Path) -> None:
    import tf_keras

    original = network(tf_keras)
    original.save(tmp_path / "keras2", save_format="tf")
    check(load_model(tmp_path / "keras2"), original(IMAGES).numpy())


def test_saved_models_of_modules_signatures_and_outputs(tf: Any, tmp_path: Path) -> None:
    weights = tf.Variable(np.random.default_rng(3).normal(size=(3, CLASSES)).astype("float32"))

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = weights

        @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32)])  # type: ignore[untyped-decorator]
        def classify(self, images: Any) -> Any:
            probabilities = tf.nn.softmax(tf.reduce_mean(tf.nn.relu(images), [1, 2]) @ self.weights)
            return {"scores": probabilities, "boxes": tf.zeros([tf.shape(images)[0], 4])}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"classify": module.classify, "other": module.classify})
    with pytest.raises(ModelError, match="SavedModel m has these signatures: classify, other. .*such as signature="):
        load_model(tmp_path / "m")
    with pytest.raises(ModelError, match=r"SavedModel m has 2 outputs: boxes \(None, 4\), scores \(None, 4\)"):
        load_model(tmp_path / "m", signature="classify")
    model = load_model(tmp_path / "m", signature="classify", output="scores")
    np.testing.assert_allclose(model.predict(IMAGES), module.classify(tf.constant(IMAGES))["scores"], atol=1e-6)


def test_the_newest_version_in_the_layout_of_tensorflow_serving(tf: Any, tmp_path: Path) -> None:
    class Module(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            return tf.nn.softmax(tf.reduce_mean(images, [1, 2]))

    for version in ("9", "10", "notes"):
        module = Module()
        tf.saved_model.save(module, str(tmp_path / "flowers" / version), signatures=module.__call__)
    model = load_model(tmp_path / "flowers")
    assert model.checkpoint == "flowers/10"
    assert all(file.parent.name == "10" for file in model.files)
    assert load_model(tmp_path / "flowers" / "9").checkpoint == "flowers/9"


def test_saved_models_whose_function_changes_variables(
    keras: Any, always_training: tuple[Path, Any], tmp_path: Path
) -> None:
    file, expected = always_training
    model = load_model(file.with_suffix(""))
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-5)
    assert any(note.startswith("The model changes its variables during prediction") for note in model.notes)
    # An augmentation, whose seed is a variable, does nothing when the model answers.
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    features = layers.Conv2D(4, 3, activation="relu")(layers.RandomFlip()(inputs))
    head = layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(features))
    original = keras.Model(inputs, head)
    original.export(tmp_path / "flip", verbose=False)
    check(load_model(tmp_path / "flip"), original(IMAGES))


def test_saved_models_that_cannot_be_frozen_are_called_as_they_are(tf: Any, tmp_path: Path) -> None:
    class Noisy(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.generator = tf.random.Generator.from_seed(1)
            self.factors = tf.Variable(np.random.default_rng(3).normal(size=(3, CLASSES)).astype("float32"))

        @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            noise = 1e-4 * self.generator.normal([CLASSES])
            return tf.nn.softmax(tf.reduce_mean(images, [1, 2]) @ self.factors + noise)

    module = Noisy()
    tf.saved_model.save(module, str(tmp_path / "noisy"), signatures=module.__call__)
    model = load_model(tmp_path / "noisy")
    expected = tf.nn.softmax(tf.reduce_mean(IMAGES, [1, 2]) @ module.factors)
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-3)
    assert any("keeps state that can't be made constant" in note for note in model.notes)
    assert np.isfinite(model.input_gradients(IMAGES, [0, 1, 2])).all()


def tensorflow_1(tf: Any, folder: Path) -> Any:
    """Write one graph as a TensorFlow 1 SavedModel and as a frozen ``.pb``, and return its answers."""
    tf1 = tf.compat.v1
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        inputs = tf1.placeholder(tf.float32, [None, *SHAPE], "pictures")
        kernel = tf1.get_variable("kernel", [3, 3, 3, 5], initializer=tf1.initializers.he_normal(seed=1))
        dense = tf1.get_variable("dense", [5, CLASSES], initializer=tf1.initializers.he_normal(seed=2))
        features = tf1.nn.relu(tf1.nn.conv2d(inputs, kernel, 1, "VALID"))
        answer = tf1.nn.softmax(tf1.matmul(tf1.reduce_mean(features, [1, 2]), dense), name="answer")
        session.run(tf1.global_variables_initializer())
        tf1.saved_model.simple_save(session, str(folder / "tf1"), {"image": inputs}, {"classes": answer})
        frozen = tf1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["answer"])
        (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
        (folder / "unfrozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
        return session.run(answer, {inputs: IMAGES})


def test_saved_models_and_frozen_graphs_of_tensorflow_1(tf: Any, tmp_path: Path) -> None:
    expected = tensorflow_1(tf, tmp_path)
    check(load_model(tmp_path / "tf1"), expected)
    check(load_model(tmp_path / "frozen.pb"), expected)
    with pytest.raises(ModelError, match="unfrozen.pb is not frozen"):
        load_model(tmp_path / "unfrozen.pb")
    (tmp_path / "broken.pb").write_bytes(b"hello")
    (tmp_path / "empty.pb").write_bytes(b"")
    for name, message in [("broken.pb", "it is not a frozen TensorFlow graph"), ("empty.pb", "it is empty")]:
        with pytest.raises(ModelError, match=f"{name} was not loaded: {message}"):
            load_model(tmp_path / name)


def test_broken_saved_models(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    with pytest.raises(ModelError, match="There is no model in the folder"):
        load_model(folder)
    (folder / "saved_model.pb").write_bytes(b"hello")
    with pytest.raises(ModelError, match="is not a SavedModel"):
        load_model(folder)
    (folder / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match="it is empty"):
        load_model(folder)


# ---- TFLite -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("float.tflite", 1e-6), ("quantized.tflite", 1e-6)],
)
def test_tflite_files(name: str, tolerance: float) -> None:
    model = load_model(FOLDER / name, preprocess="0..1")
    assert (model.input_shape, model.num_classes) == (SHAPE, CLASSES)
    np.testing.assert_allclose(model.predict(IMAGES), EXPECTED[name], atol=tolerance)
    assert {Capability.PREDICTIONS, Capability.GRADIENTS} <= model.capabilities
    (result,) = explain(model, noise_image(), "PartialOcclusion", Window=0.3, Strides=5)
    assert len(result.panels) == 1 + CLASSES
    assert model.input_gradients(IMAGES, np.zeros(len(IMAGES), np.int64)).any()


@pytest.mark.parametrize(("suffix", "extra"), [(".onnx", "onnx"), (".tflite", "tflite")])
def test_broken_files_and_missing_runtimes(
    suffix: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(b"hello")
    with pytest.raises(ModelError, match=f"broken{suffix} was not loaded: "):
        load_model(file)

    (good,) = FOLDER.glob(f"f*{suffix}")
    for module in ("onnx", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelError, match=rf"needs another package: pip install 'picasso-viz\[{extra}\]'"):
        load_model(good)


@pytest.mark.parametrize("name", ["keras2_plain.H5", "keras2_zip.KERAS"])
def test_endings_in_capital_letters(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes((FOLDER / name.lower()).read_bytes())
    with pytest.raises(ModelError, match=f"rename .* to {name.lower()}"):
        load_model(file)
