"""Interventions on the geometry of the object: its tilt and slant, and the distortion of images.

All are measured by the gradients of the luminance. Edges of most objects and scenes are near vertical or horizontal on
average; a tilt turns both, a slant turns the vertical ones, and a barrel distortion turns them in opposite corners.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.extent import CORE, covers
from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.foreground import centres
from picasso.audit.interventions.matching import Generator
from picasso.audit.interventions.separation import differ, steps_apart
from picasso.audit.properties import Images, Maps, Values, blurred, light

# The blur before gradients are measured, in pixels, and the most attended share that is taken for the object.
FINE, OBJECT = 0.7, 0.35
# The most attended share that is left out where the surroundings of the object are measured.
AROUND = 0.5
# The number of steps in which the inverse of a distortion is found.
ROUNDS = 20
# The smallest effect of an alarm: the shape of an object is part of what it is.
FLOOR = 0.20

# The position in the original image for each position of the edited one: a matrix (2, 2) about the middle, row first.
Matrix = NDArray[np.float64]


class Warp(Intervention):
    """A change of geometry by one measured value, such as an angle; the control is the same step the other way."""

    kind, floor, detail = "object", FLOOR, True
    #: The change of the value that the sensitivity of the measure is tested with, and the largest and smallest step.
    unit: float
    largest: float
    smallest: float

    def fits(self, images: Images) -> bool:
        """Tell whether the images are large enough."""
        return bool(min(images.shape[1:3]) >= 24)

    @abstractmethod
    def measure(self, images: Images, maps: Maps) -> Values:
        """Return values that grow with the change, ``(n, k)``; the most sensitive of them is used."""

    @abstractmethod
    def edit(self, images: Images, maps: Maps, step: float) -> Images:
        """Return images changed by a step."""

    @abstractmethod
    def text(self, step: float) -> str:
        """Describe a step."""

    def step(self, case: ImagePair) -> float:
        """Return the step from the images to those of the other class; 0 if the classes don't differ.

        The measured value need not be in units of the step: the images are changed by one unit to see how far it goes.
        """
        mine, other = case.attention()
        ours, theirs = self.measure(case.ours, mine), self.measure(case.theirs, other)
        # Each class towards the other, so that the step is the same in both directions, up to the sign.
        apart = np.median(theirs, axis=0) - np.median(ours, axis=0)
        spread = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 2) + 1e-9
        way = self.unit if (apart / spread).sum() > 0 else -self.unit
        moved = [
            (self.measure(self.edit(images, maps, unit), maps) - own) / unit
            for images, maps, own, unit in ((case.ours, mine, ours, way), (case.theirs, other, theirs, -way))
        ]
        slopes = np.stack([np.median(some, axis=0) for some in moved])
        slope = slopes.mean(axis=0)
        # The most sensitive measure, whatever the classes differ in.
        one = int(np.argmax(np.where((slopes > 0).all(axis=0), slope / spread, 0)))
        # The largest step must move the value by more than what images of one class differ in.
        reliable = (slopes[:, one] > 0).all() and slope[one] * self.largest >= spread[one]
        if not reliable or not differ(ours[:, one], theirs[:, one]):
            return 0.0
        step = steps_apart(ours[:, one], theirs[:, one]) / float(slope[one])
        step = float(np.clip(step, -self.largest, self.largest))
        return step if abs(step) >= self.smallest else 0.0

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Change the images by the step, or by as much the other way; return None if the classes don't differ."""
        step, mine = self.step(case), case.attention()[0]
        if not step:
            return None
        core = covers(mine, CORE)
        return InterventionResult(
            self.edit(case.ours, mine, step),
            self.edit(case.ours, mine, -step),
            self.text(step),
            region=core[..., 0] >= 0.5,
            region_after=self.edit(core, mine, step)[..., 0] >= 0.5,
        )

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        return self.text(self.step(case))


