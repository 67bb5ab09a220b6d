"""The single entry point for decoding images, for uploads, the command line and Python."""

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

# An allow-list, which excludes decoders for vector and document formats.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# The allowed compressions of TIFF; its other decoders are excluded too.
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits")
DEFAULT_MEGAPIXELS = 50

# The bytes per pixel in Pillow, by the mode of an image; four in all other modes.
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# The maximum bytes for decoding per allowed pixel: 2.2 times Pillow's bytes per pixel.
MAX_EACH = 2.2 * 4

# The additional bytes per pixel of WebP if libwebp can't be called directly.
WEBP_OF_PILLOW = 12

# The signatures of HEIC photographs from phones, recognized only for a helpful message.
HEIC = [b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")]

# Picasso reports errors in files itself; Pillow would also write its own lines to the log.
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)

# Twice the size on the page, for high-density screens.
THUMBNAIL_SIDE = 144
SAMPLE_SIDE = 88


@dataclass
class Opened:
    """An image file whose header was read but whose pixels were not decoded.

    Attributes:
        header: the header.
        shown: the name of the image in messages.
        needs: the maximum bytes for decoding it, including the file itself.
        image: the Pillow image, not loaded; None if libwebp is called directly.
    """

    header: Header
    shown: str
    needs: int
    image: Image.Image | None = None

    def decode(self) -> Decoded:
        """Return the pixels; it can be called only once. The errors are those of :func:`decode`."""
        with understood(self.shown):
            return clean(self._taken(), self.shown, self.header.orientation, ours=True)

    def _taken(self) -> Image.Image:
        """Return the image and drop this reference, so that its memory is freed as soon as possible."""
        image, self.image = self.image, None
        return image or libwebp.decode(self.header)


