"""The one door: every accepted kind of image comes out upright and right, everything else with a sentence."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from picasso.errors import BadRequest, TooLarge, UnsupportedImage
from picasso.imaging import decode
from tests.conftest import noise_image, png
from tests.hostile import FOLDER


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "WEBP", "JPEG", "TIFF"])
def test_accepted_formats(form: str) -> None:
    plain = Image.new("RGB", (20, 10), (200, 40, 90))
    image = decode.read(png(plain, form), "x")
    assert image.size == (20, 10)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image, int) - (200, 40, 90)).max() <= 6  # JPEG's own loss


@pytest.mark.parametrize("form", ["PDF", "EPS", "ICO", "PPM"])
def test_other_formats_are_refused(form: str) -> None:
    with pytest.raises(UnsupportedImage, match=r"x\.png is not a supported image. Use PNG, JPEG"):
        decode.read(png(Image.new("RGB", (16, 16)), form), "x.png")


@pytest.mark.parametrize("body", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image(body: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="is not a supported image"):
        decode.read(body, "x.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_truncated(form: str) -> None:
    body = png(noise_image(size=(64, 64)), form)
    with pytest.raises(BadRequest, match=r"a\.png is truncated or damaged"):
        decode.read(body[: len(body) // 2], "a.png")


def header_only(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_too_many_pixels_are_known_from_the_header(side: int) -> None:
    with pytest.raises(TooLarge, match="more"):
        decode.read(header_only(side, side), "bomb.png", megapixels=50)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    image = decode.read(png(Image.fromarray(values)), "x")
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[0, 1, 128, 255]]


def test_transparency_is_shown_on_white() -> None:
    pixels = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 128]]], np.uint8)
    image = decode.read(png(Image.fromarray(pixels)), "x")
    assert np.asarray(image).tolist() == [[[255, 255, 255], [10, 20, 30], [127, 127, 127]]]
    grey = np.array([[[0, 0], [100, 255]]], np.uint8)
    assert np.asarray(decode.read(png(Image.fromarray(grey, "LA")), "x")).tolist() == [[255, 100]]


def test_transparent_palette_and_one_bit() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    palette.putpixel((1, 0), 1)
    image = decode.read(png(palette, transparency=0), "x")
    assert np.asarray(image).tolist() == [[[255, 255, 255], [0, 0, 255]]]
    one = Image.new("1", (2, 1))
    one.putpixel((0, 0), 1)
    assert np.asarray(decode.read(png(one), "x")).tolist() == [[255, 0]]


def test_cmyk() -> None:
    image = decode.read(png(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), "x")
    red, green, blue = np.asarray(image, int)[4, 4]
    assert (red > 230, green < 40, blue < 40) == (True, True, True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations_come_out_upright(orientation: int) -> None:
    upright = Image.new("L", (4, 2))
    upright.putpixel((0, 0), 255)  # the top left corner is white
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(inverse[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode.read(png(stored, exif=exif), "x")
    assert np.asarray(image).tolist() == np.asarray(upright).tolist()


def test_nothing_but_pixels_passes() -> None:
    exif = Image.Exif()
    exif[0x010E] = "<script>alert(1)</script>"
    body = png(noise_image(), exif=exif) + b"<script>alert(2)</script>"
    encoded = decode.encode(decode.read(body, "x"))
    assert b"script" not in encoded
    assert not Image.open(io.BytesIO(encoded)).getexif()


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("L", (3, 3), shade) for shade in (10, 200)]
    image = decode.read(png(frames[0], "GIF", save_all=True, append_images=frames[1:]), "x")
    assert np.asarray(image).max() == 10


def test_ten_thousand_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first is looked at: the others are not even counted."""

    def seek(self: GifImageFile, frame: int) -> None:
        raise AssertionError(f"frame {frame} is looked for")

    monkeypatch.setattr(GifImageFile, "seek", seek)
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    body = b"GIF89a\1\0\1\0\x80\0\0" + b"\x0a\x0b\x0c\xff\xff\xff" + frame * 10_000 + b";"
    assert np.asarray(decode.read(body, "x")).tolist() == [[[10, 11, 12]]]


