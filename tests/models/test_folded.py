"""Normalizations folded into convolutions: the same values, with fewer operations."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from picasso.models.tf.cutting import Cutter
from picasso.models.tf.folded import folded
from picasso.models.tf.graph import Graph
from picasso.models.tf.runtime import tf, tf1

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (8, 9, 3)
IMAGES = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(np.float32)
DEPTHWISE = np.random.default_rng(2).normal(size=(3, 3, 3, 2)).astype(np.float32)
POSITIVE = np.random.default_rng(3).uniform(0.5, 2, (4, 6)).astype(np.float32)


def normalized(tensor: Any) -> Any:
    scale, offset, mean, variance = POSITIVE[:, : tensor.shape[-1]]
    return tf1.nn.fused_batch_norm(tensor, scale, offset - 1, mean - 1, variance, is_training=False)[0]


def convolution(tensor: Any) -> Any:
    return tf.nn.conv2d(tensor, WEIGHTS, 2, "SAME")


def in_pieces(tensor: Any) -> Any:
    factor, offset = POSITIVE[0, :4], POSITIVE[1, :4]
    return tf.nn.relu6((tf.nn.bias_add(convolution(tensor), offset) - offset[::-1]) * factor / 3.0 + offset)


def used_twice(tensor: Any) -> Any:
    made = convolution(tensor)
    return normalized(made) + made


def checked(tensor: Any) -> Any:
    """Return a network with a check that uses the result of the convolution, too."""
    made = convolution(tensor)
    check = tf.debugging.assert_less(tf.reduce_max(tf.abs(made)), 1e9)
    result = normalized(made)
    with tf.control_dependencies([check]):
        return tf.nn.relu(result)


NETWORKS: dict[str, tuple[Callable[[Any], Any], dict[str, int]]] = {
    "normalized": (lambda images: tf.nn.relu(normalized(convolution(images))), {"FusedBatchNormV3": 0, "BiasAdd": 1}),
    "depthwise": (
        lambda images: normalized(tf.nn.depthwise_conv2d(images, DEPTHWISE, [1, 1, 1, 1], "VALID")),
        {"FusedBatchNormV3": 0, "BiasAdd": 1},
    ),
    "in pieces": (in_pieces, {"Mul": 0, "RealDiv": 0, "Sub": 0, "AddV2": 0, "BiasAdd": 1}),
    "a factor of each image": (
        lambda images: normalized(convolution(images)) * tf.reduce_mean(images, (1, 2, 3), keepdims=True),
        {"FusedBatchNormV3": 0, "Mul": 1},
    ),
    # What follows is left as it is.
    "checked": (checked, {"FusedBatchNormV3": 1}),
    "a gradient of its own": (lambda images: tf.nn.silu(normalized(convolution(images))), {"FusedBatchNormV3": 1}),
    "used twice": (used_twice, {"FusedBatchNormV3": 1}),
    "a bias": (lambda images: tf.nn.bias_add(convolution(images), POSITIVE[0, :4]), {"BiasAdd": 1}),
    "for each place": (lambda images: convolution(images) * tf.reshape(tf.range(20.0), (1, 4, 5, 1)), {"Mul": 1}),
    "before": (lambda images: convolution(normalized(images)), {"FusedBatchNormV3": 1}),
    "a filter of the image": (
        lambda images: normalized(tf.nn.conv2d(images, WEIGHTS * tf.reduce_mean(images), 1, "SAME")),
        {"FusedBatchNormV3": 1},
    ),
}


def functions(network: Callable[[Any], Any], inner: bool = False) -> tuple[Any, Any]:
    """Return a network as a function, and folded."""
    tensors = {}

    def build() -> None:
        images = tensors["images"] = tf1.placeholder(tf.float32, [None, *SHAPE])
        tensors["output"] = network(images)

    wrapped = tf1.wrap_function(build, [])
    cutter, images, output = Cutter(wrapped), tensors["images"], tensors["output"]
    targets = [output, output.op.inputs[0]] if inner else [output]
    made = folded(cutter, wrapped, images, targets)
    return cutter.cut([images], targets), cutter.cut([images], made)


@pytest.mark.parametrize("name", NETWORKS)
def test_values_are_the_same_with_fewer_operations(name: str) -> None:
    network, expected = NETWORKS[name]
    plain, made = functions(network)
    np.testing.assert_allclose(made(IMAGES)[0], plain(IMAGES)[0], rtol=1e-5, atol=1e-5)
    assert plain(IMAGES)[0].numpy().std() > 0.1
    kinds = Counter(node.op for node in made.graph.as_graph_def().node)
    assert {kind: kinds[kind] for kind in expected} == expected


def test_a_target_within_a_chain_is_kept() -> None:
    plain, made = functions(lambda images: normalized(convolution(images)), inner=True)
    for one, other in zip(made(IMAGES), plain(IMAGES), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from picasso.models.tf.runtime import keras

    keras.utils.set_random_seed(5)
    yield keras
    keras.backend.clear_session()


@pytest.mark.parametrize("in_memory", [False, True])
def test_only_a_model_in_memory_may_change(keras: Any, in_memory: bool, tmp_path: Any) -> None:
    from picasso.models.keras import KerasModel

    layers = keras.layers
    normalization = layers.BatchNormalization()
    network = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3),
            normalization,
            layers.ReLU(name="rectified"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    normalization.set_weights([POSITIVE[0, :4], POSITIVE[1, :4], POSITIVE[2, :4], POSITIVE[3, :4]])
    model = KerasModel()
    if in_memory:
        model.load(model=network)
    else:
        network.save(tmp_path / "network.keras")
        model.load(path=str(tmp_path / "network.keras"))
    np.testing.assert_allclose(model.predict(IMAGES), network(IMAGES), atol=1e-6)
    seen = keras.Model(network.inputs, network.get_layer("rectified").output)
    np.testing.assert_allclose(model.feature_maps(IMAGES), seen(IMAGES), atol=1e-5)
    kinds = Counter(node.op for node in model._graph._predict.graph.as_graph_def().node)
    assert bool(kinds["Rsqrt"]) is in_memory
    normalization.set_weights([POSITIVE[0, :4] * 3, POSITIVE[1, :4], POSITIVE[2, :4], POSITIVE[3, :4]])
    if in_memory:
        np.testing.assert_allclose(model.predict(IMAGES), network(IMAGES), atol=1e-6)


def test_random_numbers_are_drawn_in_each_call() -> None:
    _, made = functions(lambda images: normalized(convolution(images) * tf.random.uniform([1, 1, 1, 4])))
    assert np.abs(made(IMAGES)[0] - made(IMAGES)[0]).max() > 1e-3


def refused(*_: Any) -> list[Any]:
    """Stand for a graph that can't be folded."""
    raise ValueError


@pytest.mark.parametrize("possible", [True, False])
def test_captured_factors_are_folded_or_the_model_is_computed_as_it_is(
    possible: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not possible:
        monkeypatch.setattr("picasso.models.tf.graph.folded", refused)
    keras = pytest.importorskip("keras")
    factors = tf.constant(np.linspace(0.5, 2, 8), tf.float32)

    class Scaled(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return inputs * factors

    images = keras.Input((8, 8, 3))
    features = keras.layers.BatchNormalization()(Scaled()(keras.layers.Conv2D(8, 3)(images)))
    scores = keras.layers.Dense(2, "softmax")(keras.layers.GlobalAveragePooling2D()(features))
    network = keras.Model(images, scores)
    pixels = IMAGES[:, :8, :8]

    def build() -> tuple[Any, Any]:
        given = tf1.placeholder(tf.float32, [None, 8, 8, 3])
        return given, network(given)

    with caplog.at_level(logging.INFO):
        graph = Graph(build, "a model")
    assert ("can't be folded" in caplog.text) != possible
    np.testing.assert_allclose(graph.outputs(pixels), network(pixels).numpy(), atol=1e-6)
