"""What the readers of all formats share: the header, the limits, and the orientation in EXIF and XMP."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from picasso.errors import TooLarge

ORIENTATION = 0x0112
# Nobody's EXIF has more entries in its first directory.
MOST_ENTRIES = 1_000
XMP = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")
MILLION = 1_000_000


@dataclass(frozen=True)
class Header:
    """What is known of an image file before anything is decoded.

    Attributes:
        form: what Pillow calls its format.
        size: (width, height) in pixels, as they are stored.
        body: of the file, what a decoder needs for the pixels of its first frame.
        orientation: how it is stored, 1 to 8 as in EXIF; 1 is upright.
        working: bytes that the decoder takes beside the image that it fills.
        mode: of the image, where the decoder does not tell; else "".
        offset: (left, top) of the frame in the image, where it is smaller.
        frame: (width, height) of the frame.
    """

    form: str
    size: tuple[int, int]
    body: bytes
    orientation: int = 1
    working: int = 0
    mode: str = ""
    offset: tuple[int, int] = (0, 0)
    frame: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Limits:
    """What an image may have.

    Attributes:
        shown: what the image is called in messages.
        megapixels: the most pixels, in millions.
    """

    shown: str
    megapixels: int

    def check(self, width: int, height: int) -> None:
        """Raise TooLarge for more pixels than are allowed, and ValueError for none."""
        if width < 1 or height < 1:
            raise ValueError("an image without pixels")
        if width * height > self.megapixels * MILLION:
            pixels = f"{width} x {height}"
            raise TooLarge(
                f"{self.shown} has {pixels} pixels, more than the {self.megapixels} million that are allowed."
            )


def joined(body: bytes, ranges: list[tuple[int, int]]) -> bytes:
    """Return these ranges of a file, one behind the other."""
    view = memoryview(body)
    return b"".join(view[start:end] for start, end in ranges)


def keep(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a range; one that continues the last makes it longer."""
    if ranges and ranges[-1][1] == start:
        ranges[-1] = (ranges[-1][0], end)
    else:
        ranges.append((start, end))


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation that metadata tells, 1 to 8; 1 where it can't be read.

    Only this one entry of the first directory is looked for: directories may point to each other for ever, and the
    values of their entries overlap.

    Args:
        exif: a block of EXIF, with or without the six bytes that it begins with in JPEG.
        xmp: is looked at where EXIF has none.
    """
    try:
        found = in_directory(exif.removeprefix(b"Exif\0\0"))
    except struct.error:
        found = 0
    if not found and (told := XMP.search(xmp)):
        found = int(told[1])
    return found if 1 <= found <= 8 else 1


def in_directory(block: bytes) -> int:
    """Return the orientation that a block of EXIF holds, or 0."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 0
    (place,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, place)
    for entry in range(min(count, MOST_ENTRIES)):
        tag, kind, _ = struct.unpack_from(order + "HHI", block, place + 2 + 12 * entry)
        if tag == ORIENTATION:
            value = {1: "B", 3: "H", 4: "I"}.get(kind)
            return int(struct.unpack_from(order + value, block, place + 10 + 12 * entry)[0]) if value else 0
    return 0
