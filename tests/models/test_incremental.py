"""Occlusion by recomputing only what a window changes: exact, whatever the network, the windows and the fill."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from picasso.examples import mnist, preparing
from picasso.imaging.masking import filling
from picasso.models import load_model
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.keras import KerasModel
from picasso.models.occlusion import Box, batches, covered
from picasso.models.tf.graph_model import GraphModel
from picasso.models.tf.incremental import winograd
from picasso.models.tf.incremental.intervals import behind
from picasso.models.tf.incremental.steps import Slide
from picasso.visualizations.partial_occlusion import spans

pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES = Path(mnist.__file__).parent
SHAPE = (22, 30, 3)
CLASSES = 4
# Of probabilities; the networks here are made to magnify small changes of their features.
TOLERANCE = 5e-5


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    keras.utils.set_random_seed(5)
    return keras


def grid(shape: tuple[int, ...], fraction: float, count: int) -> list[Box]:
    rows, columns = (spans(side, fraction, count) for side in shape[:2])
    return [(left, top, right, bottom) for top, bottom in rows for left, right in columns]


def noise_images(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return an image and a fill that is an image too."""
    generator = np.random.default_rng(0)
    image, fill = generator.normal(size=(2, *shape)).astype(np.float32)
    return image, fill


def answers(model: Model, image: Array, fill: Array, boxes: list[Box]) -> tuple[Array, str]:
    """Return the probabilities behind all windows, and how they were computed."""
    occlusion = model.occlude(image, fill, boxes)
    found = np.full((len(boxes), model.num_classes), np.nan, np.float32)
    for members, part in occlusion.parts:
        assert np.isnan(found[members]).all(), "no window is computed twice"
        found[members] = part
    return found, occlusion.method


def lively(keras: Any, model: Any) -> Any:
    """Give normalizations random statistics, and the last layer weights with which a window moves the probabilities."""
    generator = np.random.default_rng(1)
    for layer in model._flatten_layers():
        if type(layer).__name__ == "BatchNormalization":
            layer.moving_mean.assign(generator.normal(size=layer.moving_mean.shape))
            layer.moving_variance.assign(generator.uniform(0.5, 2, layer.moving_variance.shape))
    image, fill = noise_images(model.input_shape[1:])
    last = model.layers[-1]
    box = (0, 0, image.shape[1] // 2, image.shape[0] // 2)
    clean, changed = keras.Model(model.inputs, last.input).predict(
        np.concatenate([image[None], covered(image, fill, [box])]), verbose=0
    )
    kernel = generator.normal(size=last.kernel.shape)
    kernel /= np.abs((changed - clean) @ kernel).max()
    last.kernel.assign(kernel)
    last.bias.assign(-clean @ kernel)
    return model


# ---- networks ---------------------------------------------------------------------------------------------


def head(k: Any, tensor: Any, pool: Any = None) -> Any:
    tensor = (pool or k.layers.GlobalAveragePooling2D())(tensor)
    return k.layers.Dense(CLASSES, activation="softmax")(tensor)


def plain(k: Any, x: Any) -> Any:
    x = k.layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    return head(k, k.layers.MaxPooling2D()(k.layers.Conv2D(8, 3)(x)), k.layers.Flatten())


def normalized(k: Any, x: Any) -> Any:
    x = k.layers.Rescaling(0.5, -0.1)(x)
    x = k.layers.BatchNormalization()(k.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x))
    x = k.layers.LeakyReLU()(x)
    x = k.layers.BatchNormalization(scale=False)(k.layers.DepthwiseConv2D(5, padding="same", depth_multiplier=2)(x))
    return head(k, k.layers.ReLU(6)(x))


def residual(k: Any, x: Any) -> Any:
    short = k.layers.Conv2D(6, 1, strides=2)(x)
    x = k.layers.ZeroPadding2D(((2, 1), (0, 3)))(x)
    x = k.layers.Conv2D(6, 3, strides=2, activation="silu")(x)
    x = k.layers.Cropping2D(((0, 1), (0, 1)))(x) if x.shape[1:3] != short.shape[1:3] else x
    return head(k, k.layers.Activation("gelu")(k.layers.Add()([x, short])))


