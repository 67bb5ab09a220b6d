"""BMP: the size, and the memory for decoding run lengths."""

from __future__ import annotations

import struct

from PIL import UnidentifiedImageError

from picasso.imaging.headers.base import Header, Limits, ranged

RUN_LENGTHS = (1, 2)
# The OS/2 header, which has shorter fields.
SHORT, LONG = 12, 40


def read(body: bytes, limits: Limits) -> Header:
    """Return the header of a BMP."""
    try:
        (length,) = struct.unpack_from("<I", body, 14)
        width, height = struct.unpack_from("<HH" if length == SHORT else "<ii", body, 18)
        compression = 0 if length < LONG else struct.unpack_from("<I", body, 30)[0]
    except struct.error:
        raise UnidentifiedImageError from None
    if length != SHORT and length < LONG:
        raise UnidentifiedImageError
    # A negative height means that rows are stored from the top down.
    height = abs(height)
    limits.check(width, height)
    # Twice the indices as bytes, plus one step that may skip 255 rows.
    working = 2 * width * height + 256 * width if compression in RUN_LENGTHS else 0
    return Header("BMP", (width, height), ranged(body, [(0, len(body))]), working=working)
