"""One map as an image to take away: with its title, its legend and where it comes from; its legend also as SVG."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from html import escape
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from picasso.explanation import legend, render
from picasso.visualizations.panel import Panel

# The longer side of the map, the margin, and the sizes of the texts, in pixels.
SIDE, MARGIN, BAR = 720, 32, 28
LARGE, NORMAL, SMALL = 34, 22, 18
# The pixels of images up to this size are drawn as squares.
PIXELS = 96
INK, QUIET = "#1b1f27", "#565c68"
# The font that comes with Pillow has ASCII only. For other characters the first of these is used that is installed.
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "Arial.ttf")
SPELLED = {"≤": "<=", "≥": ">=", "\u2013": "-", "\u2212": "-", "\u00d7": "x"}
# The longest title and note; names of files and classes may be longer.
LONGEST = 400

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def system_font(size: int) -> Font | None:
    """Return an installed font with more than ASCII, or None."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


def written(text: str, size: int) -> tuple[str, Font]:
    """Return a text with a font that has its characters; those that no font has are replaced."""
    plain = "".join(SPELLED.get(character, character) for character in text)
    if not plain.isascii() and (font := system_font(size)):
        return text, font
    ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "replace").decode()
    return ascii_only, ImageFont.load_default(size)


def lines(text: str, size: int, width: int) -> Iterator[str]:
    """Yield the lines of a text that is broken at spaces, or anywhere in a word that is longer than a line."""
    line = ""
    for word in (text if len(text) <= LONGEST else f"{text[:LONGEST]}...").split():
        joined = f"{line} {word}".strip()
        if length(joined, size) <= width:
            line = joined
            continue
        if line:
            yield line
        line = ""
        for character in word:
            if line and length(line + character, size) > width:
                yield line
                line = ""
            line += character
    if line:
        yield line


def length(text: str, size: int) -> float:
    """Return the length of a text in pixels."""
    shown, font = written(text, size)
    return font.getlength(shown)


def figure(panel: Panel, view: NDArray[np.uint8], texts: tuple[str, str], colours: str = "") -> Image.Image:
    """Return a panel as an image with its title, its legend and its provenance.

    Args:
        panel: a map or an image.
        view: the image as the model sees it, over which a map is drawn.
        texts: what stands below the title, and at the bottom.
        colours: the name of a colour map; "" for that of the panel.
    """
    drawn = enlarged(panel, view, colours)
    above = [(panel.title, LARGE, INK), (legend.amount(panel.describe()), NORMAL, INK), (texts[0], NORMAL, QUIET)]
    below = [*legend_texts(panel), (panel.note, SMALL, QUIET), (texts[1], SMALL, QUIET)]
    parts = [
        [(line, points, ink) for text, points, ink in some for line in lines(text, points, SIDE)]
        for some in (above, below)
    ]
    bar = BAR + NORMAL + MARGIN if panel.kind == "map" and not panel.flat else MARGIN // 2
    heights = [sum(round(1.35 * points) for _, points, _ in part) for part in parts]
    page = Image.new("RGB", (SIDE + 2 * MARGIN, 2 * MARGIN + sum(heights) + drawn.height + bar + MARGIN // 2), "white")
    painter = ImageDraw.Draw(page)
    top = write(painter, parts[0], MARGIN) + MARGIN // 4
    page.paste(drawn, (MARGIN + (SIDE - drawn.width) // 2, top))
    top += drawn.height + MARGIN // 4
    if panel.kind == "map" and not panel.flat:
        page.paste(render.colour_bar(panel, (SIDE, BAR), colours), (MARGIN, top))
        ends(painter, panel, top + BAR + 4)
    write(painter, parts[1], top + bar)
    return page


def enlarged(panel: Panel, view: NDArray[np.uint8], colours: str) -> Image.Image:
    """Return a panel at :data:`SIDE`; photographs are interpolated, values and the pixels of small images are not."""
    image = Image.fromarray(view if panel.kind == "map" else panel.array).convert("RGB")
    scale = SIDE / max(image.size)
    # A side of at least one pixel, however flat the image is.
    width, height = (max(1, round(side * scale)) for side in image.size)
    small = max(image.size) <= PIXELS
    image = image.resize((width, height), Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS)
    if panel.kind == "image":
        return image
    return render.blend(render.paint(panel, name=colours), render.grey(image), 1 - panel.transparency)


def write(painter: ImageDraw.ImageDraw, part: list[tuple[str, int, str]], top: int) -> int:
    """Write lines below each other, and return where the next one would begin."""
    for line, points, ink in part:
        shown, font = written(line, points)
        painter.text((MARGIN, top), shown, ink, font)
        top += round(1.35 * points)
    return top


def ends(painter: ImageDraw.ImageDraw, panel: Panel, top: int) -> None:
    """Write the numbers at the ends of the legend, and what they mean."""
    (low, high), (left, right) = legend.ends(panel.describe()), panel.meanings
    for text, place, anchor in ((f"{low} {left}", MARGIN, "la"), (f"{right} {high}", MARGIN + SIDE, "ra")):
        shown, font = written(text.strip(), NORMAL)
        painter.text((place, top), shown, INK, font, anchor=anchor)


def legend_texts(panel: Panel) -> list[tuple[str, int, str]]:
    """Return the quantity of a map, and what its scale does not show."""
    return [(legend.details(panel.describe()), SMALL, INK)] if panel.kind == "map" else []


def legend_svg(panel: Panel, colours: str = "") -> str:
    """Return the legend of a map as SVG: its colours over all shades of grey, its numbers and its quantity."""
    width, height = 512, BAR
    low, high = panel.scale()
    painted = render.paint(panel, (low + (high - low) * (np.arange(256) + 0.5) / 256)[None], colours)[0]
    opacity = 1 - panel.transparency
    white, black = (render.grey(Image.new("RGB", (1, 1), name)).getpixel((0, 0)) for name in ("white", "black"))
    bars, place = [], 0
    for colour, run in groupby(map(tuple, painted.tolist())):
        count = len(list(run))
        red, green, blue, alpha = colour
        bars.append(
            f'<rect x="{2 * place}" width="{2 * count}" height="{height}" fill="rgb({red} {green} {blue})" '
            f'fill-opacity="{alpha / 255 * opacity:.4g}"/>'
        )
        place += count
    (first, last), (left, right) = legend.ends(panel.describe()), panel.meanings
    texts = [
        (0, 48, "start", f"{first} {left}".strip()),
        (width, 48, "end", f"{right} {last}".strip()),
        (0, 70, "start", legend.details(panel.describe())),
    ]
    said = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>' for x, y, anchor, text in texts
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -8 {width + 16} 92" width="{width + 16}" height="92" '
        f'font-family="sans-serif" font-size="16" shape-rendering="crispEdges"><title>{escape(panel.title)}</title>'
        f'<defs><linearGradient id="shades" x2="0" y2="1"><stop stop-color="rgb{white}"/>'
        f'<stop offset="1" stop-color="rgb{black}"/></linearGradient></defs>'
        f'<rect width="{width}" height="{height}" fill="url(#shades)"/>{"".join(bars)}{said}</svg>\n'
    )
