"""Write the files of this folder again: ``python -m tests.hostile.make_files``.

Each is small and there for one reason, which its name says; what has to come of it stands in
:data:`tests.hostile.CASES`. Files that fuzzing found lie in ``found`` and are not written here.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hostile import COLOURS, FOLDER, GREYS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SCRIPT = b"<script>alert('secret')</script>"
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG with its length and its sum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width: int, height: int, depth: int = 8, kind: int = COLOUR) -> bytes:
    """Return the signature and the first chunk of a PNG."""
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))


def png(rows: list[bytes], width: int, depth: int = 8, kind: int = COLOUR, before: bytes = b"") -> bytes:
    """Return a PNG of rows of bytes; ``before`` are chunks between its first and its pixels."""
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return header(width, len(rows), depth, kind) + before + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def of_array(array: np.ndarray, kind: int = COLOUR, before: bytes = b"") -> bytes:
    """Return an array of bytes as a PNG."""
    return png([row.tobytes() for row in array], array.shape[1], kind=kind, before=before)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """Return what Pillow makes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def exif(orientation: int = 1, *, text: bytes = b"secret place") -> bytes:
    """Return an EXIF block with an orientation and a description, as TIFF."""
    entries = [struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0), struct.pack("<HHII", 0x010E, 2, len(text), 38)]
    return b"II*\0" + struct.pack("<IH", 8, 2) + b"".join(entries) + struct.pack("<I", 0) + text


def located() -> Image.Exif:
    """Return EXIF with the place where a photograph was taken."""
    block = Image.Exif()
    block[0x010E] = "secret place"
    block.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return block


def photograph() -> Image.Image:
    """Return an image of one colour: what JPEG makes of it is known."""
    return Image.new("RGB", (16, 16), (200, 40, 90))


def other_formats() -> dict[str, bytes]:
    """Return files of formats that have no business here, all named like images."""
    card = b"SIMPLE  =                    T".ljust(80) + b"BITPIX  =                    8".ljust(80)
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT + b"<image href='http://example.com/x'/></svg>"
    heic = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + struct.pack(">I", 8) + b"mdat"
    return {
        "svg.png": svg,
        "html.png": b"<!DOCTYPE html><title>x</title>" + SCRIPT,
        "javascript.png": b"alert('secret')\n",
        "pdf.png": saved(photograph(), "PDF", creationDate=None, modDate=None),
        "eps.png": saved(photograph(), "EPS"),
        "psd.png": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 16, 16, 8, 3) + bytes(20),
        "tiff.png": saved(photograph(), "TIFF"),
        "fits.png": card + b"NAXIS   =                    0".ljust(80) + b"END".ljust(2640),
        "heic.png": heic,
        "zero_bytes.png": b"",
        "words.png": b"This is no picture.\n",
        "signature_only.png": SIGNATURE,
    }


def broken() -> dict[str, bytes]:
    """Return images that are cut off, or would take more memory than they may."""
    noise = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    whole, jpeg = of_array(noise), saved(Image.fromarray(noise), "JPEG")
    million = zlib.compress(bytes(20_000_000), 9)
    packed, international = b"Comment\0\0" + million, b"Comment\0\1\0\0\0" + million
    many = b"".join(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000), 9)) for _ in range(68))
    extended = struct.pack("<I", 0x10) + (16382).to_bytes(3, "little") * 2
    webp = b"WEBPVP8X" + struct.pack("<I", 10) + extended + b"VP8L" + struct.pack("<I", 6) + b"/\xff\xff\xff\x0f\0"
    return {
        "truncated.png": whole[: len(whole) // 2],
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "header_60000.png": header(60_000, 60_000) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""),
        "header_16383.webp": b"RIFF" + struct.pack("<I", len(webp)) + webp,
        "one_colour_10000.png": png([b"\xff" * 1250] * 10_000, 10_000, 1, GREY),
        "packed_text.png": of_array(COLOURS, before=chunk(b"zTXt", packed)),
        "international_text.png": of_array(COLOURS, before=chunk(b"iTXt", international)),
        "much_text.png": of_array(COLOURS, before=many),
    }