def branches(k: Any, x: Any) -> Any:
    wide = k.layers.AveragePooling2D(3, strides=2, padding="same")(x)
    deep = k.layers.MaxPooling2D(3, strides=2, padding="same")(k.layers.Conv2D(5, (1, 7), padding="same")(x))
    separable = k.layers.SeparableConv2D(4, 3, strides=2, padding="same", activation="tanh")(x)
    x = k.layers.Concatenate()([wide, deep, separable])
    return head(k, k.layers.Maximum()([x, k.layers.Conv2D(12, 3, padding="same")(x)]))


def tiles(k: Any, x: Any) -> Any:
    x = k.layers.Conv2D(96, 3, padding="same", activation="relu")(x)
    x = k.layers.Conv2D(100, 3, padding="same", activation="relu")(x)
    x = k.layers.Conv2D(96, 3, activation="elu")(k.layers.MaxPooling2D()(x))
    return head(k, x)


def grouped(k: Any, x: Any) -> Any:
    x = k.layers.Conv2D(8, 3, activation="relu")(x)
    return head(k, k.layers.Conv2D(8, 3, groups=4, padding="same", activation="softplus")(x))


def behind_linear(k: Any, x: Any) -> Any:
    x = k.layers.Conv2D(8, 1)(x)
    return head(k, k.layers.Conv2D(8, 3, groups=2, padding="same")(x))


def behind_depthwise(k: Any, x: Any) -> Any:
    x = k.layers.BatchNormalization()(k.layers.DepthwiseConv2D(3, depth_multiplier=2)(x))
    return head(k, k.layers.Conv2D(6, 3, groups=3)(x))


def resnext(k: Any, x: Any) -> Any:
    x = k.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    y = k.layers.ReLU()(k.layers.BatchNormalization()(k.layers.Conv2D(8, 1, use_bias=False)(x)))
    y = k.layers.Conv2D(8, 3, groups=4, padding="same", activation="relu")(y)
    y = k.layers.BatchNormalization()(k.layers.Conv2D(8, 1)(y))
    return head(k, k.layers.ReLU()(k.layers.Add()([x, y])))


