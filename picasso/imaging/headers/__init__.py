"""What the header of an image file tells, read by ourselves before a decoder sees any of the file.

Each format has its module. It finds the size, counts what is repeated (scans, chunks, strips), and gives on only those
parts of the file of which pixels are made: no metadata, no second frame and no appended bytes reach a decoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from PIL import UnidentifiedImageError

from picasso.imaging.headers import bmp, gif, jpeg, png, tiff, webp
from picasso.imaging.headers.base import Header, Limits

# How the files of each format begin.
READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes, Limits], Header]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), png.read),
    (re.compile(rb"\xff\xd8\xff"), jpeg.read),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), webp.read),
    (re.compile(rb"GIF8[79]a"), gif.read),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), tiff.read),
    (re.compile(rb"BM"), bmp.read),
)


def read(body: bytes, limits: Limits) -> Header:
    """Return what the header of a file says.

    Raises:
        UnidentifiedImageError: it is no image of a format that is read, or its size is not to be found.
        UnsupportedImage, TooLarge: it is one that is not decoded; known before memory is taken.
        ValueError, IndexError, struct.error: it is cut off or broken.
    """
    for begins, reader in READERS:
        if begins.match(body):
            return reader(body, limits)
    raise UnidentifiedImageError
