"""Shift and scale the colour channels against each other: the lateral chromatic aberration of lenses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator
from picasso.audit.interventions.separation import differ, separation, steps_apart
from picasso.audit.properties import Images, Values, blurred

# Shapes of the two channels are compared after this blur in pixels, and without what is coarser than the other.
FINE, COARSE = 1.0, 4.0
# The number of times that the shift is measured again after it was undone.
ROUNDS = 3
# The largest shift in pixels. Smaller shifts than the other don't matter.
MAX_SHIFT, MIN_SHIFT = 4.0, 0.1
NAMES = ("down", "to the right", "outwards")

# Rows are images; columns are the shift down, to the right, and outwards at the end of the shorter side, in pixels.
Shifts = NDArray[np.float64]


class ChannelShift(Intervention):
    """Shift red against blue, by the difference of the medians of the classes, or as far the other way as a control."""

    kind, name = "property", "colour channel shift"

    def fits(self, images: Images) -> bool:
        """Tell whether the images have colours and are large enough."""
        return bool(images.shape[-1] == 3 and np.ptp(images, axis=-1).max() > 0 and min(images.shape[1:3]) >= 16)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Shift the channels; return None if the shifts of the classes don't differ."""
        ours, theirs = shifts(case.ours), shifts(case.theirs)
        step = difference(ours, theirs)
        if not np.abs(step).max():
            return None
        towards, control = (shifted(case.ours, way * step) for way in (1, -1))
        one = int(np.argmax(np.abs(step)))
        return InterventionResult(
            towards, control, self.text(step), separation=separation(ours[:, one], theirs[:, one])
        )

    def text(self, step: Values) -> str:
        """Describe a shift."""
        one = int(np.argmax(np.abs(step)))
        first, second = ("red", "blue") if step[one] > 0 else ("blue", "red")
        return (
            f"giving {{a}} images the colour fringes of {{b}} images "
            f"({first} {abs(step[one]):.1f} pixels {NAMES[one]} of {second})"
        )

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        return self.text(difference(shifts(case.ours), shifts(case.theirs)))


def difference(ours: Shifts, theirs: Shifts) -> Values:
    """Return by how much shifts differ: down, to the right and outwards, ``(3,)``; 0 where they don't."""
    found = np.zeros(3)
    for one in range(3):
        if differ(ours[:, one], theirs[:, one], tests=3):
            found[one] = np.clip(steps_apart(ours[:, one], theirs[:, one]), -MAX_SHIFT, MAX_SHIFT)
    return np.where(np.abs(found) < MIN_SHIFT, 0, found)


def shifts(images: Images) -> Shifts:
    """Return the shift of red against blue of each image, ``(n, 3)``.

    The shift minimises the squared difference of both, to first order (Lucas and Kanade, 1981).
    """
    found = np.zeros((len(images), 3))
    for _ in range(ROUNDS):
        found += residual(shifted(images, -found) if found.any() else images)
        found = np.clip(found, -MAX_SHIFT, MAX_SHIFT)
    return found


def residual(images: Images) -> Shifts:
    """Return the shift of red against blue to first order, ``(n, 3)``."""
    pair = images[..., ::2]
    detail = blurred(pair, FINE) - blurred(pair, COARSE)
    # The same contrast in both, since red objects are no shift.
    detail = detail / (1e-3 + detail.std(axis=(1, 2), keepdims=True))
    red, blue = (detail[..., one].astype(np.float64) for one in (0, 1))
    down, right = np.gradient((red + blue) / 2, axis=(1, 2))
    rows, columns, half = grid(images)
    outwards = (down * rows + right * columns) / half
    ways = np.stack([down, right, outwards], axis=1).reshape(len(images), 3, -1)
    flat = (blue - red).reshape(len(images), -1, 1)
    products = ways @ ways.transpose(0, 2, 1)
    # A small constant, since some images have no detail.
    products += np.eye(3) * (1e-3 * np.trace(products, axis1=1, axis2=2)[:, None, None] + 1e-6)
    return np.asarray(np.linalg.solve(products, ways @ flat)[..., 0])


def grid(images: Images) -> tuple[Values, Values, float]:
    """Return the distance of rows, ``(H, 1)``, and columns, ``(1, W)``, from the middle, and half the shorter side."""
    height, width = images.shape[1:3]
    rows, columns = (np.arange(side) - (side - 1) / 2 for side in (height, width))
    return rows[:, None], columns[None], min(height, width) / 2


def shifted(images: Images, shift: Values) -> Images:
    """Return images whose red is shifted by half of a shift, and blue by half of it the other way.

    Args:
        images: ``(n, H, W, 3)``.
        shift: down, to the right and outwards, in pixels; ``(3,)``, or ``(n, 3)`` for each image.
    """
    found = images.copy()
    half = min(images.shape[1:3]) / 2
    middle = (np.array(images.shape[1:3]) - 1) / 2
    for image, place, (down, right, outwards) in zip(
        images, found, np.broadcast_to(shift, (len(images), 3)), strict=True
    ):
        for channel, way in ((0, 0.5), (2, -0.5)):
            zoom = 1 / (1 + way * outwards / half)
            offset = middle * (1 - zoom) - zoom * way * np.array([down, right])
            ndimage.affine_transform(
                image[..., channel], [zoom, zoom], offset, output=place[..., channel], order=1, mode="nearest"
            )
    return found
