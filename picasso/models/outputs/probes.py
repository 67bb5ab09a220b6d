"""Test images for determining the kind of a model's output: very different images in each possible range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array, Shape

# The number of test images; the first half are in 0..1.
ALL = 12
# Four images that confirm the result of the graph: black, noise, and one of each other range.
CONFIRMING = (0, 3, 8, 10)


def probes(shape: Shape) -> Array:
    """Return test images ``(12, H, W, C)``, float32.

    The first six are in 0..1: black, white, mid-grey, noise of single pixels, noise of coarse blocks, and a gradient.
    The next four are in 0..255: white, noise of medium blocks, a gradient, and noise of single pixels. The last two,
    noise and a gradient, are in -1..1.
    """
    generator = np.random.default_rng(0)
    height, width, channels = shape

    def noise(cell: float) -> NDArray[np.float64]:
        """Return noise in 0..1, ``(H, W, C)``, in blocks of a fraction ``cell`` of the image, or of single pixels."""
        rows, columns = (max(1, round(side * cell)) for side in (height, width))
        blocks = generator.random((-(-height // rows), -(-width // columns), channels))
        return np.repeat(np.repeat(blocks, rows, 0), columns, 1)[:height, :width]

    across = (np.linspace(0, 1, height)[:, None] + np.linspace(0, 1, width)) / 2
    gradient = np.repeat(across[:, :, None], channels, axis=2)
    images = [
        np.zeros(shape),
        np.ones(shape),
        np.full(shape, 0.5),
        noise(0),
        noise(1 / 3),
        gradient,
        np.full(shape, 255.0),
        noise(1 / 8) * 255,
        gradient[::-1] * 255,
        noise(0) * 255,
        noise(0) * 2 - 1,
        gradient[:, ::-1] * 2 - 1,
    ]
    return np.stack(images).astype(np.float32)
