"""What decoding images takes: memory beside their size, by format, and the time that the helper process adds.

``python -m benchmarks.images [MEGAPIXELS]`` writes the largest image that is allowed in each format, decodes each in a
process of its own, and prints a table for ``docs/reliability.md``.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# The seven passes of an interlaced PNG: the first column and row, and the steps.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

MEASURE = """
import json, re, resource, sys
from pathlib import Path
from picasso.imaging import decode
from picasso.errors import PicassoError

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

body, megapixels = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
decode.decode(Path(sys.argv[3]).read_bytes(), "small")
Path("/proc/self/clear_refs").write_text("5")
before, cpu = peak(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
try:
    opened = decode.opened(body, "image", megapixels)
    mode = opened.image.mode if opened.image else opened.header.mode
    decoded = opened.decode().image
    held = max(decode.STORED.get(mode, 4), 1 if decoded.mode == "L" else 4)
    found = {"mode": decoded.mode, "pixels": decoded.width * decoded.height, "needs": opened.needs, "held": held}
except PicassoError as error:
    found = {"refused": error.message}
print(json.dumps({**found, "peak": peak() - before, "cpu": resource.getrusage(resource.RUSAGE_SELF).ru_utime - cpu}))
"""


def pixels(side: int) -> np.ndarray:
    """Return colours with an alpha that are neither flat nor noise, ``(side, side, 4)``."""
    row = np.arange(side, dtype=np.uint32)
    shades = ((row[:, None] * 3 + row * 5) >> 4).astype(np.uint8)
    return np.dstack([shades, shades.T, shades[::-1], shades | 64])


def interlaced(array: np.ndarray) -> bytes:
    """Return colours ``(h, w, 3)`` as an interlaced PNG, which Pillow reads but does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(1)
    packed: list[bytes] = []
    for left, top, across, down in PASSES:
        part = np.ascontiguousarray(array[top::down, left::across])
        packed.extend(packer.compress(b"\0" + line.tobytes()) for line in part if part.size)
    height, width = array.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    body = chunk(b"IDAT", b"".join(packed) + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def tiled(array: np.ndarray, side: int) -> bytes:
    """Return grey values ``(h, w)`` as a TIFF of square tiles, packed by Deflate; Pillow writes strips only."""
    height, width = array.shape
    padded = np.pad(array, ((0, -height % side), (0, -width % side)))
    tiles = [
        zlib.compress(padded[top : top + side, left : left + side].tobytes(), 1)
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    lengths = [len(one) for one in tiles]
    offsets = [8 + sum(lengths[:number]) for number in range(len(tiles))]
    after = 8 + sum(lengths)
    lists = struct.pack(f"<{2 * len(tiles)}I", *offsets, *lengths)
    places = (after, after + 4 * len(tiles)) if len(tiles) > 1 else (offsets[0], lengths[0])
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    entries += [struct.pack("<HHII", tag, 4, len(tiles), place) for tag, place in zip((324, 325), places, strict=True)]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", after + len(lists)) + b"".join(tiles) + lists + directory


def turned() -> Image.Exif:
    """Return EXIF of an image that lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def cases() -> Iterator[tuple[str, Callable[[Image.Image], bytes]]]:
    """Yield names of cases, and what makes their file of an image with alpha."""
    for name, make, form, options in written():
        yield name, partial(save, make, form, options)
    yield "PNG colour, interlaced", lambda image: interlaced(np.asarray(image)[..., :3])
    yield "TIFF grey, deflate, tiles", lambda image: tiled(np.asarray(image.convert("L")), 256)
    yield "TIFF grey, deflate, one tile", lambda image: tiled(np.asarray(image.convert("L")), image.width)


def save(make: Callable[[Image.Image], Image.Image], form: str, options: dict[str, Any], image: Image.Image) -> bytes:
    """Return what Pillow writes of what is made of an image."""
    buffer = io.BytesIO()
    make(image).save(buffer, form, **options)
    return buffer.getvalue()


def written() -> Iterator[tuple[str, Callable[[Image.Image], Image.Image], str, dict[str, Any]]]:
    """Yield names of cases, what makes their image of one with alpha, their format, and how it is saved."""

    def mode(name: str) -> Callable[[Image.Image], Image.Image]:
        return lambda image: image.convert(name)

    def wide(image: Image.Image) -> Image.Image:
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)

    def holed(image: Image.Image) -> Image.Image:
        return image.convert("RGB").quantize(64)

    yield "PNG grey", mode("L"), "PNG", {}
    yield "PNG grey, 16 bits", wide, "PNG", {}
    yield "PNG grey with alpha", mode("LA"), "PNG", {}
    yield "PNG colour", mode("RGB"), "PNG", {}
    yield "PNG colour with alpha", mode("RGBA"), "PNG", {}
    yield "PNG palette with transparency", holed, "PNG", {"transparency": 3}
    yield "PNG 1 bit", mode("1"), "PNG", {}
    yield "JPEG grey", mode("L"), "JPEG", {}
    yield "JPEG colour", mode("RGB"), "JPEG", {}
    yield "JPEG colour, turned by EXIF", mode("RGB"), "JPEG", {"exif": turned()}
    yield "JPEG colour, progressive", mode("RGB"), "JPEG", {"progressive": True}
    yield "JPEG colour, progressive, 4:4:4", mode("RGB"), "JPEG", {"progressive": True, "subsampling": 0}
    yield "JPEG CMYK", mode("CMYK"), "JPEG", {}
    yield "WebP lossy", mode("RGB"), "WEBP", {"method": 0}
    yield "WebP lossy with alpha", mode("RGBA"), "WEBP", {"method": 0}
    yield "WebP lossless", mode("RGB"), "WEBP", {"lossless": True, "method": 0, "quality": 0}
    yield "WebP lossless with alpha", mode("RGBA"), "WEBP", {"lossless": True, "method": 0, "quality": 0}
    yield "GIF", holed, "GIF", {}
    yield "BMP", mode("RGB"), "BMP", {}
    yield "TIFF", mode("RGB"), "TIFF", {}
    yield "TIFF grey, 16 bits", wide, "TIFF", {}
    yield "TIFF floats", lambda image: Image.fromarray(np.asarray(image.convert("L")) / np.float32(255)), "TIFF", {}
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield f"TIFF colour, {name[5:] or name}", mode("RGB"), "TIFF", {"compression": name}
    yield "TIFF colour, one strip", mode("RGB"), "TIFF", {"compression": "tiff_lzw", "strip_size": 1 << 30}


def measured(make: Callable[[Image.Image], bytes], image: Image.Image, megapixels: int) -> dict[str, Any]:
    """Return what decoding an image takes."""
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large", Path(folder) / "small"
        large.write_bytes(make(image))
        small.write_bytes(make(image.crop((0, 0, 64, 64))))
        command = [sys.executable, "-c", MEASURE, str(large), str(megapixels), str(small)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {**json.loads(done.stdout), "size": large.stat().st_size}


def row(name: str, found: dict[str, Any]) -> str:
    """Return the row of a table."""
    size = found["size"]
    if "refused" in found:
        return f"| {name} | {size / 1e6:.1f} | {found['refused']} | | {found['peak'] / 1e6:.0f} | | | | |"
    values = found["pixels"] * (1 if found["mode"] == "L" else 3)
    held, peak = found["pixels"] * found["held"], found["peak"]
    return (
        f"| {name} | {size / 1e6:.1f} | {values / 1e6:.0f} | {held / 1e6:.0f} | {peak / 1e6:.0f} | {peak / held:.2f} "
        f"| {peak / values:.2f} | {found['needs'] / 1e6:.0f} | {found['cpu']:.1f} |"
    )


def main() -> None:
    """Print the table."""
    megapixels = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    side = isqrt(megapixels * 1_000_000)
    image = Image.fromarray(pixels(side))
    print(
        "| image | file, MB | values, MB | held, MB | peak, MB | peak / held | peak / values | foreseen, MB | CPU s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, make in cases():
        print(row(name, measured(make, image, megapixels)), flush=True)


if __name__ == "__main__":
    main()
