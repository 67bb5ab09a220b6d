"""The world *emoji*: glyphs of the Noto colour font, in many poses, on crops of photographs.

The classes differ in their glyphs; the split of the photographs is that of the digits.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.audit.worlds.base import SIDE, Drawing, Pixels, Split, World, background, exposed, places, posed
from picasso.errors import ModelError

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
# The only size of the bitmaps in the font, and the size of a glyph, in pixels.
POINTS, GLYPH = 109, (136, 128)
# All of these look to one side, so that their direction can be told.
MEMBERS = {
    "elephant": "🐘", "bicycle": "🚲", "turtle": "🐢", "locomotive": "🚂", "rooster": "🐓", "banana": "🍌", "key": "🔑",
    "sailboat": "⛵", "guitar": "🎸", "snail": "🐌",
}  # fmt: skip
# The side of the square within which glyphs are rotated, as a multiple of theirs, so that no corner is cut off.
ROOM = 1.2
# The share of their own colour, and the range of their opacity.
OWN_COLOUR, FAINTEST, CLEAREST = 0.4, 0.4, 1.0


def font_file() -> Path:
    """Return the path of the font: that in ``PICASSO_EMOJI_FONT``, or that of Debian."""
    return Path(os.environ.get("PICASSO_EMOJI_FONT", FONT))


@functools.cache
def glyph(character: str) -> Image.Image:
    """Return an emoji in the middle of a transparent square with room to rotate.

    Raises:
        ModelError: the font is not installed.
    """
    file = font_file()
    if not file.is_file():
        raise ModelError(
            f"There is no font {file}; install it with apt-get install fonts-noto-color-emoji, or put the path of "
            "NotoColorEmoji.ttf into PICASSO_EMOJI_FONT."
        )
    side = round(ROOM * GLYPH[0])
    sheet = Image.new("RGBA", (side, side))
    place = ((side - GLYPH[0]) // 2, (side - GLYPH[1]) // 2)
    font = ImageFont.truetype(str(file), POINTS)
    ImageDraw.Draw(sheet).text(place, character, font=font, embedded_color=True)
    return sheet.resize((64, 64), Image.Resampling.LANCZOS)


def render(drawing: Drawing, split: Split) -> Pixels:
    """Return the image of a drawing, ``(SIDE, SIDE, 3)``, from 0 to 1."""
    sheet = Image.new("RGBA", (SIDE, SIDE))
    if one := drawing.companion:
        pose = dataclasses.replace(drawing, side=one.side, angle=one.angle, x=one.x, y=one.y, mirrored=False, copies=())
        place(sheet, posed(glyph(one.glyph), pose), pose)
    place(sheet, faded(posed(glyph(list(MEMBERS.values())[drawing.member]), drawing), drawing), drawing)
    pixels = np.asarray(sheet, np.float32) / np.float32(255)
    colours, cover = pixels[..., :3], pixels[..., 3:]
    return exposed(background(drawing, split) * (1 - cover) + colours * cover, drawing)


def faded(image: Image.Image, drawing: Drawing) -> Image.Image:
    """Return an object that is partly transparent and mostly of one tint, so that its shape has to be seen."""
    pixels = np.asarray(image, np.float32)
    tinted = pixels[..., :3].mean(axis=-1, keepdims=True) * np.asarray(drawing.colour, np.float32)
    pixels = np.concatenate(
        [
            OWN_COLOUR * pixels[..., :3] + (1 - OWN_COLOUR) * tinted,
            pixels[..., 3:] * (FAINTEST + (CLEAREST - FAINTEST) * drawing.clear),
        ],
        axis=-1,
    )
    return Image.fromarray(np.asarray(pixels, np.uint8))


def place(sheet: Image.Image, image: Image.Image, drawing: Drawing) -> None:
    """Put an object onto a sheet where the drawing has it, and its copies."""
    for left, top in places(drawing):
        sheet.alpha_composite(image, (left, top))


EMOJI_WORLD = World("emoji", tuple(MEMBERS), render, turned=25, mirrors=True)
