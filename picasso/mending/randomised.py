"""Images with random light, colour, detail and place, so that none of these says anything about the class.

A property of the images that a network relies on is rarely changed by an edit exactly as it was planted or recorded, so
that a network trained on the edits of an audit may still react to the original. These changes go beyond the edits, and
some of them transfer statistics of the images of the other classes, which have the original.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from picasso.audit.interventions import Intervention
from picasso.audit.properties import Images, as_jpeg
from picasso.mending.fitting import Numbers

Generator = np.random.Generator
Floats = NDArray[np.float32]

# The probability of each change of light, and that an image stays as it is.
LIKELY, PLAIN = 0.5, 0.05
# The largest shift, as a fraction of the side.
SHIFT = 0.2
# How far the spectrum goes from that of the own class (0) to that of another (1), and levels and contrast to those of
# another image. All images are changed, and the first range is symmetric, so that what is left is alike in all classes.
SPECTRUM, MOMENTS = (-0.3, 1.3), (0.6, 1.2)
# Keeps logarithms of amplitudes and ratios of deviations finite; for values from 0 to 1.
SMALL, FAINT = 0.05, 0.02
# Interventions of these kinds, and the colour of objects, change what images look like everywhere.
EVERYWHERE, COLOUR = ("property", "broad"), "object colour"


class Randomisation:
    """Changes images at random in what an audit found.

    Places are always random. Light, colours and detail are only if an alarm is about the appearance of whole images or
    the colour of objects.

    Args:
        views: the images of the folder by class, ``(n, H, W, C)`` from 0 to 1.
        found: the interventions with an alarm.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.interventions import INTERVENTIONS
        >>> from picasso.mending.randomised import Randomisation
        >>> dark, bright = np.full((4, 8, 8, 3), 0.2, np.float32), np.full((4, 8, 8, 3), 0.6, np.float32)
        >>> random = Randomisation({0: dark, 1: bright}, INTERVENTIONS[:1])
        >>> changed = random(np.repeat(dark, 50, axis=0), np.zeros(200, np.int64), np.random.default_rng(0))
        >>> levels = changed.mean(axis=(1, 2, 3))
        >>> bool((levels < 0.15).any() and (levels > 0.5).any()), bool(changed.min() >= 0 and changed.max() <= 1)
        (True, True)
    """

    def __init__(self, views: Mapping[int, Images], found: Sequence[Intervention]) -> None:
        self._colours = any(one.name == COLOUR for one in found)
        self._everywhere = self._colours or any(one.kind in EVERYWHERE for one in found)
        if self._everywhere:
            self._amplitudes = {target: log_amplitudes(some) for target, some in views.items()}
            moments = [moments_of(some) for some in views.values()]
            self._means, self._deviations = (np.concatenate(some) for some in zip(*moments, strict=True))

    def __call__(self, images: Images, targets: Numbers, generator: Generator) -> Images:
        """Return changed images.

        Args:
            images: ``(n, H, W, C)`` from 0 to 1.
            targets: their classes, ``(n,)``.
            generator: gives the random numbers.
        """
        changed = images
        if self._everywhere:
            changed = self.with_spectrum(changed, targets, generator)
            changed = self.with_moments(changed, generator)
            changed = with_light(changed, generator)
            if self._colours:
                changed = with_hue(changed, generator)
            changed = with_detail(changed, generator)
        changed = shifted(changed, generator)
        return np.where(generator.random((len(images), 1, 1, 1)) < PLAIN, images, changed)

    def with_spectrum(self, images: Images, targets: Numbers, generator: Generator) -> Images:
        """Change the amplitudes of the frequencies towards the mean amplitudes of another class, or beyond."""
        classes = list(self._amplitudes)
        others = [generator.choice([one for one in classes if one != target]) for target in targets]
        pairs = zip(others, map(int, targets), strict=True)
        ratios = np.stack([self._amplitudes[other] - self._amplitudes[own] for other, own in pairs])
        gains = np.exp(np.clip(drawn(images, generator, *SPECTRUM, always=True) * ratios, -3, 3))
        # The mean is not about detail.
        gains[:, 0, 0] = 1
        spectrum = np.fft.rfft2(images, axes=(1, 2)) * gains
        return clipped(np.fft.irfft2(spectrum, s=images.shape[1:3], axes=(1, 2)))

    def with_moments(self, images: Images, generator: Generator) -> Images:
        """Change the mean and the deviation of each channel towards those of a random image of the folder."""
        some = generator.integers(0, len(self._means), len(images))
        share = drawn(images, generator, *MOMENTS, always=True)
        means, deviations = moments_of(images)
        scale = 1 - share + share * self._deviations[some] / deviations
        return clipped((images - means) * scale + means + share * (self._means[some] - means))


def log_amplitudes(images: Images) -> Floats:
    """Return the mean logarithm of the amplitudes of images, ``(H, W // 2 + 1, C)``."""
    total = sum(np.log(np.abs(np.fft.rfft2(one, axes=(0, 1))) + SMALL) for one in images)
    return np.asarray(total / len(images), np.float32)


def moments_of(images: Images) -> tuple[Floats, Floats]:
    """Return the mean and the deviation of each channel of images, ``(n, 1, 1, C)``."""
    return images.mean(axis=(1, 2), keepdims=True), images.std(axis=(1, 2), keepdims=True) + np.float32(FAINT)


def drawn(
    images: Images, generator: Generator, low: float, high: float, channels: int = 1, *, always: bool = False
) -> Floats:
    """Return random numbers, ``(n, 1, 1, channels)``; about half of the images get zeros, unless ``always``."""
    chosen = always | (generator.random((len(images), 1, 1, 1)) < LIKELY)
    return np.asarray(generator.uniform(low, high, (len(images), 1, 1, channels)) * chosen, np.float32)


def clipped(images: NDArray[np.floating]) -> Images:
    """Return images with values from 0 to 1."""
    return np.asarray(np.clip(images, 0, 1), np.float32)


def with_light(images: Images, generator: Generator) -> Images:
    """Return images of random brightness, contrast, tint and saturation, faded, and lit from a random side."""
    channels = images.shape[-1]
    changed = images + drawn(images, generator, -0.25, 0.25)
    mean = changed.mean(axis=(1, 2, 3), keepdims=True)
    changed = (changed - mean) * np.exp(drawn(images, generator, -0.8, 0.5)) + mean
    changed = changed * (1 + drawn(images, generator, -0.2, 0.2, channels))
    grey = changed.mean(axis=-1, keepdims=True)
    changed = changed + drawn(images, generator, -1, 0.4) * (changed - grey)
    share, colour = drawn(images, generator, 0, 0.45), generator.random((len(images), 1, 1, channels))
    changed = changed + share * (np.asarray(colour, np.float32) - changed)
    for axis in (1, 2):
        shape = [-1 if place == axis else 1 for place in range(4)]
        ramp = np.linspace(-1, 1, images.shape[axis], dtype=np.float32).reshape(shape)
        changed = changed * (1 + drawn(images, generator, -0.5, 0.5) * ramp)
    return clipped(np.clip(changed, 1e-4, 1) ** np.exp(drawn(images, generator, -0.6, 0.6)))


def with_hue(images: Images, generator: Generator) -> Images:
    """Return images whose colours are rotated around grey by a random angle; images of one channel stay."""
    if images.shape[-1] != 3:
        return images
    angles = drawn(images, generator, -np.pi, np.pi, always=True)[..., 0]
    turn = np.asarray([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    matrices = np.cos(angles) * np.eye(3) + (1 - np.cos(angles)) / 3 + np.sin(angles) * turn
    return clipped(np.einsum("nhwc,ndc->nhwd", images, matrices.astype(np.float32)))


def with_detail(images: Images, generator: Generator) -> Images:
    """Return images of which most are blurred, sharpened, noisy, compressed or of a lower resolution."""
    ways = (blurred, sharpened, noisy, compressed, reduced)
    found = np.empty_like(images)
    for index, image in enumerate(images):
        way = int(generator.integers(len(ways) + 1))
        found[index] = clipped(ways[way](image, generator)) if way < len(ways) else image
    return found


def blurred(image: Images, generator: Generator) -> Images:
    """Return an image ``(H, W, C)`` with less detail."""
    sigma = generator.uniform(0.4, 1.4)
    return np.asarray(ndimage.gaussian_filter(image, (sigma, sigma, 0)))


def sharpened(image: Images, generator: Generator) -> Images:
    """Return an image with more detail."""
    detail = image - ndimage.gaussian_filter(image, (1, 1, 0))
    return np.asarray(image + np.float32(generator.uniform(0.3, 1.5)) * detail)


def noisy(image: Images, generator: Generator) -> Images:
    """Return an image with noise."""
    return np.asarray(image + generator.normal(0, generator.uniform(0.01, 0.08), image.shape), np.float32)


def compressed(image: Images, generator: Generator) -> Images:
    """Return an image after JPEG compression; other numbers of channels than 1 and 3 stay."""
    return as_jpeg(image, int(generator.uniform(8, 60))) if image.shape[-1] in (1, 3) else image


def reduced(image: Images, generator: Generator) -> Images:
    """Return an image reduced to a lower resolution and enlarged again."""
    height, width = image.shape[:2]
    share = generator.uniform(0.4, 0.8)
    small = (max(2, int(width * share)), max(2, int(height * share)))
    way = Image.Resampling.BOX if generator.random() < LIKELY else Image.Resampling.BILINEAR
    planes = [
        Image.fromarray(plane).resize(small, way).resize((width, height), Image.Resampling.BICUBIC)
        for plane in np.moveaxis(image, -1, 0)
    ]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], axis=-1)


def shifted(images: Images, generator: Generator) -> Images:
    """Return images shifted by up to a fifth of their side; the content is mirrored at the edges."""
    height, width = images.shape[1:3]
    down, right = int(SHIFT * height), int(SHIFT * width)
    wide = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)), mode="symmetric")
    tops = generator.integers(0, 2 * down + 1, len(images))
    lefts = generator.integers(0, 2 * right + 1, len(images))
    return np.stack(
        [one[top : top + height, left : left + width] for one, top, left in zip(wide, tops, lefts, strict=True)]
    )
