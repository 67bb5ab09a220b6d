"""The five networks. All but the segmentation share the layers up to the features; each then has outputs of its own."""

from __future__ import annotations

from typing import Any

import keras

from picasso.examples.scenes.scenes import CLASSES, SIDE

layers = keras.layers
# Of an embedding, and the side of a part of a scene with one digit.
LENGTH, PART = 32, 48
# The channels of the features at a half, a quarter and an eighth of the size of a scene, and of the last layer.
Widths = tuple[int, int, int, int]
WIDE, NARROW = (24, 48, 64, 48), (12, 24, 24, 24)


def block(values: Any, channels: int, name: str, strides: int = 1) -> Any:
    """Return a convolution with its normalization and activation."""
    values = layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False, name=name)(values)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9, name=f"{name}_normalized")(values))


def features(widths: Widths = WIDE, side: int = SIDE) -> tuple[Any, Any, Any]:
    """Return the input, and what the layers say of it at a half and, in the end, at a quarter of its size."""
    at_half, at_quarter, at_eighth, last = widths
    inputs = keras.Input((side, side, 3))
    half = block(layers.Rescaling(1 / 127.5, -1)(inputs), at_half, "half", strides=2)
    quarter = block(block(layers.MaxPooling2D()(half), at_quarter, "quarter_1"), at_quarter, "quarter_2")
    eighth = block(block(layers.MaxPooling2D()(quarter), at_eighth, "eighth_1"), at_eighth, "eighth_2")
    return inputs, half, block(layers.Concatenate()([layers.UpSampling2D()(eighth), quarter]), last, "features")


def share(model: keras.Model, start: keras.Model) -> None:
    """Give the layers of the features the weights that they have in another of the networks."""
    for layer in keras.Model(model.inputs, model.get_layer("features_normalized").output).layers:
        if layer.weights:
            layer.set_weights(start.get_layer(layer.name).get_weights())


def classifier(widths: Widths = WIDE) -> keras.Model:
    """Return probabilities of the digit in a part of a scene: ``(N, 10)``; the others start from its features."""
    inputs, _, cells = features(widths, PART)
    pooled = layers.GlobalAveragePooling2D()(cells)
    return keras.Model(inputs, layers.Dense(len(CLASSES), activation="softmax")(pooled), name="classifier")


def segmentation(classes: int = 1 + len(CLASSES), widths: Widths = (24, 96, 112, 96)) -> keras.Model:
    """Return probabilities of the classes for each pixel, the background first: ``(N, 96, 96, classes)``.

    Each pixel depends on about 40 x 40 pixels around it, the size of a digit, so that occlusion changes only a part of
    the output.
    """
    at_half, first, second, third = widths
    inputs = keras.Input((SIDE, SIDE, 3))
    half = block(layers.Rescaling(1 / 127.5, -1)(inputs), at_half, "half", strides=2)
    quarter = block(layers.MaxPooling2D()(half), first, "quarter_1")
    quarter = block(block(quarter, second, "quarter_2"), third, "quarter_3")
    coarse = layers.UpSampling2D()(layers.Conv2D(classes, 1, name="coarse_classes")(quarter))
    mixed = layers.Conv2D(32, 1, activation="relu", name="mixed")(layers.Concatenate()([coarse, half]))
    fine = layers.UpSampling2D(interpolation="bilinear")(layers.Conv2D(classes, 1, name="classes")(mixed))
    return keras.Model(inputs, layers.Softmax(name="probabilities")(fine), name="segmentation")


def unet(classes: int, widths: Widths) -> keras.Model:
    """Return probabilities of the classes for each pixel from a large part of the scene: ``(N, 96, 96, classes)``."""
    inputs, half, cells = features(widths)
    half = block(layers.Concatenate()([layers.UpSampling2D()(cells), half]), widths[0], "half_classes")
    outputs = layers.Conv2DTranspose(classes, 2, strides=2, activation="softmax", name="classes")(half)
    return keras.Model(inputs, outputs, name="unet")


def detection() -> keras.Model:
    """Return a heat map of the centres, and for each cell the size of a box there and the offset of its centre."""
    inputs, _, cells = features()
    cells = block(cells, 48, "cells")
    rare = keras.initializers.Constant(-2.19)
    outputs = {
        "heatmap": layers.Conv2D(10, 1, activation="sigmoid", bias_initializer=rare, name="heatmap")(cells),
        "size": layers.Conv2D(2, 1, bias_initializer=keras.initializers.Constant(6), name="size")(cells),
        "offset": layers.Conv2D(2, 1, bias_initializer=keras.initializers.Constant(0.5), name="offset")(cells),
    }
    return keras.Model(inputs, outputs, name="detection")


def regression(widths: Widths = WIDE) -> keras.Model:
    """Return one number: ``(N, 1)``."""
    inputs, _, cells = features(widths)
    pooled = layers.BatchNormalization(momentum=0.9)(layers.GlobalAveragePooling2D()(block(cells, 64, "cells")))
    hidden = layers.Dense(48, activation="relu")(pooled)
    outputs = layers.Dense(1, bias_initializer=keras.initializers.Constant(9), name="sum")(hidden)
    return keras.Model(inputs, outputs, name="regression")


def multilabel() -> keras.Model:
    """Return ten probabilities that do not add up to 1: ``(N, 10)``."""
    inputs, _, cells = features()
    pooled = layers.GlobalMaxPooling2D()(block(cells, 64, "cells"))
    return keras.Model(inputs, layers.Dense(10, activation="sigmoid", name="digits")(pooled), name="multilabel")


def embedding() -> keras.Model:
    """Return 32 values of length 1: ``(N, 32)``."""
    inputs, _, cells = features()
    values = layers.Dense(LENGTH)(layers.GlobalMaxPooling2D()(block(cells, 64, "cells")))
    return keras.Model(inputs, layers.UnitNormalization(name="embedding")(values), name="embedding")
