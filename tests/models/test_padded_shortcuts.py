"""Residual networks whose shortcuts get channels of 0, on which oneDNN's graph rewriting crashes the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# TensorFlow fuses the last convolution of a block, its bias and the addition of the shortcut, which is a Pad.
PROGRAM = """
import sys
import numpy as np
from picasso.models.loading import load_model
from picasso.models.tf.runtime import keras

layers, biased = keras.layers, sys.argv[1] == "True"
x = images = keras.Input((12, 12, 3))
x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
for channels in (10, 14):
    y = layers.Conv2D(channels, 1, use_bias=biased)(layers.DepthwiseConv2D(3, padding="same")(x))
    y = y if biased else layers.BatchNormalization(beta_initializer="ones")(y)
    x = layers.ReLU()(layers.Add()([keras.ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, channels - x.shape[-1])]), y]))
x = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x))
network, inputs = keras.Model(images, x), np.random.default_rng(0).random((2, 12, 12, 3), np.float32)
expected = network(inputs).numpy()
network.save(sys.argv[2])
model = load_model(sys.argv[2], preprocess="0..1")
np.testing.assert_allclose(model.predict(inputs), expected, atol=1e-6)
assert model.input_gradients(inputs, np.array([1, 2])).any()
last = model.layers()[-1].name
np.testing.assert_array_equal(model.feature_maps(inputs, last).shape, (2, 12, 12, 14))
boxes = [(x, y, x + 3, y + 3) for x in range(9) for y in range(9)]
covered = np.repeat(inputs[:1], len(boxes), 0)
for image, (left, top, right, bottom) in zip(covered, boxes):
    image[top:bottom, left:right] = inputs[1, top:bottom, left:right]
engine, expected = model._graph.incremental(), network(covered).numpy()
for members, part in engine.run(inputs[0], inputs[1], boxes, engine.plan(boxes, 10**8)):
    np.testing.assert_allclose(part, expected[members], atol=1e-5)
"""


@pytest.mark.parametrize("biased", [True, False], ids=["bias", "folded normalization"])
def test_shortcuts_with_channels_of_zero(biased: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(biased), str(tmp_path / "model.keras")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