def test_metadata_that_cannot_be_read_costs_nothing_but_itself() -> None:
    """Not the image, nor a line of the log for each of its thousand tags."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for name in ("broken_exif.png", "broken_exif.jpg", "torn_profile.png"):
            assert decode.read((FOLDER / "files" / name).read_bytes(), name)
    assert warned == []


def test_wide_integers_are_scaled_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.linspace(0, 65_535, 70_000).astype(np.int32).reshape(100, 700)
    whole = np.asarray(decode.upright(Image.fromarray(values)))
    monkeypatch.setattr("picasso.imaging.pixels.PIECE", 7)
    np.testing.assert_array_equal(np.asarray(decode.upright(Image.fromarray(values))), whole)
    assert (whole[0, 0], whole[-1, -1]) == (0, 255)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cat.png", "cat.png"),
        ("a\0b\n.png", "ab.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("", "image"),
        ("🦊.png", "🦊.png"),
    ],
)
def test_display_names(name: str, shown: str) -> None:
    assert decode.display_name(name) == shown


def test_long_names_are_shortened_in_the_middle() -> None:
    shown = decode.display_name("x" * 9000 + "-the-end.png")
    assert len(shown) == 60
    assert shown.endswith("the-end.png")


# ---- TIFF ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_the_compressions_of_tiff_that_are_read(compression: str) -> None:
    body = png(noise_image(), "TIFF", compression=compression)
    np.testing.assert_array_equal(np.asarray(decode.read(body, "x.tif")), np.asarray(noise_image()))


def test_a_tiff_of_several_pages_is_its_first_and_upright() -> None:
    pages = [noise_image(seed) for seed in range(3)]
    body = png(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(np.asarray(decode.read(body, "x.tif")), np.asarray(pages[0]))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode.read(png(pages[0], "TIFF", exif=exif), "x.tif")
    np.testing.assert_array_equal(np.asarray(turned), np.rot90(np.asarray(pages[0]), -1))


def test_other_kinds_of_tiff_are_refused_with_what_to_do() -> None:
    with pytest.raises(UnsupportedImage, match=r"x\.tif is an unsupported kind of TIFF; .* override open_image"):
        decode.read(png(Image.new("1", (8, 8)), "TIFF", compression="group4"), "x.tif")
    with pytest.raises(UnsupportedImage, match=r"x\.tif is an unsupported kind of TIFF"):
        decode.read(many_bands(), "x.tif")


def many_bands(bands: int = 13, side: int = 8) -> bytes:
    """Return a little TIFF of 16-bit values in many channels, which Pillow can't read."""
    body = bytes(2 * bands * side * side)
    entries = [(256, side), (257, side), (258, 16), (259, 1), (262, 1), (273, 8), (277, bands), (278, side)]
    entries += [(279, len(body)), (284, 1), (339, 1)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(entries)) + directory + bytes(4)


def test_a_tiff_with_one_huge_tile_is_refused_before_memory_is_taken() -> None:
    body = tiff(16, 16, (259, 5), (322, 60_000), (323, 60_000), (324, 8), (325, 1))
    with pytest.raises(TooLarge, match="tiles with more than the 50 million pixels"):
        decode.opened(body, "x.tif")


def tiff(width: int, height: int, *more: tuple[int, int], pixels: bytes = b"") -> bytes:
    """Return a little TIFF of grey bytes with more tags, each of one long number."""
    entries = sorted([(256, width), (257, height), (258, 8), (262, 1), (277, 1), *more])
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return (
        b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(entries)) + directory + bytes(4)
    )


# ---- the range of values ---------------------------------------------------------------------------------------------


