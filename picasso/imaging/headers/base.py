"""What the readers of all formats share: the header, the limits, and the orientation in EXIF and XMP."""

from __future__ import annotations

import io
import re
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, Any

from picasso.errors import TooLarge

ORIENTATION = 0x0112
# Nobody's EXIF has more entries in its first directory.
MAX_ENTRIES = 1_000
XMP = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")
MILLION = 1_000_000


class Parts:
    """Several pieces of a file as if they were one."""

    def __init__(self, pieces: Sequence[memoryview]) -> None:
        self.pieces = [piece for piece in pieces if len(piece)]
        self.length = sum(map(len, self.pieces))

    def open(self) -> IO[bytes]:
        """Return a file to read it from."""
        return io.BufferedReader(_Reader(self), 1 << 16)

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)


class _Reader(io.RawIOBase):
    """Reads parts."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._place = parts, 0
        self._starts = [0, *accumulate(map(len, parts.pieces))]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._parts.length}[whence]
        if start + offset < 0:
            raise ValueError("a place before the file")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        number = bisect_right(self._starts, self._place) - 1
        if number >= len(self._parts.pieces):
            return 0
        piece = self._parts.pieces[number][self._place - self._starts[number] :][: len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


@dataclass(frozen=True)
class Header:
    """What is known of an image file before anything is decoded.

    Attributes:
        form: what Pillow calls its format.
        size: (width, height) in pixels, as they are stored.
        body: of the file, what a decoder needs for the pixels of its first frame; it is not copied.
        orientation: how it is stored, 1 to 8 as in EXIF; 1 is upright.
        working: bytes that the decoder takes beside the image that it fills.
        whole: whether the decoder wants the whole file at once, and so a copy of it.
        mode: of the image, where the decoder does not tell; else "".
        offset: (left, top) of the frame in the image, where it is smaller.
        frame: (width, height) of the frame.
    """

    form: str
    size: tuple[int, int]
    body: Parts
    orientation: int = 1
    working: int = 0
    whole: bool = False
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


def ranged(body: bytes, ranges: list[tuple[int, int]], *more: bytes) -> Parts:
    """Return these ranges of a file, one behind the other, and more bytes behind them."""
    view = memoryview(body)
    return Parts([*(view[start:end] for start, end in ranges), *(memoryview(one) for one in more)])


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
    for entry in range(min(count, MAX_ENTRIES)):
        tag, kind, _ = struct.unpack_from(order + "HHI", block, place + 2 + 12 * entry)
        if tag == ORIENTATION:
            value = {1: "B", 3: "H", 4: "I"}.get(kind)
            return int(struct.unpack_from(order + value, block, place + 10 + 12 * entry)[0]) if value else 0
    return 0
