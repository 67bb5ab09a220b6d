"""Attention weights and their gradients, against Keras and NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models.info import Capability
from picasso.models.tf.runtime import keras, tf
from tests.models import vision_transformers as made

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (4, 4, 2)
INPUTS = np.random.default_rng(1).normal(size=(3, *SHAPE)).astype(np.float32)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    keras.utils.set_random_seed(5)
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("flash", [None, False])
def test_weights_are_those_of_keras(dropout: float, flash: bool | None) -> None:
    network = made.network(depth=2, dropout=dropout, flash_attention=flash)
    model = made.adopted(network)
    assert Capability.ATTENTION in model.capabilities
    weights, _ = model.attention(made.IMAGES)
    attentions = [layer for layer in network.layers if isinstance(layer, keras.layers.MultiHeadAttention)]
    for layer, found in zip(attentions, weights, strict=True):
        before = keras.Model(network.input, layer.input[0])(made.IMAGES)
        _, expected = layer(before, before, return_attention_scores=True)
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-6)


def test_gradients_are_the_effect_of_a_change_of_a_weight() -> None:
    """A block with one head, whose scores are linear in the weights: the gradient is value times what reads it."""
    images = keras.Input((8, 8, 1))
    tokens = keras.layers.Reshape((4, 16))(keras.layers.Conv2D(16, 4, 4)(images))
    attend = keras.layers.MultiHeadAttention(1, 5)
    tokens = keras.layers.Add()([tokens, attend(tokens, tokens)])
    network = keras.Model(images, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(tokens)))
    model = made.adopted(network)
    inputs = np.random.default_rng(2).random((2, 8, 8, 1), np.float32)
    (weights,), gradients = model.attention(inputs, [0, 2])
    assert weights.shape == (2, 1, 4, 4)
    before = keras.Model(images, attend.input[0])(inputs).numpy()
    values = before @ attend._value_dense.kernel.numpy()[:, 0] + attend._value_dense.bias.numpy()[0]
    for index, (found,) in zip([0, 2], gradients, strict=True):
        read = attend._output_dense.kernel.numpy()[0] @ network.layers[-1].kernel.numpy()[:, index] / 4
        expected = np.tile((values @ read)[:, None, None], (1, 1, 4, 1))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_tokens_that_are_not_read_have_no_gradients() -> None:
    model = made.adopted(made.network(depth=2))
    assert model.token_grid().readers == (0,)
    _, gradients = model.attention(made.IMAGES, [1])
    (first, last) = next(gradients)
    assert first.all()
    assert last[:, :, 0].all()
    assert not last[:, :, 1:].any()


def test_a_pooling_head_reads_all_tokens() -> None:
    model = made.adopted(made.network(pooled=True))
    assert model.token_grid().readers == tuple(range(17))


def test_a_graph_as_exporters_write_it() -> None:
    graph = made.exported()
    functions = np.eye(3, dtype=np.float32)[None, :2].repeat(2, 0)
    weights, gradients = graph.transformer.attention(tf.constant(made.IMAGES), functions)
    assert [one.shape for one in weights] == [(2, 2, 17, 17)] * 2
    np.testing.assert_allclose(np.sum(weights, axis=-1), 1, atol=1e-5)
    assert all(one.any() for found in gradients for one in found)


def test_a_convolutional_network_has_no_attention() -> None:
    images = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(4, 3, activation="softmax")(images)
    network = keras.Model(images, keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(maps)))
    model = made.adopted(network)
    assert Capability.ATTENTION not in model.capabilities
    for ask in (lambda: model.attention(made.IMAGES[:, :8, :8]), model.token_grid):
        with pytest.raises(ModelError, match="has no self-attention|no attention between all tokens"):
            ask()
