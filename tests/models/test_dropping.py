"""Transformers with fewer tokens, against Keras' layers applied to the tokens that are left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models.info import Capability
from picasso.models.loading import load_model
from picasso.models.tf.graph import Graph
from picasso.models.tf.runtime import keras, tf, tf1
from picasso.models.tf.token_axes import Factor, regrouped
from tests.models import vision_transformers as made

pytestmark = pytest.mark.filterwarnings("ignore")

COUNT = made.GRID**2
layers, ops = keras.layers, keras.ops


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    keras.utils.set_random_seed(5)
    yield
    keras.backend.clear_session()


def hidden(*counts: int) -> NDArray[np.bool_]:
    """Return choices of that many hidden tokens, at random."""
    drawn = np.random.default_rng(2)
    found = np.zeros((len(counts), COUNT), np.bool_)
    for one, count in zip(found, counts, strict=True):
        one[drawn.permutation(COUNT)[:count]] = True
    return found.reshape(-1, made.GRID, made.GRID)


def by_layers(network: Any, without: NDArray[np.bool_], before: int, pooled: bool) -> Any:
    """Return the logits of a network for the first image, whose layers are given the tokens that are left."""
    start = next(layer for layer in network.layers if isinstance(layer, layers.LayerNormalization)).input
    tokens = keras.Model(network.input, start)(made.IMAGES[:1])
    left = np.concatenate([np.arange(before), before + np.flatnonzero(~without)])
    tokens, rest = tf.gather(tokens, left, axis=1), list(network.layers)
    while not isinstance(rest[0], layers.LayerNormalization):
        rest.pop(0)
    while len(rest) > 3:
        first, attend, _, second, wide, narrow, _ = rest[:7]
        normal = first(tokens)
        tokens = tokens + attend(normal, normal)
        tokens = tokens + narrow(wide(second(tokens)))
        del rest[:7]
    tokens = rest[0](tokens)
    read = tf.reduce_mean(tokens, 1) if pooled else tokens[:, 0]
    return (read @ rest[-1].kernel + rest[-1].bias).numpy()[0]


@pytest.mark.parametrize(
    ("before", "pooled", "options"),
    [
        (1, False, {}),
        (5, False, {}),
        (0, True, {}),
        (1, True, {}),
        (1, False, {"flash_attention": False}),
        (1, False, {"dropout": 0.1}),
    ],
)
def test_answers_are_those_of_the_layers_for_the_tokens_that_are_left(
    before: int, pooled: bool, options: dict[str, Any]
) -> None:
    network = made.network(before=before, pooled=pooled, **options)
    model = made.adopted(network)
    assert Capability.DROPPING in model.capabilities
    choices = hidden(0, 4, 9, 4, COUNT - 1)
    expected = np.stack([by_layers(network, one.ravel(), before, pooled) for one in choices])
    outputs, scores, seen = np.zeros((5, made.CLASSES)), np.zeros((5, made.CLASSES)), []
    for members, some, of_some in model.dropped(made.IMAGES[0], choices):
        outputs[members], scores[members] = some, of_some
        seen += members.tolist()
    assert sorted(seen) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)
    exponentials = np.exp(expected)
    np.testing.assert_allclose(outputs, exponentials / exponentials.sum(axis=1, keepdims=True), rtol=0, atol=1e-6)
    np.testing.assert_allclose(outputs[0], model.predict(made.IMAGES[:1])[0], rtol=0, atol=1e-6)
    assert np.abs(expected[1] - expected[0]).max() > 1e-3


def test_equal_choices_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made.adopted(made.network())
    computed, answer = [], model.batch_dropped

    def counted(image: Any, kept: NDArray[np.int64]) -> Any:
        computed.append(kept.shape)
        return answer(image, kept)

    monkeypatch.setattr(model, "batch_dropped", counted)
    choices = hidden(3, 6, 3)[[0, 1, 0, 2, 1]]
    found = {
        int(one): outputs
        for members, some, _ in model.dropped(made.IMAGES[0], choices)
        for one, outputs in zip(members, some, strict=True)
    }
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert sorted(computed) == [(1, COUNT - 6), (2, COUNT - 3)]
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("build", [lambda: made.adopted(made.nested())._graph, made.exported])
def test_blocks_that_are_layers_and_graphs_as_exporters_write_them(build: Callable[[], Graph]) -> None:
    graph = build()
    assert graph.dropping.reason == ""
    image = tf.constant(made.IMAGES[:1])
    outputs, _ = graph.dropping(image, np.arange(COUNT)[None])
    np.testing.assert_allclose(outputs, graph.outputs(made.IMAGES[:1]), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_saved_model(tmp_path: Path) -> None:
    network = made.network()
    network.export(tmp_path / "vit", verbose=False)
    model = load_model(tmp_path / "vit", preprocess="0..1")
    choices = hidden(0, 5)
    expected = np.stack([by_layers(network, one.ravel(), 1, False) for one in choices])
    for members, _, scores in model.dropped(made.IMAGES[0], choices):
        np.testing.assert_allclose(scores, expected[members], rtol=0, atol=1e-5)


def refused(network: Any) -> str:
    """Return why tokens can't be left out of a network."""
    model = made.adopted(network)
    assert Capability.DROPPING not in model.capabilities
    with pytest.raises(ModelError, match="can't be computed without some of its tokens, because") as found:
        model.dropping_grid()
    return str(found.value)


