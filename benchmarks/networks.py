"""The networks that are measured: trained ones where they are at hand, known architectures with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from picasso.examples import mnist
from picasso.models import load_model
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.keras import KerasModel

EXAMPLES = Path(mnist.__file__).parent
TRAINED = {"MNIST example": "keras", "EfficientNet-Lite0": "keras-efficientnet-lite"} | {
    f"scenes {task}": f"scenes/{task}.py" for task in ("segmentation", "detection")
}


def network(name: str, **options: Any) -> KerasModel:
    """Return a trained example, or an architecture of ``keras.applications`` with weights that let changes through.

    Args:
        name: a key of :data:`TRAINED` or the name of a function of ``keras.applications``.
        options: keyword arguments of that function, such as ``input_shape=(512, 512, 3)``; a trained example has none.
    """
    if name in TRAINED:
        example = EXAMPLES / TRAINED[name]
        model = load_model(example if example.suffix else example / "config.py")
        assert isinstance(model, KerasModel)
        return model
    keras.utils.set_random_seed(0)
    model = KerasModel()
    model.model = getattr(keras.applications, name)(weights=None, **options)
    enliven(model.model)
    model.use(Path(__file__))
    return model


def enliven(network: keras.Model) -> None:
    """Scale random weights so that a window moves the probabilities.

    Kernels as He et al. (2015) do, random statistics for normalizations, and a last layer whose logits spread.
    """
    generator = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            height, width, channels, _ = shape = tuple(layer.kernel.shape)
            inputs = height * width * (1 if isinstance(layer, keras.layers.DepthwiseConv2D) else channels)
            layer.kernel.assign(generator.standard_normal(shape) * np.sqrt(2 / inputs))
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(generator.standard_normal(layer.moving_mean.shape) * 0.1)
            layer.moving_variance.assign(generator.uniform(0.5, 2, layer.moving_variance.shape))
    last = network.layers[-1]
    features = keras.Model(network.inputs, last.input)(noise_image(network.input_shape[1:])[None], training=False)
    last.kernel.assign(last.kernel * (4 / np.std(np.asarray(features) @ np.asarray(last.kernel))))


def noise_image(shape: tuple[int, ...]) -> Array:
    """Return a smooth, contrasty input ``(H, W, C)`` from -1 to 1."""
    height, width, channels = shape
    blobs = np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8)
    enlarged = Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(enlarged, np.float32)[..., :channels] / np.float32(127.5) - 1


def warm_up_occlusion(model: Model) -> None:
    """Compute one small window, so that compiling is not measured."""
    empty = np.zeros(model.input_shape, np.float32)
    for _ in model.occlude(empty, empty, [(0, 0, 1, 1)]).parts:
        pass
