"""Random masks that show parts of a picture, as RISE draws them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from picasso.models.arrays import Array


def random_mask(seed: int, index: int, size: tuple[int, int], cells: int, probability: float) -> Array:
    """Return one mask ``(H, W)`` from 0 (hidden) to 1 (shown).

    Petsiuk, Das & Saenko, *RISE*, arXiv 1806.07421, section 3.2: a coarse grid of cells, each shown with a
    probability, is enlarged smoothly to one cell more than the picture, and cut out at a random place.

    Args:
        seed: which sequence of masks.
        index: which mask of it; a mask does not depend on the others.
        size: ``(H, W)``.
        cells: the cells along each side.
        probability: that a cell is shown, 0..1.
    """
    generator = np.random.default_rng([seed, index])
    shown = (generator.random((cells, cells)) < probability).astype(np.float32)
    height, width = (-(-side // cells) for side in size)
    top, left = int(generator.integers(height)), int(generator.integers(width))
    enlarged = Image.fromarray(shown).resize(((cells + 1) * width, (cells + 1) * height), Image.Resampling.BILINEAR)
    return np.asarray(enlarged, np.float32)[top : top + size[0], left : left + size[1]]