def with_blocks(between: Callable[[Any], Any], before: int = 0) -> Any:
    """Return a network that computes something from the tokens between its two blocks."""
    images = keras.Input((made.SIDE, made.SIDE, 3))
    tokens = made.convolved(images)
    tokens = made.Extra(before)(tokens) if before else tokens
    tokens = made.block(between(made.block(tokens)))
    read = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(tokens))
    return keras.Model(images, layers.Dense(made.CLASSES, activation="softmax")(read))


def mixed(tokens: Any) -> Any:
    """Mixes tokens with weights, as MLP-Mixer does."""
    turned = layers.Permute((2, 1))(tokens)
    return tokens + layers.Permute((2, 1))(layers.Dense(COUNT, name="along")(turned))


def convolved(tokens: Any) -> Any:
    maps = layers.Reshape((made.GRID, made.GRID, made.WIDTH))(tokens)
    maps = layers.DepthwiseConv2D(3, padding="same", name="neighbours")(maps)
    return tokens + layers.Reshape((COUNT, made.WIDTH))(maps)


def excited(tokens: Any) -> Any:
    mean = layers.GlobalAveragePooling1D(keepdims=True)(tokens)
    return tokens * layers.Dense(made.WIDTH, activation="sigmoid", name="gate")(mean)


def summed(tokens: Any) -> Any:
    return tokens + ops.sum(tokens, axis=1, keepdims=True)


