"""Test images that show what kind of output a model has: far from each other, in every range that inputs may have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array, Shape

# How many test images there are; the first half lie in 0..1.
ALL = 12
# Where the graph has told already, four of them confirm it: black, noise, and one of each other range.
CONFIRMING = (0, 3, 8, 10)


def probes(shape: Shape) -> Array:
    """Return test images ``(12, H, W, C)``.

    The first six lie in 0..1: black, white, mid-grey, noise of single pixels and of coarse blocks, a gradient. Then
    come white, noise of medium blocks and a gradient in 0..255, and noise of single pixels in 0..255; noise and a
    gradient in -1..1.
    """
    generator = np.random.default_rng(0)
    height, width, channels = shape

    def noise(cell: float) -> NDArray[np.float64]:
        """Return noise in 0..1 of blocks that measure a fraction of the image, or of single pixels."""
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