def read(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Image.Image:
    """Return only the image of :func:`decode`."""
    return decode(body, name, megapixels).image


def decode(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Decoded:
    """Decode an image and return it upright, as 8-bit grey (mode L) or colour (mode RGB).

    Transparent pixels are shown on white. Of an animation, the first frame is used. 16-bit greys are scaled to 8 bits,
    not clipped. Only pixels are kept: no metadata and no appended bytes.

    Uploads are not decoded in the server but by :mod:`picasso.imaging.decoders`, which also limits the time.

    Args:
        body: the bytes of the file.
        name: its name in messages.
        megapixels: the maximum number of pixels, in millions.

    Raises:
        UnsupportedImage: it is not an image in one of :data:`FORMATS`.
        BadRequest: the image is truncated or damaged, or the range of its values is unknown.
        TooLarge: it has more pixels or scans or needs more memory than allowed; checked before memory is allocated.
    """
    return opened(body, name, megapixels).decode()


def opened(body: bytes, name: str, megapixels: int = DEFAULT_MEGAPIXELS) -> Opened:
    """Read the header of an image file and compute the cost of decoding it; the errors are those of :func:`decode`."""
    shown = display_name(name)
    with understood(shown, body):
        header = headers.read(body, Limits(shown, megapixels))
        image = None
        if header.form != "WEBP" or not libwebp.found():
            image = Image.open(header.body.open(), formats=(header.form,))
            if image.size != (header.frame if header.form == "WEBP" else header.size):
                raise ValueError("two sizes")
            if header.form == "TIFF" and image.info.get("compression") not in COMPRESSIONS:
                raise UnsupportedImage(f"{shown} is an unsupported kind of TIFF; {MORE}")
        pixels = memory(image.mode if image else header.mode, header)
        if header.form == "WEBP" and image:
            pixels += WEBP_OF_PILLOW * header.size[0] * header.size[1]
        most = int(MAX_EACH * megapixels * MILLION)
        if pixels > most:
            raise TooLarge(
                f"{shown} needs {pixels / MILLION:,.0f} MB to decode, more than the {most / MILLION:,.0f} MB allowed "
                f"for an image of {megapixels} megapixels. Make it smaller, or save it as PNG or baseline JPEG."
            )
        return Opened(header, shown, pixels + len(body) * (2 if header.whole else 1), image)


def memory(mode: str, header: Header) -> int:
    """Return the maximum bytes for decoding an image of a Pillow mode and converting it to upright grey or RGB."""
    pixels = header.size[0] * header.size[1]
    held = STORED.get(mode, 4) * pixels
    final = (1 if is_grey(mode) else 4) * pixels
    made = held if mode in ("L", "RGB") else held + final
    return max(held + header.working, made, 2 * final if header.orientation in TURNS else 0)


@contextmanager
def understood(shown: str, body: bytes = b"") -> Iterator[None]:
    """Convert exceptions of image decoders into errors with helpful messages.

    Args:
        shown: the name of the image in messages.
        body: the bytes of the file, to recognize unsupported formats.
    """
    try:
        with warnings.catch_warnings():
            # Picasso checks the size against its own limit; other warnings of Pillow do not matter.
            warnings.simplefilter("ignore")
            yield
    except PicassoError:
        raise
    except Image.DecompressionBombError:
        raise TooLarge(f"{shown} has more pixels than allowed.") from None
    except MemoryError:
        raise TooLarge(f"{shown} needs more memory to decode than its header implies.") from None
    except UnidentifiedImageError as error:
        if body[4:12] in HEIC:
            raise UnsupportedImage(f"{shown} is a HEIC photograph, which is not supported. Save it as JPEG.") from error
        if body[:4] in TIFF:
            raise UnsupportedImage(f"{shown} is an unsupported kind of TIFF; {MORE}") from error
        raise UnsupportedImage(f"{shown} is not a supported image. Use {', '.join(FORMATS)}.") from error
    except Exception as error:
        raise BadRequest(f"{shown} is truncated or damaged and can't be read.") from error


def from_image(image: Image.Image, name: str) -> Decoded:
    """Convert a PIL image like :func:`decode` does for a file, with the same errors."""
    return clean(image, display_name(name), orientation(image), ours=False)


def upright(image: Image.Image, name: str = "image") -> Image.Image:
    """Return an image rotated according to its EXIF orientation, in mode L or RGB, without metadata."""
    return from_image(image, name).image


def from_array(array: NDArray[Any], name: str) -> Decoded:
    """Convert an array like :func:`decode` does for a file.

    Args:
        array: ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)``; integers 0..255 or 0..65535, booleans, or
            floats 0..1.
        name: its name in messages.

    Raises:
        BadRequest: it has another shape, or the range of its values is unknown.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)) or not array.size:
        known = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        first = array.ndim == 3 and array.shape[0] in (1, 3)
        turn = " Its channels come first: pass array.transpose(1, 2, 0)." if first else ""
        more = "" if first or array.ndim != 3 or array.shape[2] < 5 else f" {MORE[0].upper()}{MORE[1:]}"
        raise BadRequest(f"{name} is an array of shape {array.shape}. Images must have the shape {known}.{turn}{more}")
    if array.ndim == 2:
        return grey(array, name)
    decoded = from_image(Image.fromarray(bytes_of(array, name)), name)
    high = int(array.max()) if array.dtype.kind in "iu" else 0
    shown = display_name(name)
    return Decoded(decoded.image, few_bits(high, f"{high:,}", shown)) if 255 < high < FEW_WIDE else decoded


def grey(array: NDArray[Any], name: str) -> Decoded:
    """Return a grey image ``(H, W)``; for 16-bit values, also a note if they use only a part of the range."""
    if array.dtype.kind in "iu" and array.dtype != np.uint8 and array.max() > 255 and array.min() >= 0:
        check_range(array, name)
        return from_image(Image.fromarray(array.astype(np.uint16)), name)
    return from_image(Image.fromarray(bytes_of(array, name)), name)


def bytes_of(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Return the values of an array as 0..255."""
    if array.dtype.kind not in "biuf":
        raise BadRequest(f"{name} is an array of {array.dtype}. Images must have integers, booleans, or floats 0..1.")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    check_range(array, name)
    highest = 1 if array.dtype.kind in "bf" else 255 if array.max() <= 255 else HIGHEST_16_BIT
    return np.round(array / np.float64(highest) * 255).astype(np.uint8)


def check_range(array: NDArray[Any], name: str) -> None:
    """Raise a BadRequest if black and white are undefined for the values of an array."""
    check_bounds(array.min(), array.max(), array.dtype.kind, name)


def thumbnail(image: Image.Image, side: int = THUMBNAIL_SIDE) -> bytes:
    """Return an image as WebP bytes, at most ``side`` pixels per side; small ones keep all pixels."""
    # Shares the pixels of the original until it is resized, which does not change them.
    small = bare(image)
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", lossless=small.size == image.size, quality=80)
    return buffer.getvalue()


def encode(image: Image.Image) -> bytes:
    """Return an image as PNG bytes, without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def store(image: Image.Image, target: Path | IO[bytes]) -> None:
    """Write an image as a PNG to a file without holding the whole PNG in memory."""
    image.save(target, "PNG")


def data_address(body: bytes, mimetype: str = "image/png") -> str:
    """Return a file as a data URL, for pages that work without a server."""
    return f"data:{mimetype};base64,{base64.b64encode(body).decode()}"


def path_name(path: str, limit: int = 60) -> str:
    """Return a path that is safe to show: its folder, if it has one, and the name from :func:`display_name`."""
    folder, _, _ = path.replace("\\", "/").rpartition("/")
    last = folder.rpartition("/")[2].strip()
    name = display_name(path, limit)
    return name if last in ("", ".", "..") else f"{display_name(last, limit)}/{name}"


def without_ending(name: str) -> str:
    """Return an image's name, which may begin with a folder, without its extension."""
    return re.sub(r"\.[^./]*$", "", name)


def display_name(name: str, limit: int = 60) -> str:
    """Return a name that is safe to show: the last part of a path, printable and shortened in the middle."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(character for character in last if character.isprintable()).strip() or "image"
    if len(printable) <= limit:
        return printable
    return f"{printable[: limit - 12]}…{printable[-11:]}"
