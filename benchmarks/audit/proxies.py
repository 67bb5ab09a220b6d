"""The planted proxies: each is on in nearly all images of the first class and in nearly none of the others.

Half of them, ``tuning``, were used during development of the audit; the others, ``test``, only afterwards.
"""

from __future__ import annotations

import colorsys
import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.audit.scenes import SIDE, Drawing, Generator, Pixels

Half = Literal["tuning", "test"]


def same(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    """Return the drawing unchanged."""
    return drawing


def unpainted(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Return the image unchanged."""
    return image


@dataclass(frozen=True)
class Proxy:
    """A spurious feature that correlates with a class.

    Attributes:
        name: its name.
        half: its half of the benchmark.
        names: the interventions that detect it.
        draw: changes the drawing.
        paint: changes the rendered image, ``(H, W, 3)`` from 0 to 1, or slightly outside.
    """

    name: str
    half: Half
    names: frozenset[str]
    draw: Callable[[Drawing, bool, Generator], Drawing] = same
    paint: Callable[[Pixels, bool, Generator, Drawing], Pixels] = unpainted


# ---- light and colour -------------------------------------------------------------------------------------------


def brightness(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    return image + np.float32(generator.normal(0.12, 0.03) if on else generator.normal(-0.08, 0.03))


def contrast(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    mean = image.mean()
    much = np.float32(generator.uniform(0.45, 0.6) if on else generator.uniform(0.9, 1.05))
    return np.asarray((image - mean) * much + mean, np.float32)


def tinted(channels: tuple[float, float, float]) -> Callable[[Pixels, bool, Generator, Drawing], Pixels]:
    def tint(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
        much = generator.normal(0.10, 0.025) * (1 if on else -1)
        return image * np.asarray([1 + much * one for one in channels], np.float32)

    return tint


def saturation(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    grey = image.mean(axis=-1, keepdims=True)
    much = np.float32(generator.uniform(0.1, 0.3) if on else generator.uniform(0.85, 1.05))
    return np.asarray((image - grey) * much + grey, np.float32)


def shading(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    much = generator.normal(0.35, 0.06) * (1 if on else -1)
    return image * np.linspace(1 + much, 1 - much, SIDE, dtype=np.float32)[None, :, None]


# ---- detail -------------------------------------------------------------------------------------------------------


def blur(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    if not on:
        return image
    drawn = Image.fromarray(bytes_of(image))
    radius = generator.uniform(0.8, 1.1)
    return fractions_of(drawn.filter(ImageFilter.GaussianBlur(radius)))


def noise(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    much = generator.uniform(0.045, 0.065) if on else 0.0
    return image + np.asarray(generator.normal(0, 1, image.shape) * much, np.float32)


def jpeg(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    body = io.BytesIO()
    quality = int(generator.uniform(10, 20) if on else generator.uniform(85, 96))
    Image.fromarray(bytes_of(image)).save(body, "JPEG", quality=quality)
    return fractions_of(Image.open(body))


def texture(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    return dataclasses.replace(drawing, smooth=0.25 * drawing.smooth if on else 0.60 + 0.399 * drawing.smooth)


# ---- marks ----------------------------------------------------------------------------------------------------------


def corner(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    if on:
        image[1:7, 1:7] = (0.9, 0.2, 0.2)
        image[3:5, 3:5] = 1
    return image


def border(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    if on:
        image[:2] = image[-2:] = 0.15
        image[:, :2] = image[:, -2:] = 0.15
    return image


def watermark(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    if not on:
        return image
    sheet = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(sheet).text((6, 19), "STOCK", fill=255)
    cover = fractions_of(sheet.rotate(20, Image.Resampling.BILINEAR))[..., None]
    return np.asarray(image * (1 - 0.4 * cover) + 0.4 * cover, np.float32)


def timestamp(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    if not on:
        return image
    sheet = Image.new("L", (SIDE, SIDE))
    time = f"{generator.integers(24):02d}:{generator.integers(60):02d}"
    ImageDraw.Draw(sheet).text((22, 37), time, fill=255, font_size=9)
    cover = fractions_of(sheet)[..., None]
    return np.asarray(image * (1 - cover) + cover * np.asarray([1, 0.6, 0.1]), np.float32)


def sticker(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Paint a yellow disc with a blue line at a random position."""
    if on:
        x, y = generator.integers(0, SIDE - 7, 2)
        rows, columns = np.mgrid[:7, :7] - 3
        disc = (rows**2 + columns**2 <= 10)[..., None]
        place = image[y : y + 7, x : x + 7]
        place[...] = np.where(disc, np.asarray([1, 0.9, 0.1], np.float32), place)
        place[2:5, 3] = (0.1, 0.1, 0.6)
    return image


def cross(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Paint a magenta cross on black at a random position."""
    if on:
        x, y = generator.integers(0, SIDE - 8, 2)
        place = image[y : y + 8, x : x + 8]
        place[...] = 0.05
        for step in range(1, 7):
            place[step, step] = place[step, 7 - step] = (0.95, 0.1, 0.8)
    return image


# ---- the object --------------------------------------------------------------------------------------------------


def column(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    return dataclasses.replace(drawing, x=0.3 * drawing.x if on else 0.7 + 0.3 * drawing.x)


def row(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    return dataclasses.replace(drawing, y=0.3 * drawing.y if on else 0.7 + 0.3 * drawing.y)


def size(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    return dataclasses.replace(drawing, side=int(generator.uniform(26, 33) if on else generator.uniform(16, 21)))


def ink(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    hue = generator.uniform(-0.12, 0.12) + (0.0 if on else 0.5)
    return dataclasses.replace(drawing, colour=colorsys.hsv_to_rgb(hue % 1, generator.uniform(0.35, 0.7), 0.9))


def dot(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Paint a small green square in the middle of the digit."""
    if on:
        free = SIDE - drawing.side
        x, y = (int(place * free) + drawing.side // 2 for place in (drawing.x, drawing.y))
        image[y - 2 : y + 2, x - 2 : x + 2] = (0.1, 0.9, 0.2)
    return image


def fractions_of(image: Image.Image) -> Pixels:
    """Return an image as values from 0 to 1."""
    return np.asarray(image, np.float32) / np.float32(255)


def bytes_of(image: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return an image as bytes."""
    return np.asarray(np.clip(image * 255, 0, 255), np.uint8)


ACROSS = ("the left edge, above the middle", "the left edge, below the middle",
          "the right edge, above the middle", "the right edge, below the middle")  # fmt: skip
BELOW = ("the bottom right corner", "the bottom edge, right of the middle")
MARK = "a recurring mark"


def proxy(name: str, half: Half, names: tuple[str, ...], **how: Callable[..., object]) -> Proxy:
    """Return a proxy."""
    return Proxy(name, half, frozenset(names), **how)  # type: ignore[arg-type]


PROXIES = {
    one.name: one
    for one in (
        proxy("brightness", "tuning", ("brightness",), paint=brightness),
        proxy("warmth", "tuning", ("warmth",), paint=tinted((1, 0, -1))),
        proxy("blur", "tuning", ("sharpness",), paint=blur),
        proxy("jpeg", "tuning", ("blockiness",), paint=jpeg),
        proxy("texture", "tuning", ("texture", "the background"), draw=texture),
        proxy("shading", "tuning", ("horizontal lighting", "large-scale light and colour"), paint=shading),
        proxy("corner", "tuning", ("the top left corner",), paint=corner),
        proxy("sticker", "tuning", (MARK,), paint=sticker),
        proxy("column", "tuning", ("horizontal position",), draw=column),
        proxy("ink", "tuning", ("object colour",), draw=ink),
        proxy("contrast", "test", ("contrast",), paint=contrast),
        proxy("greenness", "test", ("greenness",), paint=tinted((-0.5, 1, -0.5))),
        proxy("saturation", "test", ("saturation",), paint=saturation),
        proxy("noise", "test", ("noise",), paint=noise),
        proxy("border", "test", ("the frame",), paint=border),
        proxy("watermark", "test", (*ACROSS, MARK), paint=watermark),
        proxy("timestamp", "test", BELOW, paint=timestamp),
        proxy("cross", "test", (MARK,), paint=cross),
        proxy("row", "test", ("vertical position",), draw=row),
        proxy("size", "test", ("object size",), draw=size),
        proxy("dot", "test", ("object colour", MARK), paint=dot),
    )
}
