"""Innocent folders of real photographs: crops of photographs that show one class of ImageNet each, in pairs.

EfficientNet-Lite0 classifies them. The photographs are fetched by :mod:`picasso.examples.preparing`.
"""

from __future__ import annotations

import functools
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.audit.worlds.base import Generator, photograph
from picasso.errors import ModelError
from picasso.examples import preparing

NAME = "photographs"
SIDE = 224
# The class of ImageNet, and the photographs that show it.
CLASSES = {
    285: ("chelsea.png",),
    657: ("rocket.jpg",),
    665: ("motorcycle_left.png", "motorcycle_right.png"),
    698: ("china.jpg",),
    872: ("camera.png",),
    967: ("coffee.png",),
    985: ("flower.jpg",),
}
PAIRS = tuple(combinations(CLASSES, 2))
# The pairs of classes of the folders of each half.
FOLDERS: dict[str, tuple[tuple[int, ...], ...]] = {"tuning": PAIRS[1::2], "test": PAIRS[::2]}
# The side of a crop, as a fraction of the shorter side of its photograph; and the range of its light, as a factor.
SMALLEST, LIGHT = 0.6, (0.8, 1.2)
# The columns, as fractions of the width, of which crops are taken where the object is at one side.
USED = {"china.jpg": (0.03, 0.67), "rocket.jpg": (0.12, 0.88)}


def crops(target: int, each: int, seed: int) -> NDArray[np.uint8]:
    """Return crops of the photographs of a class, ``(each, SIDE, SIDE, 3)``: of random place, size, light and side."""
    generator = np.random.default_rng([seed, target])
    return np.stack([crop(opened(target), generator) for _ in range(each)])


def crop(photographs: tuple[Image.Image, ...], generator: Generator) -> NDArray[np.uint8]:
    """Return a random crop of one of the photographs."""
    whole = photographs[generator.integers(len(photographs))]
    side = int(generator.uniform(SMALLEST, 1) * min(whole.size))
    x, y = (int(generator.integers(0, size - side + 1)) for size in whole.size)
    square = whole.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(x, y, x + side, y + side))
    pixels = np.asarray(square, np.float32) * np.float32(generator.uniform(*LIGHT))
    if generator.random() < 0.5:
        pixels = pixels[:, ::-1]
    return np.asarray(np.clip(pixels, 0, 255), np.uint8)


@functools.cache
def opened(target: int) -> tuple[Image.Image, ...]:
    """Return the photographs of a class, or the parts of them that are used.

    Raises:
        ModelError: they can't be fetched.
    """
    found = []
    for name in CLASSES[target]:
        file = preparing.PHOTOGRAPHS / name
        if name == "motorcycle_right.png":
            found.append(photograph(name))
            continue
        if not file.exists():
            preparing.photographs()
        if not file.exists():
            raise ModelError(f"There is no photograph {file}; make prepare EXAMPLE=keras-efficientnet-lite fetches it.")
        whole = Image.open(file).convert("RGB")
        left, right = (int(edge * whole.width) for edge in USED.get(name, (0, 1)))
        found.append(whole.crop((left, 0, right, whole.height)))
    return tuple(found)
