"""AttnLRP on networks where the relevance is known: by conservation, and where it is the gradient times the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from picasso.models.arrays import Array
from picasso.models.tf.backward import Backward
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.relevance import with_rules
from picasso.models.tf.runtime import keras, tf, tf1
from tests.models import vision_transformers as made

pytestmark = pytest.mark.filterwarnings("ignore")

COUNT, WIDTH, CLASSES = 6, 8, 3
TOKENS = np.random.default_rng(1).normal(size=(2, COUNT, WIDTH)).astype(np.float32)


def weights(seed: int, *shape: int) -> Any:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def relevance(network: Callable[[Any], Any], plain: bool = False) -> tuple[Array, Array]:
    """Return the relevance ``(N, T, D)`` of tokens for the first score, or gradients times tokens; and the scores."""
    tensors: dict[str, Any] = {}

    def build() -> None:
        tensors["tokens"] = tf1.placeholder(tf.float32, [None, COUNT, WIDTH])
        tensors["scores"] = network(tensors["tokens"])

    wrapped = tf1.wrap_function(build, [])
    cutter, tokens, scores = Cutter(wrapped), tensors["tokens"], tensors["scores"]
    passes = Backward(cutter.cut, tokens, scores if plain else with_rules(cutter, wrapped, tokens, scores), tokens)
    passed = passes.forward(tf.constant(TOKENS))
    first = np.eye(CLASSES, dtype=np.float32)[[0] * len(TOKENS)]
    (answers,) = cutter.cut([tokens], [scores])(tf.constant(TOKENS))
    return passes.back(passed, first).numpy() * TOKENS, answers.numpy()


def linear(tokens: Any) -> Any:
    return tf.reduce_mean(tf.matmul(tf.matmul(tokens, weights(1, WIDTH, 5)), weights(2, 5, CLASSES)), 1)


def normalized(tokens: Any) -> Any:
    layer = keras.layers.LayerNormalization(epsilon=1e-9, center=False)
    return linear(layer(tokens))


def normalized_by_hand(tokens: Any) -> Any:
    centred = tokens - tf.reduce_mean(tokens, -1, keepdims=True)
    return linear(centred / tf.sqrt(tf.reduce_mean(tf.pow(centred, 2.0), -1, keepdims=True)))


def activated(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda tokens: linear(function(tf.matmul(tokens, weights(3, WIDTH, WIDTH))))


def gated(tokens: Any) -> Any:
    """A gate of other values than those that it multiplies."""
    return linear(tf.sigmoid(tf.matmul(tokens, weights(3, WIDTH, WIDTH))) * tf.matmul(tokens, weights(4, WIDTH, WIDTH)))


def attentive(tokens: Any) -> Any:
    """Attention without a softmax: three factors, each of which depends on the tokens."""
    query, key, value = (tf.matmul(tokens, weights(seed, WIDTH, WIDTH)) for seed in (5, 6, 7))
    return linear(tf.einsum("nqk,nkd->nqd", tf.matmul(query, key, transpose_b=True), value))


def attentive_block(tokens: Any) -> Any:
    """All rules together, in two residual blocks."""
    for _ in range(2):
        tokens = tokens + attentive_part(keras.layers.LayerNormalization(epsilon=1e-9)(tokens)) / 10
        tokens = tokens + tf.nn.gelu(
            tf.matmul(keras.layers.LayerNormalization(epsilon=1e-9)(tokens), weights(8, WIDTH, WIDTH))
        )
    return normalized(tokens)


def attentive_part(tokens: Any) -> Any:
    query, key, value = (tf.matmul(tokens, weights(seed, WIDTH, WIDTH)) for seed in (5, 6, 7))
    return tf.matmul(tf.matmul(query, key, transpose_b=True), value)


NETWORKS: dict[str, Callable[[Any], Any]] = {
    "linear": linear,
    "LayerNormalization": normalized,
    "normalization by hand": normalized_by_hand,
    "gated": gated,
    "attention": attentive,
    "blocks": attentive_block,
    "GELU": activated(tf.nn.gelu),
    "GELU by tanh": activated(lambda x: tf.nn.gelu(x, approximate=True)),
    "GELU of Keras": activated(lambda x: keras.activations.gelu(x, approximate=False)),
    "SiLU": activated(tf.nn.silu),
    "SiLU of Keras": activated(keras.activations.silu),
    "hard SiLU": activated(keras.activations.hard_silu),
    "Mish": activated(lambda x: x * tf.tanh(tf.nn.softplus(x))),
    "tanh": activated(tf.tanh),
    "ELU": activated(tf.nn.elu),
    "ReLU": activated(tf.nn.relu),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_relevance_is_conserved(name: str) -> None:
    found, scores = relevance(NETWORKS[name])
    np.testing.assert_allclose(found.sum(axis=(1, 2)), scores[:, 0], rtol=1e-3, atol=1e-3 * np.abs(scores).max())


@pytest.mark.parametrize("name", ["linear", "ReLU"])
def test_relevance_is_gradient_times_input_where_the_network_is_linear(name: str) -> None:
    found, _ = relevance(NETWORKS[name])
    expected, _ = relevance(NETWORKS[name], plain=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["LayerNormalization", "attention", "GELU", "SiLU"])
def test_gradient_times_input_is_not_conserved(name: str) -> None:
    """The rules matter: without them the sum is another one."""
    found, scores = relevance(NETWORKS[name], plain=True)
    assert np.abs(found.sum(axis=(1, 2)) - scores[:, 0]).max() > 0.05 * np.abs(scores[:, 0]).max()


def test_a_softmax_keeps_its_gradient() -> None:
    """The relevance of its input is ``x * (R - s * sum(R))``, equation 12; its sum is not that of its output."""

    def network(tokens: Any) -> Any:
        return tf.reduce_sum(tf.nn.softmax(tokens), 1)[:, :CLASSES]

    found, _ = relevance(network)
    shares = np.exp(TOKENS) / np.exp(TOKENS).sum(axis=-1, keepdims=True)
    above = shares * (np.arange(WIDTH) == 0)
    expected = TOKENS * (above - shares * above.sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("RealDiv", lambda x: x / (1 + tf.matmul(x, weights(1, WIDTH, WIDTH)) ** 2)),
        ("Exp", tf.exp),
        ("Log", lambda x: tf.math.log(1 + tf.square(x))),
        ("Sin", tf.sin),
        ("DivNoNan", lambda x: tf.math.divide_no_nan(x, 1 + tf.square(x))),
        ("Reciprocal", lambda x: tf.math.reciprocal(2 + tf.square(x))),
        ("Prod", lambda x: tf.reduce_prod(x, -1, keepdims=True) * tf.ones(WIDTH)),
    ],
)
def test_operations_without_a_rule_are_refused(kind: str, function: Any) -> None:
    with pytest.raises(ValueError, match=f"there is no rule for .*{kind}"):
        relevance(lambda tokens: tf.reduce_mean(function(tokens), 1)[:, :3])


def test_relevance_of_a_model() -> None:
    keras.utils.set_random_seed(5)
    model = made.adopted(made.network(pooled=True))
    found = model.relevance(made.IMAGES, [0, 2])
    assert found.shape == (2, 2, *made.IMAGES.shape[1:])
    single = model.relevance(made.IMAGES[1:], [2])
    np.testing.assert_allclose(single[0, 0], found[1, 1], rtol=0, atol=1e-5 * np.abs(found).max())
    # The maps of plain gradients are others.
    plain = model.gradients(made.IMAGES, [0, 2]) * made.IMAGES[:, None]
    assert np.corrcoef(found.ravel(), plain.ravel())[0, 1] < 0.99
