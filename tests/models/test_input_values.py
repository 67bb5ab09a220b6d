"""Which pixel values a model was made for: read from its first operations, and told from a guess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso import explain
from picasso.models import load_model, value_range
from picasso.models.onnx import channels_first
from tests.conftest import noise_image
from tests.zoo.make_files import FOLDER

pytestmark = pytest.mark.filterwarnings("ignore")

SIDE = 8
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], "f"), np.array([0.229, 0.224, 0.225], "f")


@pytest.fixture(scope="module")
def keras() -> Any:
    from picasso.models.tf.runtime import keras

    keras.utils.set_random_seed(7)
    return keras


@pytest.fixture(scope="module")
def tf() -> Any:
    from picasso.models.tf.runtime import tf

    return tf


def head(keras: Any, values: Any) -> Any:
    """Return three probabilities from values of any normalization."""
    return keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(values)))


def model_of(keras: Any, first: Callable[[Any, Any], Any], dtype: str = "float32") -> Any:
    """Return a model whose first operations are given."""
    inputs = keras.Input((SIDE, SIDE, 3), dtype=dtype)
    return keras.Model(inputs, head(keras, first(keras, inputs)))


def bgr(keras: Any, x: Any) -> Any:
    return x[..., ::-1] - keras.ops.convert_to_tensor(np.array([103.939, 116.779, 123.68], "f"))


FIRST: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "nothing": (lambda keras, x: x, ""),
    "Rescaling(1/255)": (lambda keras, x: keras.layers.Rescaling(1 / 255)(x), "0..255"),
    "Rescaling to -1..1": (lambda keras, x: keras.layers.Rescaling(1 / 127.5, -1)(x), "0..255"),
    "plain operations": (lambda keras, x: x / 127.5 - 1, "0..255"),
    "division": (lambda keras, x: x / 255.0, "0..255"),
    "2 x - 1": (lambda keras, x: x * 2 - 1, "0..1"),
    "(x + 1) / 2": (lambda keras, x: (x + 1) / 2, "-1..1"),
    "1 - x": (lambda keras, x: 1 - x, "0..1"),
    "255 - x": (lambda keras, x: (255 - x) / 255, "0..255"),
    "x - 0.5": (lambda keras, x: x - 0.5, "0..1"),
    "standardized 0..1": (lambda keras, x: keras.layers.Normalization(mean=MEAN, variance=DEVIATION**2)(x), "0..1"),
    "standardized 0..255": (
        lambda keras, x: keras.layers.Normalization(mean=MEAN * 255, variance=(DEVIATION * 255) ** 2)(x),
        "0..255",
    ),
    "rescaled and standardized": (
        lambda keras, x: keras.layers.Normalization(mean=MEAN, variance=DEVIATION**2)(x / 255.0),
        "0..255",
    ),
    "undone": (lambda keras, x: keras.layers.Rescaling(1 / 255)(keras.layers.Rescaling(255.0)(x)), ""),
    "brought to 0..255": (lambda keras, x: keras.layers.Rescaling(255.0)(x), "0..1"),
    "less the mean, in blue, green, red": (bgr, "0..255"),
    "resized, padded and cropped before": (
        lambda keras, x: keras.layers.Rescaling(1 / 255)(
            keras.layers.CenterCrop(10, 10)(keras.layers.ZeroPadding2D(2)(keras.layers.Resizing(12, 12)(x)))
        ),
        "0..255",
    ),
    "augmented before": (lambda keras, x: keras.layers.Rescaling(1 / 255)(keras.layers.RandomFlip()(x)), "0..255"),
    "augmented before, brighter": (
        lambda keras, x: keras.layers.Rescaling(1 / 255)(keras.layers.RandomBrightness(0.2)(x)),
        "0..255",
    ),
    "in a model inside": (
        lambda keras, x: keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Rescaling(1 / 255)])(x),
        "0..255",
    ),
    "bounded to 0..255": (lambda keras, x: keras.ops.clip(x, 0, 255) / 255, "0..255"),
    "bounded to 0..1": (lambda keras, x: keras.ops.clip(x[..., ::-1], 0, 1) * 2 - 1, "0..1"),
    "bounded from below": (lambda keras, x: keras.ops.maximum(x, 0), ""),
    "after a convolution": (lambda keras, x: keras.layers.Rescaling(1 / 255)(keras.layers.Conv2D(3, 1)(x)), ""),
    "twice as much": (lambda keras, x: x * 2, ""),
    "squared": (lambda keras, x: x * x / 255.0, ""),
    "a batch normalization": (lambda keras, x: keras.layers.BatchNormalization()(x), ""),
    "two ways that contradict each other": (lambda keras, x: keras.layers.Concatenate()([x / 255.0, x]), ""),
    "preprocess_input": (lambda keras, x: keras.applications.mobilenet_v2.preprocess_input(x), "0..255"),
    "preprocess_input of torch": (lambda keras, x: keras.applications.densenet.preprocess_input(x), "0..255"),
}


@pytest.mark.parametrize("name", FIRST)
def test_the_first_operations_tell_the_range(name: str, keras: Any) -> None:
    from picasso.models.tf.graph import Graph
    from picasso.models.tf.runtime import tf1

    first, expected = FIRST[name]
    model = model_of(keras, first)

    def build() -> tuple[Any, Any]:
        inputs = tf1.placeholder("float32", [None, SIDE, SIDE, 3])
        return inputs, model(inputs, training=False)

    assert Graph(build, "it").value_range() == expected


def test_a_learned_normalization_tells_nothing(keras: Any) -> None:
    """Its factor and offset are trained: they would say -1..1 of 0..1 data here."""
    from picasso.models.tf.graph import Graph
    from picasso.models.tf.runtime import tf1

    model = model_of(keras, lambda keras, x: keras.layers.BatchNormalization()(x))
    model.layers[1].set_weights([np.full(3, value, "f") for value in (0.5, 0.3, 0.45, 0.0625)])

    def build() -> tuple[Any, Any]:
        inputs = tf1.placeholder("float32", [None, SIDE, SIDE, 3])
        return inputs, model(inputs, training=False)

    assert Graph(build, "it").value_range() == ""


@pytest.mark.parametrize("kind", ["keras", "saved", "frozen"])
def test_every_format_of_tensorflow_answers_as_the_framework(kind: str, keras: Any, tf: Any, tmp_path: Path) -> None:
    original = model_of(keras, lambda keras, x: keras.layers.Normalization(mean=MEAN, variance=DEVIATION**2)(x))
    if kind == "keras":
        path = tmp_path / "model.keras"
        original.save(path)
    elif kind == "saved":
        path = tmp_path / "saved"
        original.export(path, verbose=False)
    else:
        from picasso.models.tf.runtime import convert_variables_to_constants_v2

        path = tmp_path / "frozen.pb"
        function = tf.function(lambda x: original(x, training=False))
        concrete = function.get_concrete_function(tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32))
        path.write_bytes(convert_variables_to_constants_v2(concrete).graph.as_graph_def().SerializeToString())
    model = load_model(path)
    image = noise_image(1, (SIDE, SIDE))
    expected = original(np.asarray(image, np.float32)[None] / 255).numpy()
    np.testing.assert_allclose(model.predict(model.preprocess([image])), expected, atol=1e-6)
    assert model.card().preprocessing == "stretch, values 0..1 (the model rescales its input itself)"
    assert model.card().notes == ()


def test_the_users_word_wins_and_a_contradiction_is_noted(keras: Any, tmp_path: Path) -> None:
    model_of(keras, lambda keras, x: x / 255.0).save(tmp_path / "model.keras")
    said = load_model(tmp_path / "model.keras", preprocess="0..1")
    assert said.card().preprocessing == "stretch, values 0..1"
    assert said.card().notes == (
        "The model rescales its input itself, which fits pixel values 0..255, but preprocessing converts them to "
        "0..1. Set 0..255, unless the model was trained this way.",
    )
    assert load_model(tmp_path / "model.keras", preprocess="0..255").card().notes == ()


# ---- integers -----------------------------------------------------------------------------------------------------


def cast(keras: Any, x: Any) -> Any:
    return keras.ops.cast(x, "float32") / 255.0


def moved(keras: Any, x: Any) -> Any:
    """Move integers about before they become floats."""
    x = keras.ops.transpose(keras.ops.flip(keras.ops.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]]), axis=2), [0, 2, 1, 3])
    return keras.layers.Rescaling(1 / 255)(keras.ops.image.resize(x, (9, 9)))


@pytest.mark.parametrize(
    ("first", "dtype", "saved"),
    [
        (cast, "uint8", False),
        (cast, "int32", False),
        (cast, "uint8", True),
        (moved, "uint8", False),
        (moved, "uint8", True),
    ],
)
def test_integers_mean_plain_pixel_values(
    first: Any, dtype: str, saved: bool, keras: Any, tf: Any, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(3)
    original = model_of(keras, first, dtype)
    floats = model_of(keras, first)
    floats.set_weights(original.get_weights())
    path = tmp_path / ("saved" if saved else "model.keras")
    original.export(path, verbose=False) if saved else original.save(path)
    model = load_model(path)
    image = noise_image(1, (SIDE, SIDE))
    pixels = np.asarray(image)[None]
    inputs = model.preprocess([image])
    np.testing.assert_array_equal(inputs, pixels)
    np.testing.assert_allclose(model.predict(inputs), original(pixels.astype(dtype)).numpy(), atol=1e-6)
    assert model.card().preprocessing == "stretch, values 0..255 (the input of the model takes integers)"
    # The gradient is that of the same model for floats.
    with tf.GradientTape() as tape:
        values = tf.constant(inputs)
        tape.watch(values)
        logits = tf.math.log(floats(values))
        difference = logits[:, 1] - logits[:, 0]
    ours = model.input_gradients(inputs, [1]) - model.input_gradients(inputs, [0])
    np.testing.assert_allclose(ours, tape.gradient(difference, values), atol=1e-7)
    assert np.abs(ours).max() > 1e-5
    if dtype == "uint8" and first is cast and not saved:
        for name in ("SaliencyMaps", "GradCAM", "IntegratedGradients", "PartialOcclusion"):
            assert explain(model, image, name)


def test_values_between_and_beyond_the_integers_are_rounded_and_clipped(keras: Any, tmp_path: Path) -> None:
    original = model_of(keras, cast, "uint8")
    original.save(tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras")
    values = np.linspace(-40, 300, SIDE * SIDE * 3, dtype=np.float32).reshape(1, SIDE, SIDE, 3)
    expected = original(np.clip(np.rint(values), 0, 255).astype(np.uint8)).numpy()
    np.testing.assert_allclose(model.predict(values), expected, atol=1e-6)
    said = load_model(tmp_path / "model.keras", preprocess="0..1")
    assert said.card().notes[0].startswith("The input of the model takes integers, which fits pixel values 0..255")


# ---- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "offset", "expected"),
    [
        (1.0, 0.0, ""),
        (1 / 256, 0.0, "0..255"),
        (1 / 128, -127 / 128, "0..255"),
        (1 / 0.3081, -0.1307 / 0.3081, "0..1"),  # MNIST
        (1 / 78.6, -33.3 / 78.6, "0..255"),  # the same, of plain pixel values
        (2.0, 0.05, "-1..1"),
        (0.017, -0.017 * 116.78, "0..255"),
        (1.0, -116.78, "0..255"),
        (1 / 0.5, 0.2 / 0.5, "-1..1"),
        (0.001, 0.0, ""),
        (1e6, 3.0, ""),
    ],
)
def test_factor_and_offset(scale: float, offset: float, expected: str) -> None:
    assert value_range.of_affine(np.array([scale]), np.array([offset])) == expected


@pytest.mark.parametrize(
    ("scale", "zero", "limits", "expected"),
    [
        (1 / 255, 0, (0, 255), "0..1"),
        (1 / 255, -128, (-128, 127), "0..1"),
        (1 / 127.5, 128, (0, 255), "-1..1"),
        (0.0078125, 0, (-128, 127), "-1..1"),
        (1.0, 0, (0, 255), "0..255"),
        (1.0, -128, (-128, 127), "0..255"),
        (0.018658, 114, (0, 255), "torch"),
        (1.0774, 115, (0, 255), "caffe"),
        (0.05, 3, (0, 255), ""),
    ],
)
def test_quantization(scale: float, zero: int, limits: tuple[int, int], expected: str) -> None:
    assert value_range.of_quantization(scale, zero, limits) == expected


# ---- ONNX and TFLite ----------------------------------------------------------------------------------------------


def onnx_file(folder: Path, first: str, kind: str = "FLOAT", batch: Any = "n") -> tuple[Path, Any]:
    """Write a net with some first operations, channels first, and return it with what answers for NumPy arrays."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(4)
    numbers: dict[str, Any] = {
        "kernel": generator.normal(size=(4, 3, 3, 3)) * 0.2,
        "dense": generator.normal(size=(4, 3)),
        "255": 255.0,
        "127.5": 127.5,
        "1": 1.0,
        "0": 0.0,
        "mean": MEAN.reshape(1, 3, 1, 1),
        "deviation": DEVIATION.reshape(1, 3, 1, 1),
        "ones": np.ones(3),
        "zeros": np.zeros(3),
        "means": MEAN,
        "variances": DEVIATION**2,
    }
    sort = getattr(TensorProto, kind)
    inside = np.float16 if kind == "FLOAT16" else np.float32
    nodes: list[Any] = []
    last = "x"
    for step in first.split():
        operation, *operands = step.split(":")
        options = {"to": TensorProto.FLOAT} if operation == "Cast" else {}
        nodes.append(helper.make_node(operation, [last, *operands], [f"t{len(nodes)}"], **options))
        last = nodes[-1].output[0]
    nodes += [
        helper.make_node("Conv", [last, "kernel"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "dense"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"], axis=1),
    ]
    stored = [numpy_helper.from_array(np.asarray(value, inside), name) for name, value in numbers.items()]
    used = {name for node in nodes for name in node.input}
    answers = sort if kind == "FLOAT16" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", sort, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("p", answers, [batch, 3])],
        [one for one in stored if one.name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return path, lambda values: session.run(None, {"x": values.transpose(0, 3, 1, 2)})[0]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("", ""),
        ("Div:255", "0..255"),
        ("Div:127.5 Sub:1", "0..255"),
        ("Identity Sub:mean Div:deviation", "0..1"),
        ("Div:255 Sub:mean Div:deviation", "0..255"),
        ("Mul:255 Div:255", ""),
        ("BatchNormalization:ones:zeros:means:variances", "0..1"),
        ("BatchNormalization:ones:zeros:zeros:ones", ""),
        ("Sigmoid Div:255", ""),
        ("Clip:0:255 Div:255", "0..255"),
        ("Clip:0:1 Mul:127.5", "0..1"),
        ("Max:0 Min:1", "0..1"),
    ],
)
def test_the_first_operations_of_onnx(first: str, expected: str, tmp_path: Path) -> None:
    path, _ = onnx_file(tmp_path, first)
    known = f"{expected} (the model rescales its input itself)" if expected else "0..1 (a guess)"
    assert load_model(path).card().preprocessing == f"stretch, values {known}"


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ((3, 24, 24), True), ((24, 24, 3), False), ((4, 24, 24), True), ((13, 24, 32), True), ((24, 24, 13), False),
        ((4, "h", "w"), True), (("h", "w", 4), False), ((1, 28, 28), True), ((3, 3, 3), False), ((24, 24, 24), False),
    ],
)  # fmt: skip
def test_the_order_of_the_axes_of_onnx(sides: tuple[Any, ...], expected: bool) -> None:
    assert channels_first(sides) is expected