class Tilt(Warp):
    """Rotate images about the centre of attention."""

    name = "tilt"
    unit, largest, smallest = 10.0, 30.0, 3.0

    def measure(self, images: Images, maps: Maps) -> Values:
        """Return the mean turn of edges, of the image and of the object, and that of the object's main direction."""
        down, right = gradients(images)
        core = covers(maps, OBJECT)[..., 0]
        found = [sum(turns(images, weight)) / 2 for weight in (np.ones_like(core), core)]
        tensor = [(core * some).sum(axis=(1, 2), dtype=np.float64) for some in (-down * right, right**2, down**2)]
        # Across an upright object, and along one that lies.
        found += [np.rad2deg(sign * tensor[0] / (tensor[1] + tensor[2] + 1e-9)) for sign in (1, -1)]
        return np.stack(found, axis=1)

    def edit(self, images: Images, maps: Maps, step: float) -> Images:
        """Rotate anticlockwise by degrees."""
        angle = np.deg2rad(step)
        return warped(images, maps, np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]))

    def text(self, step: float) -> str:
        """Describe a rotation."""
        way = "anticlockwise" if step > 0 else "clockwise"
        return f"rotating {{a}} images by {abs(step):.0f}° {way}, as {{b}} images are"


class Slant(Warp):
    """Shear images horizontally about the centre of attention."""

    name = "slant"
    unit, largest, smallest = 0.2, 0.8, 0.08

    def measure(self, images: Images, maps: Maps) -> Values:
        """Return how far near-vertical edges lean to the right, beyond the turn of horizontal ones, as a tangent."""
        upright, flat = turns(images, covers(maps, OBJECT)[..., 0])
        return np.asarray(-np.tan(np.deg2rad(upright - flat)), np.float64)[:, None]

    def edit(self, images: Images, maps: Maps, step: float) -> Images:
        """Move the upper part to the right."""
        return warped(images, maps, np.array([[1.0, 0.0], [step, 1.0]]))

    def text(self, step: float) -> str:
        """Describe a shear."""
        return f"slanting {{a}} images to the {'right' if step > 0 else 'left'} by {abs(step):.0%}, as {{b}} images are"


class AspectRatio(Warp):
    """Stretch images vertically or horizontally about the centre of attention, at the same area."""

    name = "aspect ratio"
    unit, largest, smallest = 0.2, 0.6, 0.06

    def measure(self, images: Images, maps: Maps) -> Values:
        """Return how much finer details around the object are across than down: half a logarithm.

        Objects have proportions of their own, but nothing around them should differ. The frequency of details along an
        axis is the ratio of the second to the first derivative. It depends little on what the image shows.
        """
        around = 1 - covers(maps, AROUND)[..., 0]
        frequencies = [
            (around * np.gradient(one, axis=axis) ** 2).sum(axis=(1, 2), dtype=np.float64)
            / ((around * one**2).sum(axis=(1, 2), dtype=np.float64) + 1e-9)
            for axis, one in enumerate(gradients(images), start=1)
        ]
        return np.asarray(np.log((frequencies[1] + 1e-9) / (frequencies[0] + 1e-9)) / 2)[:, None]

    def edit(self, images: Images, maps: Maps, step: float) -> Images:
        """Make objects higher and narrower, by a factor whose logarithm is the step."""
        return warped(images, maps, np.diag([np.exp(-step / 2), np.exp(step / 2)]))

    def text(self, step: float) -> str:
        """Describe a change of proportions."""
        shape = "higher and narrower" if step > 0 else "wider and lower"
        return f"making what {{a}} images show {np.expm1(abs(step)):.0%} {shape}, as in {{b}} images"


