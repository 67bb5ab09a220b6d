"""Images as spectra: what is optimized when an image is sought, so that it looks like an image and not like noise.

The pixel values are the sigmoid of a sum of waves. With :class:`Phases`, the strengths of the waves are those of images
and only the phases are free (MACO: Fel et al., *Unlocking feature visualization for deeper networks with magnitude
constrained optimization*, arXiv 2306.06805). With :class:`Waves`, strengths and phases are free, and each wave is
scaled by its usual strength, so that all change equally fast (Olah, Mordvintsev & Schubert, *Feature visualization*,
Distill 2017).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Parametrization", "Phases", "Spectrum", "Waves"]

Floats = NDArray[np.float64]
# Pixel values are limited to this before the inverse of the sigmoid, which is infinite at 0 and 1.
MARGIN = 0.02
# The standard deviation of the sum of the waves, before the sigmoid. Three photographs had 1.3 to 1.8, with which more
# pixels are nearly black or white than in them, because the sum of waves of random phases has no plain parts.
CONTRAST = 1.0
# How red, green and blue depend on lightness and on the two axes of colour, for photographs: the square root of the
# covariance of their colours as in Olah et al.
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])


def sigmoid(values: Floats) -> Floats:
    """Return ``1 / (1 + exp(-values))`` without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float64)


