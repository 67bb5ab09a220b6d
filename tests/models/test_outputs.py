"""Outputs of every kind: the framework's own answers, the gradients of the right scores, or a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.errors import ConfigurationError, ModelError
from picasso.evaluation import model_check
from picasso.models import load_model
from picasso.models.keras import KerasModel
from picasso.models.outputs import Decision, OutputKind, Range, contradictions, decide
from picasso.models.tf.training_loss import training_of
from tests.conftest import noise_image

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (6, 7, 3)
IMAGES = np.random.default_rng(4).random((4, *SHAPE), np.float32)
Truth = Callable[[Any], Any]


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from picasso.models.tf.runtime import keras

    keras.utils.set_random_seed(5)
    yield keras
    keras.backend.clear_session()


def read(model: Any, output: int | str | None = None, output_kind: str = "") -> KerasModel:
    """Return Picasso's reading of a Keras model that is in memory."""
    ours = KerasModel()
    ours.model, ours.output_kind = model, output_kind
    ours.use(Path(__file__), output)
    return ours


def dense(keras: Any, count: int, activation: str | None = None, **options: Any) -> Any:
    """Return a layer of large weights, so that its answers are not all the same."""
    seed = options.pop("seed", 1)
    weights = keras.initializers.RandomNormal(stddev=options.pop("scale", 4.0), seed=seed)
    return keras.layers.Dense(count, activation=activation, kernel_initializer=weights, **options)


def network(keras: Any, head: Callable[[Any], Any]) -> Any:
    """Return a model of a convolution, pooling and a head."""
    inputs = keras.Input(SHAPE)
    start = keras.initializers.GlorotUniform(seed=2)
    features = keras.layers.Conv2D(4, 3, activation="relu", name="features", kernel_initializer=start)(inputs)
    return keras.Model(inputs, head(keras.layers.GlobalAveragePooling2D()(features)))


def two(answer: Any) -> Any:
    """Return the probabilities of "not" and "is"."""
    from picasso.models.tf.runtime import tf

    return tf.concat([1 - answer, answer], 1)


def softmax(answer: Any) -> Any:
    from picasso.models.tf.runtime import tf

    return tf.nn.softmax(answer)


def same(answer: Any) -> Any:
    return answer


SCORES = "input of the final "
LOG = "log of the probabilities"
ODDS = "log-odds of the probabilities"
# The head, the probabilities that the model's own answer means, the kind, how the logits are found.
KINDS: dict[str, tuple[Callable[[Any, Any], Any], Truth, str, str]] = {
    "clip of a softmax": (
        lambda k, x: k.ops.clip(dense(k, 3, "softmax")(x), 1e-6, 1 - 1e-6),
        same,
        "probabilities",
        f"{SCORES}softmax",
    ),
    "a clip that changes a softmax": (
        lambda k, x: k.ops.clip(dense(k, 3, "softmax")(x), 0.05, 0.9),
        same,
        "probabilities",
        LOG,
    ),
    "mean of two softmaxes": (
        lambda k, x: k.layers.Average()([dense(k, 3, "softmax")(x), dense(k, 3, "softmax", seed=9)(x)]),
        same,
        "probabilities",
        LOG,
    ),
    "log-softmax": (
        lambda k, x: dense(k, 3, "log_softmax")(x),
        softmax,
        "log probabilities",
        f"{SCORES}log-softmax",
    ),
    "percent": (
        lambda k, x: k.layers.Rescaling(100.0)(dense(k, 3, "softmax")(x)),
        lambda y: y / 100,
        "percent",
        f"{SCORES}softmax",
    ),
    "hierarchical": (
        lambda k, x: k.ops.reshape(
            dense(k, 2, "softmax")(x)[:, :, None] * k.layers.Softmax()(k.layers.Reshape((2, 2))(dense(k, 4)(x))),
            (-1, 4),
        ),
        same,
        "probabilities",
        LOG,
    ),
    "two softmaxes side by side": (
        lambda k, x: k.layers.Concatenate()([dense(k, 3, "softmax")(x), dense(k, 2, "softmax", seed=9)(x)]),
        same,
        "probabilities",
        f"{SCORES}softmax",
    ),
    "an output (N, 1, 1, K)": (
        lambda k, x: dense(k, 3, "softmax")(k.layers.Reshape((1, 1, 4))(x)),
        lambda y: y[:, 0, 0],
        "probabilities",
        f"{SCORES}softmax",
    ),
    "one sigmoid": (lambda k, x: dense(k, 1, "sigmoid")(x), two, "sigmoid", f"{SCORES}sigmoid"),
    "1 - sigmoid": (lambda k, x: 1 - dense(k, 1, "sigmoid")(x), two, "sigmoid", f"{SCORES}sigmoid"),
    "mean of two sigmoids": (
        lambda k, x: k.layers.Average()([dense(k, 1, "sigmoid")(x), dense(k, 1, "sigmoid", seed=9)(x)]),
        two,
        "sigmoid",
        ODDS,
    ),
    "hard sigmoid": (lambda k, x: dense(k, 1, "hard_sigmoid", scale=1.0)(x), two, "sigmoid", ODDS),
    "tanh": (lambda k, x: dense(k, 1, "tanh")(x), lambda y: two((1 + y) / 2), "tanh", f"{SCORES}tanh"),
    "sigmoids side by side": (
        lambda k, x: k.layers.Concatenate()([dense(k, 1, "sigmoid", seed=seed)(x) for seed in range(3)]),
        same,
        "sigmoid",
        f"{SCORES}sigmoid",
    ),
    "mean of two times three sigmoids": (
        lambda k, x: k.layers.Average()([dense(k, 3, "sigmoid")(x), dense(k, 3, "sigmoid", seed=9)(x)]),
        same,
        "sigmoid",
        ODDS,
    ),
    "weights that mix softmaxes": (
        lambda k, x: k.layers.Dense(2, use_bias=False, kernel_initializer=mixing)(dense(k, 3, "softmax")(x)),
        same,
        "sigmoid",
        ODDS,
    ),
    "no softmax": (lambda k, x: dense(k, 3)(x), softmax, "logits", "the output, which has no softmax"),
}


