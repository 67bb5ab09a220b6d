"""The one door through which bytes become pixels, for uploads, the command line and Python alike."""

from __future__ import annotations

import base64
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from picasso import headers, libwebp
from picasso.errors import BadRequest, PicassoError, TooLarge, UnsupportedImage
from picasso.headers.base import MILLION, Header, Limits
from picasso.headers.tiff import SIGNATURES as TIFF

# An allow-list: decoders for vector and document formats have no business here.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# The compressions of TIFF that are decoded; its other decoders have no business here either.
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits")
PHOTOMETRIC, SAMPLE_FORMAT = 262, 339
WHITE_IS_0, SIGNED = 0, 2
MORE = "for more channels or other types, override open_image() in a model class, or save it as 8-bit PNG."
DEFAULT_MEGAPIXELS = 50

# How many bytes Pillow holds for a pixel, by the mode of an image; four in all others.
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# Bytes that decoding may take for each pixel that is allowed: 2.2 times what Pillow holds for it.
MOST_EACH = 2.2 * 4

# How many more it takes for a pixel of WebP where libwebp can't be asked directly.
WEBP_OF_PILLOW = 12

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

# So many pixels are changed at once: what is done to an image takes little memory beside it.
PIECE = 1 << 18

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


@dataclass
class Opened:
    """An image file of which the header was read and nothing was decoded.

    Attributes:
        header: what it says.
        shown: what the image is called in messages.
        needs: the most bytes that decoding it takes, with what is kept of the file.
        image: of Pillow, not loaded; None where libwebp is asked directly.
    """

    header: Header
    shown: str
    needs: int
    image: Image.Image | None = None

    def decode(self) -> Decoded:
        """Return the pixels; it can be asked for once. The errors are those of :func:`decode`."""
        with understood(self.shown):
            return clean(self._taken(), self.shown, self.header.orientation, ours=True)

    def _taken(self) -> Image.Image:
        """Hand the image over, so that its pixels are gone as soon as there are others."""
        image, self.image = self.image, None
        return image or libwebp.decode(self.header)


