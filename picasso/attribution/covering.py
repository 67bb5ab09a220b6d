"""Cover parts of an image and preprocess the result as the model does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.occlusion import Box, covered

# The relative tolerance, as a fraction of the largest value, within which two inputs count as equal.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Covering:
    """An image and the paint that replaces its covered parts.

    If preprocessing works pixel by pixel, as Picasso's own does, values of the input array are replaced. This is
    equivalent to painting on the image, and faster. The preprocessing of a user's model class is unknown, and tests
    with a few windows can't settle it: ``image / image.max()`` depends on the brightest pixel alone. For such a
    model, each image is painted and encoded.

    Attributes:
        model: the model.
        array: the input ``(H, W, C)``, float32.
        plain: the input ``(H, W, C)`` of an image that consists of paint only.
        view: the image as the model sees it, or None if array values are replaced.
        paint: an image of the size and mode of ``view``.
    """

    model: Model
    array: Array
    plain: Array
    view: Image.Image | None = None
    paint: Image.Image | None = None

    def windows(self, boxes: Sequence[Box]) -> Array:
        """Return n inputs ``(n, H, W, C)``, float32, each with one of n windows covered."""
        if self.view is None or self.paint is None:
            return covered(self.array, self.plain, boxes)
        views = []
        for box in boxes:
            copy = self.view.copy()
            copy.paste(self.paint.crop(box), box)
            views.append(copy)
        return np.asarray(self.model.encode(views), np.float32)

    def differs(self, boxes: Sequence[Box]) -> NDArray[np.bool_]:
        """Tell for each window whether replacing array values gives another input than painting, ``(n,)``."""
        painted, replaced = self.windows(boxes), covered(self.array, self.plain, boxes)
        allowed = ROUNDING * max(1.0, float(np.abs(self.array).max()), float(np.abs(self.plain).max()))
        # The negated comparison is true for NaN too.
        return np.asarray(~(np.abs(painted - replaced).max(axis=(1, 2, 3)) <= allowed))

    def seen(self, shares: NDArray[np.floating] | NDArray[np.bool_]) -> Array:
        """Return the partly covered inputs ``(n, H, W, C)``, float32.

        Args:
            shares: the visible share of the image at each pixel, ``(n, H, W)``, from 0 (only paint) to 1, or bool.
        """
        if self.view is None or self.paint is None:
            if shares.dtype == np.bool_:
                return np.where(shares[..., None], self.array, self.plain).astype(np.float32, copy=False)
            mixed = for_each_channel(shares, self.array.shape[2:])
            mixed *= self.array - self.plain
            mixed += self.plain
            return np.asarray(mixed, np.float32)
        return np.asarray(self.model.encode(blends(self.view, self.paint, shares)), np.float32)


def blends(
    view: Image.Image, paint: Image.Image, shares: NDArray[np.floating] | NDArray[np.bool_]
) -> list[Image.Image]:
    """Return blends of two images, ``share * view + (1 - share) * paint``, with ``shares`` ``(n, H, W)`` in 0..1."""
    if shares.dtype == np.bool_:
        return [Image.composite(view, paint, Image.fromarray(one.astype(np.uint8) * 255)) for one in shares]
    kind = np.asarray(view).dtype
    # Larger integers than bytes may not fit into float32.
    exact = np.float32 if kind in (np.uint8, np.float32) else np.float64
    below: NDArray[np.floating] = np.asarray(paint).astype(exact)
    above: NDArray[np.floating] = np.subtract(np.asarray(view), below)
    made = []
    for share in shares.astype(exact, copy=False):
        mixed = for_each_channel(share, above.shape[2:])
        mixed *= above
        mixed += below
        made.append(Image.fromarray((mixed if kind.kind == "f" else np.rint(mixed, out=mixed)).astype(kind)))
    return made


def for_each_channel(shares: NDArray[Any], channels: tuple[int, ...]) -> NDArray[Any]:
    """Return a copy of shares ``(..., H, W)`` in the shape ``(..., H, W, *channels)``.

    Of three channels, multiplying by ``shares[..., None]`` takes NumPy three times longer, because its innermost loop
    is over the channels.
    """
    count = math.prod(channels)
    copies = shares.copy() if count == 1 else np.repeat(shares, count, axis=-1)
    return copies.reshape(*shares.shape, *channels)
