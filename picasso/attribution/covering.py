"""Covering parts of an image, so that the model receives what its preprocessing would make of the covered image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.occlusion import Box, covered

# Two inputs are the same where they differ by no more than rounding: this fraction of their largest value.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Covering:
    """One image and what is seen in place of its parts.

    Where preprocessing works pixel by pixel, the numbers of the input can be covered, which is the same as painting on
    the image and faster. Picasso's own preprocessing does. What a model class of the user's does is not known, and no
    probe with a few windows can tell: ``image / image.max()`` changes with the one pixel that is brightest. So there
    each image is really painted and encoded.

    Attributes:
        model: the model.
        array: the input ``(H, W, C)``.
        plain: the input ``(H, W, C)`` of an image of which nothing but the paint is seen.
        view: the image as the model sees it, or None where the numbers are covered.
        paint: an image of the size and mode of ``view``.
    """

    model: Model
    array: Array
    plain: Array
    view: Image.Image | None = None
    paint: Image.Image | None = None

    def windows(self, boxes: Sequence[Box]) -> Array:
        """Return the inputs ``(n, H, W, C)`` with one window covered in each."""
        if self.view is None or self.paint is None:
            return covered(self.array, self.plain, boxes)
        views = []
        for box in boxes:
            copy = self.view.copy()
            copy.paste(self.paint.crop(box), box)
            views.append(copy)
        return np.asarray(self.model.encode(views), np.float32)

    def differs(self, boxes: Sequence[Box]) -> NDArray[np.bool_]:
        """Tell of each window whether covering the numbers would be something else than painting, ``(n,)``."""
        painted, replaced = self.windows(boxes), covered(self.array, self.plain, boxes)
        allowed = ROUNDING * max(1.0, float(np.abs(self.array).max()), float(np.abs(self.plain).max()))
        # "Not smaller" holds for NaN too.
        return np.asarray(~(np.abs(painted - replaced).max(axis=(1, 2, 3)) <= allowed))

    def seen(self, shares: NDArray[np.floating] | NDArray[np.bool_]) -> Array:
        """Return the inputs ``(n, H, W, C)`` of which parts are seen.

        Args:
            shares: how much is seen of the image at each place, ``(n, H, W)`` from 0 (only paint) to 1.
        """
        if self.view is None or self.paint is None:
            if shares.dtype == np.bool_:
                return np.where(shares[..., None], self.array, self.plain).astype(np.float32, copy=False)
            return np.asarray(self.plain + shares[..., None] * (self.array - self.plain), np.float32)
        return np.asarray(self.model.encode([blend(self.view, self.paint, one) for one in shares]), np.float32)


def blend(view: Image.Image, paint: Image.Image, share: NDArray[np.floating] | NDArray[np.bool_]) -> Image.Image:
    """Return an image that shows ``share``, ``(H, W)`` from 0 to 1, of one image and the rest of another."""
    if share.dtype == np.bool_:
        return Image.composite(view, paint, Image.fromarray(share.astype(np.uint8) * 255))
    top, below = np.asarray(view), np.asarray(paint)
    weights = share.reshape(*share.shape, *[1] * (top.ndim - 2))
    mixed = below + weights * (top.astype(np.float64) - below)
    return Image.fromarray((mixed if top.dtype.kind == "f" else np.round(mixed)).astype(top.dtype))