def halved(tokens: Any) -> Any:
    return tokens + ops.concatenate([tokens[:, COUNT // 2 :], tokens[:, : COUNT // 2]], axis=1)


def placed(tokens: Any) -> Any:
    return tokens + np.random.default_rng(0).random((1, COUNT, made.WIDTH)).astype(np.float32)


@pytest.mark.parametrize(
    ("between", "why"),
    [
        (mixed, "along.*a weight or a value of its own for each token"),
        (convolved, "Reshape.*cuts them into parts"),
        (excited, "gives tokens what was computed from all of them"),
        (summed, "combines all tokens"),
        (halved, "takes some of the tokens"),
        (placed, "a value of its own for each token"),
    ],
)
def test_networks_that_need_all_tokens_are_refused_by_name(between: Callable[[Any], Any], why: str) -> None:
    message = refused(with_blocks(between))
    assert re.search(why, message), message


def test_other_networks_that_are_refused() -> None:
    assert "behind those of the image" in refused(made.network(behind=2))
    assert "no blocks of a transformer were found" in refused(
        keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    )
    refused(made.windowed())
    images = keras.Input((made.SIDE, made.SIDE, 3))
    tokens = made.block(made.block(made.convolved(images)))
    read = layers.GlobalAveragePooling1D()(tokens)
    colour = layers.Dense(made.WIDTH, name="colour")(ops.mean(images, axis=(1, 2)))
    both = layers.Dense(made.CLASSES, activation="softmax")(read + colour)
    assert "reads the image beside the tokens" in refused(keras.Model(images, both))


def biased() -> Graph:
    """Return a graph whose attention has a bias for each pair of tokens."""

    def build() -> tuple[Any, Any]:
        images = tf1.placeholder(tf.float32, [None, made.SIDE, made.SIDE, 3])
        drawn = np.random.default_rng(0)
        kernel = drawn.normal(size=(made.PATCH, made.PATCH, 3, made.WIDTH)).astype(np.float32)
        weights = drawn.normal(size=(made.WIDTH, made.WIDTH)).astype(np.float32)
        bias = drawn.normal(size=(1, COUNT, COUNT)).astype(np.float32)
        tokens = tf.reshape(tf.nn.conv2d(images, kernel, made.PATCH, "VALID"), [-1, COUNT, made.WIDTH])
        products = tf.add(tf.matmul(tokens, tokens, transpose_b=True), bias, name="relative")
        tokens = tokens + tf.matmul(tf.matmul(tf.nn.softmax(products), tokens), weights)
        return images, tf.nn.softmax(tf.reduce_mean(tokens, 1))

    return Graph(build, "a network")


def test_relative_positions_are_refused_by_name() -> None:
    assert "relative (AddV2) has a weight or a value of its own for each token" in biased().dropping.reason


def mean(images: Any) -> Any:
    return ops.mean(images, axis=(1, 2, 3), keepdims=True)


def with_mean(tokens: Any) -> Any:
    return ops.concatenate([layers.GlobalAveragePooling1D(keepdims=True)(tokens), tokens], axis=1)


def gated(tokens: Any) -> Any:
    """Sums tokens with weights that are no softmax."""
    gates = ops.transpose(layers.Dense(1, activation="sigmoid")(tokens), (0, 2, 1))
    return ops.matmul(gates, tokens)[:, 0] + layers.GlobalAveragePooling1D()(tokens)


def same(values: Any) -> Any:
    return values


@pytest.mark.parametrize(
    ("before", "added", "read", "why"),
    [
        (layers.Conv2D(3, 17, padding="same"), same, None, "its tokens depend on more of the image than their patches"),
        (lambda images: images / ops.max(images, axis=(1, 2, 3), keepdims=True), same, None, "more of the image"),
        (lambda images: images - mean(images), same, None, "more of the image"),
        (same, with_mean, None, "class token or another token that is not of a patch depends on the image"),
        (same, same, gated, "differ from those of masked attention"),
    ],
)
def test_what_depends_on_hidden_patches_is_refused_at_the_first_use(
    before: Any, added: Any, read: Any, why: str
) -> None:
    images = keras.Input((made.SIDE, made.SIDE, 3))
    tokens = made.block(made.block(added(made.convolved(before(images)))))
    answer = (read or layers.GlobalAveragePooling1D())(tokens)
    model = made.adopted(keras.Model(images, layers.Dense(made.CLASSES, activation="softmax")(answer)))
    with pytest.raises(ModelError, match=why):
        list(model.dropped(made.IMAGES[0], hidden(3)))
    # From then on it is known.
    with pytest.raises(ModelError, match=why):
        model.dropping_grid()


def test_a_small_grid_is_checked_as_well() -> None:
    side = 3 * made.PATCH
    images = keras.Input((side, side, 3))
    tokens = layers.Reshape((-1, made.WIDTH))(layers.Conv2D(made.WIDTH, made.PATCH, made.PATCH)(images - mean(images)))
    read = layers.GlobalAveragePooling1D()(made.block(made.block(tokens)))
    model = made.adopted(keras.Model(images, layers.Dense(made.CLASSES, activation="softmax")(read)))
    with pytest.raises(ModelError, match="more of the image"):
        list(model.dropped(np.zeros((side, side, 3), np.float32), np.zeros((1, 3, 3), np.bool_)))


@pytest.mark.parametrize(
    "read",
    [
        lambda tokens: ops.mean(tokens[:, -COUNT:], axis=1),
        lambda tokens: tokens[:, -COUNT - 1],
        lambda tokens: ops.squeeze(tokens[:, :-COUNT], 1),
        lambda tokens: ops.where(tokens > 0, tokens, 0.1 * tokens)[:, 0],
        lambda tokens: ops.max(tokens, axis=1),
    ],
)
def test_heads_whose_answer_does_not_depend_on_hidden_patches(read: Callable[[Any], Any]) -> None:
    images = keras.Input((made.SIDE, made.SIDE, 3))
    tokens = made.block(made.block(made.Extra(1)(made.convolved(images))))
    network = keras.Model(images, layers.Dense(made.CLASSES, activation="softmax")(read(tokens)))
    model, (choice,) = made.adopted(network), hidden(7)
    other = made.IMAGES[0].copy()
    for row, column in zip(*np.nonzero(choice), strict=True):
        other[row * made.PATCH : (row + 1) * made.PATCH, column * made.PATCH : (column + 1) * made.PATCH] = 0
    one, two = (next(iter(model.dropped(image, choice[None])))[2] for image in (made.IMAGES[0], other))
    np.testing.assert_array_equal(one, two)
    ((_, whole, _),) = model.dropped(made.IMAGES[0], np.zeros_like(choice[None]))
    np.testing.assert_allclose(whole, model.predict(made.IMAGES[:1]), rtol=0, atol=1e-6)


def test_numbers_of_16_bits_differ_more_from_masked_attention() -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = made.adopted(made.network())
        outputs = [part for _, part, _ in model.dropped(made.IMAGES[0], hidden(0, 5))]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(outputs[-1], model.predict(made.IMAGES[:1]), rtol=0, atol=1e-2)


def test_a_condition_of_the_image_is_refused() -> None:
    images = keras.Input((made.SIDE, made.SIDE, 3))
    tokens = made.block(made.convolved(images))
    bright = ops.all(images > 0.3, axis=(1, 2, 3))[:, None, None]
    tokens = made.block(ops.where(bright, tokens, -tokens))
    read = layers.GlobalAveragePooling1D()(tokens)
    message = refused(keras.Model(images, layers.Dense(made.CLASSES, activation="softmax")(read)))
    assert "reads the image beside the tokens" in message


def test_a_copy_that_differs_from_masked_attention_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made.adopted(made.network())
    dropping = model._graph.dropping
    monkeypatch.setattr(dropping, "_examined", dropping._examined._replace(softmaxes={}))
    with pytest.raises(ModelError, match="because the results differ from those of masked attention by 0"):
        list(model.dropped(made.IMAGES[0], hidden(3)))


def test_one_token_at_least_must_be_left_without_a_class_token() -> None:
    model = made.adopted(made.network(before=0, pooled=True))
    with pytest.raises(ModelError, match="At least one token must be left"):
        list(model.dropped(made.IMAGES[0], hidden(COUNT)))
    model = made.adopted(made.network(before=1))
    ((members, outputs, _),) = model.dropped(made.IMAGES[0], hidden(COUNT))
    assert members.tolist() == [0]
    assert np.isfinite(outputs).all()


TOKENS, BATCH = Factor(17, 1), Factor(None)


@pytest.mark.parametrize(
    ("factors", "shape", "expected"),
    [
        ([BATCH, TOKENS, Factor(12)], [None, 17, 3, 4], [(BATCH,), (TOKENS,), (Factor(3),), (Factor(4),)]),
        ([BATCH, TOKENS, Factor(12)], [None, 12], [(BATCH, TOKENS), (Factor(12),)]),
        ([BATCH, TOKENS, Factor(12)], [None, 17, 1, 12], [(BATCH,), (TOKENS,), (), (Factor(12),)]),
        ([BATCH, TOKENS, Factor(12)], [None, 204], [(BATCH,), (TOKENS, Factor(12))]),
        ([BATCH, Factor(16, 0), Factor(12)], [None, 4, 4, 12], None),
        ([TOKENS, BATCH, Factor(3), Factor(4)], [17, None, 4], [(TOKENS,), (BATCH, Factor(3)), (Factor(4),)]),
        ([BATCH, TOKENS, Factor(4)], [None, 3, 17, 4], [(BATCH,), (Factor(3),), (TOKENS,), (Factor(4),)]),
        ([BATCH, TOKENS], [None, None, 17], None),
    ],
)
def test_reshapes(factors: Any, shape: Any, expected: Any) -> None:
    assert regrouped(factors, shape) == expected
