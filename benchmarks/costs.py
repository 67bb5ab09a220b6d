"""Whether what a plan says it saves is what it saves: small inputs, known architectures and a transformer.

``python -m benchmarks costs '[["VGG16", 64], ["Transformer", 96]]'`` prints a line for each network and size of window.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from benchmarks.measuring import cpu
from benchmarks.networks import noise_image
from picasso.models.keras import KerasModel
from picasso.models.occlusion import covered
from picasso.visualizations.partial_occlusion import OcclusionSettings, boxes

NETWORKS = (("Transformer", 96), ("MobileNetV2", 96), ("VGG16", 64), ("ResNet50", 64), ("EfficientNetB0", 96))
WINDOWS = ((0.1, 20), (0.2, 10), (0.5, 5))
# So many whole images are measured, and each measurement is repeated: the fastest counts.
SAMPLE, ROUNDS = 16, 3


def transformer(side: int) -> keras.Model:
    """Return a small vision transformer with random weights."""
    layers = keras.layers
    inputs = keras.Input((side, side, 3))
    x = layers.Reshape((-1, 96))(layers.Conv2D(96, 16, strides=16)(inputs))
    for _ in range(6):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, 24)(y, y)
        x = x + layers.Dense(96)(layers.Dense(384, activation="gelu")(layers.LayerNormalization()(x)))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def measure(networks: Sequence[tuple[str, int]] = NETWORKS) -> None:
    """Print, for each network, by how much a map is said to be faster than whole images, and by how much it is."""
    for name, side in networks:
        keras.utils.set_random_seed(0)
        model, shape = KerasModel(), (side, side, 3)
        build = getattr(keras.applications, name, None)
        model.model = build(weights=None, input_shape=shape, classes=10) if build else transformer(side)
        model.use(Path(__file__))
        engine, image = model._occluder.engine, noise_image(shape)
        if engine is None:
            print(f"{name}: {model._occluder.reason}", flush=True)
            continue
        fill = np.zeros_like(image)
        for window, strides in WINDOWS:
            some = boxes((side, side), OcclusionSettings(window=window, strides=strides))
            plan = engine.plan(some, model.occlusion_mb * 1_000_000)
            inputs = covered(image, fill, some[:: -(-len(some) // SAMPLE)])
            ours, whole = [], []
            for _ in range(ROUNDS + 1):
                ours.append(cpu(lambda: list(engine.run(image, fill, some, plan))) / len(some))  # noqa: B023
                whole.append(cpu(lambda: model.predict(inputs)) / len(inputs))  # noqa: B023
            real = min(whole[1:]) / min(ours[1:])
            milliseconds = f"{1000 * min(ours[1:]):.2f} and {1000 * min(whole[1:]):.2f} CPU ms"
            print(f"{name} {side}, {window:.0%}: said {plan.gain:.2f}, is {real:.2f} ({milliseconds})", flush=True)
