"""Measure the position of a tensor's values in the image, by changing rows and columns of an image in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array, Shape, fill_up
from picasso.models.info import Place

# The number of bands that an image is divided into along each side, and the batch size.
BANDS, BATCH_SIZE = 64, 16
# The maximum denominator of a step that is rounded to a simple fraction.
DENOMINATOR = 8
# The maximum pixel values of the images; a layer that clips at 1 may not respond to the first.
SCALES = (255.0, 1.0)


def tried(answer: Callable[[Array], Array], shape: Shape, batch: int | None) -> Place | None:
    """Return the position of a tensor's cells in the image, or None if they are not evenly spaced.

    Args:
        answer: computes the tensor ``(n, h, w, c)`` for inputs ``(n, H, W, C)``.
        shape: the shape ``(H, W, C)`` of an input.
        batch: the fixed batch size, or None.
    """
    for scale in SCALES:
        lines = [line(*one) for one in changes(answer, shape, batch, scale)]
        if lines[0] and lines[1]:
            (down, step), (right, wide) = lines[0], lines[1]
            return Place((down, right), (step, wide))
    return None


def changes(
    answer: Callable[[Array], Array], shape: Shape, batch: int | None, scale: float
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield, for rows and columns, the centres of b bands ``(b,)`` and the change of each cell by each, ``(b, h)``."""
    generator = np.random.default_rng(0)
    image, other = (np.asarray(scale * generator.random(shape), np.float32) for _ in range(2))

    def ask(images: Array) -> NDArray[np.float64]:
        answers = answer(fill_up(images, batch) if batch else images)[: len(images)]
        return np.asarray(answers, np.float64)

    clean, size = ask(image[None]), batch or BATCH_SIZE
    for axis in (0, 1):
        bands = np.array_split(np.arange(shape[axis]), min(BANDS, shape[axis]))
        found = []
        for start in range(0, len(bands), size):
            some = bands[start : start + size]
            images = np.repeat(image[None], len(some), axis=0)
            for one, band in zip(np.moveaxis(images, 1 + axis, 1), some, strict=True):
                one[band] = np.moveaxis(other, axis, 0)[band]
            found.append(np.abs(ask(images) - clean).sum(axis=(2 - axis, 3)))
        yield np.array([band.mean() + 0.5 for band in bands]), np.concatenate(found)


def line(centres: NDArray[np.float64], changed: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the position of the first cell and the step to the next, in pixels, or None if they fit no line."""
    total = changed.sum(axis=0)
    seen = np.flatnonzero(total > 1e-3 * total.max(initial=0)) if np.isfinite(total).all() else np.zeros(0, int)
    # The cells at the ends are excluded, because their windows may be cropped or mirrored.
    ends = len(seen) // 8
    seen = seen[ends : len(seen) - ends]
    if len(seen) < 2:
        return None
    places = centres @ changed[:, seen] / total[seen]
    step, start = np.polyfit(seen, places, 1)
    width = centres[-1] - centres[-2] if len(centres) > 1 else 1.0
    # Nearly all steps are simple fractions, and the bands are too wide to measure them exactly.
    simple = float(Fraction(step).limit_denominator(DENOMINATOR))
    if abs(simple - step) * len(seen) < width / 2:
        step, start = simple, float(np.mean(places - simple * seen))
        start = round(start * 4) / 4 if abs(start * 4 - round(start * 4)) < width / 4 else start
    off = np.abs(start + step * seen - places).max()
    if abs(step) * (len(seen) - 1) < 0.5 or off > max(abs(step), width):
        return None
    return float(start), float(step)