def costly() -> dict[str, bytes]:
    """Return small files that would take much time or memory if a decoder were given them as they are."""
    progressive = saved(photograph(), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    plain = saved(photograph(), "JPEG")
    segment = b"\xff\xeb" + struct.pack(">H", 2)
    canvas = b"VP8X" + struct.pack("<I", 10) + struct.pack("<I", 2) + (16_382).to_bytes(3, "little") * 2
    animated = saved(photograph(), "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (16, 16))])
    small = b"VP8X" + struct.pack("<I", 10) + struct.pack("<I", 2) + (3).to_bytes(3, "little") * 2
    dot, table = b"\2\2D\1\0", b"\x0a\x0b\x0c\xff\xff\xff"
    side = struct.pack("<HH", 65_535, 65_535)
    rows = struct.pack("<IiiHHIIiiII", 40, 50_000_000, 1, 1, 8, 1, 4, 0, 0, 0, 0) + bytes(1024)
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * number, 4, 3, 0, 0, 1, 100, 0, 0))
        + chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + zlib.compress(bytes(39)))
        for number in range(1, 100)
    )
    moving = of_array(COLOURS, before=chunk(b"acTL", struct.pack(">II", 100, 0)))
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2_000_000), 9))
    return {
        "scans.jpg": progressive[:-2] + progressive[last:-2] * 200 + b"\xff\xd9",
        "segments.jpg": plain[:2] + segment * 5_001 + plain[2:],
        "arithmetic.jpg": progressive.replace(b"\xff\xc2", b"\xff\xca", 1),
        "several_images.jpg": saved(photograph(), "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))]),
        "exif_for_ever.jpg": saved(photograph(), "JPEG", exif=b"Exif\0\0" + overlapping(300, 8_000)),
        "exif_for_ever.png": of_array(COLOURS, before=chunk(b"eXIf", overlapping(300, 8_000))),
        "packed_profile.png": of_array(COLOURS, before=profile),
        "frames.png": moving[:-12] + frames + moving[-12:],
        "canvas.webp": animated[:12] + canvas + animated[30:],
        "frame_outside.webp": animated[:12] + small + animated[30:],
        "canvas.gif": b"GIF89a" + side + b"\x80\0\0" + table + b",\0\0\0\0\1\0\1\0\0" + dot + b";",
        "frame.gif": b"GIF89a\1\0\1\0\x80\0\0" + table + b",\0\0\0\0" + side + b"\0" + dot + b";",
        "rows.bmp": b"BM" + struct.pack("<IHHI", 1082, 0, 0, 1078) + rows + b"\0\2\xff\xff\0\1",
        "strips.tiff": tiff((273, 4, 30_000_000, 8), (279, 4, 30_000_000, 8)),
        "tags.tiff": tiff(*[(tag, 7, 4_500, 8) for tag in range(40_000, 40_300)], after=bytes(1000)),
        "next_directory.tiff": tiff(following=8 + 12),
    }


def overlapping(entries: int, length: int) -> bytes:
    """Return an EXIF block whose entries all hold its last bytes, and whose directories are the first again."""
    links = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x8825, 4, 1, 8)
    size = length - 14 - 12 * (entries + 2)
    values = b"".join(struct.pack("<HHII", 0x9000 + one, 7, size, length - size) for one in range(entries))
    return b"II*\0" + struct.pack("<IH", 8, entries + 2) + links + values + struct.pack("<I", 8) + bytes(size)


def tiff(*more: tuple[int, int, int, int], after: bytes = b"", following: int = 0) -> bytes:
    """Return a TIFF of 4 x 3 grey pixels with more tags: their number, type, count and value."""
    plain = {256: 4, 257: 3, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 3, 279: 12}
    tags = sorted(
        {**{tag: (tag, 4, 1, value) for tag, value in plain.items()}, **{one[0]: one for one in more}}.values()
    )
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 20) + GREYS.tobytes() + struct.pack("<H", len(tags)) + directory + after


