"""Parts of images, shown in place of those of another image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picasso.audit.interventions.base import Generator, ImagePair, Intervention, InterventionResult, another, any_of
from picasso.audit.properties import Images


class RegionSwap(Intervention):
    """Show a part of another image in the same place.

    Args:
        name: what the part is called.
        box: left, top, right, bottom, in fractions of the sides; or a width for a frame of so much on each side.
        informative: see :class:`Intervention`.
    """

    kind = "region"

    def __init__(self, name: str, box: tuple[float, float, float, float] | float, *, informative: bool = False) -> None:
        self.name, self.box, self.informative = name, box, informative

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which pixels are swapped, ``(H, W)``, for images of ``size`` (H, W)."""
        height, width = size
        if isinstance(self.box, float):
            mask = np.ones(size, np.bool_)
            across, down = max(1, round(self.box * width)), max(1, round(self.box * height))
            mask[down : height - down, across : width - across] = False
            return mask
        left, top, right, bottom = self.box
        mask = np.zeros(size, np.bool_)
        mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
        return mask

    def fits(self, images: Images) -> bool:
        """Tell whether it has any pixels, and leaves any."""
        mask = self.mask((images.shape[1], images.shape[2]))
        return bool(mask.any() and not mask.all())

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Take the part from an image of the other class; for the control, from another one of their own."""
        mask, ours, theirs = self.mask(case.size)[None, :, :, None], case.ours, case.theirs
        return InterventionResult(
            np.where(mask, theirs[any_of(len(theirs), len(ours), generator)], ours),
            np.where(mask, ours[another(len(ours), generator)], ours),
        )

    def words(self, case: ImagePair) -> str:
        """Name the part."""
        return f"showing {self.name} of {{b}} images in {{a}} images"


def regions() -> list[RegionSwap]:
    """Return the corners, the cells along the edges, the frame, and the middle, which is only told."""
    names = {
        (0, 0): "the top left corner", (0, 3): "the top right corner",
        (3, 0): "the bottom left corner", (3, 3): "the bottom right corner",
        (0, 1): "the top edge, left of the middle", (0, 2): "the top edge, right of the middle",
        (3, 1): "the bottom edge, left of the middle", (3, 2): "the bottom edge, right of the middle",
        (1, 0): "the left edge, above the middle", (2, 0): "the left edge, below the middle",
        (1, 3): "the right edge, above the middle", (2, 3): "the right edge, below the middle",
    }  # fmt: skip
    cells = [
        RegionSwap(name, (column / 4, row / 4, (column + 1) / 4, (row + 1) / 4))
        for (row, column), name in names.items()
    ]
    middle = RegionSwap("the middle", (0.25, 0.25, 0.75, 0.75), informative=True)
    return [*cells, RegionSwap("the frame", 1 / 16), middle]
