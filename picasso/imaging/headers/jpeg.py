"""JPEG: the segments that a decoder needs, the number of scans, and their memory."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from math import ceil

from PIL import UnidentifiedImageError

from picasso.errors import TooLarge, UnsupportedImage
from picasso.imaging.headers.base import Header, Limits, keep, orientation, ranged

# The end of a scan's data: a marker other than an escaped byte, a restart marker or a fill byte.
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
HUFFMAN, QUANTIZATION, RESTART, SCAN, END, APP_1 = 0xC4, 0xDB, 0xDD, 0xDA, 0xD9, 0xE1
# All frame markers; the unsupported ones are for arithmetic, lossless or hierarchical coding.
FRAMES = tuple(kind for kind in range(0xC0, 0xD0) if kind not in (0xC4, 0xC8, 0xCC))
NEEDED = (*FRAMES, HUFFMAN, QUANTIZATION, RESTART, SCAN, END)
# The two markers that define how colours are stored, and the prefixes of metadata.
COLOURS = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
MAX_SEGMENTS = 5_000
# A decoder processes all pixels once per scan; a typical progressive file has ten.
MAX_SCANS = 100


def read(body: bytes, limits: Limits) -> Header:
    """Return the header of a JPEG from its segments."""
    ranges = [(0, 2)]
    frame: tuple[int, int, int, bytes] | None = None
    scans, exif, xmp, known = 0, b"", b"", set[bytes]()
    for kind, start, end in segments(body):
        begins = body[start + 4 : start + 34]
        if kind in FRAMES:
            if frame:
                raise ValueError("two frames")
            frame = frame_of(kind, body[start + 4 : end], limits)
        elif kind == SCAN:
            scans += 1
        elif kind == APP_1:
            exif = exif or (body[start + 4 : end] if begins.startswith(EXIF) else b"")
            xmp = xmp or (body[start + 4 : end] if begins.startswith(XMP) else b"")
        # The storage of colours is defined only once.
        colours = COLOURS.get(kind, b"-") == begins[:5] and begins[:5] not in known
        if colours:
            known.add(begins[:5])
        if colours or kind in NEEDED:
            keep(ranges, start, end)
    if frame is None:
        raise UnidentifiedImageError
    if scans > MAX_SCANS:
        raise TooLarge(
            f"{limits.shown} is a JPEG with {scans:,} scans, more than the {MAX_SCANS} allowed. Save it again "
            "as JPEG or PNG."
        )
    kind, width, height, parts = frame
    # With several scans, all coefficients are kept until the last scan has been read.
    working = coefficients(width, height, parts) if kind == PROGRESSIVE or scans > 1 else 0
    return Header("JPEG", (width, height), ranged(body, ranges), orientation(exif, xmp), working)


def segments(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the kind, the start and the end of each segment; a scan ends after its data."""
    place = 2
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(body, place)
        if found is None:
            return
        start, kind = found.start(), body[found.start() + 1]
        if kind == END:
            yield kind, start, start + 2
            return
        if start + 4 > len(body):
            return
        place = start + 2 + int.from_bytes(body[start + 2 : start + 4])
        if kind == SCAN:
            following = MARKER.search(body, place)
            place = following.start() if following else len(body)
        yield kind, start, min(place, len(body))
    raise ValueError("too many segments")


def frame_of(kind: int, content: bytes, limits: Limits) -> tuple[int, int, int, bytes]:
    """Return the kind of a frame, its width and height, and its description of the components."""
    try:
        _, height, width, count = struct.unpack_from(">BHHB", content)
    except struct.error:
        raise UnidentifiedImageError from None
    limits.check(width, height)
    if kind not in (BASELINE, EXTENDED, PROGRESSIVE):
        raise UnsupportedImage(
            f"{limits.shown} is an unsupported kind of JPEG (arithmetic, lossless or hierarchical coding). "
            "Save it as an ordinary JPEG or PNG."
        )
    if count not in (1, 3, 4) or len(content) < 6 + 3 * count:
        raise ValueError("so many components")
    return kind, width, height, content[6 : 6 + 3 * count]


def coefficients(width: int, height: int, parts: bytes) -> int:
    """Return the size of the coefficients of all components in bytes: two each."""
    factors = [(part >> 4, part & 15) for part in parts[1::3]]
    if not all(1 <= across <= 4 and 1 <= down <= 4 for across, down in factors):
        raise ValueError("a sampling factor outside of 1 to 4")
    widest, tallest = (max(one) for one in zip(*factors, strict=True))
    columns, rows = ceil(width / (8 * widest)), ceil(height / (8 * tallest))
    return sum(columns * across * rows * down * 128 for across, down in factors)
