"""Pixels of any kind made upright, grey or colour, of eight bits; and what of them a user should know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from picasso.errors import BadRequest, UnsupportedImage

PHOTOMETRIC, SAMPLE_FORMAT = 262, 339
WHITE_IS_0, SIGNED = 0, 2
MORE = "for more channels or other types, override open_image() in a model class, or save it as 8-bit PNG."

# An image uses few of its 256 levels if the largest differs from the smallest by no more than a twentieth of them, and
# few of 65,536 if none is larger than that of 14 bits.
FEW, FEW_WIDE = 12, 1 << 14

# By how much floats may leave 0..1: less than what would change a byte.
ROUNDING = 1e-3

# White where integers have 16 bits.
HIGHEST_16_BIT = 65535

# So many pixels are changed at once: what is done to an image takes little memory beside it.
PIECE = 1 << 18

# What turns an image upright, by its EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoded:
    """An upright image, in mode L or RGB, and what the user should know of how it was read."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def clean(image: Image.Image, shown: str, stored: int, *, ours: bool) -> Decoded:
    """Return an image upright, in mode L or RGB, without metadata, and what the user should know of it.

    Args:
        image: of any mode; it may not be loaded yet.
        shown: what it is called in messages.
        stored: how, 1 to 8 as in EXIF.
        ours: whether its pixels may be changed: nobody else has it.
    """
    check_samples(image, shown)
    # Known before the pixels are loaded only: of colours, Pillow keeps the upper 8 bits.
    halved = not deep(image) and is_16_bit(image)
    image.load()
    found: tuple[str, ...] = ()
    if deep(image):
        image, found = eight_bits(image, shown)
    else:
        found = remarks_of_halved(image, shown) if halved else ()
        image = flat(image, ours=ours)
    method = TURNS.get(stored)
    if method is not None:
        image = image.transpose(method)
    upright = bare(image)
    return Decoded(upright, found or remarks(upright, shown))


def is_grey(mode: str) -> bool:
    """Tell whether images of a mode become grey ones."""
    return mode in ("1", "L", "LA", "La") or mode.startswith(("I", "F"))


def flat(image: Image.Image, *, ours: bool) -> Image.Image:
    """Return a loaded image of 8 bits in mode L or RGB, where it is transparent on white; a new one unless ``ours``."""
    mode = "L" if is_grey(image.mode) else "RGB"
    if image.mode not in ("LA", "PA", "RGBA", "La", "RGBa") and "transparency" not in image.info:
        if image.mode != mode:
            return image.convert(mode)
        return image if ours else image.copy()
    # Each piece is read before it is written, so that an image of this mode can be its own target.
    target = image if ours and image.mode == mode else Image.new(mode, image.size)
    for piece, top in pieces(image):
        coloured = (piece.convert("LA") if piece.mode == "La" else piece).convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        target.paste(Image.alpha_composite(white, coloured).convert(mode), (0, top))
    return target


