"""Train the bundled vision transformer.

    python -m picasso.examples.vit.train --mnist FOLDER [--download]

It is trained as the convolutional network is. Picasso itself never runs this file.
"""

from __future__ import annotations

from pathlib import Path

import keras

from picasso.examples.keras.train import run

TARGET = Path(__file__).parent / "data" / "vit.keras"
PATCH, WIDTH, HEADS, BLOCKS = 4, 48, 4, 4


def build() -> keras.Model:
    """Return the untrained network: ``(N, 28, 28, 1)`` in 0..1 to ten class probabilities, by 7 x 7 patches.

    Dosovitskiy et al., *An image is worth 16x16 words*, arXiv 2010.11929. The class token is an empty one in front of
    the patches; the biases of the dense layer behind it, one for each token, are the class token and the positions.
    """
    layers = keras.layers
    images = keras.Input((28, 28, 1))
    tokens = layers.Reshape((-1, WIDTH))(layers.Conv2D(WIDTH, PATCH, PATCH, name="patches")(images))
    tokens = layers.ZeroPadding1D((1, 0), name="class_token")(tokens)
    tokens = layers.EinsumDense("ntd,de->nte", (tokens.shape[1], WIDTH), bias_axes="te", name="positions")(tokens)
    for index in range(1, BLOCKS + 1):
        normal = layers.LayerNormalization(name=f"block_{index}_norm_1")(tokens)
        attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"block_{index}_attention")
        tokens = layers.Add(name=f"block_{index}_attended")([tokens, attention(normal, normal)])
        dense = layers.LayerNormalization(name=f"block_{index}_norm_2")(tokens)
        dense = layers.Dense(2 * WIDTH, activation="gelu", name=f"block_{index}_dense_1")(dense)
        dense = layers.Dense(WIDTH, name=f"block_{index}_dense_2")(dense)
        tokens = layers.Add(name=f"block_{index}")([tokens, dense])
    tokens = layers.LayerNormalization(name="norm")(tokens)
    scores = layers.Dense(10, activation="softmax", name="scores")(tokens[:, 0])
    return keras.Model(images, scores, name="mnist_vit")


if __name__ == "__main__":
    run(build, TARGET, str(__doc__))
