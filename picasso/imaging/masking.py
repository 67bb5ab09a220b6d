"""Hiding regions of an image that the user painted, with different fills. No model is needed."""

from __future__ import annotations

import functools
import itertools
import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from picasso.errors import BadRequest

FILLS = {
    "grey": "middle grey",
    "black": "black",
    "white": "white",
    "mean": "the image's mean colour",
    "blur": "the image itself, blurred",
    "noise": "random pixels, the same each time",
    "image": "the same place of another image",
}
# The fills with a plain colour, and its value.
PAINTS = {"grey": 128, "black": 0, "white": 255}
#: The maximum number of shapes, of points per stroke, and of points in total.
MAX_SHAPES, MAX_POINTS, MAX_IN_TOTAL = 500, 5_000, 20_000
# The standard deviation of the blur as a fraction of the longer side: shapes disappear, light and colour remain.
BLUR = 1 / 10

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A rectangle or a brush stroke, in fractions of the image's sides, so that it fits images of any size.

    Attributes:
        points: for a rectangle, two opposite corners (x, y); for a stroke, the points that it passes through.
        width: the width of a stroke as a fraction of the longer side; 0 for a rectangle.
    """

    points: tuple[Point, ...]
    width: float = 0.0

    @classmethod
    def parse(cls, document: object) -> Self:
        """Parse ``{"box": [left, top, right, bottom]}`` or ``{"line": [[x, y], ...], "width": 0.05}``.

        Raises:
            BadRequest: it is neither, or a number is outside 0..1.
        """
        match document:
            case {"box": [left, top, right, bottom], **rest} if not rest:
                numbers, width, fits = [left, top, right, bottom], 0.0, True
            case {"line": [_, *_] as line, "width": width, **rest} if not rest and len(line) <= MAX_POINTS:
                numbers = [number for point in line for number in (point if is_pair(point) else [None])]
                fits = width != 0
            case _:
                numbers, width, fits = [], 0.0, False
        if not (fits and all(map(is_fraction, (*numbers, width)))):
            raise BadRequest(
                'A shape is {"box": [left, top, right, bottom]} or {"line": [[x, y], ...], "width": 0.05}, with '
                f"numbers from 0 to 1 and at most {MAX_POINTS} points, not {reprlib.repr(document)[:80]}.",
                field="shapes",
            )
        places = map(float, numbers)
        return cls(tuple(zip(places, places, strict=True)), float(width))

    def mark(self, mask: NDArray[np.bool_]) -> None:
        """Mark in ``(H, W)`` the pixels whose centres are inside, but at least one."""
        height, width = mask.shape
        places = [(x * width, y * height) for x, y in self.points]
        if not self.width:
            (left, top), (right, bottom) = places
            columns, rows = span(left, right, width), span(top, bottom, height)
            mask[rows, columns] = True
            return
        # Wide enough to leave no gaps.
        radius = max(0.75, self.width * max(width, height) / 2)
        for (x0, y0), (x1, y1) in itertools.pairwise([places[0], *places]):
            columns, rows = around(x0, x1, radius, width), around(y0, y1, radius, height)
            part = mask[rows, columns]
            if part.all():
                continue
            x = np.arange(columns.start, columns.stop) + 0.5 - x0
            y = (np.arange(rows.start, rows.stop) + 0.5 - y0)[:, None]
            dx, dy = x1 - x0, y1 - y0
            along = np.clip((x * dx + y * dy) / ((dx * dx + dy * dy) or 1.0), 0, 1)
            part |= (x - along * dx) ** 2 + (y - along * dy) ** 2 < radius**2
        for x0, y0 in places:
            mask[min(int(y0), height - 1), min(int(x0), width - 1)] = True


def is_fraction(value: object) -> bool:
    """Tell whether a value is a number from 0 to 1, excluding NaN and booleans."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def is_pair(value: object) -> bool:
    """Tell whether a value is a list of two."""
    return isinstance(value, list | tuple) and len(value) == 2


def span(one: float, other: float, side: int) -> slice:
    """Return the pixels along one side whose centres are between two positions, or else the nearest one."""
    low, high = sorted((one, other))
    start, stop = math.floor(low + 0.5), math.ceil(high - 0.5)
    if start >= stop:
        start = min(int((low + high) / 2), side - 1)
        stop = start + 1
    return slice(start, stop)


def around(one: float, other: float, radius: float, side: int) -> slice:
    """Return the pixels along one side within ``radius`` of the interval between two positions."""
    return slice(max(0, int(min(one, other) - radius)), min(side, math.ceil(max(one, other) + radius)))