def test_a_model_that_divides_by_an_image_s_own_maximum_loads(keras: Any) -> None:
    def first(keras: Any, x: Any) -> Any:
        return x / keras.ops.max(x, axis=(1, 2, 3), keepdims=True)

    (result,) = explain(load_model(model_of(keras, first)), noise_image(), "ClassProbabilities")
    assert result.image == "image 0"


@pytest.mark.parametrize("batch", ["n", 2])
@pytest.mark.parametrize(
    ("first", "kind", "dtype", "highest"),
    [
        ("", "FLOAT16", "float16", 1),
        ("Div:255", "FLOAT16", "float16", 255),
        ("Cast", "DOUBLE", "float64", 1),
        ("Cast Div:255", "UINT8", "uint8", 255),
        ("Cast Div:255", "INT32", "int32", 255),
    ],
)
def test_inputs_of_onnx_are_cast(first: str, kind: str, dtype: str, highest: int, batch: Any, tmp_path: Path) -> None:
    path, answer = onnx_file(tmp_path, first, kind, batch)
    model = load_model(path)
    images = [noise_image(seed, (SIDE, SIDE)) for seed in range(2)]
    values = np.stack([np.asarray(image) for image in images]) * (highest / 255)
    np.testing.assert_allclose(model.preprocess(images), values, rtol=1e-6)
    np.testing.assert_allclose(model.predict(model.preprocess(images)), answer(values.astype(dtype)), atol=2e-3)
    if "INT" in kind:
        wild = np.linspace(-40, 300, SIDE * SIDE * 6, dtype=np.float32).reshape(2, SIDE, SIDE, 3)
        limits = np.iinfo(dtype)
        expected = answer(np.clip(np.rint(wild), limits.min, limits.max).astype(dtype))
        np.testing.assert_allclose(model.predict(wild), expected, atol=1e-6)


def test_the_quantization_of_tflite_says_its_range() -> None:
    model = load_model(FOLDER / "quantized.tflite")
    assert model.card().preprocessing == "stretch, values 0..1 (the input of the model is quantized)"
    said = load_model(FOLDER / "quantized.tflite", preprocess="0..255")
    assert said.card().notes[0].startswith("The input of the model is quantized, which fits pixel values 0..1")
    assert "a guess" in load_model(FOLDER / "float.tflite").card().preprocessing