class Barrel(Warp):
    """Bend images outwards from the middle, as wide-angle lenses do, or inwards."""

    name = "barrel distortion"
    unit, largest, smallest = 0.15, 0.6, 0.05

    def measure(self, images: Images, maps: Maps) -> Values:
        """Return how much edges turn in proportion to the product of their distances from both middle lines."""
        down, right = gradients(images)
        rows, columns = lattice(images)
        product = rows * columns
        turn = (down * right * product).sum(axis=(1, 2), dtype=np.float64)
        strength = ((down**2 + right**2) * product**2).sum(axis=(1, 2), dtype=np.float64)
        return np.asarray(turn / (1e-6 + strength))[:, None]

    def edit(self, images: Images, maps: Maps, step: float) -> Images:
        """Move pixels towards the middle by a share that grows with the square of their distance from it."""
        places = bent(np.stack(np.broadcast_arrays(*lattice(images))), step)
        places = (np.array(images.shape[1:3])[:, None, None] - 1) / 2 * (1 + places)
        found = np.empty_like(images)
        for image, place in zip(images, found, strict=True):
            for channel in range(images.shape[-1]):
                ndimage.map_coordinates(image[..., channel], places, place[..., channel], order=1, mode="mirror")
        return found

    def text(self, step: float) -> str:
        """Describe a distortion."""
        return (
            f"bending {{a}} images {'outwards (barrel)' if step > 0 else 'inwards (pincushion)'}, as {{b}} images are"
        )


def gradients(images: Images) -> tuple[Images, Images]:
    """Return the vertical and the horizontal gradient of the luminance, ``(n, H, W)`` each."""
    down, right = np.gradient(blurred(light(images)[..., None], FINE)[..., 0], axis=(1, 2))
    return np.asarray(down, np.float32), np.asarray(right, np.float32)


def turns(images: Images, weights: Images) -> tuple[Values, Values]:
    """Return the mean turn of near-vertical and of near-horizontal edges, in degrees anticlockwise, ``(n,)`` each.

    Args:
        images: ``(n, H, W, C)``.
        weights: of the pixels, ``(n, H, W)``.
    """
    down, right = gradients(images)
    weight = weights * (down**2 + right**2)
    # Rows grow downwards, so an anticlockwise turn of the edge is one of (right, -down).
    found = []
    for near, angle in (
        (np.abs(right) >= np.abs(down), np.arctan2(-down * np.sign(right), np.abs(right))),
        (np.abs(right) < np.abs(down), np.arctan2(right * np.sign(down), np.abs(down))),
    ):
        part = weight * near
        total = part.sum(axis=(1, 2), dtype=np.float64) + 1e-9
        found.append(np.rad2deg((part * angle).sum(axis=(1, 2), dtype=np.float64) / total))
    return found[0], found[1]


def middles(maps: Maps) -> Values:
    """Return the centres of attention, ``(n, 2)``."""
    return np.stack([centres(maps, axis) for axis in (0, 1)], axis=1)


def lattice(images: Images) -> tuple[Values, Values]:
    """Return the places of rows, ``(H, 1)``, and columns, ``(1, W)``, from -1 to 1."""
    height, width = images.shape[1:3]
    return np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]


def bent(places: Values, step: float) -> Values:
    """Return where each place, ``(2, H, W)`` from -1 to 1, comes from; a negative step undoes a positive one.

    The middles of the sides stay in place.
    """
    size = abs(step)
    if step >= 0:
        return np.asarray(places * (1 + size * (places**2).sum(axis=0)) / (1 + size))
    found = places
    for _ in range(ROUNDS):
        found = (found + places * (1 + size) / (1 + size * (found**2).sum(axis=0))) / 2
    return np.asarray(found)


def warped(images: Images, maps: Maps, matrix: Matrix) -> Images:
    """Return images resampled about the centre of attention; pixels from outside are mirrored."""
    found = np.empty_like(images)
    for image, middle, place in zip(images, middles(maps), found, strict=True):
        for channel in range(images.shape[-1]):
            ndimage.affine_transform(
                image[..., channel],
                matrix,
                middle - matrix @ middle,
                output=place[..., channel],
                order=1,
                mode="mirror",
            )
    return found
