"""Conversion of pixels of any kind to upright 8-bit grey or colour, with notes for the user."""

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

# An 8-bit image uses few of its 256 levels if its range is at most a twentieth of them; a 16-bit image uses few of its
# 65,536 levels if no value exceeds 14 bits.
FEW, FEW_WIDE = 12, 1 << 14

# The tolerance of floats outside 0..1: too small to change a byte.
ROUNDING = 1e-3

# The value of white in 16-bit integers.
HIGHEST_16_BIT = 65535

# The number of pixels processed at once, so that conversions need little additional memory.
PIECE = 1 << 18

# The transpositions that turn an image upright, by its EXIF orientation.
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
    """An upright image, in mode L or RGB, with notes for the user on how it was read."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def clean(image: Image.Image, shown: str, stored: int, *, ours: bool) -> Decoded:
    """Return an image upright, in mode L or RGB, without metadata, with notes for the user.

    Args:
        image: an image of any mode, loaded or not.
        shown: its name in messages.
        stored: its orientation, 1 to 8 as in EXIF.
        ours: whether its pixels can be changed in place, because there is no other reference to it.
    """
    check_samples(image, shown)
    # This is known only before the pixels are loaded, because Pillow keeps only the upper 8 bits of colours.
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
    """Tell whether images of a mode are converted to grey."""
    return mode in ("1", "L", "LA", "La") or mode.startswith(("I", "F"))


def flat(image: Image.Image, *, ours: bool) -> Image.Image:
    """Return a loaded 8-bit image in mode L or RGB, on white if it is transparent; a new one unless ``ours``."""
    mode = "L" if is_grey(image.mode) else "RGB"
    if image.mode not in ("LA", "PA", "RGBA", "La", "RGBa") and "transparency" not in image.info:
        if image.mode != mode:
            return image.convert(mode)
        return image if ours else image.copy()
    # Each piece is read before it is written, so an image of this mode can be converted in place.
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
    """Return an image without metadata; its pixels are not copied."""
    return Image.Image()._new(image.im)


def is_16_bit(image: Image.Image) -> bool:
    """Tell whether the file of an image that is not loaded yet has 16-bit channels."""
    ways = [tile.args for tile in getattr(image, "tile", ()) if tile.args]
    return any(";16" in (way if isinstance(way, str) else str(way[0])) for way in ways)


def check_samples(image: Image.Image, shown: str) -> None:
    """Raise an error if a TIFF uses properties that Pillow ignores: signed bytes, or 0 as white."""
    tags = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or tags is None:
        return
    if SIGNED in tags.get(SAMPLE_FORMAT, ()) and not deep(image):
        raise UnsupportedImage(f"{shown} is a TIFF of signed 8-bit values, for which white is undefined; {MORE}")
    if tags.get(PHOTOMETRIC) == WHITE_IS_0 and deep(image):
        raise UnsupportedImage(f"{shown} is a TIFF with more than 8 bits in which 0 is white. Save it with 0 as black.")


def check_bounds(low: Any, high: Any, kind: str, name: str) -> None:
    """Validate values by their minimum, their maximum and the letter of their type."""
    if kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        raise BadRequest(f"{name} has NaN or infinite values. Replace them, for example with 0.")
    if kind == "f" and not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise BadRequest(
            f"{name} has floats from {low:.4g} to {high:.4g}, but floats must be in 0..1. Divide them, or pass 8-bit "
            "integers. Preprocessing converts them to what the model needs."
        )
    if kind != "f" and (low < 0 or high > HIGHEST_16_BIT):
        raise BadRequest(f"{name} has integers from {low} to {high}, but they must be in 0..255 or 0..65535.")


def deep(image: Image.Image) -> bool:
    """Tell whether the values of an image are wider than 8 bits."""
    return image.mode.startswith(("I", "F"))


def remarks_of_halved(image: Image.Image, shown: str) -> tuple[str, ...]:
    """Return the note for a loaded image that has only the upper 8 bits of its 16-bit channels."""
    bands: Any = image.getextrema()
    colours = bands[: 3 if len(bands) > 2 else 1]
    high = (max(band[1] for band in colours) << 8) + 255
    return few_bits(high, f"below {high + 1:,}", shown) if high < FEW_WIDE else ()


def few_bits(high: int, about: str, shown: str) -> tuple[str, ...]:
    """Return the note that 16-bit values use only their lowest bits."""
    bits = max(8, high.bit_length())
    return (
        f"{shown} has 16 bits, but its largest value is {about}, as in {bits}-bit data. 16-bit values are "
        "divided by 257, so the image is darker than intended. Save it with 8 bits, or with values up to 65,535.",
    )


def remarks(image: Image.Image, shown: str) -> tuple[str, ...]:
    """Return the notes on an 8-bit image that uses few of its values."""
    # Unlike getextrema(), a histogram copies no channel.
    used = np.flatnonzero(np.reshape(image.histogram(), (-1, 256)).any(axis=0))
    low, high = int(used[0]), int(used[-1])
    # Very few pixels allow no conclusion.
    if high - low > FEW or image.width * image.height < 16:
        return ()
    if low == high:
        return (f"All pixels of {shown} have the value {low}, so it has no content.",)
    return (
        f"{shown} uses only the values {low} to {high} of 0 to 255. They are not changed: if the model was trained on "
        "images of full contrast, stretch the contrast first.",
    )


def orientation(image: Image.Image) -> int:
    """Return the orientation of a loaded image, 1 to 8; upright (1) if its EXIF has none or can't be read."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return 1
    return found if isinstance(found, int) else 1


def eight_bits(image: Image.Image, shown: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Scale an image of wide integers (0..65535) or floats (0..1) to 8 bits; add a note if it uses only low bits.

    Raises:
        BadRequest: a value is outside that range, so white is undefined.
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
    # Processed in pieces, because a large image as floats would need eight times the memory.
    for piece, top in pieces(image):
        scaled = np.round(np.asarray(piece) / (1 if kind == "f" else HIGHEST_16_BIT) * 255).astype(np.uint8)
        grey.paste(Image.fromarray(scaled), (0, top))
    few = kind != "f" and high < FEW_WIDE
    return grey, few_bits(int(high), f"{int(high):,}", shown) if few else ()
