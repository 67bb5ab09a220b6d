"""Ways to spoil a file: bits, lengths and chunks that are changed, cut, moved, doubled or mixed with another file's."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 300_000

# What lengths, sizes and counts go wrong at.
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 255, 256, 1000, 4095, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1)
MAX_SIZE = (2**31, 2**32 - 1)
CHUNKS = (b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"acTL", b"fcTL", b"fdAT")
TOKENS = (*CHUNKS, b"\0", b"\xff\xd8", b"\xff\xd9", b"\xff\xe1", b"\xff\xda", b"EXIF", b"ANMF", b"[", b"{", b'"')


def flip(body: bytearray, chance: random.Random) -> None:
    """Turn one to eight bits."""
    for _ in range(chance.randint(1, 8)):
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)


def scatter(body: bytearray, chance: random.Random) -> None:
    """Replace some bytes by any."""
    for _ in range(chance.randint(1, 8)):
        body[chance.randrange(len(body))] = chance.randrange(256)


def number(body: bytearray, chance: random.Random) -> None:
    """Write a number as lengths are written, of one, two or four bytes, in either order."""
    value = chance.choice((*NUMBERS, *MAX_SIZE, len(body), chance.randrange(2**16)))
    form = chance.choice((">B", ">H", "<H", ">I", "<I"))
    size = struct.calcsize(form)
    place = chance.randrange(max(1, len(body) - size))
    # Most lengths stand near the beginning.
    if chance.random() < 0.5:
        place %= 64
    body[place : place + size] = struct.pack(form, value % 256**size)


def cut(body: bytearray, chance: random.Random) -> None:
    """Leave out the end."""
    del body[chance.randrange(len(body)) :]


def drop(body: bytearray, chance: random.Random) -> None:
    """Leave out a piece."""
    start = chance.randrange(len(body))
    del body[start : start + chance.randint(1, 64)]


def repeat(body: bytearray, chance: random.Random) -> None:
    """Repeat a piece, now and then very often."""
    start = chance.randrange(len(body))
    piece = bytes(body[start : start + chance.choice((1, 1, 4, 16, 256))])
    often = chance.choice((1, 2, 10, 100, 5000))
    body[start:start] = piece * min(often, MAX_BYTES // max(1, len(piece)))


def insert(body: bytearray, chance: random.Random) -> None:
    """Put a word of some format anywhere."""
    place = chance.randrange(len(body) + 1)
    body[place:place] = chance.choice(TOKENS)


def zero(body: bytearray, chance: random.Random) -> None:
    """Blank a piece."""
    start = chance.randrange(len(body))
    piece = len(body[start : start + chance.choice((4, 16, 64))])
    body[start : start + piece] = chance.choice((b"\0", b"\xff")) * piece


PLAIN: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip,
    scatter,
    number,
    cut,
    drop,
    repeat,
    insert,
    zero,
)


def chunks(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the kinds and contents of a PNG's chunks, as far as they can be read."""
    found, place = [], len(SIGNATURE)
    while place + 12 <= len(body):
        length = int.from_bytes(body[place : place + 4], "big")
        found.append((body[place + 4 : place + 8], body[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def joined(parts: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return chunks as a PNG whose lengths and sums are right: only so does a decoder look into them."""
    written = (
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in parts
    )
    return SIGNATURE + b"".join(written)


class Mutator:
    """An endless source of spoilt files; the same seed gives the same files."""

    def __init__(self, seeds: Sequence[bytes], seed: int, most: int = MAX_BYTES) -> None:
        self._seeds, self._chance, self._most = seeds, random.Random(seed), most  # noqa: S311 - to be repeated
        self._parted = [parts for body in seeds if body.startswith(SIGNATURE) and (parts := chunks(body))]

    def next(self) -> bytes:
        """Return another file."""
        chance = self._chance
        if self._parted and chance.random() < 0.35:
            return self._of_chunks()
        body = bytearray(chance.choice(self._seeds))
        if chance.random() < 0.15:
            other = chance.choice(self._seeds)
            body[chance.randrange(len(body) + 1) :] = other[chance.randrange(len(other) + 1) :]
        self._spoil(body, chance.randint(1, 4))
        return bytes(body[: self._most])

    def _spoil(self, body: bytearray, times: int) -> None:
        for _ in range(times):
            if not body:
                return
            self._chance.choice(PLAIN)(body, self._chance)

    def _of_chunks(self) -> bytes:
        """Return a PNG whose chunks are doubled, left out, moved, of another file, or spoilt inside."""
        chance = self._chance
        parts = list(chance.choice(self._parted))
        for _ in range(chance.randint(1, 3)):
            place, way = chance.randrange(len(parts)), chance.randrange(6)
            kind, content = parts[place]
            if way == 0:
                parts[place:place] = [parts[place]] * chance.choice((1, 2, 50))
            elif way == 1 and len(parts) > 1:
                del parts[place]
            elif way == 2:
                parts.insert(chance.randrange(len(parts) + 1), chance.choice(chance.choice(self._parted)))
            elif way == 3:
                parts[place] = (chance.choice(CHUNKS), content)
            else:
                spoilt = bytearray(content)
                if kind == b"IDAT" and way == 4:
                    spoilt = bytearray(zlib.compress(bytes(chance.randrange(2000))))
                self._spoil(spoilt, 1)
                parts[place] = (kind, bytes(spoilt[: self._most]))
        return joined(parts)