def test_twelve_bits_in_sixteen_are_noted() -> None:
    values = np.linspace(0, 4095, 100).astype(np.uint16).reshape(10, 10)
    for form in ("PNG", "TIFF"):
        decoded = decode.decode(png(Image.fromarray(values), form), "a.png")
        assert np.asarray(decoded.image).max() == 16  # 4095 / 257: nothing is stretched
        assert decoded.notes == (
            "a.png has 16 bits, but its largest value is 4,095, as in 12-bit data. 16-bit values are divided by 257, "
            "so the image is darker than intended. Save it with 8 bits, or with values up to 65,535.",
        )
    whole = np.linspace(0, 65535, 100).astype(np.uint16).reshape(10, 10)
    assert decode.decode(png(Image.fromarray(whole)), "a.png").notes == ()


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_twelve_bits_in_sixteen_are_noted_in_colour_too(kind: int, channels: int) -> None:
    def file(high: int) -> bytes:
        rows = np.linspace(0, high, 64 * channels).astype(">u2").reshape(8, 8 * channels)
        header = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
        body = b"".join(b"\0" + row.tobytes() for row in rows)
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
            for name, part in ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
        )

    (note,) = decode.decode(file(4095), "a.png").notes
    assert note.startswith("a.png has 16 bits, but its largest value is below 4,096, as in 12-bit data.")
    assert decode.decode(file(65535), "a.png").notes == ()


def test_twelve_bits_in_an_array_are_noted() -> None:
    colours = np.linspace(0, 4095, 300).astype(np.uint16).reshape(10, 10, 3)
    for array in (colours, colours[..., 0]):
        (note,) = decode.from_array(array, "Image 0").notes
        assert "Image 0 has 16 bits, but its largest value is 4,0" in note
    assert decode.from_array(colours * 16, "Image 0").notes == ()


def test_what_a_tiff_says_of_its_values_is_heeded_or_refused() -> None:
    values = np.linspace(0, 65535, 100).astype(np.uint16).reshape(10, 10)
    big = png(Image.fromarray(values), "TIFF")
    swapped = Image.frombytes("I;16B", (10, 10), values.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode.read(png(swapped, "TIFF"), "x.tif"), decode.read(big, "x.tif"))
    with pytest.raises(UnsupportedImage, match=r"x\.tif is a TIFF with more than 8 bits in which 0 is white. Save it"):
        decode.read(png(Image.fromarray(values), "TIFF", tiffinfo={262: 0}), "x.tif")
    with pytest.raises(UnsupportedImage, match=r"x\.tif is a TIFF of signed 8-bit values"):
        decode.read(png(Image.fromarray(values.astype(np.uint8)), "TIFF", tiffinfo={339: 2}), "x.tif")


def test_floats_may_leave_0_to_1_by_rounding() -> None:
    floats = np.linspace(-1e-6, 1 + 1e-6, 300, dtype=np.float32).reshape(10, 10, 3)
    pixels = np.asarray(decode.from_array(floats, "Image 0").image)
    assert (pixels.min(), pixels.max()) == (0, 255)
    floats[0, 0, 0] = np.nan
    with pytest.raises(BadRequest, match="Image 0 has NaN or infinite values"):
        decode.from_array(floats, "Image 0")


@pytest.mark.parametrize(("low", "high", "noted"), [(100, 112, True), (0, 5, True), (100, 113, False), (0, 255, False)])
def test_an_image_of_a_twentieth_of_its_range_is_noted(low: int, high: int, noted: bool) -> None:
    pixels = np.linspace(low, high, 300).astype(np.uint8).reshape(10, 10, 3)
    decoded = decode.decode(png(Image.fromarray(pixels)), "a.png")
    np.testing.assert_array_equal(np.asarray(decoded.image), pixels)
    start = f"a.png uses only the values {low} to {high} of 0 to 255. They are not changed"
    assert [note.startswith(start) for note in decoded.notes] == [True] * noted


def test_an_image_of_one_value_is_noted() -> None:
    decoded = decode.decode(png(Image.new("RGB", (10, 10), (127, 127, 127))), "a.png")
    assert decoded.notes == ("All pixels of a.png have the value 127, so it has no content.",)


def test_floats_are_0_to_1_and_wide_integers_0_to_65535() -> None:
    floats = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    decoded = decode.decode(png(Image.fromarray(floats), "TIFF"), "a.tif")
    np.testing.assert_array_equal(np.asarray(decoded.image), np.round(floats * 255))
    with pytest.raises(
        BadRequest, match=r"a\.tif has floats from 0 to 255, but floats must be in 0\.\.1\. Divide them"
    ):
        decode.decode(png(Image.fromarray(floats * 255), "TIFF"), "a.tif")
    with pytest.raises(BadRequest, match="has integers from -3 to 70000, but they must be in"):
        decode.upright(Image.fromarray(np.array([[-3, 70_000]], np.int32)))
