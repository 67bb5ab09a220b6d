"""Rendering arrays as images: colour maps, overlays and legends. All colours are defined here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.visualizations.panel import Panel

# Perceptually uniform (except grey, for print) and readable by colour-blind people; the first is the default. The
# second line is for signed maps: zero is the middle, and white.
SEQUENTIAL = ("viridis", "cividis", "magma", "inferno", "gray")
DIVERGING = ("RdBu_r", "PuOr_r", "BrBG_r")

# A row of 256 colours for each of them, as matplotlib has them: viridis and its relatives are in the public domain
# (CC0), the diverging ones are ColorBrewer's (Apache License 2.0). Importing matplotlib would take a second.
TABLES = Path(__file__).with_name("colour_tables.png")

# The colours of classes. The first eight are those of Okabe & Ito, *Color Universal Design* (2008), which colour-blind
# people can tell apart, with grey instead of black. Further classes have the last seven darker, then paler, and then
# the colours repeat.
QUALITATIVE = ("#999999", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
# The opacity of a mask over an image.
MASK_OPACITY = 0.6

# Small images are enlarged to about this many pixels, so that single pixels are visible.
DISPLAY_SIDE = 320


@cache
def table(name: str) -> NDArray[np.uint8]:
    """Return the 256 colours ``(256, 3)`` of one of :data:`SEQUENTIAL` or :data:`DIVERGING`, low to high."""
    with Image.open(TABLES) as tables:
        colours: NDArray[np.uint8] = np.asarray(tables)[(*SEQUENTIAL, *DIVERGING).index(name)]
    return colours


def strip(name: str) -> Image.Image:
    """Return the 256 colours of one of :data:`SEQUENTIAL` or :data:`DIVERGING`, low to high, one pixel each."""
    return Image.fromarray(table(name)[None])


def colour_map(panel: Panel) -> str:
    """Return the name of the colour map for a panel: diverging around zero where it is signed."""
    return DIVERGING[0] if panel.signed else SEQUENTIAL[0]


def paint(panel: Panel) -> NDArray[np.uint8]:
    """Return a map as colours ``(h, w, 3)``; values outside the scale are clipped."""
    low, high = panel.scale()
    span = high - low
    if span > 0:
        normalized = (np.clip(panel.array, low, high) - low) / span
    else:
        # The colour of zero: the middle of a signed scale, or else the lower end.
        normalized = np.full(panel.array.shape, 0.5 if panel.signed else 0.0)
    painted: NDArray[np.uint8] = table(colour_map(panel))[np.minimum((normalized * 256).astype(int), 255)]
    return painted


def enlarge(pixels: NDArray[Any], side: int = DISPLAY_SIDE) -> Image.Image:
    """Return pixels as an image; a small one is enlarged by an integer factor to at most ``side`` pixels."""
    image = Image.fromarray(pixels)
    factor = max(1, side // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def draw(panel: Panel, view: NDArray[np.uint8]) -> Image.Image:
    """Return a panel as an image; a map covers exactly the enlarged ``view``, which shows through.

    Map values are drawn without interpolation, each as a rectangle of one colour: smoothing would invent values.
    """
    if panel.kind == "image":
        return enlarge(panel.array)
    background = enlarge(view).convert("RGB")
    if panel.signed:
        # The view is drawn in grey, so that its own blue and red are not mistaken for the map's.
        background = background.convert("L").convert("RGB")
    painted = Image.fromarray(paint(panel)).resize(background.size, Image.Resampling.NEAREST)
    return Image.blend(painted, background, panel.transparency)


@cache
def class_colours() -> NDArray[np.uint8]:
    """Return the colours of classes ``(22, 3)``; see :data:`QUALITATIVE`."""
    pure = np.array([list(bytes.fromhex(colour[1:])) for colour in QUALITATIVE])
    return np.concatenate([pure, pure[1:] * 0.55, 255 - (255 - pure[1:]) * 0.45]).round().astype(np.uint8)


def class_colour(index: int) -> str:
    """Return the colour of a class, such as ``#e69f00``."""
    colours = class_colours()
    return f"#{bytes(colours[index % len(colours)]).hex()}"


def draw_mask(mask: NDArray[Any], size: tuple[int, int]) -> Image.Image:
    """Return the class of each pixel ``(h, w)`` as a transparent image of ``size``, with indexed colours."""
    colours = class_colours()
    drawn = Image.fromarray((mask % len(colours)).astype(np.uint8), "P")
    drawn.putpalette(colours.tobytes())
    drawn = drawn.resize(size, Image.Resampling.NEAREST)
    drawn.info["transparency"] = bytes([round(255 * MASK_OPACITY)] * len(colours))
    return drawn


def masked(view: NDArray[np.uint8], mask: NDArray[Any]) -> Image.Image:
    """Return the enlarged ``view`` with the class of each pixel over it."""
    background = enlarge(view).convert("RGBA")
    return Image.alpha_composite(background, draw_mask(mask, background.size).convert("RGBA")).convert("RGB")


def colour_bar(panel: Panel) -> Image.Image:
    """Return the colour scale of a map, low to high, as a strip 256 pixels long."""
    return strip(colour_map(panel)).resize((256, 12), Image.Resampling.NEAREST)
