"""PNG: the chunks of the image; for an animation, those of its first image."""

from __future__ import annotations

import struct
import zlib

from PIL import UnidentifiedImageError

from picasso.imaging.headers.base import Header, Limits, keep, orientation, ranged

NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
MAX_CHUNKS = 100_000
# Pillow's limits on the unpacked size of one compressed text or colour profile, and of all together.
MAX_UNPACKED, MAX_IN_TOTAL = 1 << 20, 64 << 20
XMP = b"XML:com.adobe.xmp"


def read(body: bytes, limits: Limits) -> Header:
    """Return the header of a PNG from its chunks."""
    if body[12:16] != b"IHDR" or len(body) < 33:
        raise UnidentifiedImageError
    size = struct.unpack_from(">II", body, 16)
    limits.check(*size)
    ranges, place, exif, xmp, unpacked = [(0, 8)], 8, b"", b"", 0
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(body):
            break
        length, kind = struct.unpack_from(">I4s", body, place)
        end = place + 12 + length
        if kind in NEEDED:
            keep(ranges, place, min(end, len(body)))
        elif kind == b"eXIf":
            exif = exif or body[place + 8 : end - 4]
        elif kind in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            text = body[place + 8 : end - 4]
            xmp = text if text.startswith(XMP) else xmp
            unpacked += unpacked_size(kind, text)
            if unpacked > MAX_IN_TOTAL:
                raise ValueError("too much text")
        place = end
        if kind == b"IEND":
            break
    else:
        raise ValueError("too many chunks")
    return Header("PNG", size, ranged(body, ranges), orientation(exif, xmp))


def unpacked_size(kind: bytes, text: bytes) -> int:
    """Return the unpacked size of a chunk's text in bytes, or raise ValueError if it is too large."""
    _, _, rest = text.partition(b"\0")
    if kind == b"iTXt":
        compressed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        compressed, rest = kind != b"tEXt", rest[1:]
    if not compressed:
        return len(text)
    try:
        size = len(zlib.decompressobj().decompress(rest, MAX_UNPACKED + 1))
    except zlib.error:
        # It is not needed, so it may be incomplete.
        return 0
    if size > MAX_UNPACKED:
        raise ValueError("a text too long")
    return size
