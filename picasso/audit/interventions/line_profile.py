"""Exchange the pattern of lines that cross whole images: scan-lines, stripes, and the fixed pattern of a sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator, another, any_of
from picasso.audit.interventions.separation import cross_fitted, most_different
from picasso.audit.properties import Images, Values, light

# Lines are finer than a blur of this fraction of the side, and of at least as many pixels; what is coarser is shading.
COARSE, COARSE_PIXELS = 1 / 24, 2.0
# Added to the divisor, since ratios of very dark values are meaningless.
DARK = 0.05
# The number of parts of a line, all of which must be brighter than the lines beside it, or darker.
PARTS = 4
# The strongest factor by which the control amplifies the differences within a class.
STRONGEST = 20.0


@dataclass(frozen=True)
class Lines:
    """The line patterns of images along one axis, as offsets or as factors.

    Attributes:
        pattern: the offset of each line, or its factor less 1; ``(n, L, 1, C)`` for rows, ``(n, 1, L, C)`` for columns.
        factors: whether the pattern multiplies the image, as a shutter or a screen does.
    """

    pattern: Images
    factors: bool


class LineProfile(Intervention):
    """Replace the pattern of rows or of columns with that of another image.

    The pattern is the median over each line of the detail across it, where all quarters of the line agree in its sign.
    An object does not reach that far.
    """

    kind, name = "property", "row and column profile"

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Take the pattern of an image of the other class; return None if the patterns of the classes don't differ.

        The control goes away from the pattern of another image of the same class, as far as the change goes.
        """
        axis = self.axis(case)
        if axis is None:
            return None
        both = [detail(some, axis) for some in (case.ours, case.theirs)]
        factors = multiplies(case, axis, both)
        own, other = (lines(*some, axis, factors=factors).pattern for some in both)
        there = other[any_of(len(other), len(own), generator)] - own
        # Away from the other image: a mixture of two patterns would be weaker than either, as those of the other class
        # may be.
        within = own - own[another(len(own), generator)]
        within = within * np.minimum(STRONGEST, size(there) / np.maximum(size(within), 1e-6))
        towards, control = (drawn(case.ours, own, own + step, factors=factors) for step in (there, within))
        return InterventionResult(towards, control, self.text(axis))

    def axis(self, case: ImagePair) -> int | None:
        """Return the axis along which the lines of the classes differ most, 1 for rows; None if they don't differ.

        They may differ in their strength, or in a pattern that is the same in all images of a class.
        """
        values: list[tuple[Values, Values]] = []
        # The halves are the same in both directions of a trial.
        generator = np.random.default_rng(0)
        for axis in (1, 2):
            ours, theirs = (
                lines(*detail(light(some)[..., None], axis), axis, factors=False).pattern
                for some in (case.ours, case.theirs)
            )
            values.append((size(ours)[:, 0, 0, 0].astype(np.float64), size(theirs)[:, 0, 0, 0].astype(np.float64)))
            values.append(cross_fitted(ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1), generator))
        best = most_different(values)
        return None if best is None else 1 + best // 2

    def text(self, axis: int) -> str:
        """Describe the change along an axis."""
        return f"giving {{a}} images the pattern of {('rows', 'columns')[axis - 1]} of {{b}} images"

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        return self.text(self.axis(case) or 1)


def detail(images: Images, axis: int) -> tuple[Images, Images]:
    """Return the image blurred across the lines, and the rest; ``axis`` is 1 for rows and 2 for columns."""
    sigma = max(COARSE_PIXELS, COARSE * images.shape[axis])
    coarse = np.asarray(ndimage.gaussian_filter1d(images, sigma, axis=axis, mode="mirror"))
    return coarse, images - coarse


def lines(coarse: Images, fine: Images, axis: int, *, factors: bool) -> Lines:
    """Return the pattern of lines: the median of the fine detail over each, of parts that agree."""
    seen = fine / (coarse + DARK) if factors else fine
    parts = np.array_split(seen, PARTS, axis=3 - axis)
    medians = np.sort(np.stack([np.median(part, axis=3 - axis, keepdims=True) for part in parts]), axis=0)
    # The second weakest part, if all have the same sign: an object does not reach into three parts.
    pattern = np.where(medians[0] > 0, medians[1], np.where(medians[-1] < 0, medians[-2], 0))
    return Lines(np.asarray(pattern, np.float32), factors)


def multiplies(case: ImagePair, axis: int, both: list[tuple[Images, Images]]) -> bool:
    """Tell whether the lines are factors rather than offsets: which of the two explains more of the detail."""
    left = []
    for factors in (False, True):
        rest = 0.0
        for coarse, fine in both:
            pattern = lines(coarse, fine, axis, factors=factors).pattern
            rest += float(np.abs(fine - pattern * (coarse + DARK if factors else 1)).mean())
        left.append(rest)
    return left[1] < left[0]


def size(pattern: Images) -> Images:
    """Return the root mean square of each pattern, ``(n, 1, 1, 1)``."""
    return np.asarray(np.sqrt((pattern**2).mean(axis=(1, 2, 3), keepdims=True)), np.float32)


def drawn(images: Images, own: Images, wanted: Images, *, factors: bool) -> Images:
    """Return images with another pattern of lines."""
    if factors:
        gain = np.maximum(0.05, 1 + wanted) / np.maximum(0.05, 1 + own)
        return np.asarray(np.clip((images + DARK) * gain - DARK, 0, 1), np.float32)
    return np.asarray(np.clip(images + wanted - own, 0, 1), np.float32)
