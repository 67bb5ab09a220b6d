"""BMP: its size, and what decoding run lengths takes."""

from __future__ import annotations

import struct

from PIL import UnidentifiedImageError

from picasso.imaging.headers.base import Header, Limits, ranged

RUN_LENGTHS = (1, 2)
# The header of OS/2, whose fields are shorter.
SHORT, LONG = 12, 40


def read(body: bytes, limits: Limits) -> Header:
    """Return what the header of a BMP says."""
    try:
        (length,) = struct.unpack_from("<I", body, 14)
        width, height = struct.unpack_from("<HH" if length == SHORT else "<ii", body, 18)
        compression = 0 if length < LONG else struct.unpack_from("<I", body, 30)[0]
    except struct.error:
        raise UnidentifiedImageError from None
    if length != SHORT and length < LONG:
        raise UnidentifiedImageError
    # Rows from the top down are said by a negative height.
    height = abs(height)
    limits.check(width, height)
    # Twice the indices as bytes, and one step that may jump over 255 rows.
    working = 2 * width * height + 256 * width if compression in RUN_LENGTHS else 0
    return Header("BMP", (width, height), ranged(body, [(0, len(body))]), working=working)
