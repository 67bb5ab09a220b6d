"""Files that strangers may send, and what has to come of each at every door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent

# The image that most good files hold, in colour and in grey.
COLOURS = np.random.default_rng(11).integers(0, 256, (3, 4, 3), np.uint8)
GREYS = COLOURS[..., 0].copy()

WHITE = 255
ONE_COLOUR = np.full((16, 16, 3), (200, 40, 90), np.uint8)
NO_IMAGE = "is not a supported image"
BROKEN = "is truncated or damaged"
LARGE = "more"


@dataclass(frozen=True)
class Case:
    """What has to come of a file.

    Attributes:
        status: of the API's answer.
        words: part of the sentence, where it is refused.
        pixels: what is stored, where it is taken.
        tolerance: how far values may be off.
    """

    status: int
    words: str = ""
    pixels: NDArray[np.uint8] | None = None
    tolerance: int = 0


def good(pixels: NDArray[np.uint8], tolerance: int = 0) -> Case:
    """Return the case of a file that is taken."""
    return Case(200, pixels=pixels, tolerance=tolerance)


def with_hole(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels of which the first is transparent and so shown white."""
    changed = pixels.copy()
    changed[0, 0] = WHITE
    return changed


OTHER = ("svg", "html", "javascript", "pdf", "eps", "psd", "fits", "zero_bytes", "words", "signature_only")
ONE_BIT = np.array([[255, 0, 255, 0], [0, 255, 0, 255], [255, 255, 255, 255]], np.uint8)

CASES: dict[str, Case] = {
    **{f"{name}.png": Case(415, NO_IMAGE) for name in OTHER},
    "heic.png": Case(415, "HEIC"),
    "truncated.png": Case(400, BROKEN),
    "truncated.jpg": Case(400, BROKEN),
    "header_60000.png": Case(413, LARGE),
    "header_16383.webp": Case(413, LARGE),
    "one_colour_10000.png": Case(413, LARGE),
    "packed_text.png": Case(400, BROKEN),
    "international_text.png": Case(400, BROKEN),
    "much_text.png": Case(400, BROKEN),
    "scans.jpg": Case(413, LARGE),
    "segments.jpg": Case(400, BROKEN),
    "arithmetic.jpg": Case(415, "unsupported kind of JPEG"),
    "several_images.jpg": good(ONE_COLOUR, 6),
    "exif_for_ever.jpg": good(ONE_COLOUR, 6),
    "exif_for_ever.png": good(COLOURS),
    "packed_profile.png": Case(400, BROKEN),
    "frames.png": good(COLOURS),
    "canvas.webp": Case(413, LARGE),
    "frame_outside.webp": Case(400, BROKEN),
    "canvas.gif": Case(413, LARGE),
    "frame.gif": Case(413, LARGE),
    "rows.bmp": Case(413, LARGE),
    "strips.tiff": Case(415, "unsupported kind of TIFF"),
    "tags.tiff": good(GREYS),
    "next_directory.tiff": good(GREYS),
    "tiff.png": good(ONE_COLOUR),
    "text_chunks.png": good(COLOURS),
    "script_appended.png": good(COLOURS),
    "place.jpg": good(ONE_COLOUR, 6),
    "script_appended.jpg": good(ONE_COLOUR, 6),
    "place.webp": good(ONE_COLOUR),
    "broken_exif.png": good(COLOURS),
    "broken_exif.jpg": good(ONE_COLOUR, 6),
    "broken_profile.png": good(COLOURS),
    "torn_profile.png": good(COLOURS),
    "broken_profile.jpg": good(ONE_COLOUR, 6),
    "gamma.png": good(COLOURS),
    "colours.png": good(COLOURS),
    "colours.bmp": good(COLOURS),
    "colours.webp": good(COLOURS),
    "sixteen_bits.png": good(GREYS),
    "palette.png": good(COLOURS),
    "palette_with_hole.png": good(with_hole(COLOURS)),
    "grey_with_hole.png": good(with_hole(GREYS)),
    "colours_with_hole.png": good(with_hole(COLOURS)),
    "one_bit.png": good(ONE_BIT),
    "inks.jpg": good(np.full((16, 16, 3), (255, 0, 0), np.uint8), 30),
    "one_pixel.png": good(COLOURS[:1, :1]),
    "tall.png": good(np.full((5000, 1), 100, np.uint8)),
    **{f"turned_{number}.png": good(COLOURS) for number in range(1, 9)},
    "animation.png": good(COLOURS),
    "animation.webp": good(COLOURS),
    "many_frames.gif": good(np.full((1, 1, 3), (10, 11, 12), np.uint8)),
}

# What takes little room in a file and much in memory.
BOMBS = tuple(name for name, case in CASES.items() if case.words == LARGE or "text.png" in name)


def found() -> list[Path]:
    """Return what fuzzing found: each was answered with something else than an image or an error of ours once."""
    return sorted(file for file in (FOLDER / "found").glob("*") if file.suffix != ".md")