def read(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Image.Image:
    """Return the image of :func:`decode` alone."""
    return decode(body, name, megapixels).image


def decode(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Decoded:
    """Decode a picture and return it upright, as 8-bit grey (mode L) or colour (mode RGB).

    Transparent pixels are shown on white. The first frame of an animation is taken. Sixteen-bit greys are
    scaled to eight, not clipped. Nothing but pixels passes: no metadata, no appended bytes.

    What visitors send is not decoded in the server but by :mod:`picasso.decoding`, which bounds the time, too.

    Args:
        body: the bytes of the file.
        name: what the user calls it, for messages.
        megapixels: the most pixels a picture may have, in millions.

    Raises:
        UnsupportedImage: not a picture in one of :data:`FORMATS`.
        BadRequest: such a picture, but cut off or broken, or its values are of no known range.
        TooLarge: more pixels, scans or memory than allowed; known from the header, before memory is taken.
    """
    return opened(body, name, megapixels).decode()


def opened(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Opened:
    """Read the header of an image file and say what decoding it takes; the errors are those of :func:`decode`."""
    shown = display_name(name)
    with understood(shown, body):
        header = headers.read(body, Limits(shown, megapixels))
        image = None
        if header.form != "WEBP" or not libwebp.found():
            image = Image.open(header.body.open(), formats=(header.form,))
            if image.size != (header.frame if header.form == "WEBP" else header.size):
                raise ValueError("two sizes")
            if header.form == "TIFF" and image.info.get("compression") not in COMPRESSIONS:
                raise UnsupportedImage(f"{shown} is a TIFF of a kind that can't be read; {MORE}")
        pixels = memory(image.mode if image else header.mode, header)
        if header.form == "WEBP" and image:
            pixels += WEBP_OF_PILLOW * header.size[0] * header.size[1]
        most = int(MOST_EACH * megapixels * MILLION)
        if pixels > most:
            raise TooLarge(
                f"{shown} takes {pixels / MILLION:,.0f} MB to decode, more than the {most / MILLION:,.0f} that an "
                f"image of {megapixels} million pixels may take; make it smaller, or save it as PNG or baseline JPEG."
            )
        return Opened(header, shown, pixels + len(body) * (2 if header.whole else 1), image)


def memory(mode: str, header: Header) -> int:
    """Return the most bytes that decoding an image of a mode of Pillow takes, and making it grey or RGB and upright."""
    pixels = header.size[0] * header.size[1]
    held = STORED.get(mode, 4) * pixels
    final = (1 if is_grey(mode) else 4) * pixels
    made = held if mode in ("L", "RGB") else held + final
    return max(held + header.working, made, 2 * final if header.orientation in TURNS else 0)


@contextmanager
def understood(shown: str, body: bytes = b"") -> Iterator[None]:
    """Turn whatever goes wrong with an image file into an error that says it.

    Args:
        shown: what the image is called.
        body: of the file, from which it is told what it may be instead.
    """
    try:
        with warnings.catch_warnings():
            # We compare the size with our own limit; of all else that Pillow warns of, the pixels are what counts.
            warnings.simplefilter("ignore")
            yield
    except PicassoError:
        raise
    except Image.DecompressionBombError:
        raise TooLarge(f"{shown} has more pixels than are allowed.") from None
    except MemoryError:
        raise TooLarge(f"{shown} takes more memory to decode than its header tells.") from None
    except UnidentifiedImageError as error:
        if body[4:12] in HEIC:
            raise UnsupportedImage(f"{shown} is a HEIC photograph, which can't be read; save it as JPEG.") from error
        if body[:4] in TIFF:
            raise UnsupportedImage(f"{shown} is a TIFF of a kind that can't be read; {MORE}") from error
        raise UnsupportedImage(f"{shown} is not a picture that can be read; use {', '.join(FORMATS)}.") from error
    except Exception as error:
        raise BadRequest(f"{shown} is cut off or broken and can't be read.") from error


def from_image(image: Image.Image, name: str) -> Decoded:
    """Return a PIL image as :func:`decode` returns that of a file; the errors are the same."""
    return clean(image, display_name(name), orientation(image), ours=False)


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


def upright(image: Image.Image, name: str = "image") -> Image.Image:
    """Return a picture turned as its EXIF orientation says, in mode L or RGB, without metadata."""
    return from_image(image, name).image


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
    check_bounds(array.min(), array.max(), array.dtype.kind, name)


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
    """Return how a loaded picture is stored, 1 to 8; upright (1) where its EXIF does not say so or can't be read."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return 1
    return found if isinstance(found, int) else 1


def eight_bits(image: Image.Image, shown: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Scale a picture of wide integers (0..65535) or floats (0..1) to 8 bits; say if it uses only the lowest of them.

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
    # Piece by piece: as floats, a large picture would take eight times the memory.
    for piece, top in pieces(image):
        scaled = np.round(np.asarray(piece) / (1 if kind == "f" else HIGHEST_16_BIT) * 255).astype(np.uint8)
        grey.paste(Image.fromarray(scaled), (0, top))
    few = kind != "f" and high < FEW_WIDE
    return grey, few_bits(int(high), f"{int(high):,}", shown) if few else ()


def thumbnail(image: Image.Image, side: int = THUMBNAIL_SIDE) -> bytes:
    """Return a picture as WebP bytes, at most ``side`` pixels a side; small ones keep every pixel."""
    # Shares the pixels of the other until it is made smaller, which does not touch those.
    small = bare(image)
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", lossless=small.size == image.size, quality=80)
    return buffer.getvalue()


def encode(image: Image.Image) -> bytes:
    """Return a picture as PNG bytes; only its pixels."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def store(image: Image.Image, target: Path | IO[bytes]) -> None:
    """Write a picture as a PNG to a file, without having all of that in memory."""
    image.save(target, "PNG")


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