def pieces(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """Yield an image in pieces of about :data:`PIECE` pixels, each with the row at which it begins."""
    rows = max(1, PIECE // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))), top


def bare(image: Image.Image) -> Image.Image:
    """Return an image without anything but its pixels, which are not copied."""
    return Image.Image()._new(image.im)


def is_16_bit(image: Image.Image) -> bool:
    """Tell whether an image that is not loaded yet has channels of 16 bits in its file."""
    ways = [tile.args for tile in getattr(image, "tile", ()) if tile.args]
    return any(";16" in (way if isinstance(way, str) else str(way[0])) for way in ways)


def check_samples(image: Image.Image, shown: str) -> None:
    """Raise an error where a TIFF says of its values what Pillow does not heed: signs of bytes, and white as 0."""
    tags = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or tags is None:
        return
    if SIGNED in tags.get(SAMPLE_FORMAT, ()) and not deep(image):
        raise UnsupportedImage(f"{shown} is a TIFF of signed 8-bit values, of which nobody knows the white; {MORE}")
    if tags.get(PHOTOMETRIC) == WHITE_IS_0 and deep(image):
        raise UnsupportedImage(f"{shown} is a TIFF of more than 8 bits in which 0 is white; save it with 0 as black.")


def check_bounds(low: Any, high: Any, kind: str, name: str) -> None:
    """Do so by the smallest and the largest of the values, and the letter of their type."""
    if kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        raise BadRequest(f"{name} holds values that are not finite numbers (NaN or infinity); replace them, as by 0.")
    if kind == "f" and not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise BadRequest(
            f"{name} holds floats from {low:.4g} to {high:.4g}; floats must lie in 0..1. Divide them, or pass 8-bit "
            "integers. Whatever the model needs, preprocessing makes of them."
        )
    if kind != "f" and (low < 0 or high > HIGHEST_16_BIT):
        raise BadRequest(f"{name} holds integers from {low} to {high}; they must lie in 0..255 or 0..65535.")


def deep(image: Image.Image) -> bool:
    """Tell whether the values of an image are wider than 8 bits."""
    return image.mode.startswith(("I", "F"))


def remarks_of_halved(image: Image.Image, shown: str) -> tuple[str, ...]:
    """Return the same of a loaded image whose channels had 16 bits, of which it has the upper 8."""
    bands: Any = image.getextrema()
    colours = bands[: 3 if len(bands) > 2 else 1]
    high = (max(band[1] for band in colours) << 8) + 255
    return few_bits(high, f"below {high + 1:,}", shown) if high < FEW_WIDE else ()


def few_bits(high: int, about: str, shown: str) -> tuple[str, ...]:
    """Say that 16-bit values use only their lowest bits."""
    bits = max(8, high.bit_length())
    return (
        f"{shown} has 16 bits, but its largest value is {about}, as in {bits}-bit data. 16-bit values are "
        "divided by 257, so the image is darker than was meant. Save it with 8 bits, or with values up to 65,535.",
    )


def remarks(image: Image.Image, shown: str) -> tuple[str, ...]:
    """Return what the user should know of an 8-bit image: that it uses few of its values."""
    # Unlike getextrema(), a histogram copies no channel.
    used = np.flatnonzero(np.reshape(image.histogram(), (-1, 256)).any(axis=0))
    low, high = int(used[0]), int(used[-1])
    # Of a handful of pixels nothing can be said.
    if high - low > FEW or image.width * image.height < 16:
        return ()
    if low == high:
        return (f"{shown} has the value {low} everywhere, so there is nothing in it for a model to look at.",)
    return (
        f"{shown} uses only the values {low} to {high} of 0 to 255. They are left as they are: if the model was "
        "trained on images of full contrast, stretch them before.",
    )


def orientation(image: Image.Image) -> int:
    """Return how a loaded image is stored, 1 to 8; upright (1) where its EXIF does not say so or can't be read."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return 1
    return found if isinstance(found, int) else 1


def eight_bits(image: Image.Image, shown: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Scale an image of wide integers (0..65535) or floats (0..1) to 8 bits; say if it uses only the lowest of them.

    Raises:
        BadRequest: its values are not all in that range: nobody knows which of them is white.
    """
    bounds, kind = [], ""
    for piece, _ in pieces(image):
        values = np.asarray(piece)
        kind = values.dtype.kind
        bounds.append((values.min(), values.max()))
    lows, highs = np.asarray(bounds).T
    low, high = lows.min(), highs.max()
    check_bounds(low, high, kind, shown)
    grey = Image.new("L", image.size)
    # Piece by piece: as floats, a large image would take eight times the memory.
    for piece, top in pieces(image):
        scaled = np.round(np.asarray(piece) / (1 if kind == "f" else HIGHEST_16_BIT) * 255).astype(np.uint8)
        grey.paste(Image.fromarray(scaled), (0, top))
    few = kind != "f" and high < FEW_WIDE
    return grey, few_bits(int(high), f"{int(high):,}", shown) if few else ()
