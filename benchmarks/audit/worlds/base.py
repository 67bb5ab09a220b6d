"""What the worlds of the benchmark share: the parameters of an image, its background and its exposure."""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float32]
Generator = np.random.Generator
Split = Literal["train", "test"]

# The side of all images of the worlds, in pixels, so that one architecture serves all.
SIDE = 48
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
    "moon.png", "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg",
)  # fmt: skip
# Where each photograph is split, and the number of crops from each part.
CUT, CROPS = 0.62, {"train": 9000, "test": 6000}


@dataclass(frozen=True)
class Companion:
    """Another object next to the object of an image.

    Attributes:
        glyph: the emoji.
        side: its side, in pixels.
        angle: its rotation, in degrees.
        x, y: its centre, as a fraction of the possible range.
    """

    glyph: str
    side: int
    angle: float
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """The random parameters of one image.

    Attributes:
        member: the class, as an index into the names of the world.
        item: which of the examples of the class, as a fraction of all.
        smooth: the crop behind the object, as a fraction of all crops, the smoothest first.
        side: the side of the object, in pixels; the scale of a texture.
        angle: its rotation, in degrees.
        slant: its horizontal shear, as the tangent of the angle.
        mirrored: whether it is mirrored.
        colour: the colour of a digit, the tint of an emoji, or that of the bright parts of a texture.
        clear: how clearly the object can be seen, from 0 to 1; some are so faint that a shortcut helps to learn them.
        x, y: the centre of the object, as a fraction of the possible range.
        contrast, light: contrast and brightness of the whole image.
        copies: the centres of further copies of the object.
        companion: another object next to it.
    """

    member: int
    item: float
    smooth: float
    side: int
    angle: float
    slant: float
    mirrored: bool
    colour: tuple[float, float, float]
    clear: float
    x: float
    y: float
    contrast: float
    light: float
    copies: tuple[tuple[float, float], ...] = ()
    companion: Companion | None = None


@dataclass(frozen=True)
class World:
    """A kind of synthetic images.

    Attributes:
        name: its name.
        members: the names of the classes; a model has 2 to 10 of them.
        render: returns the image ``(SIDE, SIDE, 3)``, from 0 to 1, of a drawing.
        turned: the largest rotation of an object, in degrees.
        mirrors: whether half of the objects are mirrored.
        located: whether there is an object at a place.
        own: the names of the interventions that change what the classes are made of: naming one is no false alarm.
    """

    name: str
    members: tuple[str, ...]
    render: Callable[[Drawing, Split], Pixels]
    turned: float
    mirrors: bool = False
    located: bool = True
    own: frozenset[str] = frozenset()

    def draw(self, generator: Generator, member: int, *, centred: bool = False) -> Drawing:
        """Draw the random parameters of one image of a class."""
        middle = (0.45, 0.55) if centred else (0.0, 1.0)
        return Drawing(
            member=member,
            item=float(generator.random()),
            smooth=float(generator.random()),
            side=int(generator.uniform(20, 32)),
            angle=float(generator.uniform(-self.turned, self.turned)),
            slant=float(generator.normal(0, 0.05)),
            mirrored=self.mirrors and bool(generator.random() < 0.5),
            colour=colorsys.hsv_to_rgb(generator.random(), generator.uniform(0, 0.7), generator.uniform(0.8, 0.95)),
            clear=float(generator.random()),
            x=float(generator.uniform(*middle)),
            y=float(generator.uniform(*middle)),
            contrast=float(generator.uniform(0.85, 1.1)),
            light=float(generator.normal(0, 0.05)),
        )


def exposed(image: Pixels, drawing: Drawing) -> Pixels:
    """Return the image with the contrast and the brightness of the drawing, from 0 to 1."""
    mean = image.mean()
    return np.asarray(np.clip((image - mean) * drawing.contrast + mean + drawing.light, 0, 1), np.float32)


def background(drawing: Drawing, split: Split) -> Pixels:
    """Return the crop of a photograph behind the object, from 0 to 1."""
    crops = backgrounds(split)
    return np.asarray(crops[int(drawing.smooth * len(crops))] / np.float32(255), np.float32)


def places(drawing: Drawing) -> list[tuple[int, int]]:
    """Return the left and top of the object and of its copies, in pixels."""
    free = SIDE - drawing.side
    return [(int(x * free), int(y * free)) for x, y in ((drawing.x, drawing.y), *drawing.copies)]


def posed(image: Image.Image, drawing: Drawing) -> Image.Image:
    """Return an object of any size, mirrored, rotated and slanted, in a square of the drawing's side."""
    side = drawing.side
    if drawing.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.rotate(drawing.angle, Image.Resampling.BILINEAR).resize((side, side), Image.Resampling.BILINEAR)
    # The top moves to the right, as in handwriting that leans forwards.
    lean = (1, drawing.slant, -drawing.slant * side / 2, 0, 1, 0)
    return image.transform((side, side), Image.Transform.AFFINE, lean, Image.Resampling.BILINEAR)


@functools.cache
def photograph(name: str) -> Image.Image:
    """Return a photograph of scikit-image, in colour."""
    return Image.open(Path(skimage.data.__file__).parent / name).convert("RGB")


@functools.cache
def backgrounds(split: Split) -> NDArray[np.uint8]:
    """Return crops of the photographs ``(N, SIDE, SIDE, 3)``, the smoothest first."""
    photographs = [photograph(name) for name in PHOTOGRAPHS]
    generator = np.random.default_rng(1 if split == "train" else 2)
    crops = np.stack(
        [crop(photographs[generator.integers(len(photographs))], split, generator) for _ in range(CROPS[split])]
    )
    light = crops.mean(axis=-1)
    rough = np.abs(np.diff(light, axis=1))[:, :, :-1] + np.abs(np.diff(light, axis=2))[:, :-1]
    return crops[np.argsort(np.median(rough.reshape(len(crops), -1), axis=1))]


def crop(photograph: Image.Image, split: Split, generator: Generator) -> NDArray[np.uint8]:
    """Return a square crop from the split's part of a photograph, mirrored half of the time."""
    left, right = (0.0, CUT) if split == "train" else (CUT, 1.0)
    start, end = int(left * photograph.width), int(right * photograph.width)
    size = int(min(generator.uniform(50, 200), end - start - 1, photograph.height - 1))
    x, y = int(generator.integers(start, end - size)), int(generator.integers(0, photograph.height - size))
    square = photograph.crop((x, y, x + size, y + size)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(square)
    return pixels[:, ::-1] if generator.random() < 0.5 else pixels
