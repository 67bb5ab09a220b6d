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
from PIL import Image, UnidentifiedImageError

from picasso.errors import BadRequest, PicassoError, TooLarge, UnsupportedImage
from picasso.imaging import headers, libwebp
from picasso.imaging.headers.base import MILLION, Header, Limits
from picasso.imaging.headers.tiff import SIGNATURES as TIFF
from picasso.imaging.pixels import (
    FEW_WIDE,
    HIGHEST_16_BIT,
    MORE,
    TURNS,
    Decoded,
    bare,
    check_bounds,
    clean,
    few_bits,
    is_grey,
    orientation,
)

# An allow-list: decoders for vector and document formats have no business here.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# The compressions of TIFF that are decoded; its other decoders have no business here either.
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits")
DEFAULT_MEGAPIXELS = 50

# How many bytes Pillow holds for a pixel, by the mode of an image; four in all others.
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# Bytes that decoding may take for each pixel that is allowed: 2.2 times what Pillow holds for it.
MAX_EACH = 2.2 * 4

# How many more it takes for a pixel of WebP where libwebp can't be asked directly.
WEBP_OF_PILLOW = 12

# How a photograph of a phone begins that is told apart only to say what to do about it.
HEIC = [b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")]

# What is wrong with a file is said in a sentence of ours; Pillow would also write a line of its own to the log.
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)

# Twice the pixels of the page, for screens that have twice as many.
THUMBNAIL_SIDE = 144
SAMPLE_SIDE = 88


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
    """Decode an image and return it upright, as 8-bit grey (mode L) or colour (mode RGB).

    Transparent pixels are shown on white. The first frame of an animation is taken. Sixteen-bit greys are
    scaled to eight, not clipped. Nothing but pixels passes: no metadata, no appended bytes.

    What visitors send is not decoded in the server but by :mod:`picasso.imaging.decoders`, which bounds the time, too.

    Args:
        body: the bytes of the file.
        name: what the user calls it, for messages.
        megapixels: the most pixels an image may have, in millions.

    Raises:
        UnsupportedImage: not an image in one of :data:`FORMATS`.
        BadRequest: such an image, but cut off or broken, or its values are of no known range.
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
        most = int(MAX_EACH * megapixels * MILLION)
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
        raise UnsupportedImage(f"{shown} is not an image that can be read; use {', '.join(FORMATS)}.") from error
    except Exception as error:
        raise BadRequest(f"{shown} is cut off or broken and can't be read.") from error


def from_image(image: Image.Image, name: str) -> Decoded:
    """Return a PIL image as :func:`decode` returns that of a file; the errors are the same."""
    return clean(image, display_name(name), orientation(image), ours=False)


def upright(image: Image.Image, name: str = "image") -> Image.Image:
    """Return an image turned as its EXIF orientation says, in mode L or RGB, without metadata."""
    return from_image(image, name).image


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


def thumbnail(image: Image.Image, side: int = THUMBNAIL_SIDE) -> bytes:
    """Return an image as WebP bytes, at most ``side`` pixels a side; small ones keep every pixel."""
    # Shares the pixels of the other until it is made smaller, which does not touch those.
    small = bare(image)
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", lossless=small.size == image.size, quality=80)
    return buffer.getvalue()


def encode(image: Image.Image) -> bytes:
    """Return an image as PNG bytes; only its pixels."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def store(image: Image.Image, target: Path | IO[bytes]) -> None:
    """Write an image as a PNG to a file, without having all of that in memory."""
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
    """Return an image's name, which may begin with a folder, without the ending that says its format."""
    return re.sub(r"\.[^./]*$", "", name)


def display_name(name: str, limit: int = 60) -> str:
    """Return a name that is safe to show: the last part of a path, printable, shortened in the middle."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(character for character in last if character.isprintable()).strip() or "image"
    if len(printable) <= limit:
        return printable
    return f"{printable[: limit - 12]}…{printable[-11:]}"
