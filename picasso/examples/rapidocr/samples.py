"""Draw the samples of this example again: pages with words, and lines of text, every second one upside down.

    python -m picasso.examples.rapidocr.samples [--out DIR]

The font is the one that Pillow brings along; another version of Pillow may draw slightly different pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from picasso.cli.options import friendly

SAMPLES = Path(__file__).resolve().parent / "samples"
PAGE, LINE = (320, 320), (192, 48)
MARGIN = 6
# Of shapes.png; the detector takes it for a letter.
RING = (180, 30, 270, 120)

Colour = tuple[int, int, int]


class Word(NamedTuple):
    """A word on a page, with the left end of its baseline and its size in pixels."""

    text: str
    x: int
    y: int
    size: int

    def box(self) -> tuple[int, int, int, int]:
        """Return the left, top, right and bottom of its ink in pixels of the page."""
        box = ImageFont.load_default(self.size).getbbox(self.text, anchor="ls")
        left, top, right, bottom = (round(value) for value in box)
        return self.x + left, self.y + top, self.x + right, self.y + bottom


class Page(NamedTuple):
    """A page: its words, the colours of ground and ink, and its file's name."""

    name: str
    words: tuple[Word, ...]
    ground: Colour
    ink: Colour


PAGES = (
    Page(
        "menu.png",
        (Word("Tea", 40, 80, 44), Word("2.40", 210, 80, 30), Word("Coffee", 40, 170, 44), Word("3.10", 210, 170, 30)),
        (245, 240, 225),
        (60, 40, 30),
    ),
    Page("sign.png", (Word("EXIT", 70, 190, 80),), (20, 110, 60), (240, 250, 240)),
    Page(
        "note.png",
        (Word("Meet me", 30, 90, 36), Word("at noon", 120, 160, 36), Word("by the gate", 60, 260, 24)),
        (250, 250, 250),
        (20, 40, 130),
    ),
    Page("shapes.png", (Word("north", 30, 70, 34), Word("south", 190, 290, 34)), (225, 225, 230), (30, 30, 30)),
)
LINES = ("Good morning", "Platform 12", "Wednesday", "open daily", "No parking", "12 March 1998")


def page(one: Page, generator: np.random.Generator) -> Image.Image:
    """Return a page of 320 x 320 pixels on uneven paper; ``shapes.png`` also has a ring, a rectangle and a line."""
    image = paper(PAGE, one.ground, generator)
    draw = ImageDraw.Draw(image)
    if one.name == "shapes.png":
        draw.ellipse(RING, outline=one.ink, width=6)
        draw.rectangle((40, 160, 140, 220), fill=(150, 60, 60))
        draw.line((30, 300, 150, 250), fill=one.ink, width=5)
    for word in one.words:
        draw.text((word.x, word.y), word.text, one.ink, ImageFont.load_default(word.size), anchor="ls")
    return image


def line(text: str, generator: np.random.Generator) -> Image.Image:
    """Return a line of 192 x 48 pixels that a text fills, in a random dark colour."""
    largest = next(size for size in range(LINE[1], 8, -1) if fits(text, size))
    image = paper(LINE, (238, 236, 230), generator)
    red, green, blue = (int(value) for value in generator.integers(0, 90, 3))
    middle = (LINE[0] / 2, LINE[1] / 2)
    ImageDraw.Draw(image).text(middle, text, (red, green, blue), ImageFont.load_default(largest), anchor="mm")
    return image


def fits(text: str, size: int) -> bool:
    """Tell whether a text in this size leaves the margin of a line free."""
    left, top, right, bottom = ImageFont.load_default(size).getbbox(text)
    return right - left <= LINE[0] - 2 * MARGIN and bottom - top <= LINE[1] - 2 * MARGIN


def paper(size: tuple[int, int], ground: Colour, generator: np.random.Generator) -> Image.Image:
    """Return a plain ground with clouds of a few grey values."""
    width, height = size
    clouds: NDArray[np.uint8] = generator.integers(0, 256, (height, width), np.uint8)
    soft = np.asarray(Image.fromarray(clouds).filter(ImageFilter.GaussianBlur(4)), np.float64) - 127.5
    pixels = np.array(ground) + soft[..., None]
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


@click.command()
@click.option("--out", type=Path, default=SAMPLES, show_default=True, help="The folder to write to.")
@friendly
def main(out: Path) -> None:
    """Draw the samples of this example again."""
    generator = np.random.default_rng(1)
    for place in ("pages", "lines"):
        (out / place).mkdir(parents=True, exist_ok=True)
    for one in PAGES:
        page(one, generator).save(out / "pages" / one.name, optimize=True)
    for number, text in enumerate(LINES):
        drawn, turned = line(text, generator), number % 2 == 1
        name = text.lower().replace(" ", "-") + ("-turned" if turned else "")
        (drawn.rotate(180) if turned else drawn).save(out / "lines" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
