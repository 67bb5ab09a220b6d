"""Masks: where they are found, and the numbers of their classes in each kind of PNG."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import PicassoError
from picasso.evaluation.truth import files
from picasso.evaluation.truth.masks import masks, read_mask

VALUES = np.array([[0, 1, 2], [3, 1, 255]], np.uint8)


def save(file: Path, values: NDArray[np.generic] = VALUES) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)
    return file


def png(bits: int, rows: list[int]) -> bytes:
    """Return a grey PNG with two rows of one byte each."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 8 // bits, 2, bits, 0, 0, 0, 0)
    data = zlib.compress(b"".join(bytes([0, row]) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_each_image_has_the_mask_with_its_name(tmp_path: Path) -> None:
    for name in ("a.png", "masks/a.png", "b.jpg", "b.png", "deep/images/c.png", "deep/masks/c.png", "d.png", "e.JPG"):
        save(tmp_path / name)
    truth = masks(tmp_path)
    found = {file.relative_to(tmp_path).as_posix(): mask for file, mask in truth.of.items()}
    assert found == {
        "a.png": tmp_path / "masks" / "a.png",
        "b.jpg": tmp_path / "b.png",
        "deep/images/c.png": tmp_path / "deep" / "masks" / "c.png",
    }
    assert truth.without == ("d.png", "e.JPG")
    assert truth.notes == ("2 images without truth: d.png, e.JPG.",)


def test_a_folder_without_masks(tmp_path: Path) -> None:
    with pytest.raises(PicassoError, match="There is no folder"):
        masks(tmp_path / "missing")
    with pytest.raises(PicassoError, match="There are no images in"):
        masks(tmp_path)
    save(tmp_path / "a.png")
    with pytest.raises(PicassoError, match="None of the 1 images in .* has a mask: a PNG"):
        masks(tmp_path)


def test_the_pixels_are_the_classes(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_mask(grey, 4, (3, 2)), VALUES)
    palette = Image.fromarray(VALUES).convert("P")
    palette.putpalette(list(range(256)) * 3)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "palette.png", 4), VALUES)
    wide = np.array([[0, 299], [40_000, 255]], np.uint16)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "wide.png", wide), 40_001, ignore=None), wide)
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "bits.png", 2), [[0, 1]])


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(1, [[0, 0, 0, 1, 1, 0, 1, 1], [0] * 8]), (2, [[0, 1, 2, 3], [0] * 4]), (4, [[1, 11], [0, 0]])],
)
def test_greys_of_few_bits_are_not_scaled(tmp_path: Path, bits: int, expected: list[list[int]]) -> None:
    (tmp_path / "few.png").write_bytes(png(bits, [0b00011011, 0]))
    np.testing.assert_array_equal(read_mask(tmp_path / "few.png", 16), expected)


def test_what_is_no_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save(tmp_path / "one" / "a.png")
    with pytest.raises(PicassoError, match=r"The mask one/a.png contains the value 3. Valid are 0 to 2, and 255 for"):
        read_mask(file, 3)
    with pytest.raises(PicassoError, match=r"contains the value 255. Valid are 0 to 3\."):
        read_mask(file, 4, ignore=None)
    with pytest.raises(PicassoError, match="has 3 x 2 pixels, but its image 2 x 3"):
        read_mask(file, 4, (2, 3))
    with pytest.raises(PicassoError, match="is a PNG of mode RGB. A mask is a PNG of mode L, P or I"):
        read_mask(save(tmp_path / "colour.png", np.zeros((2, 2, 3), np.uint8)), 4)
    Image.fromarray(VALUES).save(tmp_path / "jpeg.png", "JPEG")
    with pytest.raises(PicassoError, match="is a JPEG. A mask is a PNG"):
        read_mask(tmp_path / "jpeg.png", 4)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(PicassoError, match="text.png is not a supported image"):
        read_mask(tmp_path / "text.png", 4)
    # The header is whole, but the pixels are not.
    large = np.random.default_rng(0).integers(0, 4, (300, 300)).astype(np.uint8)
    body = save(tmp_path / "cut.png", large).read_bytes()
    (tmp_path / "cut.png").write_bytes(body[: len(body) // 2])
    with pytest.raises(PicassoError, match="cut.png is truncated or damaged"):
        read_mask(tmp_path / "cut.png", 4)
    with pytest.raises(PicassoError, match="missing.png can't be read: No such file"):
        read_mask(tmp_path / "missing.png", 4)
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(PicassoError, match="one/a.png has more than"):
        read_mask(file, 4)
