"""Synthetic images with known content: handwritten digits on crops of photographs, 48 x 48, in colour.

The digits are from MNIST, rotated, scaled and coloured with a dark outline, at random positions. The photographs are
those of scikit-image. Training uses the training digits of MNIST and the left 62% of each photograph; audits and tests
use the test digits and the rest.
"""

from __future__ import annotations

import colorsys
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from picasso.examples import mnist

Pixels = NDArray[np.float32]
Generator = np.random.Generator
Split = Literal["train", "test"]

SIDE = 48
# The digits of the classes; a model with K classes uses the first K.
DIGITS = (0, 4, 7, 1)
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
    "moon.png", "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg",
)  # fmt: skip
# Where each photograph is split, and the number of crops from each part.
CUT, CROPS = 0.62, {"train": 9000, "test": 6000}


@dataclass(frozen=True)
class Drawing:
    """The random parameters of one image.

    Attributes:
        digit: its index in the MNIST files of the split.
        smooth: the crop behind it, as a fraction of all crops, the smoothest first.
        side: the side of the digit, in pixels.
        angle: its rotation, in degrees.
        colour: the colour of the digit.
        x, y: the centre of the digit, as a fraction of the possible range.
        contrast, light: contrast and brightness of the whole image.
    """

    digit: int
    smooth: float
    side: int
    angle: float
    colour: tuple[float, float, float]
    x: float
    y: float
    contrast: float
    light: float


def drawn(generator: Generator, split: Split, digit: int, *, centred: bool = False) -> Drawing:
    """Draw the random parameters of one image."""
    numbers = numbers_of(split, digit)
    middle = (0.45, 0.55) if centred else (0.0, 1.0)
    return Drawing(
        digit=int(numbers[generator.integers(len(numbers))]),
        smooth=float(generator.random()),
        side=int(generator.uniform(20, 32)),
        angle=float(generator.uniform(-18, 18)),
        colour=colorsys.hsv_to_rgb(generator.random(), generator.uniform(0, 0.7), generator.uniform(0.8, 0.95)),
        x=float(generator.uniform(*middle)),
        y=float(generator.uniform(*middle)),
        contrast=float(generator.uniform(0.85, 1.1)),
        light=float(generator.normal(0, 0.05)),
    )


def render(drawing: Drawing, split: Split) -> Pixels:
    """Return the image ``(SIDE, SIDE, 3)``, from 0 to 1."""
    crops = backgrounds(split)
    behind = crops[int(drawing.smooth * len(crops))].astype(np.float32) / 255
    ink, outline = glyph(drawing, split)
    image = behind * (1 - 0.75 * outline)
    image = image * (1 - ink) + np.asarray(drawing.colour, np.float32) * ink
    mean = image.mean()
    return np.asarray(np.clip((image - mean) * drawing.contrast + mean + drawing.light, 0, 1), np.float32)


def glyph(drawing: Drawing, split: Split) -> tuple[Pixels, Pixels]:
    """Return the coverage of each pixel by ink and by outline, ``(SIDE, SIDE, 1)``, from 0 to 1."""
    side, free = drawing.side, SIDE - drawing.side
    ink = Image.fromarray(digits(split).images[drawing.digit]).rotate(drawing.angle, Image.Resampling.BILINEAR)
    sheet = Image.new("L", (SIDE, SIDE))
    sheet.paste(ink.resize((side, side), Image.Resampling.BILINEAR), (int(drawing.x * free), int(drawing.y * free)))
    wide = sheet.filter(ImageFilter.MaxFilter(3))
    ink_cover, outline = (
        np.clip(np.asarray(one, np.float32) / np.float32(200), 0, 1)[..., None] for one in (sheet, wide)
    )
    return np.asarray(ink_cover), np.asarray(outline)


@functools.cache
def digits(split: Split) -> mnist.Digits:
    """Return the digits of MNIST, from the folder ``PICASSO_MNIST``, or downloaded into that of the benchmark."""
    given = os.environ.get("PICASSO_MNIST")
    folder = Path(given) if given else Path("build") / "mnist"
    if not given:
        mnist.download(folder)
    return mnist.load(folder, "train" if split == "train" else "t10k")


@functools.cache
def numbers_of(split: Split, digit: int) -> NDArray[np.intp]:
    """Return the indices of the digits of a class."""
    return np.flatnonzero(digits(split).labels == digit)


@functools.cache
def backgrounds(split: Split) -> NDArray[np.uint8]:
    """Return crops of the photographs ``(N, SIDE, SIDE, 3)``, the smoothest first."""
    photographs = [Image.open(Path(skimage.data.__file__).parent / name).convert("RGB") for name in PHOTOGRAPHS]
    generator = np.random.default_rng(1 if split == "train" else 2)
    crops = np.stack([crop(photographs, split, generator) for _ in range(CROPS[split])])
    light = crops.mean(axis=-1)
    rough = np.abs(np.diff(light, axis=1))[:, :, :-1] + np.abs(np.diff(light, axis=2))[:, :-1]
    return crops[np.argsort(np.median(rough.reshape(len(crops), -1), axis=1))]


def crop(photographs: list[Image.Image], split: Split, generator: Generator) -> NDArray[np.uint8]:
    """Return a square crop from the split's part of a photograph, mirrored half of the time."""
    photograph = photographs[generator.integers(len(photographs))]
    left, right = (0.0, CUT) if split == "train" else (CUT, 1.0)
    start, end = int(left * photograph.width), int(right * photograph.width)
    size = int(min(generator.uniform(50, 200), end - start - 1, photograph.height - 1))
    x, y = int(generator.integers(start, end - size)), int(generator.integers(0, photograph.height - size))
    square = photograph.crop((x, y, x + size, y + size)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(square)
    return pixels[:, ::-1] if generator.random() < 0.5 else pixels
