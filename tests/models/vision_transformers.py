"""Small vision transformers, written as Keras, KerasHub, PyTorch's exporters and others write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from picasso.models.keras import KerasModel
from picasso.models.preprocessing import Preprocessing
from picasso.models.tf.graph import Graph
from picasso.models.tf.runtime import keras, tf, tf1

layers, ops = keras.layers, keras.ops
SIDE, PATCH, GRID, WIDTH, CLASSES = 24, 6, 4, 16, 3
IMAGES = np.random.default_rng(0).random((2, SIDE, SIDE, 3), np.float32)


class Extra(layers.Layer):  # type: ignore[misc, name-defined]
    """Puts tokens in front of those of the image and behind them, and adds positions to all."""

    def __init__(self, before: int = 1, behind: int = 0) -> None:
        super().__init__()
        self.before, self.behind = before, behind

    def build(self, shape: Any) -> None:
        count, width = shape[1:]
        self.tokens = self.add_weight(shape=(1, self.before + self.behind, width), initializer="random_normal")
        self.positions = self.add_weight(
            shape=(1, count + self.before + self.behind, width), initializer="random_normal"
        )

    def call(self, patches: Any) -> Any:
        tokens = ops.broadcast_to(self.tokens, (ops.shape(patches)[0], *self.tokens.shape[1:]))
        parts = [tokens[:, : self.before], patches, tokens[:, self.before :]]
        return ops.concatenate([one for one in parts if one.shape[1]], axis=1) + self.positions


class Block(layers.Layer):  # type: ignore[misc, name-defined]
    """A block as one layer, as KerasHub writes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
        self.attend = layers.MultiHeadAttention(2, WIDTH // 2, dropout=0.1)
        self.dense = [layers.Dense(32, activation="gelu"), layers.Dense(WIDTH)]

    def call(self, tokens: Any) -> Any:
        normal = self.norms[0](tokens)
        tokens = self.attend(normal, normal) + tokens
        return self.dense[1](self.dense[0](self.norms[1](tokens))) + tokens


def block(tokens: Any, activation: str = "gelu", **options: Any) -> Any:
    """Return a block as Keras' functional interface writes it."""
    normal = layers.LayerNormalization()(tokens)
    tokens = layers.Add()([tokens, layers.MultiHeadAttention(2, WIDTH // 2, **options)(normal, normal)])
    dense = layers.Dense(32, activation=activation)(layers.LayerNormalization()(tokens))
    return layers.Add()([tokens, layers.Dense(WIDTH)(dense)])


def convolved(images: Any) -> Any:
    return layers.Reshape((-1, WIDTH))(layers.Conv2D(WIDTH, PATCH, PATCH, name="patches")(images))


def extracted(images: Any) -> Any:
    patches = ops.image.extract_patches(images, PATCH)
    return layers.Dense(WIDTH)(ops.reshape(patches, (-1, GRID * GRID, PATCH * PATCH * 3)))


def cut_by_reshapes(images: Any) -> Any:
    parts = ops.transpose(ops.reshape(images, (-1, GRID, PATCH, GRID, PATCH, 3)), (0, 1, 3, 2, 4, 5))
    return layers.Dense(WIDTH)(ops.reshape(parts, (-1, GRID * GRID, PATCH * PATCH * 3)))


def sliced(images: Any) -> Any:
    """The patches one by one, which no rule follows."""
    parts = [
        ops.reshape(images[:, r * PATCH : (r + 1) * PATCH, c * PATCH : (c + 1) * PATCH], (-1, PATCH * PATCH * 3))
        for r in range(GRID)
        for c in range(GRID)
    ]
    return layers.Dense(WIDTH)(ops.stack(parts, axis=1))


def network(
    patches: Any = convolved, before: int = 1, behind: int = 0, pooled: bool = False, depth: int = 3, **options: Any
) -> Any:
    """Return a vision transformer with random weights."""
    images = keras.Input((SIDE, SIDE, 3))
    tokens = patches(images)
    if before + behind:
        tokens = Extra(before, behind)(tokens)
    for _ in range(depth):
        tokens = block(tokens, **options)
    tokens = layers.LayerNormalization(name="last")(tokens)
    read = layers.GlobalAveragePooling1D()(tokens) if pooled else tokens[:, 0]
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(read))


def nested(depth: int = 3) -> Any:
    """Return a vision transformer whose blocks are layers."""
    images = keras.Input((SIDE, SIDE, 3))
    tokens = Extra()(convolved(images))
    for index in range(depth):
        tokens = Block(name=f"block_{index}")(tokens)
    tokens = layers.LayerNormalization(name="last")(tokens)
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(tokens[:, 0]))


def windowed(shift: int = 1) -> Any:
    """Return a transformer with attention within shifted windows of 2 x 2 patches, as in Swin."""
    images = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(WIDTH, PATCH, PATCH, name="patches")(images)
    for _ in range(2):
        normal = ops.roll(layers.LayerNormalization()(maps), (-shift, -shift), (1, 2))
        parts = ops.transpose(ops.reshape(normal, (-1, 2, 2, 2, 2, WIDTH)), (0, 1, 3, 2, 4, 5))
        within = ops.reshape(parts, (-1, 4, WIDTH))
        within = layers.MultiHeadAttention(2, WIDTH // 2)(within, within)
        parts = ops.transpose(ops.reshape(within, (-1, 2, 2, 2, 2, WIDTH)), (0, 1, 3, 2, 4, 5))
        back = ops.roll(ops.reshape(parts, (-1, GRID, GRID, WIDTH)), (shift, shift), (1, 2))
        tokens = ops.reshape(maps + back, (-1, GRID * GRID, WIDTH))
        dense = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(tokens))
        tokens = layers.Add()([tokens, layers.Dense(WIDTH)(dense)])
        maps = ops.reshape(tokens, (-1, GRID, GRID, WIDTH))
    read = layers.GlobalAveragePooling1D()(layers.LayerNormalization(name="last")(tokens))
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(read))


def adopted(network: Any) -> KerasModel:
    """Return a network as Picasso takes it, fed with numbers from 0 to 1."""
    model = KerasModel()
    model.model, model.preprocessing = network, Preprocessing("0..1")
    model.use(Path(__file__), input_shape=network.input_shape[1:])
    return model


def exported(depth: int = 2, heads: int = 2) -> Graph:
    """Return a graph as exporters of PyTorch write transformers: channels first, queries and keys fused."""
    drawn = np.random.default_rng(3)

    def weights(*shape: int) -> Any:
        return tf.constant(drawn.normal(size=shape, scale=0.3), tf.float32)

    def normal(tokens: Any) -> Any:
        centred = tokens - tf.reduce_mean(tokens, -1, keepdims=True)
        return centred / tf.sqrt(tf.reduce_mean(tf.pow(centred, 2.0), -1, keepdims=True) + 1e-6) * weights(WIDTH)

    def build() -> tuple[Any, Any]:
        images = tf1.placeholder(tf.float32, [None, SIDE, SIDE, 3])
        maps = tf.nn.conv2d(images, weights(PATCH, PATCH, 3, WIDTH), PATCH, "VALID")
        flat = tf.reshape(tf.transpose(maps, [0, 3, 1, 2]), [-1, WIDTH, GRID * GRID])
        tokens = tf.transpose(flat, [0, 2, 1])
        count = GRID * GRID + 1
        tokens = tf.concat([tf.tile(weights(1, 1, WIDTH), [tf.shape(images)[0], 1, 1]), tokens], 1)
        tokens = tokens + weights(1, count, WIDTH)
        for index in range(depth):
            with tf.name_scope(f"encoder/layers/{index}"):
                fused = tf.matmul(normal(tokens), weights(WIDTH, 3 * WIDTH))
                fused = tf.transpose(tf.reshape(fused, [-1, count, 3, heads, WIDTH // heads]), [2, 0, 3, 1, 4])
                query, key, value = tf.unstack(fused)
                products = tf.matmul(query * 0.35, tf.transpose(key, [0, 1, 3, 2]))
                mixed = tf.transpose(tf.matmul(tf.nn.softmax(products), value), [0, 2, 1, 3])
                tokens = tokens + tf.matmul(tf.reshape(mixed, [-1, count, WIDTH]), weights(WIDTH, WIDTH))
                dense = tf.matmul(normal(tokens), weights(WIDTH, 32))
                dense = 0.5 * dense * (1.0 + tf.math.erf(dense / 1.4142135))
                tokens = tokens + tf.matmul(dense, weights(32, WIDTH))
        read = tf.squeeze(tf.gather(normal(tokens), [0], axis=1), 1)
        return images, tf.nn.softmax(tf.matmul(read, weights(WIDTH, CLASSES)))

    return Graph(build, "a network")
