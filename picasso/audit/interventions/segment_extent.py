"""The extent of a recurring segment: which pixels around its windows look alike in all images that have it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions.segment_search import Windows
from picasso.audit.properties import Images

# The side of the squares that are compared, as a multiple of the window's, and the number of samples along it.
CONTEXT, GRID = 3, 36
# Pixels belong to a segment if they are at least this fraction as alike as its most alike pixels, after a blur.
LIKENESS, SMOOTH = 0.4, 2.0
# The width of the rim of a square in samples. A segment ends within the square if less than a share of the rim is this
# much alike, and if it covers less of the rim than another share.
RIM, ALIKE, SURROUNDED, TOUCHING = 5, 0.6, 0.12, 0.25
# The number of other places in each image.
ELSEWHERE = 4

Likeness = NDArray[np.floating[Any]]


def samples(images: Images, windows: Windows) -> Images:
    """Return the square around the window of each image, ``(n, GRID, GRID, C)``; NaN outside of the image."""
    height, width = images.shape[1:3]
    offsets = CONTEXT * ((np.arange(GRID) + 0.5) / GRID - 0.5)
    rows, columns = (
        np.floor(windows[:, axis, None] + windows[:, 2, None] * (0.5 + offsets)).astype(np.intp) for axis in (0, 1)
    )
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    each = np.arange(len(images))[:, None, None]
    found = images[each, np.clip(rows, 0, height - 1)[:, :, None], np.clip(columns, 0, width - 1)[:, None]]
    return np.where(inside[..., None], found, np.float32(np.nan))


def likeness(images: Images, windows: Windows, generator: np.random.Generator) -> Likeness:
    """Return how much less pixels vary around the windows than elsewhere in the same images, ``(GRID, GRID)``.

    The values are up to 1, and NaN where the squares of too few images are inside of the image.
    """
    others = np.repeat(windows, ELSEWHERE, axis=0)
    for axis in (0, 1):
        others[:, axis] = generator.integers(0, images.shape[1 + axis] - others[:, 2] + 1)
    seen = samples(images, windows)
    elsewhere = samples(np.repeat(images, ELSEWHERE, axis=0), others)
    usual = float(np.nanmean(np.nanvar(elsewhere.reshape(-1, images.shape[-1]), axis=0)))
    counts = np.isfinite(seen[..., 0]).sum(axis=0)
    varies = np.nanvar(np.where(counts[..., None] >= 2, seen, 0), axis=0).mean(axis=-1)
    return np.where(counts >= max(4, len(images) // 4), 1 - varies / max(usual, 1e-9), np.nan)


def extent(alike: Likeness) -> Likeness | None:
    """Return the soft mask of a segment from 0 to 1, ``(GRID, GRID)``; None if it doesn't end within the square.

    The surroundings are alike, too, if it is part of a larger object, or if the ground is plain. It may be the object
    of the class.
    """
    rim = np.ones((GRID, GRID), np.bool_)
    rim[RIM:-RIM, RIM:-RIM] = False
    known = rim & np.isfinite(alike)
    if known.sum() < rim.sum() / 2 or (alike[known] > ALIKE).mean() > SURROUNDED:
        return None
    # Relative to the surroundings, which may vary less than other places, such as other segments.
    around = min(1.0, float(np.median((1 - alike)[known])))
    alike = np.nan_to_num(1 - (1 - alike) / around)
    smooth = ndimage.gaussian_filter(np.clip(alike, -1, 1), SMOOTH)
    # The segment's window is the middle third.
    middle = slice(GRID // 2 - GRID // 2 // CONTEXT, GRID // 2 + GRID // 2 // CONTEXT)
    threshold = LIKENESS * max(0.0, float(smooth[middle, middle].max()))
    labels, _ = ndimage.label(smooth > threshold)
    inside = np.unique(labels[middle, middle])
    own = ndimage.binary_fill_holes(np.isin(labels, inside[inside > 0]))
    if not own.any() or own[rim].mean() > TOUCHING:
        return None
    wide = ndimage.binary_dilation(own, iterations=2)
    return np.asarray(ndimage.gaussian_filter(wide.astype(np.float64), 1.0))
