"""TIFF: the first directory, reduced to the tags that define pixels."""

from __future__ import annotations

import struct
from math import ceil, prod

from PIL import UnidentifiedImageError

from picasso.errors import TooLarge
from picasso.imaging.headers.base import MILLION, ORIENTATION, Header, Limits, Parts

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, SAMPLES, ROWS, PLANAR = 273, 277, 278, 284
TILE_WIDTH, TILE_HEIGHT, TILES = 322, 323, 324
# The others: bit order, lengths of strips and tiles, predictor, colours, sample formats, YCbCr.
NEEDED = {
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES, ROWS, PLANAR, TILE_WIDTH, TILE_HEIGHT, TILES,
    266, 279, 317, 320, 325, 338, 339, 529, 530, 531, 532,
}  # fmt: skip
# The format characters of the struct module by the type of a value; rationals and texts are not read.
LETTERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
MAX_ENTRIES, MAX_PIECES, MAX_TAG_BYTES = 65_535, 100_000, 4_000_000
UNCOMPRESSED, SEPARATE, YCBCR = 1, 2, 6


def read(body: bytes, limits: Limits) -> Header:
    """Return the header of a TIFF from its first directory."""
    try:
        tags, patched = directory(body)
        width, height = tags[WIDTH][0], tags[HEIGHT][0]
    except (struct.error, KeyError, IndexError, ValueError):
        raise UnidentifiedImageError from None
    limits.check(width, height)
    return Header(
        "TIFF",
        (width, height),
        patched,
        turned(tags),
        working(tags, width, height, limits),
        whole=first(tags, COMPRESSION, UNCOMPRESSED) != UNCOMPRESSED,
    )


def directory(body: bytes) -> tuple[dict[int, tuple[int, ...]], Parts]:
    """Return the values of the needed tags, and the file with a directory reduced to these tags."""
    order, big = "<" if body[:2] == b"II" else ">", 43 in body[2:4]
    first, counted, entry, letter = (8, "Q", 20, "Q") if big else (4, "H", 12, "I")
    (start,) = struct.unpack_from(order + letter, body, first)
    (count,) = struct.unpack_from(order + counted, body, start)
    if count > MAX_ENTRIES:
        raise ValueError("too many entries")
    head = struct.calcsize(order + counted)
    field = struct.calcsize(order + letter)
    tags: dict[int, tuple[int, ...]] = {}
    kept: list[bytes] = []
    together = 0
    for place in range(start + head, start + head + count * entry, entry):
        tag, kind, number = struct.unpack_from(order + "HH" + letter, body, place)
        if tag in tags or tag not in NEEDED | {ORIENTATION} or kind not in SIZES:
            continue
        length = SIZES[kind] * number
        together += length
        if number > MAX_PIECES or together > MAX_TAG_BYTES:
            raise ValueError("too many values")
        at = place + 4 + field
        if length > field:
            (at,) = struct.unpack_from(order + letter, body, at)
        if at + length > len(body):
            raise ValueError("values outside of the file")
        read_as = LETTERS.get(kind)
        tags[tag] = struct.unpack_from(f"{order}{number}{read_as}", body, at) if read_as else ()
        # Picasso applies the orientation itself.
        if tag != ORIENTATION:
            kept.append(body[place : place + entry])
    # There is no further directory.
    table = struct.pack(order + counted, len(kept)) + b"".join(kept) + bytes(field)
    view = memoryview(body)
    return tags, Parts([view[:start], memoryview(table), view[start + len(table) :]])


def turned(tags: dict[int, tuple[int, ...]]) -> int:
    """Return the orientation."""
    (found,) = tags.get(ORIENTATION, ())[:1] or (1,)
    return found if 1 <= found <= 8 else 1


def working(tags: dict[int, tuple[int, ...]], width: int, height: int, limits: Limits) -> int:
    """Return the size of a strip or a tile in bytes; each is always unpacked as a whole."""
    across, down = first(tags, TILE_WIDTH, width), first(tags, TILE_HEIGHT, height)
    if TILES not in tags:
        across, down = width, min(first(tags, ROWS, height), height)
    pixels = across * down
    if pixels > limits.megapixels * MILLION:
        raise TooLarge(f"{limits.shown} has tiles with more than the {limits.megapixels} million pixels allowed.")
    if first(tags, COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED:
        return 0
    samples, bits = first(tags, SAMPLES, 1), tags.get(BITS) or (1,)
    together = sum(bits) if len(bits) == samples else bits[0] * samples
    each = max(bits) if first(tags, PLANAR, 1) == SEPARATE else together
    if first(tags, PHOTOMETRIC, 1) == YCBCR:
        each += 32
    return ceil(prod((pixels, each)) / 8)


def first(tags: dict[int, tuple[int, ...]], tag: int, default: int) -> int:
    """Return the first value of a tag."""
    values = tags.get(tag, ())
    return values[0] if values else default