@dataclass(frozen=True)
class Spectrum:
    """The usual strengths of waves and the usual colours of images, before the sigmoid.

    Attributes:
        strengths: the magnitude of each Fourier coefficient, ``(C, H, W // 2 + 1)``, by components of colour that are
            not correlated; those of the means are 0.
        colours: the matrix from these components to the C channels, ``(C, C)``.
        mean: the mean of each channel, ``(C,)``.
        width: W.

    Examples:
        >>> from picasso.attribution.spectra import Spectrum
        >>> spectrum = Spectrum.natural((8, 8, 3))
        >>> spectrum.strengths.shape, spectrum.colours.shape
        ((3, 8, 5), (3, 3))
        >>> round(float(spectrum.strengths[0, 0, 1] / spectrum.strengths[0, 0, 2]), 2)
        2.0
    """

    strengths: Floats
    colours: Floats
    mean: Floats
    width: int

    @classmethod
    def natural(cls, shape: tuple[int, int, int]) -> Self:
        """Return that of photographs: strengths fall with the frequency as 1/f (Field 1987), and colours are muted.

        Args:
            shape: ``(H, W, C)`` with 1 or 3 channels.
        """
        height, width, channels = shape
        strengths = 1 / np.maximum(frequencies(height, width), 1 / max(height, width))
        strengths[0, 0] = 0.0
        colours = COLOURS / np.sqrt((COLOURS**2).sum(axis=1).mean()) if channels == 3 else np.eye(channels)
        # An image of one pixel has no waves.
        unit = strengths / max(deviation(strengths, width), np.finfo(np.float64).tiny)
        return cls(np.repeat(CONTRAST * unit[None], channels, axis=0), colours, np.zeros(channels), width)

    @classmethod
    def of(cls, pixels: NDArray[np.floating]) -> Self:
        """Return that of an image.

        The strengths are averaged over waves of about the same frequency in all directions, so that they do not
        contain the shapes of the image.

        Args:
            pixels: ``(H, W, C)``, 0..1.
        """
        height, width, channels = pixels.shape
        limited = np.clip(np.asarray(pixels, np.float64), MARGIN, 1 - MARGIN)
        before = np.log(limited / (1 - limited))
        mean = before.mean(axis=(0, 1))
        rows = (before - mean).reshape(-1, channels)
        variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
        # An image of one colour has no variance in the others; a little keeps the division defined.
        scales = np.sqrt(np.maximum(variances, 1e-6))
        components = np.moveaxis((rows @ axes / scales).reshape(before.shape), 2, 0)
        power = np.abs(np.fft.rfft2(components)) ** 2
        rings = np.rint(frequencies(height, width) * max(height, width)).astype(int)
        # A wave of the half spectrum stands for two, except in the first column, and the last of an even width.
        weights = np.broadcast_to(doubled(width), rings.shape)
        counts = np.bincount(rings.ravel(), weights.ravel())
        averages = [np.bincount(rings.ravel(), (weights * one).ravel()) / np.maximum(counts, 1) for one in power]
        strengths = np.sqrt(np.stack([average[rings] for average in averages]))
        strengths[:, 0, 0] = 0.0
        return cls(strengths, axes * scales, mean, width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the image, ``(H, W, C)``."""
        return self.strengths.shape[1], self.width, len(self.strengths)

    def pixels(self, coefficients: NDArray[np.complex128]) -> Floats:
        """Return the pixel values ``(H, W, C)``, 0..1, of Fourier coefficients ``(C, H, W // 2 + 1)``."""
        components = np.fft.irfft2(coefficients, self.shape[:2])
        return sigmoid(np.moveaxis(components, 0, 2) @ self.colours.T + self.mean)

    def gradient(self, pixels: Floats, gradient: Floats) -> NDArray[np.complex128]:
        """Return the gradient with respect to the real (and i times the imaginary) parts of the coefficients.

        Args:
            pixels: the result of :meth:`pixels`.
            gradient: the gradient with respect to it, of the same shape.
        """
        height, width, _ = self.shape
        inner = (gradient * pixels * (1 - pixels)) @ self.colours
        transform = np.fft.rfft2(np.moveaxis(inner, 2, 0))
        return np.asarray(transform * doubled(width) / (height * width), np.complex128)


class Parametrization(ABC):
    """What is optimized: real numbers that give an image.

    Attributes:
        RATE: a suitable step size for Adam.

    Examples:
        Follow the gradient of the brightness by one step:

        >>> import numpy as np
        >>> from picasso.attribution.spectra import Spectrum, Waves
        >>> image = Waves(Spectrum.of(np.linspace(0, 1, 64).reshape(8, 8, 1)))
        >>> parameters = image.start(np.random.default_rng(0))
        >>> pixels = image.pixels(parameters)
        >>> uphill = image.gradient(parameters, pixels, np.ones((8, 8, 1)))
        >>> bool(image.pixels(parameters + 0.1 * uphill).sum() > pixels.sum())
        True
    """

    RATE: float

    def __init__(self, spectrum: Spectrum) -> None:
        self.spectrum = spectrum

    @abstractmethod
    def start(self, random: np.random.Generator) -> Floats:
        """Return random parameters."""

    @abstractmethod
    def coefficients(self, parameters: Floats) -> NDArray[np.complex128]:
        """Return the Fourier coefficients, ``(C, H, W // 2 + 1)``."""

    @abstractmethod
    def backward(self, parameters: Floats, gradient: NDArray[np.complex128]) -> Floats:
        """Return the gradient with respect to the parameters, from that with respect to the coefficients."""

    def pixels(self, parameters: Floats) -> Floats:
        """Return the image ``(H, W, C)``, 0..1."""
        return self.spectrum.pixels(self.coefficients(parameters))

    def gradient(self, parameters: Floats, pixels: Floats, gradient: Floats) -> Floats:
        """Return the gradient with respect to the parameters.

        Args:
            parameters: the parameters.
            pixels: their image, the result of :meth:`pixels`.
            gradient: the gradient with respect to the pixels.
        """
        return self.backward(parameters, self.spectrum.gradient(pixels, gradient))


class Phases(Parametrization):
    """The phases of waves whose strengths are fixed (MACO).

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.spectra import Phases, Spectrum
        >>> phases = Phases(Spectrum.natural((8, 8, 1)))
        >>> parameters = phases.start(np.random.default_rng(0))
        >>> parameters.shape, phases.pixels(parameters).shape
        ((1, 8, 5), (8, 8, 1))
    """

    RATE = 0.3

    def start(self, random: np.random.Generator) -> Floats:
        """Return random phases in radians, ``(C, H, W // 2 + 1)``."""
        return random.uniform(-np.pi, np.pi, self.spectrum.strengths.shape)

    def coefficients(self, parameters: Floats) -> NDArray[np.complex128]:
        """Return waves of the given strengths with these phases."""
        return np.asarray(self.spectrum.strengths * np.exp(1j * parameters), np.complex128)

    def backward(self, parameters: Floats, gradient: NDArray[np.complex128]) -> Floats:
        """Return the gradient along the circles on which the coefficients move."""
        return np.asarray(np.real(np.conj(gradient) * 1j * self.coefficients(parameters)), np.float64)


class Waves(Parametrization):
    """The strengths and phases of waves, each as a multiple of the usual strength (Olah et al.).

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.spectra import Spectrum, Waves
        >>> waves = Waves(Spectrum.natural((8, 8, 1)))
        >>> waves.start(np.random.default_rng(0)).shape
        (2, 1, 8, 5)
    """

    RATE = 0.05
    # A pale image at the start, so that the shapes of the noise do not remain.
    PALE = 0.1

    def start(self, random: np.random.Generator) -> Floats:
        """Return small random multiples: the real and the imaginary parts, ``(2, C, H, W // 2 + 1)``."""
        return self.PALE * random.standard_normal((2, *self.spectrum.strengths.shape))

    def coefficients(self, parameters: Floats) -> NDArray[np.complex128]:
        """Return the multiples of the usual strengths."""
        return np.asarray(self.spectrum.strengths * (parameters[0] + 1j * parameters[1]), np.complex128)

    def backward(self, parameters: Floats, gradient: NDArray[np.complex128]) -> Floats:
        """Return the gradients with respect to the real and imaginary parts."""
        return self.spectrum.strengths * np.stack([gradient.real, gradient.imag])


def frequencies(height: int, width: int) -> Floats:
    """Return the frequency of each wave in cycles per pixel, ``(H, W // 2 + 1)``."""
    return np.asarray(np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)), np.float64)


def doubled(width: int) -> Floats:
    """Return how many waves of the whole spectrum each column of the half spectrum stands for, ``(W // 2 + 1,)``."""
    weights = np.full(width // 2 + 1, 2.0)
    weights[0] = 1.0
    if width % 2 == 0:
        weights[-1] = 1.0
    return weights


def deviation(strengths: Floats, width: int) -> float:
    """Return the standard deviation of an image with these strengths, ``(H, W // 2 + 1)`` (Parseval's theorem)."""
    return float(np.sqrt((doubled(width) * strengths**2).sum()) / (len(strengths) * width))
