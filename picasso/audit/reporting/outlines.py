"""The outline of a region as the path of an SVG."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from picasso.audit.interventions.base import Regions

# The largest side in cells: finer outlines would not be visible, and soft masks have ragged ones.
SIDE = 128


class Outline(TypedDict):
    """The outline of a region.

    Attributes:
        width: the width of the image in the units of the path.
        height: its height.
        path: the attribute ``d`` of an SVG path.
    """

    width: int
    height: int
    path: str


def outline(region: Regions | None) -> Outline | None:
    """Return the outline of the pixels of a region ``(H, W)``; None if there are none, or if it is the whole image.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.reporting.outlines import outline
        >>> region = np.zeros((4, 6), bool)
        >>> region[:2, 3:] = True
        >>> outline(region)
        {'width': 6, 'height': 4, 'path': 'M3 0H6M3 2H6M3 0V2M6 0V2'}
    """
    if region is None or not region.any() or region.all():
        return None
    step = -(-max(region.shape) // SIDE)
    height, width = region.shape
    # Cells at the right and bottom may be cut off; the pixels outside are not counted.
    edges = [np.arange(0, length, step) for length in region.shape]
    counts = np.add.reduceat(np.add.reduceat(region.astype(np.int64), edges[0], axis=0), edges[1], axis=1)
    sizes = np.outer(*(np.diff(np.append(edge, length)) for edge, length in zip(edges, region.shape, strict=True)))
    padded = np.pad(2 * counts >= sizes, 1)
    down, across = (np.append(edge, length) for edge, length in zip(edges, region.shape, strict=True))
    path = [
        f"M{across[start]} {down[row]}H{across[end]}"
        for row, changes in enumerate(padded[1:, 1:-1] != padded[:-1, 1:-1])
        for start, end in stretches(changes)
    ]
    path += [
        f"M{across[column]} {down[start]}V{down[end]}"
        for column, changes in enumerate((padded[1:-1, 1:] != padded[1:-1, :-1]).T)
        for start, end in stretches(changes)
    ]
    return Outline(width=width, height=height, path="".join(path))


def stretches(flags: Regions) -> list[tuple[int, int]]:
    """Return the starts and ends of the stretches of True in ``(n,)``."""
    steps = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(start), int(end)) for start, end in zip(steps[::2], steps[1::2], strict=True)]
