"""GIF: the logical screen and the first image."""

from __future__ import annotations

import struct

from PIL import UnidentifiedImageError

from picasso.imaging.headers.base import Header, Limits, ranged

MAX_BLOCKS = 100_000
EXTENSION, IMAGE, CONTROL = 0x21, 0x2C, 0xF9


def read(body: bytes, limits: Limits) -> Header:
    """Return the header of a GIF."""
    if len(body) < 13:
        raise UnidentifiedImageError
    width, height, flags = struct.unpack_from("<HHB", body, 6)
    limits.check(max(width, 1), max(height, 1))
    place = 13 + table(flags)
    ranges = [(0, place)]
    control: tuple[int, int] | None = None
    for _ in range(MAX_BLOCKS):
        kind = body[place]
        if kind == EXTENSION:
            end = behind(body, place + 2)
            control = (place, end) if body[place + 1] == CONTROL else control
            place = end
        elif kind == IMAGE:
            break
        else:
            # Like decoders, skip bytes that are not a block.
            place += 1
    else:
        raise ValueError("too many blocks")
    left, top, across, down, own = struct.unpack_from("<HHHHB", body, place + 1)
    # A larger first image enlarges the screen.
    size = max(width, left + across), max(height, top + down)
    limits.check(*size)
    end = min(behind(body, place + 11 + table(own)), len(body))
    return Header("GIF", size, ranged(body, [*ranges, *([control] if control else []), (place, end)], b";"))


def table(flags: int) -> int:
    """Return the size of a colour table in bytes."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def behind(body: bytes, place: int) -> int:
    """Return the position after the data blocks that begin at ``place``, or the end of the file."""
    last = len(body)
    while place < last and (length := body[place]):
        place += 1 + length
    return min(place + 1, last)
