"""The world *digits*: handwritten digits of MNIST, rotated, scaled and coloured, on crops of photographs.

Training uses the training digits of MNIST and the left 62% of each photograph; audits and tests use the test digits and
the rest.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.audit.worlds.base import SIDE, Drawing, Pixels, Split, World, background, exposed, places, posed
from picasso.examples import mnist

# The first four are those of the first version of the benchmark.
DIGITS = (0, 4, 7, 1, 3, 9, 6, 2, 8, 5)


def render(drawing: Drawing, split: Split) -> Pixels:
    """Return the image of a drawing, ``(SIDE, SIDE, 3)``, from 0 to 1."""
    ink, outline = covers(drawing, split)
    image = background(drawing, split) * (1 - np.float32(0.75) * outline)
    return exposed(image * (1 - ink) + np.asarray(drawing.colour, np.float32) * ink, drawing)


def covers(drawing: Drawing, split: Split) -> tuple[Pixels, Pixels]:
    """Return the coverage of each pixel by ink and by outline, ``(SIDE, SIDE, 1)``, from 0 to 1."""
    numbers = numbers_of(split, DIGITS[drawing.member])
    index = numbers[int(drawing.item * len(numbers))]
    ink = posed(Image.fromarray(digits(split).images[index]), drawing)
    sheet = Image.new("L", (SIDE, SIDE))
    for place in places(drawing):
        sheet.paste(ink, place, ink)
    wide = sheet.filter(ImageFilter.MaxFilter(3))
    cover, outline = (np.clip(np.asarray(one, np.float32) / np.float32(200), 0, 1)[..., None] for one in (sheet, wide))
    return np.asarray(cover), np.asarray(outline)


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


DIGITS_WORLD = World("digits", tuple(map(str, DIGITS)), render, turned=18)
