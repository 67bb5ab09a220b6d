"""The one door through which bytes become pixels, for uploads, the command line and Python alike."""

from __future__ import annotations

import base64
import io
import logging
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from picasso.errors import BadRequest, PicassoError, TooLarge, UnsupportedImage

# An allow-list: decoders for vector and document formats have no business here.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# How a TIFF begins, and those of its compressions that are decoded; its other decoders have no business here either.
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits")
TILE_WIDTH, TILE_LENGTH, PHOTOMETRIC, SAMPLE_FORMAT = 322, 323, 262, 339
WHITE_IS_0, SIGNED = 0, 2
MORE = "for more channels or other types, override open_image() in a model class, or save it as 8-bit PNG."
DEFAULT_MEGAPIXELS = 50

# How a photograph of a phone begins that is told apart only to say what to do about it.
HEIC = [b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")]

# An image uses few of its 256 levels if the largest differs from the smallest by no more than a twentieth of them, and
# few of 65,536 if none is larger than that of 14 bits.
FEW, FEW_WIDE = 12, 1 << 14
# By how much floats may leave 0..1: less than what would change a byte.
ROUNDING = 1e-3

# What is wrong with a file is said in a sentence of ours; Pillow would also write a line of its own to the log.
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)

# White where integers have 16 bits.
HIGHEST_16_BIT = 65535

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


@dataclass(frozen=True)
class Decoded:
    """An upright image, in mode L or RGB, and what the user should know of how it was read."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def read(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Image.Image:
    """Return the image of :func:`decode` alone."""
    return decode(body, name, megapixels).image


def decode(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Decoded:
    """Decode a picture and return it upright, as 8-bit grey (mode L) or colour (mode RGB).

    Transparent pixels are shown on white. The first frame of an animation is taken. Sixteen-bit greys are
    scaled to eight, not clipped. Nothing but pixels passes: no metadata, no appended bytes.

    Args:
        body: the bytes of the file.
        name: what the user calls it, for messages.
        megapixels: the most pixels a picture may have, in millions.

    Raises:
        UnsupportedImage: not a picture in one of :data:`FORMATS`.
        BadRequest: such a picture, but cut off or broken, or its values are of no known range.
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
            if image.format == "TIFF":
                check_tiff(image, shown, megapixels)
            return from_image(image, name)
    except PicassoError:
        raise
    except Image.DecompressionBombError:
        raise TooLarge(f"{shown} has more pixels than the {megapixels} million that are allowed.") from None
    except UnidentifiedImageError as error:
        if body[4:12] in HEIC:
            raise UnsupportedImage(f"{shown} is a HEIC photograph, which can't be read; save it as JPEG.") from error
        if body[:4] in TIFF:
            raise UnsupportedImage(f"{shown} is a TIFF of a kind that can't be read; {MORE}") from error
        raise UnsupportedImage(f"{shown} is not a picture that can be read; use {', '.join(FORMATS)}.") from error
    except Exception as error:
        raise BadRequest(f"{shown} is cut off or broken and can't be read.") from error


def check_tiff(image: Image.Image, shown: str, megapixels: int) -> None:
    """Raise an error where decoding a TIFF takes other decoders than ours, or more memory than its size tells."""
    if image.info.get("compression") not in COMPRESSIONS:
        raise UnsupportedImage(f"{shown} is a TIFF of a kind that can't be read; {MORE}")
    # A tile is decoded as a whole, however few of its pixels belong to the image.
    tags = image.tag_v2  # type: ignore[attr-defined]
    tile = tags.get(TILE_WIDTH, 1) * tags.get(TILE_LENGTH, 1)
    if not isinstance(tile, int) or tile > megapixels * 1_000_000:
        raise TooLarge(f"{shown} has tiles of more than the {megapixels} million pixels that are allowed.")


def from_image(image: Image.Image, name: str) -> Decoded:
    """Return a PIL image as :func:`decode` returns that of a file; the errors are the same."""
    shown = display_name(name)
    check_samples(image, shown)
    # Known before the pixels are loaded only: of colours, Pillow keeps the upper 8 bits.
    halved = not deep(image) and is_16_bit(image)
    clean = upright(image, name)
    found = remarks_of_wide(image, shown) if deep(image) else remarks_of_halved(image, shown) if halved else ()
    return Decoded(clean, found or remarks(clean, shown))


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


