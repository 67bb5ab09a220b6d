"""WebP: the first frame as a separate file."""

from __future__ import annotations

import struct

from PIL import UnidentifiedImageError

from picasso.imaging.headers.base import Header, Limits, Parts, orientation

MAX_CHUNKS = 10_000
ALPHA = 0x10


def read(body: bytes, limits: Limits) -> Header:
    """Return the header of a WebP from its chunks."""
    canvas: tuple[int, int] | None = None
    offset, exif, xmp = (0, 0), b"", b""
    parts: dict[bytes, bytes] = {}
    for kind, content in chunks(body, 12):
        if kind == b"VP8X" and canvas is None and len(content) >= 10:
            canvas = three(content, 4) + 1, three(content, 7) + 1
            limits.check(*canvas)
        elif kind == b"ANMF" and not parts:
            offset = 2 * three(content, 0), 2 * three(content, 3)
            parts = dict(reversed([*chunks(content, 16)]))
        elif kind in (b"VP8 ", b"VP8L", b"ALPH"):
            parts.setdefault(kind, content)
        elif kind == b"EXIF":
            exif = exif or content
        elif kind == b"XMP ":
            xmp = xmp or content
    name = b"VP8L" if b"VP8L" in parts else b"VP8 "
    if name not in parts:
        raise UnidentifiedImageError if canvas is None else ValueError("no frame")
    frame, alpha = lossless(parts[name]) if name == b"VP8L" else lossy(parts[name])
    limits.check(*frame)
    size = canvas or frame
    if offset[0] + frame[0] > size[0] or offset[1] + frame[1] > size[1]:
        raise ValueError("a frame outside of the canvas")
    alpha = alpha or (name == b"VP8 " and b"ALPH" in parts)
    pixels, channels = frame[0] * frame[1], 4 if alpha else 3
    # In addition to its output, the decoder keeps the pixels of a lossless frame or of a lossless mask.
    inner = 4 if name == b"VP8L" else 5 if alpha else 0
    return Header(
        "WEBP",
        size,
        Parts([memoryview(alone(name, parts, frame, alpha=alpha))]),
        orientation(exif, xmp),
        # The decoder has finished when the image is filled, so the larger of both counts.
        pixels * max(channels, channels + inner - 4),
        mode="RGBA" if alpha or frame != size else "RGB",
        offset=offset,
        frame=frame,
    )


def chunks(body: bytes, place: int) -> list[tuple[bytes, bytes]]:
    """Return the names and contents of the chunks after ``place``."""
    found = []
    while place + 8 <= len(body):
        kind, length = struct.unpack_from("<4sI", body, place)
        found.append((kind, body[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
        if len(found) > MAX_CHUNKS:
            raise ValueError("too many chunks")
    return found


def three(content: bytes, place: int) -> int:
    """Return a three-byte integer."""
    return int.from_bytes(content[place : place + 3], "little")


def lossy(content: bytes) -> tuple[tuple[int, int], bool]:
    """Return the size of a lossy frame, which itself has no transparency."""
    if len(content) < 10 or content[3:6] != b"\x9d\x01\x2a":
        raise UnidentifiedImageError
    width, height = struct.unpack_from("<HH", content, 6)
    return (width & 0x3FFF, height & 0x3FFF), False


def lossless(content: bytes) -> tuple[tuple[int, int], bool]:
    """Return the size of a lossless frame and whether it is transparent."""
    if len(content) < 5 or content[0] != 0x2F:
        raise UnidentifiedImageError
    (bits,) = struct.unpack_from("<I", content, 1)
    return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)


def alone(name: bytes, parts: dict[bytes, bytes], frame: tuple[int, int], *, alpha: bool) -> bytes:
    """Return a frame as a file without metadata."""
    pieces = [chunk(name, parts[name])]
    if name == b"VP8 " and alpha:
        sides = (frame[0] - 1).to_bytes(3, "little") + (frame[1] - 1).to_bytes(3, "little")
        pieces = [chunk(b"VP8X", bytes([ALPHA, 0, 0, 0]) + sides), chunk(b"ALPH", parts[b"ALPH"]), *pieces]
    length = 4 + sum(map(len, pieces))
    return b"".join([b"RIFF", struct.pack("<I", length), b"WEBP", *pieces])


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk; its length is even."""
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
