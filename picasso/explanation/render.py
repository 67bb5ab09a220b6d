"""Rendering arrays as images: colour maps, overlays and legends. All colours are defined here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.visualizations.panel import Panel

# The colours of maps, weak to strong: warm for what speaks for the target and for magnitudes, cool for what speaks
# against it. People with any kind of colour blindness can tell orange and red from blue. Opacity is proportional to
# the value, so that the image shows through where a map is weak. The other colour maps are opaque: perceptually
# uniform (except grey, for print) and readable by colour-blind people. Each first one is the default; DIVERGING is for
# maps whose middle is zero.
WARM, COOL = ("#ff9d1a", "#ff6a00", "#f01428"), ("#1ab8ff", "#2090ff", "#2a58ff")
SEQUENTIAL = ("warm", "viridis", "cividis", "magma", "inferno", "gray")
DIVERGING = ("warm-cool", "RdBu_r", "PuOr_r", "BrBG_r")

# A row of 256 colours for each of the opaque ones, as matplotlib has them: viridis and its relatives are in the public
# domain (CC0), the diverging ones are ColorBrewer's (Apache License 2.0). Importing matplotlib would take a second.
TABLES = Path(__file__).with_name("colour_tables.png")

# The colours of classes. The first eight are those of Okabe & Ito, *Color Universal Design* (2008), which colour-blind
# people can tell apart, with grey instead of black. Further classes have the last seven darker, then paler, and then
# the colours repeat.
QUALITATIVE = ("#999999", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
# The opacity of a mask over an image.
MASK_OPACITY = 0.6

# Images are drawn in grey below maps, so that their own colours are not mistaken for the map's. Their contrast is
# reduced to this, so that weak colours are visible on black and on white.
CONTRAST = 0.8
# Grey as browsers compute it: the luminance of Rec. 709.
LUMINANCE = (0.2126, 0.7152, 0.0722, 0.0)

# Small images are enlarged to about this many pixels, so that single pixels are visible.
DISPLAY_SIDE = 320


@cache
def table(name: str) -> NDArray[np.uint8]:
    """Return the 256 colours with opacity ``(256, 4)`` of a name of :data:`SEQUENTIAL` or :data:`DIVERGING`."""
    if name == SEQUENTIAL[0]:
        return shades(WARM, np.arange(256) / 255)
    if name == DIVERGING[0]:
        # Both colours in the middle are fully transparent.
        strengths = np.arange(128) / 127
        return np.concatenate([shades(COOL, strengths[::-1]), shades(WARM, strengths)])
    with Image.open(TABLES) as tables:
        colours = np.asarray(tables)[(*SEQUENTIAL[1:], *DIVERGING[1:]).index(name)]
    return np.concatenate([colours, np.full((256, 1), 255, np.uint8)], axis=1)


def shades(stops: tuple[str, ...], strengths: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the colours ``(n, 4)`` of strengths from 0 to 1, with an opacity that is proportional to the strength."""
    colours = np.array([list(bytes.fromhex(stop[1:])) for stop in stops], np.float64)
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(strengths, places, channel) for channel in colours.T]
    return np.stack([*channels, 255 * strengths], axis=-1).round().astype(np.uint8)


def strip(name: str) -> Image.Image:
    """Return a colour map for the page: the 256 colours, one pixel each, and below each its opacity as grey."""
    colours = table(name)
    return Image.fromarray(np.stack([colours[:, :3], np.repeat(colours[:, 3:], 3, axis=1)]))


def colour_map(panel: Panel) -> str:
    """Return the name of the colour map for a panel: diverging where the scale has a middle."""
    return SEQUENTIAL[0] if panel.middle is None else DIVERGING[0]


def places(panel: Panel, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return where values are on the colour map, 0..1; values beyond the scale are clipped.

    Values that differ from nothing by no more than the panel's ``floor`` are at the place of nothing.
    """
    low, high = panel.scale()
    middle = panel.middle
    nothing, reach = (low, high - low) if middle is None else (middle, max(high - middle, middle - low))
    away = np.asarray(values, np.float64) - nothing
    away[np.abs(away) <= panel.floor] = 0
    share = away / (reach or 1.0) * (-1 if panel.falling else 1)
    placed: NDArray[np.float64] = np.clip(share if middle is None else (1 + share) / 2, 0, 1)
    return placed


def paint(panel: Panel, values: NDArray[Any] | None = None, name: str = "") -> NDArray[np.uint8]:
    """Return a map, or other values on its scale, as colours with opacity ``(h, w, 4)``."""
    placed = places(panel, panel.array if values is None else values)
    painted: NDArray[np.uint8] = table(name or colour_map(panel))[np.minimum((placed * 256).astype(int), 255)]
    return painted


def blend(painted: NDArray[np.uint8], background: Image.Image, opacity: float) -> Image.Image:
    """Return colours ``(h, w, 4)`` over a background of any size, each as a rectangle."""
    colours, shown = (
        Image.fromarray(layer).resize(background.size, Image.Resampling.NEAREST)
        for layer in (painted[..., :3], (painted[..., 3] * opacity).round().astype(np.uint8))
    )
    return Image.composite(colours, background, shown)


def enlarge(pixels: NDArray[Any], side: int = DISPLAY_SIDE) -> Image.Image:
    """Return pixels as an image; a small one is enlarged by an integer factor to at most ``side`` pixels."""
    image = Image.fromarray(pixels)
    factor = max(1, side // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def draw(panel: Panel, view: NDArray[np.uint8], name: str = "") -> Image.Image:
    """Return a panel as an image; a map covers exactly the enlarged ``view``, which shows through.

    Map values are drawn without interpolation, each as a rectangle of one colour: smoothing would invent values.
    """
    if panel.kind == "image":
        return enlarge(panel.array)
    return blend(paint(panel, name=name), grey(enlarge(view)), 1 - panel.transparency)


def grey(image: Image.Image) -> Image.Image:
    """Return an image as it is drawn below a map: in grey, with less contrast."""
    lightness = image.convert("RGB").convert("L", LUMINANCE)
    # The same as the filters of CSS.
    return lightness.point([round((value - 127.5) * CONTRAST + 127.5) for value in range(256)]).convert("RGB")


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


def colour_bar(panel: Panel, size: tuple[int, int] = (256, 24), name: str = "") -> Image.Image:
    """Return the colours of a map as they are seen, from the low to the high end of its scale.

    They lie over all shades of a grey image: over white at the upper edge, over black at the lower one.
    """
    width, height = size
    low, high = panel.scale()
    values = low + (high - low) * (np.arange(width) + 0.5) / width
    shades = np.linspace(255, 0, height).round().astype(np.uint8)[:, None].repeat(width, axis=1)
    return blend(paint(panel, values[None], name), grey(Image.fromarray(shades)), 1 - panel.transparency)
