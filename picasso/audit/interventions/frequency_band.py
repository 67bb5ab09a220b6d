"""Exchange the strength of a band of spatial frequencies: moire, periodic patterns, halftones, low resolution."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import windows

from picasso.audit.extent import covers
from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator
from picasso.audit.interventions.separation import cross_fitted, differ
from picasso.audit.properties import Images, Maps, Values, blurred, light

# The limits of the bands in cycles per pixel; coarser structure is an object rather than a pattern.
LIMITS = (1 / 24, 1 / 12, 1 / 6, 1 / 4, 0.72)
NAMES = ("coarse", "medium", "fine", "finest")
# The most attended share of the images, which is left out of the measurement, since it may be the object.
OBJECT = 0.4
# The share of each side along which images fade, since the jump from one border to the opposite has all frequencies.
TAPER = 0.5
# Added to amplitudes, in units of one pixel: less than this is rounding.
ROUNDING = 2e-3
# The strongest gain, as a logarithm, and the largest factor by which the control exceeds the logarithm of the change.
STRONGEST, FARTHEST = np.log(200.0), 4.0
# A difference of amplitudes counts from as many standard errors on.
ERRORS = 2.0
# The number of bisection steps for the strength of the control.
HALVINGS = 12
# The number of images that are transformed at once, to bound the memory.
BATCH_SIZE = 16

Spectra = NDArray[np.float32]


@dataclass(frozen=True)
class Band:
    """A band of frequencies in which two classes differ.

    Attributes:
        index: its place in :data:`NAMES`.
        ratio: the logarithm of the ratio of amplitudes, theirs to ours, ``(H, W // 2 + 1)``; 0 outside of the band.
        ceiling: the logarithm of large amplitudes in images of the other class, of the same shape.
    """

    index: int
    ratio: Spectra
    ceiling: Spectra


class FrequencyBand(Intervention):
    """Amplify or weaken the frequencies of one band by the mean ratio of the classes; phases stay.

    The ratio is measured for each frequency and direction, away from what the model looks at.
    """

    kind, name, detail = "broad", "frequency band", True

    def fits(self, images: Images) -> bool:
        """Tell whether the images are large enough for several frequencies in each band."""
        return bool(min(images.shape[1:3]) >= 24)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Change the band in which the classes differ most; the control is the same step the other way.

        Returns None if the classes don't differ in any band.
        """
        found = self.difference(case)
        if found is None:
            return None
        parts = [
            stepped(case.ours[start : start + BATCH_SIZE], found) for start in range(0, len(case.ours), BATCH_SIZE)
        ]
        towards, control = (np.concatenate(some) for some in zip(*parts, strict=True))
        return InterventionResult(towards, control, self.text(found.index))

    def difference(self, case: ImagePair) -> Band | None:
        """Return the band in which the classes differ most; None if they don't differ in any."""
        ours, theirs = (spectra(*two) for two in zip((case.ours, case.theirs), case.attention(), strict=True))
        inside = bands(case.size)
        step = theirs.mean(axis=0) - ours.mean(axis=0)
        error = np.sqrt(ours.var(axis=0) / len(ours) + theirs.var(axis=0) / len(theirs)) + 1e-6
        # Differences within their error shrink to 0 (positive-part James & Stein, 1961).
        step = step * np.maximum(0, 1 - (ERRORS * error / np.maximum(np.abs(step), 1e-6)) ** 2)
        generator, sizes = np.random.default_rng(0), []
        for band in inside:
            mean, other = (np.asarray(some[:, band].mean(axis=1), np.float64) for some in (ours, theirs))
            scores = cross_fitted(ours[:, band], theirs[:, band], generator)
            tests = 2 * len(inside)
            found = differ(mean, other, tests) or differ(*scores, tests)
            sizes.append(float((step[band] ** 2).sum()) if found else 0.0)
        best = int(np.argmax(sizes))
        if sizes[best] == 0:
            return None
        ratio = np.where(inside[best], np.clip(step, -STRONGEST, STRONGEST), 0).astype(np.float32)
        return Band(best, ratio, theirs.mean(axis=0) + theirs.std(axis=0))

    def text(self, band: int) -> str:
        """Describe the change of a band."""
        low, high = LIMITS[band], min(0.5, LIMITS[band + 1])
        return (
            f"giving {{a}} images the {NAMES[band]} frequencies of {{b}} images "
            f"(periods of {1 / high:.0f} to {1 / low:.0f} pixels)"
        )

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        found = self.difference(case)
        return self.text(found.index if found else len(NAMES) - 1)


def bands(size: tuple[int, int]) -> list[NDArray[np.bool_]]:
    """Return which frequencies of a real transform belong to each band, ``(H, W // 2 + 1)``."""
    radius = np.hypot(fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])[None])
    return [(radius >= low) & (radius < high) for low, high in pairwise(LIMITS)]


def spectra(images: Images, maps: Maps) -> Spectra:
    """Return the logarithm of the amplitudes of the luminance, ``(n, H, W // 2 + 1)``, without what is attended to."""
    height, width = images.shape[1:3]
    window = windows.tukey(height + 2, TAPER)[1:-1, None] * windows.tukey(width + 2, TAPER)[None, 1:-1]
    found = np.empty((len(images), height, width // 2 + 1), np.float32)
    for start in range(0, len(images), BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        seen, keep = light(images[part])[..., None], 1 - covers(maps[part], OBJECT)
        # The surroundings of the object are continued into it.
        around = blurred(np.asarray(seen * keep), 3) / np.maximum(blurred(keep, 3), 1e-3)
        # The object hides a different share of each image.
        kept = keep[..., 0] * window
        amplitudes = np.abs(fft.rfft2((seen - around)[..., 0] * kept, axes=(1, 2)))
        found[part] = np.log(ROUNDING + amplitudes / np.sqrt(1e-3 + (kept**2).sum(axis=(1, 2)))[:, None, None])
    return found


def stepped(images: Images, band: Band) -> tuple[Images, Images]:
    """Return images whose amplitudes are multiplied by the ratio of a band, and divided by it.

    No amplitude is raised above what the other class has. The division is made stronger or weaker, until it changes the
    pixels as much as the multiplication.
    """
    shape = images.shape[1:3]
    whole = fft.rfft2(images, axes=(1, 2))
    power = (np.abs(whole) ** 2).sum(axis=-1)
    own = np.log(ROUNDING + np.abs(fft.rfft2(light(images), axes=(1, 2))) / np.sqrt(shape[0] * shape[1]))
    step = np.minimum(band.ratio, np.maximum(0, band.ceiling - own))

    def gain(strength: Values) -> Spectra:
        return np.asarray(np.exp(strength[:, None, None] * step), np.float32)

    def amount(strength: Values) -> Values:
        return np.asarray((power * (gain(strength) - 1) ** 2).sum(axis=(1, 2)), np.float64)

    ones = np.ones(len(images))
    wanted, low, high = amount(ones), 0 * ones, FARTHEST * ones
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        less = amount(-middle) < wanted
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    towards, control = (
        np.clip(fft.irfft2(whole * gain(strength)[..., None], s=shape, axes=(1, 2)), 0, 1).astype(np.float32)
        for strength in (ones, -(low + high) / 2)
    )
    return towards, control