def mixing(shape: tuple[int, int], dtype: Any = None) -> Any:
    """Return weights that are averages of three probabilities."""
    return np.array([[0.5, 0.1], [0.3, 0.2], [0.2, 0.6]], np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_outputs(name: str, keras: Any) -> None:
    from picasso.models.tf.runtime import tf

    head, truth, kind, found = KINDS[name]
    original = network(keras, lambda x: head(keras, x))
    model = read(original)
    with tf.GradientTape() as tape:
        inputs = tf.constant(IMAGES)
        tape.watch(inputs)
        expected = truth(original(inputs))
        # Log-odds where each value is a probability of its own, else those of one class against another.
        own = kind in ("sigmoid", "tanh")
        score = tf.math.log(expected[:, 1] / (1 - expected[:, 1] if own else expected[:, 0]))
    wanted = tape.gradient(score, inputs).numpy()
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-6)
    assert model._graph.decision.kind == kind
    assert model.logits_found == found
    assert bool(model.notes) == (found in (LOG, ODDS) or kind in ("tanh", "logits"))
    one = model.input_gradients(IMAGES, [1] * 4)
    ours = one if own else one - model.input_gradients(IMAGES, [0] * 4)
    np.testing.assert_allclose(ours, wanted, atol=2e-4 * np.abs(wanted).max() + 1e-6)
    if truth is two:
        np.testing.assert_allclose(model.input_gradients(IMAGES, [0] * 4), -one, atol=1e-6)
    assert model.card().output == model.output_found


@pytest.mark.parametrize("name", ["mean of two sigmoids", "tanh", "percent", "two softmaxes side by side"])
def test_maps_of_new_kinds(name: str, keras: Any) -> None:
    head, *_ = KINDS[name]
    model = read(network(keras, lambda x: head(keras, x)))
    for visualization in ("SaliencyMaps", "GradCAM"):
        (result,) = explain(model, noise_image(), visualization)
        assert len(result.panels) == min(5, model.num_classes)
        assert any(panel.array.any() for panel in result.panels)
        assert all(np.isfinite(panel.array).all() for panel in result.panels)
        assert result.model.notes[: len(model.notes)] == model.notes


