"""A small network in memory that is trained in a second, and its images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from picasso.models.tf.runtime import keras

Data = tuple[NDArray[np.float32], NDArray[np.int64]]


def network(library: Any = keras) -> Any:
    """Return a compiled network with random augmentation, dropout and batch normalization, which all have states."""
    layers = library.layers
    library.utils.set_random_seed(5)
    model = library.Sequential(
        [
            library.Input((12, 12, 1)),
            layers.RandomTranslation(0.1, 0.1, fill_mode="constant"),
            layers.Conv2D(4, 3, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture
def data() -> Data:
    """64 images of noise that are brighter on the left, class 0, or on the right, class 1."""
    generator = np.random.default_rng(1)
    images, targets = generator.uniform(0, 0.3, (64, 12, 12, 1)), np.arange(64) % 2
    images[targets == 0, :, :6] += 0.5
    images[targets == 1, :, 6:] += 0.5
    return images.astype(np.float32), targets