@dataclass(frozen=True)
class MaskEdit:
    """The hidden regions and their fill.

    Attributes:
        shapes: the regions; together they are the mask.
        fill: one of :data:`FILLS`.
    """

    shapes: tuple[Shape, ...]
    fill: str = "grey"

    @classmethod
    def parse(cls, shapes: object, fill: object) -> Self:
        """Parse shapes and the name of a fill in the format of the API.

        Raises:
            BadRequest: one of them is invalid; the message states the valid values.
        """
        if not isinstance(fill, str) or fill not in FILLS:
            raise BadRequest(f"fill must be one of {', '.join(FILLS)}, not {str(fill)[:40]}.", field="fill")
        if not isinstance(shapes, Sequence) or isinstance(shapes, str) or len(shapes) > MAX_SHAPES:
            raise BadRequest(f"shapes must be a list of at most {MAX_SHAPES} shapes.", field="shapes")
        hidden = cls(tuple(Shape.parse(shape) for shape in shapes), fill)
        if sum(len(shape.points) for shape in hidden.shapes) > MAX_IN_TOTAL:
            raise BadRequest(f"The shapes have more than {MAX_IN_TOTAL} points in total.", field="shapes")
        return hidden

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the mask of hidden pixels, ``(H, W)``, for an image of ``size`` (W, H)."""
        return marked(self.shapes, size)

    def filling(self, view: Image.Image, other: Image.Image | None = None) -> Image.Image:
        """Return the image, with the size and mode of ``view``, that fills the hidden regions.

        Args:
            view: the image as the model sees it, grey or colour.
            other: for the fill "image", the other image as the model sees it.
        """
        return filling(view, self.fill, other)

    def cover(self, view: Image.Image, other: Image.Image | None = None) -> Image.Image:
        """Return ``view`` with the regions hidden."""
        mask = Image.fromarray(self.mask(view.size).astype(np.uint8) * 255)
        return Image.composite(self.filling(view, other), view, mask)


def filling(view: Image.Image, fill: str, other: Image.Image | None = None, seed: int = 0) -> Image.Image:
    """Return an image of the size and mode of ``view`` with one of :data:`FILLS` everywhere.

    Args:
        view: the image as the model sees it, grey or colour.
        fill: the name of the fill.
        other: for the fill "image", the other image as the model sees it.
        seed: the seed of the fill "noise"; the same seed gives the same pixels.
    """
    bands = len(view.getbands())
    if fill == "image":
        if other is None:
            raise BadRequest('The fill "image" requires another image; give its number.', field="other")
        return other.convert(view.mode)
    if fill == "blur":
        return view.filter(ImageFilter.GaussianBlur(max(view.size) * BLUR))
    if fill == "noise":
        pixels = np.random.default_rng(seed).integers(0, 256, (view.height, view.width, bands), np.uint8)
        return Image.fromarray(pixels[..., 0] if bands == 1 else pixels)
    if fill == "mean":
        paint = np.asarray(view, np.float64).reshape(-1, bands).mean(axis=0).round().astype(int).tolist()
    else:
        paint = [PAINTS[fill]] * bands
    return Image.new(view.mode, view.size, tuple(paint) if bands > 1 else paint[0])


def blurred(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an array ``(H, W, C)`` of any range with each channel blurred like an image."""
    low, span = float(array.min()), float(np.ptp(array)) or 1.0
    channels = np.round((array - low) / span * 255).astype(np.uint8).transpose(2, 0, 1)
    soft = [np.asarray(filling(Image.fromarray(channel), "blur"), np.float32) for channel in channels]
    return np.asarray(np.stack(soft, axis=-1) / 255 * span + low, np.float32)


def painted(array: NDArray[np.float32], fill: str, seed: int = 0) -> NDArray[np.float32]:
    """Return an array shaped like ``array`` with one of :data:`FILLS` except "image", for inputs without an exact view.

    Black is the smallest value and white the largest.
    """
    if fill == "mean":
        return np.broadcast_to(array.mean(axis=(0, 1)), array.shape)
    if fill == "blur":
        return blurred(array)
    low, span = float(array.min()), float(np.ptp(array))
    shades = np.random.default_rng(seed).random(array.shape, np.float32) if fill == "noise" else PAINTS[fill] / 255
    return np.asarray(np.broadcast_to(low + span * shades, array.shape), np.float32)


@functools.lru_cache(maxsize=4)
def marked(shapes: tuple[Shape, ...], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of shapes; recent masks are cached, because many images have the same size."""
    mask = np.zeros(size[::-1], np.bool_)
    for shape in shapes:
        shape.mark(mask)
    mask.flags.writeable = False
    return mask
