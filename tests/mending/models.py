"""Keras models whose features are known: brightness, and the energy of vertical and horizontal edges."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from PIL import Image

from tests.audit.test_audit import HEIGHT, WIDTH, noise_images

LABELS = ("no tank", "tank")


def edges(relies: float, *, blind: bool = False) -> keras.Model:
    """Return a network whose class scores mix the object, a standing or a lying bar, with the brightness.

    Args:
        relies: the share of the brightness.
        blind: whether the features lack the object.
    """
    layers = keras.layers
    given = keras.Input((HEIGHT, WIDTH, 3))
    seen = layers.Conv2D(5, 5, activation="relu", padding="same", name="seen")(layers.Rescaling(1 / 255)(given))
    model = keras.Model(given, layers.Dense(2, "softmax", name="head")(layers.GlobalAveragePooling2D()(seen)))
    kernel = np.zeros((5, 5, 3, 5), np.float32)
    slope = np.array([-1, -1, 0, 1, 1], np.float32) / 10
    kernel[2, 2, :, 0] = 1 / 3
    if not blind:
        patterns = [(slope[None], 1), (slope[None], -1), (slope[:, None], 1), (slope[:, None], -1)]
        for channel, (pattern, sign) in enumerate(patterns):
            kernel[..., channel + 1] = sign * np.broadcast_to(pattern, (5, 5))[..., None] / 3
    model.get_layer("seen").set_weights([kernel, np.zeros(5, np.float32)])
    score = np.array([-relies * 40, *(np.array([1, 1, -1, -1]) * (1 - relies) * 150)], np.float32)
    head = np.stack([-score, score], axis=1)
    model.get_layer("head").set_weights([head, np.array([-1, 1], np.float32) * relies * 40 * 0.44])
    return model


def folder(place: Path, proxy: str = "brightness") -> Path:
    """Write the images of both classes; those of one are darker."""
    for target, views in noise_images(proxy).items():
        (place / LABELS[target]).mkdir(parents=True)
        for index, view in enumerate(views):
            Image.fromarray(np.round(view * 255).astype(np.uint8)).save(place / LABELS[target] / f"{index:03d}.png")
    return place
