"""Replace a part of an image with the same part of another image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator, any_of, within_class
from picasso.audit.properties import Images


class RegionSwap(Intervention):
    """Replace a part of an image with the same part of another image.

    Args:
        name: the name of the part.
        box: left, top, right and bottom as fractions of the sides, or the width of a frame along all sides.
        kind: ``region``, or ``edge`` for one that has regions within it.
        informative: see :class:`Intervention`.
    """

    def __init__(
        self,
        name: str,
        box: tuple[float, float, float, float] | float,
        kind: str = "region",
        *,
        informative: bool = False,
    ) -> None:
        self.name, self.box, self.kind, self.informative = name, box, kind, informative

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which pixels are replaced, ``(H, W)``, for images of ``size`` (H, W)."""
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
        """Tell whether the part covers some, but not all, of the pixels."""
        mask = self.mask((images.shape[1], images.shape[2]))
        return bool(mask.any() and not mask.all())

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Take the part from an image of the other class; the control differs within the class as much."""
        mask, ours, theirs = self.mask(case.size), case.ours, case.theirs
        towards, control = ours.copy(), ours.copy()
        towards[:, mask] = theirs[any_of(len(theirs), len(ours), generator)][:, mask]
        control[:, mask] = within_class(ours[:, mask], towards[:, mask], generator)
        return InterventionResult(towards, control, region=np.broadcast_to(mask, ours.shape[:3]))

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        return f"replacing {self.name} of {{a}} images with that of {{b}} images"


def regions() -> list[RegionSwap]:
    """Return the corners, the cells along the edges, whole edges, the frame, and the middle, which is informational."""
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
    # A caption or a banner is wider than a cell.
    edges = [
        RegionSwap(f"the {name} edge", box, "edge")
        for name, box in (
            ("top", (0.0, 0.0, 1.0, 0.25)), ("bottom", (0.0, 0.75, 1.0, 1.0)),
            ("left", (0.0, 0.0, 0.25, 1.0)), ("right", (0.75, 0.0, 1.0, 1.0)),
        )
    ]  # fmt: skip
    middle = RegionSwap("the middle", (0.25, 0.25, 0.75, 0.75), informative=True)
    return [*cells, *edges, RegionSwap("the frame", 1 / 16), middle]