def from_array(array: NDArray[Any], name: str) -> Decoded:
    """Return an array as :func:`decode` returns the image of a file.

    Args:
        array: ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)``; integers 0..255 or 0..65535, booleans, or
            floats 0..1.
        name: what the user calls it, for messages.

    Raises:
        BadRequest: another shape, or values of no known range.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)) or not array.size:
        known = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        first = array.ndim == 3 and array.shape[0] in (1, 3)
        turn = " Its channels come first: pass array.transpose(1, 2, 0)." if first else ""
        more = "" if first or array.ndim != 3 or array.shape[2] < 5 else f" {MORE[0].upper()}{MORE[1:]}"
        raise BadRequest(f"{name} is an array of shape {array.shape}; images are {known}.{turn}{more}")
    if array.ndim == 2:
        return grey(array, name)
    decoded = from_image(Image.fromarray(bytes_of(array, name)), name)
    high = int(array.max()) if array.dtype.kind in "iu" else 0
    shown = display_name(name)
    return Decoded(decoded.image, few_bits(high, f"{high:,}", shown)) if 255 < high < FEW_WIDE else decoded


def grey(array: NDArray[Any], name: str) -> Decoded:
    """Return a grey image ``(H, W)``; of 16-bit values it is said if they are few."""
    if array.dtype.kind in "iu" and array.dtype != np.uint8 and array.max() > 255 and array.min() >= 0:
        check_range(array, name)
        return from_image(Image.fromarray(array.astype(np.uint16)), name)
    return from_image(Image.fromarray(bytes_of(array, name)), name)


def bytes_of(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Return the values of an array as 0..255."""
    if array.dtype.kind not in "biuf":
        raise BadRequest(f"{name} is an array of {array.dtype}; images hold integers, booleans, or floats 0..1.")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    check_range(array, name)
    highest = 1 if array.dtype.kind in "bf" else 255 if array.max() <= 255 else HIGHEST_16_BIT
    return np.round(array / np.float64(highest) * 255).astype(np.uint8)


def check_range(array: NDArray[Any], name: str) -> None:
    """Raise a BadRequest where an array holds values of which nobody knows what is black and what is white."""
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        raise BadRequest(f"{name} holds values that are not finite numbers (NaN or infinity); replace them, as by 0.")
    if array.dtype.kind == "f" and not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise BadRequest(
            f"{name} holds floats from {low:.4g} to {high:.4g}; floats must lie in 0..1. Divide them, or pass 8-bit "
            "integers. Whatever the model needs, preprocessing makes of them."
        )
    if array.dtype.kind != "f" and (low < 0 or high > HIGHEST_16_BIT):
        raise BadRequest(f"{name} holds integers from {low} to {high}; they must lie in 0..255 or 0..65535.")


def deep(image: Image.Image) -> bool:
    """Tell whether the values of an image are wider than 8 bits."""
    return image.mode.startswith(("I", "F"))


def remarks_of_wide(image: Image.Image, shown: str) -> tuple[str, ...]:
    """Return what the user should know of an image of wide integers: that it uses only the lowest of them."""
    if not image.mode.startswith("I"):
        return ()
    high = int(np.asarray(image).max())
    return few_bits(high, f"{high:,}", shown) if high < FEW_WIDE else ()


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
    bands: Any = image.getextrema() if len(image.getbands()) > 1 else [image.getextrema()]
    low, high = min(one[0] for one in bands), max(one[1] for one in bands)
    # Of a handful of pixels nothing can be said.
    if high - low > FEW or image.width * image.height < 16:
        return ()
    if low == high:
        return (f"{shown} has the value {low} everywhere, so there is nothing in it for a model to look at.",)
    return (
        f"{shown} uses only the values {low} to {high} of 0 to 255. They are left as they are: if the model was "
        "trained on images of full contrast, stretch them before.",
    )


def upright(image: Image.Image, name: str = "image") -> Image.Image:
    """Return a picture turned as its EXIF orientation says, in mode L or RGB, without metadata."""
    image.load()
    method = TURNS.get(orientation(image))
    turned = eight_bits(image, display_name(name)) if deep(image) else image
    turned = turned if method is None else turned.transpose(method)
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


def eight_bits(image: Image.Image, shown: str) -> Image.Image:
    """Scale a picture of wide integers (0..65535) or floats (0..1) to 8 bits.

    Raises:
        BadRequest: its values are not all in that range: nobody knows which of them is white.
    """
    values = np.asarray(image)
    check_range(values, shown)
    span = 1.0 if values.dtype.kind == "f" else 65535.0
    grey = np.empty(values.shape, np.uint8)
    flat, target = values.reshape(-1), grey.reshape(-1)
    # Piece by piece: as floats, a large picture would take eight times the memory.
    for start in range(0, flat.size, PIECE):
        piece = slice(start, start + PIECE)
        target[piece] = np.round(flat[piece] / span * 255)
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
