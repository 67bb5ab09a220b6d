"""Forward and backward passes apart: TensorFlow's own gradients, compiled once for any number of functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from picasso.models.tf.backward import CONTROL, SMOOTH, Backward, differentiable
from picasso.models.tf.built_graph import BuiltGraph
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.runtime import gradient_registry, keras, tf, tf1
from picasso.targets import as_target

SHAPE = (6, 7, 3)
IMAGES = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(np.float32)
COTANGENTS = np.random.default_rng(2).normal(size=(3, 2, 4)).astype(np.float32)


def layer(images: Any) -> Any:
    return tf.nn.relu6(tf.nn.conv2d(images, KERNEL, 1, "VALID") * [1.0, 2.0, 0.5, -1.0] + 0.3)


def head(features: Any) -> Any:
    return tf.reduce_mean(features**2, (1, 2)) + tf.reduce_max(features, (1, 2))


def backward(at_layer: bool, straight: bool = True) -> tuple[Backward, list[Any]]:
    """Return the passes of a small network, and the functions that were compiled for them."""
    tensors: dict[str, Any] = {}

    def build() -> None:
        images = tensors["images"] = tf1.placeholder(tf.float32, [None, *SHAPE])
        if not straight:
            no, yes = tf.raw_ops.Switch(data=images, pred=tf.reduce_all(images < 100))
            images, _ = tf.raw_ops.Merge(inputs=[-no, yes])
            images = tf.ensure_shape(images, [None, *SHAPE])
        tensors["layer"] = layer(images)
        tensors["scores"] = head(tensors["layer"])

    cutter, made = Cutter(tf1.wrap_function(build, [])), []

    def cut(inputs: Any, outputs: Any) -> Any:
        made.append(cutter.cut(inputs, outputs))
        return made[-1]

    return Backward(cut, tensors["images"], tensors["scores"], tensors["layer" if at_layer else "images"]), made


@pytest.mark.parametrize("at_layer", [False, True])
@pytest.mark.parametrize("straight", [True, False])
def test_gradients_are_those_of_tensorflow(at_layer: bool, straight: bool) -> None:
    passes, made = backward(at_layer, straight)
    images = tf.constant(IMAGES)
    passed = passes.forward(images)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        features = layer(images)
        scores = head(features)
    seen = features if at_layer else images
    np.testing.assert_allclose(passed.value, seen, atol=1e-6)
    for cotangents in COTANGENTS:
        found = passes.back(passed, tf.constant(cotangents))
        np.testing.assert_allclose(found, tape.gradient(scores, seen, cotangents), atol=1e-5)
    assert len(made) == 2


def test_the_forward_pass_is_not_repeated() -> None:
    """The backward pass has no operation that computes features, except where branches make it repeat all."""
    kinds = {
        straight: {node.op for node in backward(False, straight)[1][1].graph.as_graph_def().node}
        for straight in (True, False)
    }
    assert "Conv2DBackpropInput" in kinds[True]
    assert not kinds[True] & {"Conv2D", "Relu6", *CONTROL}
    assert {"Conv2D", "Relu6", "Switch", "Merge"} <= kinds[False]


def test_scores_that_do_not_depend_on_a_tensor_are_refused() -> None:
    def build() -> None:
        images = tf1.placeholder(tf.float32, [None, *SHAPE])
        with pytest.raises(ValueError, match="do not depend"):
            Backward(lambda _, __: None, images, tf.zeros([2, 4]) + tf.stop_gradient(head(layer(images))), images)

    tf1.wrap_function(build, [])


def counted_layers(images: Any) -> Any:
    return tf.cast(tf.argmax(images, 3), tf.float32)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (layer, True),
        (lambda images: tf.floor(images) + 1, False),
        (counted_layers, False),
        (lambda images: tf.stop_gradient(images) * 2, False),
        (lambda images: tf.stop_gradient(images) + tf.nn.relu(images), True),
        (lambda images: tf.cast(tf.cast(images, tf.int32), tf.float32), False),
        (tf.function(lambda images: images**2), True),
        (tf.function(lambda images: tf.round(images)), False),
        (lambda images: tf.raw_ops.Betainc(a=images, b=images, x=images), None),
    ],
)
def test_a_path_of_operations_tells_what_the_gradient_would(network: Any, expected: bool | None) -> None:
    def build() -> None:
        images = tf1.placeholder(tf.float32, [None, *SHAPE])
        scores = tf.reduce_sum(network(images), [*range(1, network(images).shape.rank)])[:, None]
        found = differentiable(images, scores)
        assert found == (tf.gradients(scores, images)[0] is not None)
        assert expected in (found, None)

    tf1.wrap_function(build, [])


def test_integers_have_no_gradient() -> None:
    def build() -> None:
        images = tf1.placeholder(tf.uint8, [None, *SHAPE])
        assert not differentiable(images, head(layer(tf.cast(images, tf.float32))))

    tf1.wrap_function(build, [])


def test_an_operation_that_has_no_gradient_is_told() -> None:
    def build() -> None:
        images = tf1.placeholder(tf.float32, [None, 4])
        rough = tf.raw_ops.Unbatch(
            batched_tensor=images, batch_index=tf.zeros([1, 3], tf.int64), id=0, timeout_micros=1
        )
        with pytest.raises(LookupError):
            tf.gradients(rough, images)
        assert not differentiable(images, images + rough), "one of two ways is not enough"
        assert not differentiable(images, rough)
        with pytest.raises(ValueError, match="has no gradient"):
            Backward(lambda _, __: None, images, images + rough, images)

    tf1.wrap_function(build, [])


def test_operations_of_the_path_have_gradients_with_respect_to_each_input() -> None:
    for name in SMOOTH:
        assert gradient_registry.lookup(name) is not None, name


def adopted(network: Any) -> Any:
    from picasso.models.keras import KerasModel

    model = KerasModel()
    model.load(model=network)
    return model


def small_network(*middle: Any) -> Any:
    """Return a classifier of two convolutions, with layers between them."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(5, 3, activation="relu", name="first"),
            *middle,
            layers.Conv2D(4, 3, activation="relu", name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(6, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def network() -> Iterator[Any]:
    yield small_network()
    keras.backend.clear_session()


def test_any_number_of_classes_is_compiled_once(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, made = adopted(network), []
    cut = BuiltGraph.cut

    def counted(self: BuiltGraph, inputs: Any, outputs: Any) -> Any:
        made.append(len(outputs))
        return cut(self, inputs, outputs)

    monkeypatch.setattr(BuiltGraph, "cut", counted)
    together = model.gradients(IMAGES, list(range(6)))
    for count in (1, 2, 5):
        np.testing.assert_allclose(model.gradients(IMAGES, list(range(count))), together[:, :count], atol=1e-6)
    assert len(made) == 2, "one forward and one backward pass"


@pytest.mark.parametrize("name", ["first", "last"])
def test_maps_and_gradients_of_a_layer_share_the_forward_pass(
    network: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, targets, passes = adopted(network), [as_target(index) for index in (4, 0, 2)], []
    expected = model.feature_maps(IMAGES, name), model.feature_gradients(IMAGES, targets, name)
    forward = Backward.forward

    def counted(self: Backward, inputs: Any) -> Any:
        passes.append(len(inputs))
        return forward(self, inputs)

    monkeypatch.setattr(Backward, "forward", counted)
    maps, gradients = model.features(IMAGES, targets, name)
    np.testing.assert_allclose(maps, expected[0], atol=1e-6)
    np.testing.assert_allclose(np.stack(list(gradients), axis=1), expected[1], atol=1e-6)
    assert passes == [2]