def test_a_softmax_over_one_value_is_always_1(keras: Any) -> None:
    model = read(network(keras, lambda x: dense(keras, 1, "softmax")(x)))
    np.testing.assert_array_equal(model.predict(IMAGES), [[0, 1]] * 4)
    assert "always 1" in model.notes[0]
    assert model.output_found == "always 1: a softmax over one value"
    assert model.logits_found == "none: the output is always 1"
    assert not model.input_gradients(IMAGES, [1] * 4).any()


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (lambda k, x: dense(k, 1, "relu", scale=20.0)(x), "one value that is never negative .* to be a regression"),
        (
            lambda k, x: dense(k, 1, bias_initializer="ones", scale=0.1)(x) * 40,
            "one value from .* to be a regression",
        ),
        (lambda k, x: k.layers.UnitNormalization()(dense(k, 8)(x)), "8 values that are normalized.* an embedding"),
        (lambda k, x: k.ops.normalize(dense(k, 8)(x)), "8 values that are normalized.* an embedding"),
        (lambda k, x: x, "4 pooled features without a classification layer.* an embedding"),
    ],
)
def test_what_is_no_classifier_is_said(head: Any, message: str, keras: Any) -> None:
    original = network(keras, lambda x: head(keras, x))
    model = read(original)
    assert re.search(message, model.notes[0])
    assert model.spec.note == model.notes[0]
    np.testing.assert_allclose(model.predict(IMAGES), np.asarray(original(IMAGES)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.logits(IMAGES), model.predict(IMAGES))


def test_whole_numbers_are_no_scores(keras: Any) -> None:
    original = network(keras, lambda x: keras.ops.cast(keras.ops.argmax(dense(keras, 3)(x), axis=-1), "int32"))
    with pytest.raises(ModelError, match=r"class scores of shape \(N, K\), but returns \(N\) of type int32\."):
        read(original)


@pytest.mark.parametrize(
    ("loss", "count", "kind"),
    [
        ("keras.losses.BinaryCrossentropy(from_logits=True)", 3, "sigmoid logits"),
        ("keras.losses.BinaryCrossentropy(from_logits=True)", 1, "logits"),
        ("keras.losses.CategoricalCrossentropy(from_logits=True)", 3, "logits"),
        ("'categorical_crossentropy'", 3, None),
        ("'mse'", 1, "regression"),
        ("keras.losses.Huber()", 3, "regression"),
        ("None", 3, None),
    ],
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_loss_in_a_keras_file_tells(
    loss: str, count: int, kind: str | None, suffix: str, keras: Any, tmp_path: Path
) -> None:
    original = network(keras, lambda x: dense(keras, count)(x))
    original.compile(loss=eval(loss, {"keras": keras}))  # noqa: S307 - of the lines above
    file = tmp_path / f"m{suffix}"
    original.save(file)
    trained = training_of(file)
    values = np.random.default_rng(0).normal(size=(12, count))
    linear = Range(source="linear")
    if kind == "regression":
        decision = decide(values, linear, None, "m", trained=trained)
        assert (decision.kind, decision.basis, decision.task) == ("values", "loss", "regression")
        assert decide(values, Range(0, 1), None, "m", trained=trained).kind is OutputKind.SIGMOID
        return
    decision = decide(values, linear, None, "m", trained=trained)
    assert decision.kind == (kind or "logits")
    assert (decision.basis, decision.notes) == ("loss", ()) if kind else trained is None


def test_the_loss_is_asked_when_a_file_is_loaded(keras: Any, tmp_path: Path) -> None:
    original = network(keras, lambda x: dense(keras, 1)(x))
    original.compile(loss="mae")
    original.save(tmp_path / "age.keras")
    model = load_model(tmp_path / "age.keras", labels=["age"], unit="years")
    assert (model.spec.task, model.spec.unit, model.num_classes) == ("regression", "years", 1)
    assert model.output_found == "a number (by the loss it was trained with)"
    assert load_model(tmp_path / "age.keras", output_kind="logits").num_classes == 2
    assert training_of(tmp_path / "missing.keras") is None
    assert training_of(Path(__file__)) is None


def test_real_images_contradict_a_guess(keras: Any) -> None:
    small = read(network(keras, lambda x: dense(keras, 3, scale=0.01, bias_initializer="ones")(x) * 0.4))
    assert 'If they are probabilities: OUTPUT = "sigmoid"' in small.check_output(IMAGES)[0]
    assert read(network(keras, lambda x: dense(keras, 3)(x))).check_output(IMAGES) == ()
    assert read(network(keras, lambda x: dense(keras, 3, "sigmoid")(x))).check_output(IMAGES) == ()
    guess = Decision(OutputKind.LOGITS, "guess", 1)
    assert "as in a regression" in contradictions(guess, lambda: np.array([[41.0], [30.0]]))[0]
    assert contradictions(guess, lambda: np.array([[41.0], [-30.0]])) == ()


def test_the_users_word_comes_first(keras: Any) -> None:
    from picasso.models.tf.runtime import tf

    original = network(keras, lambda x: dense(keras, 3)(x))
    answer = original(IMAGES)
    model = read(original, output_kind="sigmoid logits")
    np.testing.assert_allclose(model.predict(IMAGES), tf.sigmoid(answer), atol=1e-6)
    np.testing.assert_allclose(model.logits(IMAGES), answer, atol=1e-5)
    assert model.notes == ()
    assert "as configured" in model.output_found
    embedding = network(keras, lambda x: keras.ops.normalize(dense(keras, 8)(x)))
    insisted = read(embedding, output_kind="logits")
    np.testing.assert_allclose(insisted.predict(IMAGES), tf.nn.softmax(embedding(IMAGES)), atol=1e-6)
    with pytest.raises(ModelError, match="values from .*, which are not percent. output_kind is one of") as caught:
        read(original, output_kind="percent")
    assert caught.value.field == "OUTPUT"


def test_the_word_in_settings_on_load_and_for_classes_of_ones_own(keras: Any, tmp_path: Path) -> None:
    original = network(keras, lambda x: dense(keras, 3)(x))
    original.save(tmp_path / "m.keras")
    settings = 'MODEL = "m.keras"\nOUTPUT = "logits"\nCOMPARE = {"labels": {"OUTPUT": "Sigmoid-Logits"}}\n'
    (tmp_path / "config.py").write_text(settings)
    said = load_model(tmp_path / "config.py")
    assert said.output_kind is OutputKind.LOGITS
    report = model_check.check(said, [])
    assert ("output", "logits, converted to probabilities by a softmax (as configured)") in report.lines()
    from picasso import config
    from picasso.models import load_configured

    compared = load_configured(config.load(tmp_path / "config.py").compared("labels"))
    assert compared.output_kind is OutputKind.SIGMOID_LOGITS
    silent = load_model(tmp_path / "m.keras")
    assert any('To confirm: OUTPUT = "logits"' in warning for warning in model_check.check(silent, []).warnings)
    with pytest.raises(ConfigurationError, match="no kind of output 'nonsense'"):
        load_model(tmp_path / "m.keras", output_kind="nonsense")
    (tmp_path / "own.py").write_text(
        "from picasso.models.base import Model\n"
        "class Own(Model):\n"
        "    def load(self): self.input_shape, self.num_classes = (2, 2, 1), 2\n"
        "    def batch_probabilities(self, inputs): raise NotImplementedError\n"
    )
    (tmp_path / "own_config.py").write_text('MODEL_CLS_PATH = "own.py"\nMODEL_CLS_NAME = "Own"\nMODEL_LOAD_ARGS = {}\n')
    with pytest.raises(ConfigurationError, match="has no effect on Own, because its code") as caught:
        load_model(tmp_path / "own_config.py", output_kind="logits")
    assert caught.value.field == "OUTPUT"


def test_outputs_by_the_names_of_their_layers(keras: Any) -> None:
    original = network(
        keras, lambda x: [dense(keras, 4, name="boxes")(x), dense(keras, 3, "softmax", name="classes")(x)]
    )
    with pytest.raises(ModelError, match=r"has 2 outputs: boxes \(None, 4\), classes \(None, 3\). Specify the one"):
        read(original)
    for output in ("classes", 1, "1", -1):
        np.testing.assert_allclose(read(original, output).predict(IMAGES), original(IMAGES)[1], atol=1e-6)


def test_what_a_compiled_function_hides_is_seen(keras: Any) -> None:
    from picasso.models.tf.runtime import tf

    class Hidden(keras.layers.Layer):  # type: ignore[misc]
        @tf.function  # type: ignore[untyped-decorator]
        def call(self, scores: Any) -> Any:
            return tf.clip_by_value(tf.sigmoid(scores), 1e-6, 1 - 1e-6)

    original = network(keras, lambda x: Hidden()(dense(keras, 3)(x)))
    model = read(original)
    np.testing.assert_allclose(model.predict(IMAGES), original(IMAGES), atol=1e-6)
    assert model.output_found == "an independent probability for each class (by the model's last operations)"


def test_results_of_tensorflow_1_graphs(keras: Any, tmp_path: Path) -> None:
    from picasso.models.tf.runtime import tf, tf1

    with tf.Graph().as_default() as graph:
        images = tf1.placeholder(tf.float32, [None, *SHAPE], "images")
        kernel = tf.constant(np.random.default_rng(1).normal(size=(3, 4)).astype("float32"))
        scores = tf.matmul(tf.reduce_mean(images, [1, 2]), kernel)
        clipped = tf.clip_by_value(tf.nn.softmax(scores), 1e-6, 1 - 1e-6, name="clipped")
        (tmp_path / "one.pb").write_bytes(graph.as_graph_def().SerializeToString())
        tf.identity(tf.sigmoid(scores) * 2, name="other")
        (tmp_path / "two.pb").write_bytes(graph.as_graph_def().SerializeToString())
        with tf1.Session(graph=graph) as session:
            expected = session.run(clipped, {images: IMAGES})
    np.testing.assert_allclose(load_model(tmp_path / "one.pb").predict(IMAGES), expected, atol=1e-6)
    with pytest.raises(
        ModelError, match=r"likely ones are: clipped:0 \(None, 4\), other:0 \(None, 4\). .*tf_predict_var"
    ):
        load_model(tmp_path / "two.pb")
    model = load_model(tmp_path / "two.pb", tf_predict_var="clipped:0")
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-6)
