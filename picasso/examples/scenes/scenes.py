"""Scenes: crops of photographs with one to three handwritten digits on them, and the truth about each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.examples.mnist import Digits

SIDE = 96
# The outputs of the detector have one cell for so many pixels in each direction.
STRIDE = 4
CELLS = SIDE // STRIDE
CLASSES = tuple("0123456789")
# In the mask, so that a digit is its own value plus one.
BACKGROUND = 0
# The longer side of a digit, and how much lighter it is at least than what it lies on.
MIN_SIDE, MAX_SIDE, CONTRAST = 18, 36, 70
MAX_DIGITS = 3
INK = 0.4

Generator = np.random.Generator
Pixels = NDArray[np.uint8]


class Box(NamedTuple):
    """Where a digit's ink is, in pixels from the upper left corner."""

    left: int
    top: int
    width: int
    height: int


class Scene(NamedTuple):
    """An image and the truth about it.

    Attributes:
        pixels: ``(96, 96, 3)``.
        mask: ``(96, 96)``: 0 for the background, and one more than the digit where its ink is.
        digits: the digits shown.
        boxes: one of each digit, in the same order.
    """

    pixels: Pixels
    mask: Pixels
    digits: tuple[int, ...]
    boxes: tuple[Box, ...]


def scenes(count: int, digits: Digits, photographs: Sequence[Pixels], seed: int) -> list[Scene]:
    """Return scenes with one to three digits each.

    Args:
        count: how many.
        digits: the handwritten ones.
        photographs: ``(H, W, 3)`` each.
        seed: of whatever is drawn at random.
    """
    generator = np.random.default_rng(seed)
    by_class = [digits.images[digits.labels == digit] for digit in range(10)]
    return [
        scene(generator, by_class, photographs, generator.integers(0, 10, generator.integers(1, MAX_DIGITS + 1)))
        for _ in range(count)
    ]


def single(each: int, digits: Digits, photographs: Sequence[Pixels], seed: int) -> list[Scene]:
    """Return ``each`` scenes of every digit, with one digit each: all zeros first."""
    generator = np.random.default_rng(seed)
    by_class = [digits.images[digits.labels == digit] for digit in range(10)]
    return [scene(generator, by_class, photographs, np.array([digit])) for digit in np.repeat(np.arange(10), each)]


def scene(
    generator: Generator, by_class: Sequence[Pixels], photographs: Sequence[Pixels], shown: NDArray[np.int64]
) -> Scene:
    """Return a scene that shows these digits, in places where no two boxes overlap."""
    pixels = background(generator, photographs)
    mask = np.full((SIDE, SIDE), BACKGROUND, np.uint8)
    boxes: list[Box] = []
    for digit in shown:
        ink, top, left = placed(generator, by_class[digit], boxes)
        height, width = ink.shape
        there = (slice(top, top + height), slice(left, left + width))
        strength = ink[..., None] * generator.uniform(0.85, 1.0)
        pixels[there] += strength * (colour(generator, pixels[there]) - pixels[there])
        drawn = ink > INK
        mask[there][drawn] = digit + 1
        boxes.append(tight(drawn, left, top))
    noisy = pixels + generator.normal(0, generator.uniform(0, 6), pixels.shape)
    return Scene(np.clip(noisy, 0, 255).astype(np.uint8), mask, tuple(int(digit) for digit in shown), tuple(boxes))


def background(generator: Generator, photographs: Sequence[Pixels]) -> NDArray[np.float64]:
    """Return a random crop of a random photograph, reduced to the size of a scene, darkened, and perhaps mirrored."""
    photograph = photographs[int(generator.integers(len(photographs)))]
    height, width = photograph.shape[:2]
    side = int(generator.integers(SIDE, min(height, width, 3 * SIDE) + 1))
    top, left = generator.integers(height - side + 1), generator.integers(width - side + 1)
    crop = Image.fromarray(photograph[top : top + side, left : left + side])
    pixels = np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float64)
    return pixels[:, :: generator.choice((1, -1))] * generator.uniform(0.35, 0.8)


def handwritten(generator: Generator, images: Pixels) -> NDArray[np.float64]:
    """Return the ink of a random digit in 0..1, without its border, in a random size."""
    image = images[generator.integers(len(images))]
    inked = image > 50
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    cut = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = generator.uniform(MIN_SIDE, MAX_SIDE) / max(cut.shape)
    height, width = (max(4, round(length * scale)) for length in cut.shape)
    return np.asarray(Image.fromarray(cut).resize((width, height), Image.Resampling.BICUBIC), np.float64) / 255


def placed(generator: Generator, images: Pixels, boxes: Sequence[Box]) -> tuple[NDArray[np.float64], int, int]:
    """Return the ink of a digit, and the top and left of a place for it that is clear of the boxes."""
    while True:
        # Also drawn anew, as there may be no room for a large one.
        ink = handwritten(generator, images)
        height, width = ink.shape
        top, left = int(generator.integers(SIDE - height + 1)), int(generator.integers(SIDE - width + 1))
        if not any(
            left < box.left + box.width + 1
            and box.left < left + width + 1
            and top < box.top + box.height + 1
            and box.top < top + height + 1
            for box in boxes
        ):
            return ink, top, left


def colour(generator: Generator, behind: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a random colour that is lighter than what is behind it."""
    light = np.array([0.299, 0.587, 0.114])
    least = min((behind @ light).mean() + CONTRAST, 230)
    while True:
        drawn = generator.uniform(60, 255, 3)
        if drawn @ light >= least:
            return drawn


def tight(drawn: NDArray[np.bool_], left: int, top: int) -> Box:
    """Return the box of the drawn pixels of a patch at a place."""
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return Box(int(left + columns[0]), int(top + rows[0]), int(width), int(height))
