"""Mirror images of objects that look to one side."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from picasso.audit.extent import CORE, covers
from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.geometry import FLOOR, gradients, middles, warped
from picasso.audit.interventions.matching import Generator
from picasso.audit.interventions.separation import cross_fitted, differ, standardized
from picasso.audit.properties import Images, Maps, Values

# The least distance of each class from its mirror image, in standard deviations.
OPPOSITE = 1.2
# The number of cells along each side of the square in which the sides of an object are compared.
CELLS = 6


class Mirror(Intervention):
    """Mirror images, if those of the other class look the other way. The control turns them upside down."""

    kind, name, floor, detail = "object", "mirror direction", FLOOR, True

    def fits(self, images: Images) -> bool:
        """Tell whether the images are large enough."""
        return bool(min(images.shape[1:3]) >= 24)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Mirror about the centre of attention; return None if the classes don't look to opposite sides."""
        mine, other = case.attention()
        ours, theirs = cross_fitted(sides(case.ours, mine), sides(case.theirs, other), np.random.default_rng(0))
        opposite = differ(ours, theirs) and np.median(ours) < 0 < np.median(theirs)
        if not opposite or min(standardized(some, -some) for some in (ours, theirs)) < OPPOSITE:
            return None
        core = covers(mine, CORE)
        made = [warped(some, mine, np.diag([1.0, -1.0])) for some in (case.ours, core)]
        control = warped(case.ours, mine, np.diag([-1.0, 1.0]))
        return InterventionResult(made[0], control, region=core[..., 0] >= 0.5, region_after=made[1][..., 0] >= 0.5)

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        return "mirroring {a} images, as {b} images look the other way (control: upside down)"


def sides(images: Images, maps: Maps) -> Values:
    """Return by how much the details at the left of each object exceed those at its right, in cells, ``(n, d)``."""
    down, right = gradients(images)
    side = min(images.shape[1:3])
    offsets = (np.arange(side) - (side - 1) / 2) * 0.8
    found = []
    for axis_values in (down**2, right**2, down * right):
        cells = []
        for image, middle in zip(axis_values, middles(maps), strict=True):
            rows, columns = np.meshgrid(middle[0] + offsets, middle[1] + offsets, indexing="ij")
            seen = ndimage.map_coordinates(image, [rows, columns], order=1, mode="constant")
            cut = seen[: side // CELLS * CELLS, : side // CELLS * CELLS]
            cells.append(cut.reshape(CELLS, side // CELLS, CELLS, side // CELLS).mean(axis=(1, 3)))
        found.append(np.stack(cells))
    strength = (found[0] + found[1]).mean(axis=(1, 2), keepdims=True) + 1e-7
    # Mirrored, the products of both gradients change their sign.
    odd = [
        some[:, :, : CELLS // 2] - sign * some[:, :, : -CELLS // 2 - 1 : -1]
        for some, sign in zip(found, (1, 1, -1), strict=True)
    ]
    return np.asarray(np.concatenate([(some / strength).reshape(len(images), -1) for some in odd], axis=1), np.float64)
