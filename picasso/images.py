"""The one door through which bytes become pixels, for uploads, the command line and Python alike."""

from __future__ import annotations

import base64
import io
import re
import warnings

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from picasso.errors import BadRequest, PicassoError, TooLarge, UnsupportedImage

# An allow-list: decoders for vector, document and scientific formats have no business here.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
DEFAULT_MEGAPIXELS = 50

# How a photograph of a phone begins that is told apart only to say what to do about it.
HEIC = [b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")]

# So many values are scaled at once.
PIECE = 1 << 20

# What turns a picture upright, by its EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Twice the pixels of the page, for screens that have twice as many.
THUMBNAIL_SIDE = 144
SAMPLE_SIDE = 88


def read(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Image.Image:
    """Decode a picture and return it upright, as 8-bit grey (mode L) or colour (mode RGB).

    Transparent pixels are shown on white. The first frame of an animation is taken. Sixteen-bit greys are
    scaled to eight, not clipped. Nothing but pixels passes: no metadata, no appended bytes.

    Args:
        body: the bytes of the file.
        name: what the user calls it, for messages.
        megapixels: the most pixels a picture may have, in millions.

    Raises:
        UnsupportedImage: not a picture in one of :data:`FORMATS`.
        BadRequest: such a picture, but cut off or broken.
        TooLarge: more pixels than allowed; known from the header, before memory is taken.
    """
    shown = display_name(name)
    try:
        with warnings.catch_warnings():
            # We compare the size with our own limit; of all else that Pillow warns of, the pixels are what counts.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(body), formats=FORMATS)
            if image.width * image.height > megapixels * 1_000_000:
                pixels = f"{image.width} x {image.height}"
                raise TooLarge(f"{shown} has {pixels} pixels, more than the {megapixels} million that are allowed.")
            return upright(image)
    except PicassoError:
        raise
    except Image.DecompressionBombError:
        raise TooLarge(f"{shown} has more pixels than the {megapixels} million that are allowed.") from None
    except UnidentifiedImageError as error:
        if body[4:12] in HEIC:
            raise UnsupportedImage(f"{shown} is a HEIC photograph, which can't be read; save it as JPEG.") from error
        raise UnsupportedImage(f"{shown} is not a picture that can be read; use {', '.join(FORMATS)}.") from error
    except Exception as error:
        raise BadRequest(f"{shown} is cut off or broken and can't be read.") from error


def upright(image: Image.Image) -> Image.Image:
    """Return a picture turned as its EXIF orientation says, in mode L or RGB, without metadata."""
    image.load()
    method = TURNS.get(orientation(image))
    turned = image if method is None else image.transpose(method)
    if turned.mode.startswith(("I", "F")):
        turned = eight_bits(turned)
    if turned.mode == "1":
        turned = turned.convert("L")
    if turned.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in turned.info:
        coloured = turned.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        grey = turned.mode in ("L", "LA", "La")
        turned = Image.alpha_composite(white, coloured).convert("L" if grey else "RGB")
    mode = "L" if turned.mode == "L" else "RGB"
    clean = Image.new(mode, turned.size)
    clean.paste(turned if turned.mode == mode else turned.convert(mode))
    return clean


def orientation(image: Image.Image) -> int:
    """Return how a loaded picture is stored, 1 to 8; upright (1) where its EXIF does not say so or can't be read."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return 1
    return found if isinstance(found, int) else 1


def eight_bits(image: Image.Image) -> Image.Image:
    """Scale a picture of wide integers or floats to 8 bits: 16-bit values by 257, others by their range."""
    values = np.asarray(image)
    low, span = 0.0, 65535.0
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        low = float(values.min())
        span = float(values.max()) - low or 1.0
    grey = np.empty(values.shape, np.uint8)
    flat, target = values.reshape(-1), grey.reshape(-1)
    # Piece by piece: as floats, a large picture would take eight times the memory.
    for start in range(0, flat.size, PIECE):
        piece = slice(start, start + PIECE)
        target[piece] = np.round((flat[piece] - low) / span * 255)
    return Image.fromarray(grey)


def thumbnail(image: Image.Image, side: int = THUMBNAIL_SIDE) -> bytes:
    """Return a picture as WebP bytes, at most ``side`` pixels a side; small ones keep every pixel."""
    small = image.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", lossless=small.size == image.size, quality=80)
    return buffer.getvalue()


def encode(image: Image.Image) -> bytes:
    """Return a picture as PNG bytes; only its pixels."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def data_address(body: bytes, mimetype: str = "image/png") -> str:
    """Return a file as an address that holds it, for an ``img`` of a page that has no server."""
    return f"data:{mimetype};base64,{base64.b64encode(body).decode()}"


def path_name(path: str, limit: int = 60) -> str:
    """Return a path that is safe to show: its folder, if it names one, and what :func:`display_name` gives."""
    folder, _, _ = path.replace("\\", "/").rpartition("/")
    last = folder.rpartition("/")[2].strip()
    name = display_name(path, limit)
    return name if last in ("", ".", "..") else f"{display_name(last, limit)}/{name}"


def without_ending(name: str) -> str:
    """Return a picture's name, which may begin with a folder, without the ending that says its format."""
    return re.sub(r"\.[^./]*$", "", name)


def display_name(name: str, limit: int = 60) -> str:
    """Return a name that is safe to show: the last part of a path, printable, shortened in the middle."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(character for character in last if character.isprintable()).strip() or "picture"
    if len(printable) <= limit:
        return printable
    return f"{printable[: limit - 12]}…{printable[-11:]}"
