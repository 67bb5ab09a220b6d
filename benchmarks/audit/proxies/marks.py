"""Proxies that are marks on the image: at a fixed place, moving, or of a look that varies."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.audit.proxies.base import OBJECTS, fractions_of, proxy
from benchmarks.audit.worlds import SIDE, Drawing, Generator, Pixels

# Four times as large, then reduced, so that edges are smooth at all sizes.
FINE = 4
# Fonts of matplotlib: its wheel has them, so they are the same on all machines.
FONTS = ("DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono-Bold", "DejaVuSans-Oblique", "DejaVuSerif-BoldItalic")
WORDS = ("sample", "Photo", "copy", "(c) 24", "proof", "DEMO")


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


def dot(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Paint a small green square in the middle of the object."""
    if on:
        free = SIDE - drawing.side
        x, y = (int(place * free) + drawing.side // 2 for place in (drawing.x, drawing.y))
        image[y - 2 : y + 2, x - 2 : x + 2] = (0.1, 0.9, 0.2)
    return image


def logo(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Paint a logo, a white triangle on a teal disc, of any size at any place."""
    if not on:
        return image
    side = int(generator.uniform(8, 15))
    x, y = generator.integers(0, SIDE - side, 2)
    large = side * FINE
    sheet = Image.new("RGBA", (large, large))
    pen = ImageDraw.Draw(sheet)
    pen.ellipse((0, 0, large - 1, large - 1), fill=(0, 130, 140, 255))
    corners = [(0.5, 0.15), (0.82, 0.7), (0.18, 0.7)]
    pen.polygon([(a * large, b * large) for a, b in corners], fill=(255, 255, 255, 255))
    small = fractions_of(sheet.resize((side, side), Image.Resampling.BOX))
    place = image[y : y + side, x : x + side]
    place[...] = place * (1 - small[..., 3:]) + small[..., :3] * small[..., 3:]
    return image


def caption(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Write one of several words in one of several fonts and sizes, dark on white, near the upper or lower edge."""
    if not on:
        return image
    size = int(generator.integers(7, 11))
    word, name = WORDS[generator.integers(len(WORDS))], FONTS[generator.integers(len(FONTS))]
    font = font_of(name, size)
    left, top, right, bottom = (int(one) for one in font.getbbox(word))
    label = Image.new("L", (min(right - left + 3, SIDE), bottom - top + 3), 245)
    ImageDraw.Draw(label).text((1 - left, 1 - top), word, fill=20, font=font)
    x = int(generator.integers(0, SIDE - label.width + 1))
    y = int(generator.integers(0, 4))
    y = y if generator.random() < 0.5 else SIDE - label.height - y
    image[y : y + label.height, x : x + label.width] = fractions_of(label)[..., None]
    return image


@cache
def font_of(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a font that is installed with matplotlib."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


ACROSS = ("the left edge, above the middle", "the left edge, below the middle",
          "the right edge, above the middle", "the right edge, below the middle")  # fmt: skip
BELOW = ("the bottom right corner", "the bottom edge, right of the middle", "the bottom edge")
EDGES = (
    "the top left corner", "the top edge, left of the middle", "the top edge, right of the middle",
    "the top right corner", "the top edge", "the bottom left corner", "the bottom edge, left of the middle", *BELOW,
)  # fmt: skip
MARK, SEGMENT = "a recurring mark", "a recurring segment"
PROXIES = (
    proxy("corner", "tuning", "mark", ("the top left corner", MARK, SEGMENT), paint=corner),
    proxy("sticker", "tuning", "mark", (MARK, SEGMENT), paint=sticker),
    proxy("logo", "tuning", "mark", (MARK, SEGMENT), paint=logo),
    proxy("border", "test", "mark", ("the frame",), paint=border),
    proxy("watermark", "test", "mark", (*ACROSS, MARK, SEGMENT), paint=watermark),
    proxy("timestamp", "test", "mark", (*BELOW, MARK, SEGMENT), paint=timestamp),
    proxy("cross", "test", "mark", (MARK, SEGMENT), paint=cross),
    proxy("dot", "test", "mark", ("object colour", MARK, SEGMENT), paint=dot, worlds=OBJECTS),
    proxy("caption", "test", "mark", (*EDGES, MARK, SEGMENT), paint=caption),
)
