"""Search for an image with a high score: gradient ascent over randomly enlarged parts of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from picasso.attribution.spectra import Parametrization

__all__ = ["Ascent", "Crops", "smallest_part", "together"]

Floats = NDArray[np.float64]
# Kingma & Ba, arXiv 1412.6980: how slowly the means of the gradient and of its square follow.
FIRST, SECOND, TINY = 0.9, 0.999, 1e-8
# A usual standard deviation of the noise that is added to the enlarged parts, whose values are 0..1.
NOISE = 0.05
# In the last steps, from this fraction on, the parts are at least this large.
LATE, LATE_SMALLEST = 0.7, 0.9


@dataclass(frozen=True)
class Crops:
    """Random parts of an image, each enlarged to the size of the whole one by bilinear interpolation.

    A score that holds for all of them is not due to single pixels. Each part is a product of matrices, so its gradient
    is exact.

    Attributes:
        rows: the matrices along the rows, ``(N, H, H)``.
        columns: the same along the columns, ``(N, W, W)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.ascent import Crops
        >>> crops = Crops.draw(np.random.default_rng(0), 4, (8, 6), smallest=0.5)
        >>> crops.of(np.ones((8, 6, 3))).shape
        (4, 8, 6, 3)
    """

    rows: Floats
    columns: Floats

    @classmethod
    def draw(cls, random: np.random.Generator, count: int, size: tuple[int, int], smallest: float) -> Crops:
        """Draw parts whose sides are from ``smallest`` to 1 times those of the image, ``(H, W)``."""
        sides = random.uniform(smallest, 1.0, count)
        starts = random.uniform(0.0, 1.0, (count, 2)) * (1 - sides)[:, None]
        rows, columns = (
            np.stack([interpolation(length, start, side) for start, side in zip(starts[:, axis], sides, strict=True)])
            for axis, length in enumerate(size)
        )
        return cls(rows, columns)

    def of(self, pixels: Floats) -> Floats:
        """Return the parts ``(N, H, W, C)`` of an image ``(H, W, C)``."""
        return np.asarray(np.einsum("nih,hwc,njw->nijc", self.rows, pixels, self.columns, optimize=True), np.float64)

    def backward(self, gradients: Floats) -> Floats:
        """Return the gradient ``(H, W, C)`` with respect to the image, summed over the parts."""
        return np.asarray(np.einsum("nih,nijc,njw->hwc", self.rows, gradients, self.columns, optimize=True), np.float64)


def smallest_part(smallest: float, step: int, steps: int) -> float:
    """Return the side of the smallest part in a step of a search, as a fraction of the image's.

    Small parts make the pattern clear. The last steps are for the image as a whole, whose score counts.

    Args:
        smallest: the side in the first steps.
        step: the number of the step, from 0.
        steps: the number of all steps.

    Examples:
        >>> from picasso.attribution.ascent import smallest_part
        >>> [smallest_part(0.4, step, 10) for step in (0, 6, 7, 9)]
        [0.4, 0.4, 0.9, 0.9]
    """
    return max(smallest, LATE_SMALLEST) if step >= LATE * steps else smallest


def interpolation(length: int, start: float, side: float) -> Floats:
    """Return the matrix ``(length, length)`` that enlarges a part of a line; ``start`` and ``side`` are fractions."""
    places = np.clip((start + side * (np.arange(length) + 0.5) / length) * length - 0.5, 0, length - 1)
    lower = np.minimum(places.astype(int), max(length - 2, 0))
    share = places - lower
    matrix = np.zeros((length, length))
    matrix[np.arange(length), lower] = 1 - share
    matrix[np.arange(length), np.minimum(lower + 1, length - 1)] += share
    return matrix


@dataclass
class Ascent:
    """Adam, uphill, on the parameters of an image.

    Attributes:
        image: what the parameters mean.
        slope: returns the gradients of the score with respect to n images, both ``(n, H, W, C)``.
        crops: the number of parts per step.
        smallest: the side of the smallest part, as a fraction of the image's.
        noise: the standard deviation of the noise that is added to the parts, whose values are 0..1.
        seed: the random seed.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.ascent import Ascent
        >>> from picasso.attribution.spectra import Phases, Spectrum
        >>> bright = np.zeros((8, 8, 1))
        >>> bright[:, :4] = 1.0
        >>> image = Phases(Spectrum.natural((8, 8, 1)))
        >>> ascent = Ascent(image, lambda images: np.repeat(bright[None], len(images), 0), smallest=1.0)
        >>> for _ in range(20):
        ...     ascent.step()
        >>> bool(ascent.pixels[:, :4].mean() > ascent.pixels[:, 4:].mean() + 0.2)
        True
    """

    image: Parametrization
    slope: Callable[[Floats], Floats]
    crops: int = 4
    smallest: float = 0.5
    noise: float = 0.0
    seed: int = 0
    _parameters: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Start with a random image."""
        self._random = np.random.default_rng(self.seed)
        self._parameters = self.image.start(self._random)
        self._mean, self._square = np.zeros_like(self._parameters), np.zeros_like(self._parameters)
        #: The number of steps made.
        self.steps = 0
        #: The sum of the magnitudes of the gradients of all steps, ``(H, W)``: where the score depends on the image.
        self.attention: Floats = np.zeros(self.image.spectrum.shape[:2])

    @property
    def pixels(self) -> Floats:
        """The image, ``(H, W, C)``, 0..1."""
        return self.image.pixels(self._parameters)

    def step(self) -> None:
        """Make one step."""
        together([self], self.slope)

    def _draw(self) -> tuple[Floats, Crops, Floats]:
        """Return the image, the parts that are looked at in the next step, and these with noise."""
        pixels = self.pixels
        crops = Crops.draw(self._random, self.crops, pixels.shape[:2], self.smallest)
        parts = crops.of(pixels)
        if self.noise:
            parts = np.clip(parts + self.noise * self._random.standard_normal(parts.shape), 0, 1)
        return pixels, crops, parts

    def _climb(self, pixels: Floats, crops: Crops, gradients: Floats) -> None:
        """Make one step, with the gradients with respect to the parts."""
        uphill = crops.backward(gradients) / self.crops
        self.attention += np.abs(uphill).sum(axis=2)
        gradient = self.image.gradient(self._parameters, pixels, uphill)
        self.steps += 1
        self._mean = FIRST * self._mean + (1 - FIRST) * gradient
        self._square = SECOND * self._square + (1 - SECOND) * gradient**2
        mean, square = self._mean / (1 - FIRST**self.steps), self._square / (1 - SECOND**self.steps)
        # Without this, the smallest number for which the division is defined would depend on the scale of the score.
        floor = TINY * max(float(np.sqrt(square.max())), np.finfo(np.float64).tiny)
        self._parameters = self._parameters + self.image.RATE * mean / (np.sqrt(square) + floor)


def together(ascents: Sequence[Ascent], slope: Callable[[Floats], Floats]) -> None:
    """Make one step of several searches whose score depends on all images.

    Args:
        ascents: the searches.
        slope: returns the gradients of the score with respect to the parts of all images, image by image, both
            ``(images * n, H, W, C)``; it replaces that of each search.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.ascent import Ascent, together
        >>> from picasso.attribution.spectra import Phases, Spectrum
        >>> image = Phases(Spectrum.natural((8, 8, 1)))
        >>> two = [Ascent(image, np.ones_like, seed=seed) for seed in (0, 1)]
        >>> together(two, np.ones_like)
        >>> [one.steps for one in two]
        [1, 1]
    """
    drawn = [one._draw() for one in ascents]
    gradients = slope(np.concatenate([parts for _, _, parts in drawn]))
    ends = np.cumsum([len(parts) for _, _, parts in drawn])[:-1]
    for one, (pixels, crops, _), own in zip(ascents, drawn, np.split(gradients, ends), strict=True):
        one._climb(pixels, crops, own)
