"""Headers: sizes are found and bounds hold, decoders get nothing else, and the pixels are those of Pillow alone."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.images import cases, interlaced, measured, pixels, tiled
from picasso.errors import TooLarge, UnsupportedImage
from picasso.imaging import decode, headers, libwebp
from picasso.imaging.headers import jpeg
from picasso.imaging.headers.base import Limits, Parts, orientation
from tests.conftest import noise_image, png
from tests.hostile import CASES, FOLDER
from tests.hostile.make_files import SCRIPT, exif

CASES_OF_FORMATS = dict(cases())


def expected(body: bytes) -> NDArray[np.uint8]:
    """Return what Pillow makes of a file by itself: upright, on white, 16 bits and floats scaled."""
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        if image.mode.startswith(("I", "F")):
            values = np.asarray(image)
            return np.round(values / (1 if values.dtype.kind == "f" else 65535) * 255).astype(np.uint8)
        upright = ImageOps.exif_transpose(image)
        grey = upright.mode in ("1", "L", "LA")
        if upright.mode in ("LA", "PA", "RGBA") or "transparency" in upright.info:
            whole = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)
        return np.asarray(upright.convert("L" if grey else "RGB"))


@pytest.mark.parametrize("name", CASES_OF_FORMATS)
def test_the_pixels_are_those_of_pillow_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Several pieces even of a small image.
    monkeypatch.setattr("picasso.imaging.pixels.PIECE", 1000)
    body = CASES_OF_FORMATS[name](Image.fromarray(pixels(131)).crop((0, 0, 131, 77)))
    found = np.asarray(decode.read(body, "x"))
    if name == "PNG colour, interlaced" or "tile" in name:
        assert found.shape[:2] == (77, 131)
    np.testing.assert_array_equal(found, expected(body))


@pytest.mark.parametrize("name", CASES_OF_FORMATS)
def test_the_size_is_that_of_the_file(name: str) -> None:
    body = CASES_OF_FORMATS[name](Image.fromarray(pixels(64)).crop((0, 0, 64, 40)))
    assert headers.read(body, Limits("x", 1)).size == (64, 40)
    with pytest.raises(TooLarge, match="64 x 40 pixels, more than the 0 million"):
        headers.read(body, Limits("x", 0))


def test_what_pillow_does_not_write_is_what_it_should_be() -> None:
    array = np.random.default_rng(0).integers(0, 256, (21, 13, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(decode.read(interlaced(array), "x")), array)
    for side in (16, 32):
        np.testing.assert_array_equal(np.asarray(decode.read(tiled(array[..., 0], side), "x")), array[..., 0])


COSTLY = [
    "PNG grey, 16 bits",
    "PNG colour with alpha",
    "JPEG colour, turned by EXIF",
    "JPEG colour, progressive",
    "WebP lossless with alpha",
    "TIFF colour, one strip",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", COSTLY)
def test_no_image_takes_more_memory_than_its_header_says(name: str) -> None:
    found = measured(CASES_OF_FORMATS[name], Image.fromarray(pixels(2000)), 4)
    # Pieces of what is changed take some megabytes, whatever the size.
    assert found["peak"] < found["needs"] + 12_000_000
    # Two copies of the file, and 2.2 times what Pillow holds of so many pixels.
    assert found["needs"] <= 2.2 * 4 * found["pixels"] + 2 * found["size"]


# ---- what decoders are given -----------------------------------------------------------------------------------------


def given(body: bytes) -> bytes:
    """Return what of a file a decoder is given."""
    return bytes(headers.read(body, Limits("x", 50)).body)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.pixels is not None])
def test_a_decoder_is_given_only_what_pixels_are_made_of(name: str) -> None:
    body = (FOLDER / "files" / name).read_bytes()
    for word in (SCRIPT, b"secret", b"Exif", b"eXIf", b"tEXt", b"zTXt", b"iCCP", b"fdAT", b"ANMF", b"MPF\0", b"XMP "):
        assert word not in given(body)


def test_the_second_frame_reaches_no_decoder() -> None:
    frames = [noise_image(seed, (40, 30)) for seed in range(3)]
    for form in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if form == "WEBP" else {}
        one = png(frames[0], form, **options)
        three = png(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert len(given(three)) < 1.1 * len(one) < len(three) / 2
        np.testing.assert_array_equal(np.asarray(decode.read(three, "x")), np.asarray(decode.read(one, "x")))


def test_a_frame_that_is_smaller_than_its_canvas_lies_on_white() -> None:
    """The canvas is 8 x 6; the frame is 4 x 3, at (2, 2)."""
    inner = png(Image.new("RGB", (4, 3), (10, 20, 30)), "WEBP", lossless=True)[12:]
    place = b"\1\0\0\1\0\0" + b"\3\0\0\2\0\0" + b"\1\0\0\0"
    frame = b"ANMF" + struct.pack("<I", 16 + len(inner)) + place + inner
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0\7\0\0\5\0\0" + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body = b"WEBP" + canvas + frame
    found = np.asarray(decode.read(b"RIFF" + struct.pack("<I", len(body)) + body, "x"))
    assert found.shape == (6, 8, 3)
    assert found[2:5, 2:6].reshape(-1, 3).tolist() == [[10, 20, 30]] * 12
    found = found.copy()
    found[2:5, 2:6] = 255
    assert (found == 255).all()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_the_orientation_is_found_in_exif_and_in_xmp(form: str) -> None:
    block = Image.Exif()
    block[0x0112] = 6
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    for options, stored in (({"exif": block}, 6), ({"xmp": xmp}, 8), ({"exif": block, "xmp": xmp}, 6), ({}, 1)):
        if form == "PNG" and "xmp" in options:
            continue
        body = png(noise_image(0, (20, 10)), form, **options)
        assert headers.read(body, Limits("x", 1)).orientation == stored
        np.testing.assert_array_equal(np.asarray(decode.read(body, "x")), expected(body))


def test_the_orientation_of_torn_exif_is_upright() -> None:
    for block in (b"", b"II", b"II*\0\xff\xff\xff\xff", b"XX*\0" + bytes(20), exif(6)[:15], exif(9), exif(0)):
        assert orientation(block) == 1
    assert orientation(exif(6)) == orientation(b"Exif\0\0" + exif(6)) == 6


def test_an_orientation_in_tiff_is_heeded_once() -> None:
    block = Image.Exif()
    block[0x0112] = 6
    body = png(noise_image(0, (20, 10)), "TIFF", exif=block)
    np.testing.assert_array_equal(np.asarray(decode.read(body, "x")), expected(body))


# ---- what is counted -------------------------------------------------------------------------------------------------


def test_the_coefficients_of_several_scans_are_counted() -> None:
    image = noise_image(0, (100, 50))
    assert headers.read(png(image, "JPEG"), Limits("x", 1)).working == 0
    # 4:2:0: 7 x 4 units of 4 + 1 + 1 blocks; 4:4:4: 13 x 7 of 3; each of 64 numbers of two bytes.
    found = headers.read(png(image, "JPEG", progressive=True, subsampling=2), Limits("x", 1))
    assert found.working == 7 * 4 * 6 * 128
    found = headers.read(png(image, "JPEG", progressive=True, subsampling=0), Limits("x", 1))
    assert found.working == 13 * 7 * 3 * 128


def test_as_many_scans_as_are_allowed() -> None:
    body = png(noise_image(0, (16, 16)), "JPEG", progressive=True)
    last = body.rindex(b"\xff\xda")
    scans = body.count(b"\xff\xda")

    def of(count: int) -> bytes:
        return body[:-2] + body[last:-2] * (count - scans) + body[-2:]

    assert decode.read(of(jpeg.MAX_SCANS), "x").size == (16, 16)
    with pytest.raises(TooLarge, match=f"x is a JPEG with {jpeg.MAX_SCANS + 1} scans"):
        decode.read(of(jpeg.MAX_SCANS + 1), "x")


@pytest.mark.parametrize("kind", [0xC3, 0xC5, 0xC7, 0xC9, 0xCA, 0xCD, 0xCF])
def test_other_kinds_of_jpeg_are_refused(kind: int) -> None:
    body = png(noise_image(0, (16, 16)), "JPEG").replace(b"\xff\xc0", bytes([0xFF, kind]), 1)
    with pytest.raises(UnsupportedImage, match="x is an unsupported kind of JPEG"):
        decode.read(body, "x")


def test_an_image_that_takes_more_than_others_of_its_size_is_refused() -> None:
    """10 bytes for each pixel: six of coefficients, four of the image."""
    body = png(noise_image(0, (1000, 1000)), "JPEG", progressive=True, subsampling=0)
    with pytest.raises(
        TooLarge, match="x needs 10 MB to decode, more than the 9 MB allowed for an image of 1 megapixels"
    ):
        decode.opened(body, "x", 1)
    assert decode.opened(body, "x", 2).needs > 10_000_000


def test_webp_is_read_without_its_library_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then Pillow decodes the frame, which takes more memory, and that is known, too."""
    body = png(noise_image(0, (30, 20)), "WEBP", lossless=True)
    direct, needs = decode.read(body, "x"), decode.opened(body, "x").needs
    monkeypatch.setattr(libwebp, "library", lambda: None)
    np.testing.assert_array_equal(np.asarray(decode.read(body, "x")), np.asarray(direct))
    assert decode.opened(body, "x").needs > 2 * needs


def test_parts_are_read_as_one_file() -> None:
    whole = bytes(range(200))
    parts = Parts([memoryview(whole)[:50], memoryview(whole)[50:50], memoryview(whole)[50:51], memoryview(whole)[51:]])
    with parts.open() as file:
        assert (file.read(60), file.tell(), file.read()) == (whole[:60], 60, whole[60:])
        assert (file.seek(-10, io.SEEK_END), file.read(4), file.seek(2, io.SEEK_CUR)) == (190, whole[190:194], 196)
        assert (file.seek(49), file.read(3), file.seek(500), file.read(1)) == (49, whole[49:52], 500, b"")
    assert (bytes(parts), parts.length) == (whole, 200)


def test_a_tag_of_tiff_outside_of_the_file_is_refused() -> None:
    body = png(noise_image(), "TIFF")
    bits = struct.pack("<HHI", 258, 3, 3)
    assert body.count(bits) == 1
    with pytest.raises(UnsupportedImage, match="unsupported kind of TIFF"):
        decode.read(body.replace(bits, struct.pack("<HHI", 258, 3, 90_000)), "x")
