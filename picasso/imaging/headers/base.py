"""The base of the readers of all formats: the header, the limits, and the orientation in EXIF and XMP."""

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
# Real EXIF blocks do not have more entries in their first directory.
MAX_ENTRIES = 1_000
XMP = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")
MILLION = 1_000_000


class Parts:
    """Several parts of a file, joined without copying."""

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
    """The properties of an image file before decoding.

    Attributes:
        form: Pillow's name of its format.
        size: (width, height) in pixels as stored.
        body: the parts of the file that a decoder needs for the pixels of the first frame, not copied.
        orientation: its orientation, 1 to 8 as in EXIF; 1 is upright.
        working: the bytes that the decoder needs in addition to the image itself.
        whole: whether the decoder needs the whole file at once, and therefore a copy of it.
        mode: the mode of the image, if the decoder does not report it; else "".
        offset: (left, top) of the frame in the image, if it is smaller.
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
    """The limits of an image.

    Attributes:
        shown: the name of the image in messages.
        megapixels: the maximum number of pixels, in millions.
    """

    shown: str
    megapixels: int

    def check(self, width: int, height: int) -> None:
        """Raise TooLarge for more pixels than allowed, and ValueError for none."""
        if width < 1 or height < 1:
            raise ValueError("an image without pixels")
        if width * height > self.megapixels * MILLION:
            pixels = f"{width} x {height}"
            raise TooLarge(f"{self.shown} has {pixels} pixels, more than the {self.megapixels} million allowed.")


def ranged(body: bytes, ranges: list[tuple[int, int]], *more: bytes) -> Parts:
    """Return the given ranges of a file, joined, followed by additional bytes."""
    view = memoryview(body)
    return Parts([*(view[start:end] for start, end in ranges), *(memoryview(one) for one in more)])


def keep(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a range; one that continues the last range extends it."""
    if ranges and ranges[-1][1] == start:
        ranges[-1] = (ranges[-1][0], end)
    else:
        ranges.append((start, end))


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation in the metadata, 1 to 8; 1 if it can't be read.

    Only this one entry of the first directory is read, because directories may refer to each other in a loop, and the
    values of their entries may overlap.

    Args:
        exif: a block of EXIF, with or without its six-byte prefix in JPEG.
        xmp: a block of XMP, used if EXIF has no orientation.
    """
    try:
        found = in_directory(exif.removeprefix(b"Exif\0\0"))
    except struct.error:
        found = 0
    if not found and (told := XMP.search(xmp)):
        found = int(told[1])
    return found if 1 <= found <= 8 else 1


def in_directory(block: bytes) -> int:
    """Return the orientation in a block of EXIF, or 0."""
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
