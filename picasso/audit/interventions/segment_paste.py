"""Cut a part out of an image, paste it at a random place, and cover it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions.matching import Generator
from picasso.audit.interventions.segment_extent import CONTEXT, Likeness
from picasso.audit.properties import Images, blurred

# The number of places among which one that is far away, or a control of the right size, is chosen.
CHOICES = 8
# The largest factor by which a control is amplified.
STRONGEST = 3.0


def as_much(choices: list[Images], before: Images, after: Images) -> Images:
    """Return the image whose change is the most similar in size to another change, amplified if necessary."""
    wanted = float(np.abs(after - before).mean())
    sizes = [float(np.abs(some - before).mean()) for some in choices]
    best = int(np.argmin([abs(size - wanted) for size in sizes]))
    gain = np.clip(wanted / max(sizes[best], 1e-6), 1, STRONGEST)
    return np.asarray(np.clip(before + gain * (choices[best] - before), 0, 1), np.float32)


def square(window: NDArray[np.intp]) -> tuple[int, int, int]:
    """Return top, left and side of the square around a window."""
    top, left, side = map(int, window)
    whole = CONTEXT * side
    return top + side // 2 - whole // 2, left + side // 2 - whole // 2, whole


def scaled(mask: Likeness, side: int) -> NDArray[np.float32]:
    """Return a mask of another size."""
    return np.asarray(
        np.clip(ndimage.zoom(mask, side / len(mask), order=1, grid_mode=True, mode="nearest"), 0, 1), np.float32
    )


def cut(image: Images, cover: NDArray[np.float32]) -> tuple[Images, NDArray[np.float32]]:
    """Return the smallest rectangle with what is covered, ``(h, w, C)``, and its cover, ``(h, w)``."""
    rows, columns = (np.flatnonzero((cover > 0.05).any(axis=axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return image[part], cover[part]


def place(size: tuple[int, int], part: tuple[int, ...], generator: Generator) -> tuple[int, int]:
    """Return a random top and left of a rectangle within an image."""
    top, left = (int(generator.integers(0, whole - own + 1)) for whole, own in zip(size, part, strict=False))
    return top, left


def elsewhere(window: NDArray[np.intp], size: tuple[int, int], generator: Generator) -> tuple[int, int]:
    """Return a shift of a window to another place within the image, twice its side away where that is possible."""
    best, farthest = (0, 0), -1
    for _ in range(CHOICES):
        top, left = place(size, (window[2], window[2]), generator)
        shift = top - int(window[0]), left - int(window[1])
        if max(map(abs, shift)) >= 2 * window[2]:
            return shift
        if max(map(abs, shift)) > farthest:
            best, farthest = shift, max(map(abs, shift))
    return best


def filled(image: Images, cover: NDArray[np.float32]) -> Images:
    """Return an image whose covered part continues its surroundings smoothly."""
    rows, columns = (np.flatnonzero((cover > 0.05).any(axis=axis)) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return image
    wide = max(2, (rows[-1] - rows[0] + 1) // 2)
    part = slice(max(0, rows[0] - wide), rows[-1] + 1 + wide), slice(max(0, columns[0] - wide), columns[-1] + 1 + wide)
    seen, keep = image[part], (cover[part] < 0.05).astype(np.float32)[..., None]
    # Each blur fills what the one before did not reach.
    known, weight = seen * keep, keep
    for sigma in (wide / 4, wide / 2, wide, 2 * wide):
        near, reach = blurred(known[None], sigma)[0], blurred(weight[None], sigma)[0]
        around = near / np.maximum(reach, 1e-6)
        missing = 1 - weight
        reached = missing * np.clip(10 * reach, 0, 1)
        known, weight = known + reached * around, weight + reached
    around = known / np.maximum(weight, 1e-6)
    found = image.copy()
    found[part] = np.clip(seen + cover[part][..., None] * (around - seen), 0, 1)
    return found
