"""The baseline: partial occlusion as the tool of 2017 did it, written anew on today's TensorFlow.

All occluded images are painted one by one, preprocessed together, and predicted in one call.
"""

from __future__ import annotations

import statistics

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import networks
from benchmarks.measuring import interleaved
from picasso import explain
from picasso.examples import mnist
from picasso.visualizations.partial_occlusion import OcclusionSettings, boxes


def occlude(model: keras.Model, image: Image.Image, settings: OcclusionSettings) -> NDArray[np.float32]:
    """Return the class probabilities at every window position, ``(strides, strides, K)``."""
    painted = []
    for box in boxes(image.size, settings):
        copy = image.copy()
        copy.paste(128, box)
        painted.append(copy)
    inputs = np.stack([np.asarray(image, np.float32)[..., None] / 255 for image in painted])
    probabilities = model.predict(inputs, batch_size=len(inputs), verbose=0)
    return np.asarray(probabilities, np.float32).reshape(settings.strides, settings.strides, -1)


def measure() -> str:
    """Compare a 30 x 30 occlusion map of a digit with this one, images and panels included."""
    model = networks.network("MNIST example")
    image, settings = Image.open(sorted(mnist.SAMPLES.glob("8*.png"))[0]), OcclusionSettings(0.1, 30, "grey")
    rounds = interleaved(
        lambda: explain(model, image, Window=0.1, Strides=30), lambda: occlude(model.model, image, settings), 7
    )
    ours, theirs = (1000 * statistics.median(times) for times in (rounds.ours, rounds.baseline))
    return (
        f"A map of 30 x 30 windows of a digit, from the image to the panels: {ours:.0f} CPU milliseconds, by the "
        f"algorithm of 2017 {theirs:.0f}; ratio {rounds.ratio()}."
    )
