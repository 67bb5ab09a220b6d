"""The headers of image files, parsed before a decoder sees any part of the file.

Each format has its own module. It reads the size, counts repeated parts (scans, chunks, strips), and passes on only
the parts of the file that define pixels: no metadata, no second frame and no appended bytes reach a decoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from PIL import UnidentifiedImageError

from picasso.imaging.headers import bmp, gif, jpeg, png, tiff, webp
from picasso.imaging.headers.base import Header, Limits

__all__ = ["base", "read", "tiff"]

# The signatures of the formats.
READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes, Limits], Header]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), png.read),
    (re.compile(rb"\xff\xd8\xff"), jpeg.read),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), webp.read),
    (re.compile(rb"GIF8[79]a"), gif.read),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), tiff.read),
    (re.compile(rb"BM"), bmp.read),
)


def read(body: bytes, limits: Limits) -> Header:
    """Return the header of a file.

    Raises:
        UnidentifiedImageError: it is not an image of a supported format, or its size can't be found.
        UnsupportedImage, TooLarge: the image is not accepted; checked before memory is allocated.
        ValueError, IndexError, struct.error: it is truncated or damaged.
    """
    for begins, reader in READERS:
        if begins.match(body):
            return reader(body, limits)
    raise UnidentifiedImageError