def of_metadata() -> dict[str, bytes]:
    """Return good images that carry more than pixels."""
    text = b"".join(
        [
            chunk(b"tEXt", b"Comment\0" + SCRIPT),
            chunk(b"zTXt", b"Author\0\0" + zlib.compress(b"secret author")),
            chunk(b"iTXt", b"Title\0\0\0\0\0" + b"secret title"),
            chunk(b"eXIf", exif()),
        ]
    )
    options = {"exif": located(), "comment": SCRIPT}
    plain = of_array(COLOURS)
    return {
        "text_chunks.png": of_array(COLOURS, before=text),
        "script_appended.png": plain + SCRIPT,
        "place.jpg": saved(photograph(), "JPEG", **options),
        "script_appended.jpg": saved(photograph(), "JPEG", **options) + SCRIPT,
        "place.webp": saved(photograph(), "WEBP", lossless=True, exif=located()),
        "broken_exif.png": of_array(COLOURS, before=chunk(b"eXIf", b"MM\0*\0\0\xff\xffnonsense")),
        "broken_exif.jpg": saved(photograph(), "JPEG", exif=b"Exif\0\0nonsense"),
        "broken_profile.png": of_array(COLOURS, before=chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))),
        "torn_profile.png": of_array(COLOURS, before=chunk(b"iCCP", b"x\0\0not compressed")),
        "broken_profile.jpg": saved(photograph(), "JPEG", icc_profile=b"no profile"),
        "gamma.png": of_array(COLOURS, before=chunk(b"gAMA", struct.pack(">I", 1)) + chunk(b"sRGB", b"\0")),
    }


def of_modes() -> dict[str, bytes]:
    """Return good images of every kind of pixel."""
    opaque = np.dstack([COLOURS, np.full(COLOURS.shape[:2], 255, np.uint8)])
    opaque[0, 0, 3] = 0
    grey_alpha = np.dstack([GREYS, np.full(GREYS.shape, 255, np.uint8)])
    grey_alpha[0, 0, 1] = 0
    wide = (GREYS.astype(">u2") * 257).astype(">u2")
    colours = chunk(b"PLTE", COLOURS.tobytes())
    indices = [bytes(range(row * 4, row * 4 + 4)) for row in range(3)]
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = Image.fromarray(COLOURS)
    return {
        "colours.png": of_array(COLOURS),
        "colours.bmp": saved(image, "BMP"),
        "colours.webp": saved(image, "WEBP", lossless=True),
        "sixteen_bits.png": png([row.tobytes() for row in wide], 4, 16, GREY),
        "palette.png": png(indices, 4, kind=PALETTE, before=colours),
        "palette_with_hole.png": png(indices, 4, kind=PALETTE, before=colours + chunk(b"tRNS", b"\0")),
        "grey_with_hole.png": of_array(grey_alpha, GREY_ALPHA),
        "colours_with_hole.png": of_array(opaque, COLOUR_ALPHA),
        "one_bit.png": png([b"\xa0", b"\x50", b"\xf0"], 4, 1, GREY),
        "inks.jpg": saved(ink, "JPEG"),
        "one_pixel.png": of_array(COLOURS[:1, :1]),
        "tall.png": png([b"\x64"] * 5000, 1, kind=GREY),
    }


def turned() -> dict[str, bytes]:
    """Return the same image stored in all eight orientations, which EXIF says."""
    stored: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: a.transpose(1, 0, 2)[::-1],
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    }
    return {
        f"turned_{number}.png": of_array(change(COLOURS), before=chunk(b"eXIf", exif(number)))
        for number, change in stored.items()
    }


def moving() -> dict[str, bytes]:
    """Return animations; the first frame counts."""
    first = Image.fromarray(COLOURS)
    frames = [first, Image.new("RGB", first.size, "black")]
    dots = b"".join(
        b"!\xf9\4\0\1\0\0\0,\0\0\0\0\1\0\1\0\0\2\2" + (b"L\1" if index % 2 else b"D\1") + b"\0" for index in range(2000)
    )
    table = b"\x0a\x0b\x0c\xff\xff\xff"
    return {
        "animation.png": saved(first, "PNG", save_all=True, append_images=frames[1:]),
        "animation.webp": saved(first, "WEBP", lossless=True, save_all=True, append_images=frames[1:]),
        "many_frames.gif": b"GIF89a\1\0\1\0\x80\0\0" + table + dots + b";",
    }


def make() -> dict[str, bytes]:
    """Return every file of the corpus by its name."""
    return {**other_formats(), **broken(), **costly(), **of_metadata(), **of_modes(), **turned(), **moving()}


def write(folder: Path = FOLDER) -> None:
    """Write the corpus."""
    for name, body in make().items():
        (folder / "files" / name).write_bytes(body)


if __name__ == "__main__":
    write()