def reshaped(k: Any, x: Any) -> Any:
    """Shapes of 64 bits, and a reshape whose shape is known only when it runs."""

    class Halved(k.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            from picasso.models.tf.runtime import tf

            height, width, channels = tf.unstack(tf.shape(inputs, tf.int64)[1:])
            flat = tf.reshape(inputs, tf.stack([-1, height * width // 2, 2 * channels]))
            count = tf.shape(flat)[1]
            return tf.reshape(tf.reduce_sum(flat, 1) / tf.cast(count, tf.float32), [-1, 2 * inputs.shape[-1]])

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 2 * shape[-1])

    return head(k, k.layers.MaxPooling2D(2)(k.layers.Conv2D(6, 3, activation="relu")(x)), Halved())


def dilated(k: Any, x: Any) -> Any:
    x = k.layers.Conv2D(8, 3, activation="relu")(x)
    return head(k, k.layers.Conv2D(8, 3, dilation_rate=2, padding="same")(x))


def upward(k: Any, x: Any) -> Any:
    x = k.layers.Conv2D(4, 3, strides=2, padding="same")(x)
    x = k.layers.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu")(x)
    return head(k, k.layers.UpSampling2D()(x), k.layers.GlobalMaxPooling2D())


def gated(k: Any, x: Any) -> Any:
    x = k.layers.Conv2D(6, 3, activation="relu")(k.layers.Conv2D(6, 3, activation="relu")(x))
    gate = k.layers.Dense(6, activation="sigmoid")(k.layers.GlobalAveragePooling2D(keepdims=True)(x))
    return head(k, k.layers.Conv2D(5, 3)(k.layers.Multiply()([x, gate])))


def nested(k: Any, x: Any) -> Any:
    inner = k.Sequential([k.Input((20, 28, 6)), k.layers.Conv2D(8, 3), k.layers.BatchNormalization()])
    backbone = k.Model(i := k.Input(SHAPE), inner(k.layers.Conv2D(6, 3, activation="relu")(i)))
    return head(k, k.layers.Dropout(0.5)(backbone(x)))


NETWORKS: list[Callable[[Any, Any], Any]] = [
    plain, normalized, residual, branches, tiles, grouped, behind_linear, behind_depthwise, resnext, reshaped, dilated,
    upward, gated, nested,
]  # fmt: skip


def load(keras: Any, build: Callable[[Any, Any], Any], folder: Path, shape: tuple[int, ...] = SHAPE) -> GraphModel:
    inputs = keras.Input(shape)
    model = KerasModel()
    model.model = lively(keras, keras.Model(inputs, build(keras, inputs)))
    model.use(Path(__file__))
    return model


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: str(build.__name__))
def test_what_is_recomputed_is_what_whole_images_give(
    build: Callable[[Any, Any], Any], keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However little it saves.
    monkeypatch.setattr("picasso.models.tf.incremental.checked.MIN_GAIN", 0)
    model = load(keras, build, tmp_path)
    image, fill = noise_images(SHAPE)
    for fraction, count in [(0.05, 7), (0.2, 5), (0.5, 3)]:
        boxes = grid(SHAPE, fraction, count)
        found, method = answers(model, image, fill, boxes)
        expected = model.predict(covered(image, fill, boxes))
        assert method.startswith("only what a window changes")
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    assert np.ptp(expected, axis=0).max() > 1e-3, "large windows matter"


def test_windows_of_any_shape_at_any_place(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.models.tf.incremental.checked.MIN_GAIN", 0)
    model = load(keras, branches, tmp_path)
    image, fill = noise_images(SHAPE)
    generator = np.random.default_rng(3)
    height, width, _ = SHAPE
    boxes: list[Box] = [(0, 0, width, height), (0, 0, 1, 1), (width - 1, height - 1, width, height), (3, 0, 4, height)]
    for _ in range(60):
        (left, right), (top, bottom) = (
            sorted(generator.choice(side + 1, 2, replace=False).tolist()) for side in (width, height)
        )
        boxes.append((left, top, right, bottom))
    found, _ = answers(model, image, fill, boxes)
    np.testing.assert_allclose(found, model.predict(covered(image, fill, boxes)), atol=TOLERANCE)


def random_network(seed: int) -> Callable[[Any, Any], Any]:
    """Return a function that builds a network of random layers."""

    def build(k: Any, x: Any) -> Any:
        generator = np.random.default_rng(seed)
        earlier = [x]
        for _ in range(generator.integers(3, 8)):
            size, stride = int(generator.integers(1, 6)), int(generator.integers(1, 3))
            padding, act = str(generator.choice(["same", "valid"])), str(generator.choice(["relu", "silu", "linear"]))
            steps = {"strides": stride, "padding": padding}
            layers = [
                k.layers.Conv2D(6, size, activation=act, **steps),
                k.layers.DepthwiseConv2D(size, activation=act, **steps),
                k.layers.AveragePooling2D(size, **steps),
                k.layers.MaxPooling2D(size, **steps),
                k.layers.BatchNormalization(),
                k.layers.ZeroPadding2D(((size, 0), (1, size))),
            ]
            if min(x.shape[1:3]) <= size + 2:
                layers = layers[4:]
            x = layers[generator.integers(len(layers))](x)
            same = [one for one in earlier if one.shape == x.shape]
            if same and generator.random() < 0.5:
                x = k.layers.Add()([x, same[0]])
            earlier.append(x)
        return head(k, x, k.layers.Flatten() if generator.random() < 0.5 else None)

    return build


@pytest.mark.parametrize(("seed", "digits"), [(seed, 64 if seed % 3 == 2 else 32) for seed in range(12)])
def test_random_networks(seed: int, digits: int, keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.models.tf.incremental.checked.MIN_GAIN", 0)
    keras.config.set_dtype_policy(f"float{digits}")
    try:
        model = load(keras, random_network(seed), tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    image, fill = noise_images(SHAPE)
    boxes = grid(SHAPE, 0.15, 6)
    found, method = answers(model, image, fill, boxes)
    expected = model.predict(covered(image, fill, boxes))
    assert method.startswith("only what a window changes")
    # Probabilities are handed on as float32, whatever the model computes with.
    np.testing.assert_allclose(found, expected, atol=TOLERANCE if digits == 32 else 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("example", ["keras", "tensorflow", "keras-efficientnet-lite"])
def test_trained_networks_at_every_position(example: str) -> None:
    file = EXAMPLES / example / "config.py"
    if example == "keras-efficientnet-lite" and not (file.parent / "data" / "efficientnet_lite0.keras").exists():
        pytest.skip("run make prepare EXAMPLE=keras-efficientnet-lite first")
    model = load_model(file)
    samples = mnist.SAMPLES.glob("8*.png") if "lite" not in example else preparing.PHOTOGRAPHS.glob("coffee.png")
    view = model.view(Image.open(next(samples)))
    (image,), (fill,) = model.encode([view]), model.encode([filling(view, "grey")])
    for fraction, count in [(0.05, 9), (0.2, 6), (0.5, 3)]:
        boxes = grid(model.input_shape, fraction, count)
        found, _ = answers(model, image, fill, boxes)
        np.testing.assert_allclose(found, model.predict(covered(image, fill, boxes)), atol=1e-5)


# ---- which way is taken -----------------------------------------------------------------------------------


def test_random_numbers_are_not_computed_apart(keras: Any, tmp_path: Path) -> None:
    class Noisy(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            from picasso.models.tf.runtime import tf

            return inputs + 1e-7 * tf.random.normal(inputs.shape[1:])

    model = load(keras, lambda k, x: head(k, Noisy()(k.layers.Conv2D(6, 3)(x))), tmp_path)
    _, method = answers(model, *noise_images(SHAPE), grid(SHAPE, 0.1, 3))
    assert method == "a whole image for each window, because it has the operation RandomStandardNormal"


def test_the_rest_of_the_process_computes_as_before(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads answer meanwhile, so nothing is switched that is common to all."""
    from picasso.models.tf.runtime import tf

    def refuse(*_: Any) -> None:
        raise AssertionError("a switch of the whole process")

    monkeypatch.setattr("picasso.models.tf.incremental.checked.MIN_GAIN", 0)
    model = load(keras, grouped, tmp_path)
    monkeypatch.setattr(tf.config, "run_functions_eagerly", refuse)
    monkeypatch.setattr(tf.config.optimizer, "set_experimental_options", refuse)
    _, method = answers(model, *noise_images(SHAPE), grid(SHAPE, 0.1, 3))
    assert method.startswith("only what a window changes")


def test_where_it_does_not_pay_whole_images_are_taken(keras: Any, tmp_path: Path) -> None:
    model = load(keras, gated, tmp_path)
    image, fill = noise_images(SHAPE)
    boxes = grid(SHAPE, 0.9, 3)
    found, method = answers(model, image, fill, boxes)
    assert method == "a whole image for each window, because computing only what a window changes would save nothing"
    np.testing.assert_allclose(found, model.predict(covered(image, fill, boxes)), atol=TOLERANCE)


def test_what_can_not_be_taken_apart_takes_whole_images(keras: Any, tmp_path: Path) -> None:
    def looping(k: Any, x: Any) -> Any:
        x = k.layers.Conv2D(6, 3, activation="relu")(x)
        return head(k, k.layers.RNN(k.layers.SimpleRNNCell(8))(k.layers.Reshape((20, -1))(x)), lambda one: one)

    model = load(keras, looping, tmp_path)
    image, fill = noise_images(SHAPE)
    boxes = grid(SHAPE, 0.1, 3)
    found, method = answers(model, image, fill, boxes)
    assert re.fullmatch("a whole image for each window, because it has the operation While", method)
    np.testing.assert_allclose(found, model.predict(covered(image, fill, boxes)), atol=1e-6)


def test_a_fixed_batch_takes_whole_images(keras: Any, tmp_path: Path) -> None:
    inputs = keras.Input(batch_shape=(2, *SHAPE))
    keras.Model(inputs, plain(keras, inputs)).save(tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras")
    found, method = answers(model, *noise_images(SHAPE), grid(SHAPE, 0.1, 3))
    assert method.endswith("because the model has a fixed batch size of 2")
    assert np.isfinite(found).all()


def test_wrong_parts_are_noticed(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("picasso.models.tf.incremental.checked.MIN_GAIN", 0)
    model = load(keras, plain, tmp_path)
    image, fill = noise_images(SHAPE)
    boxes = grid(SHAPE, 0.1, 6)
    engine = model._occluder.engine
    assert engine is not None
    right = engine.run
    monkeypatch.setattr(engine, "run", lambda *all_: ((members, part + 0.01) for members, part in right(*all_)))
    found, method = answers(model, image, fill, boxes)
    assert method.endswith("(WrongAnswerError: its results are off by 0.01)")
    assert "computing only what a window changes failed" in caplog.text
    assert "Traceback" in caplog.text
    np.testing.assert_allclose(found, model.predict(covered(image, fill, boxes)), atol=1e-6)


def test_one_trace_serves_all_windows(keras: Any, tmp_path: Path) -> None:
    model = load(keras, plain, tmp_path)
    for fraction, count in [(0.05, 7), (0.1, 10), (0.2, 5)]:
        answers(model, *noise_images(SHAPE), grid(SHAPE, fraction, count))
    engine = model._occluder.engine
    assert engine is not None
    assert engine._executor is not None
    assert engine._executor._compiled.experimental_get_tracing_count() == 1


def test_memory_bounds_the_windows_of_a_chunk(keras: Any, tmp_path: Path) -> None:
    engine = load(keras, tiles, tmp_path)._occluder.engine
    assert engine is not None
    boxes = grid(SHAPE, 0.2, 20)
    few, many = engine.plan(boxes, 1_000_000), engine.plan(boxes, 50_000_000)
    assert max(len(chunk.members) for chunk in few.chunks) <= 25
    assert max(len(chunk.members) for chunk in many.chunks) > 50
    for plan in (few, many):
        assert sorted(itertools.chain.from_iterable(chunk.members for chunk in plan.chunks)) == list(range(400))


# ---- the mathematics --------------------------------------------------------------------------------------


@given(
    reach=st.integers(1, 7),
    stride=st.integers(1, 4),
    before=st.integers(0, 6),
    length=st.integers(7, 24),
    start=st.integers(0, 23),
    size=st.integers(1, 24),
)
def test_intervals_are_exact(reach: int, stride: int, before: int, length: int, start: int, size: int) -> None:
    """Against going through every output and every value that it reads."""
    start, before = min(start, length - 1), min(before, reach - 1)
    stop = min(length, start + size)
    count = (length + before - reach) // stride + 1
    reads = [range(index * stride - before, index * stride - before + reach) for index in range(count)]
    changed = [index for index, read in enumerate(reads) if any(start <= one < stop for one in read)]
    (first,), (last,) = behind(Slide(reach, stride, before), np.array([start]), np.array([stop]), count)
    if changed:
        assert (first, last) == (changed[0], changed[-1] + 1)
    else:
        assert last == first + 1


@pytest.mark.parametrize("tile", winograd.TILES)
def test_tiles_are_correlations(tile: int) -> None:
    generator = np.random.default_rng(tile)
    back, filters, forth = winograd.matrices(tile)
    values, weights = generator.normal(size=tile + 2), generator.normal(size=3)
    expected = np.correlate(values, weights, "valid")
    np.testing.assert_allclose(back @ ((filters @ weights) * (forth @ values)), expected, atol=1e-12)
    kernel = generator.normal(size=(3, 3, 2, 4))
    square = generator.normal(size=(tile + 2, tile + 2, 2))
    products = np.einsum(
        "sc,sck->sk",
        np.einsum("ia,jb,abc->ijc", forth, forth, square).reshape(-1, 2),
        winograd.transformed(kernel, tile),
    )
    found = np.einsum("ia,jb,abk->ijk", back, back, products.reshape(tile + 2, tile + 2, 4))
    windows = np.lib.stride_tricks.sliding_window_view(square, (3, 3), axis=(0, 1))
    np.testing.assert_allclose(found, np.einsum("ijcab,abck->ijk", windows, kernel), atol=1e-10)


def test_batches_hold_each_window_once_coarse_before_fine() -> None:
    for count, size in [(1, 5), (9, 3), (100, 16), (7, 7)]:
        parts = list(batches(count, size))
        assert sorted(np.concatenate(parts)) == list(range(count))
        assert max(map(len, parts)) <= size
    assert np.diff(np.sort(next(iter(batches(100, 16))))[1:]).min() > 1
