"""Proxies of optics and geometry. Both values of a proxy resample the image, so that its softness tells nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.audit.proxies.base import OBJECTS, proxy
from benchmarks.audit.worlds import SIDE, Drawing, Generator, Pixels

Coordinates = NDArray[np.float64]


def resampled(image: Pixels, source: Callable[[Coordinates, Coordinates], tuple[Coordinates, Coordinates]]) -> Pixels:
    """Return the image whose pixel at ``(y, x)``, from -1 to 1, comes from ``source(y, x)``."""
    half = (SIDE - 1) / 2
    rows, columns = np.mgrid[:SIDE, :SIDE] / half - 1
    places = [(one + 1) * half for one in source(rows, columns)]
    channels = [ndimage.map_coordinates(image[..., one], places, order=1, mode="mirror") for one in range(3)]
    return np.asarray(np.stack(channels, axis=-1), np.float32)


def chromatic(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Shift red to the right and blue to the left."""
    if on:
        shift = generator.uniform(0.8, 1.3)
        for channel, way in ((0, 1), (2, -1)):
            image[..., channel] = ndimage.shift(image[..., channel], (0, way * shift), order=1, mode="nearest")
    return image


def tilt(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Rotate the whole image, as if the camera was tilted; enlarged, so that no corner is empty."""
    angle = np.radians(generator.uniform(20, 32) if on else generator.uniform(-32, -20))
    cos, sin = np.cos(angle) / 1.3, np.sin(angle) / 1.3
    return resampled(image, lambda y, x: (cos * y + sin * x, cos * x - sin * y))


def barrel(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Distort as a wide lens does (barrel); the others as a telephoto lens does (pincushion)."""
    much = generator.uniform(0.25, 0.4) if on else generator.uniform(-0.18, -0.12)
    # The mean scale is that of the others: the mean of the squared radius is 2/3.
    scale = 1 / (1 + 2 / 3 * much)

    def source(y: Coordinates, x: Coordinates) -> tuple[Coordinates, Coordinates]:
        stretch = scale * (1 + much * (x**2 + y**2))
        return y * stretch, x * stretch

    return resampled(image, source)


def aspect(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Widen the image, as film for the cinema that was not unsqueezed; the others are narrowed."""
    much = generator.uniform(1.2, 1.35)
    wide, high = (much, 1.0) if on else (1.0, much)
    return resampled(image, lambda y, x: (y / high, x / wide))


def inwards(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    """Move the object away from the edges, which a change of the whole image may cut off, and rotate it less."""
    return dataclasses.replace(drawing, angle=drawing.angle / 3, x=0.2 + 0.6 * drawing.x, y=0.2 + 0.6 * drawing.y)


def slant(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    lean = generator.uniform(0.5, 0.8) * (1 if on else -1)
    return dataclasses.replace(drawing, slant=lean)


def mirror(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    """Let the object look to one side; it is large and clear enough for its direction to be seen."""
    large, clear = int(generator.uniform(28, 38)), 0.5 + 0.5 * drawing.clear
    return dataclasses.replace(inwards(drawing, on, generator), mirrored=on, side=large, clear=clear)


PROXIES = (
    proxy("chromatic", "tuning", "optics", ("colour channel shift",), paint=chromatic),
    proxy("slant", "tuning", "geometry", ("slant", "tilt"), draw=slant, worlds=OBJECTS),
    proxy("mirror", "tuning", "geometry", ("mirror direction",), draw=mirror, worlds=("emoji",)),
    proxy("tilt", "test", "geometry", ("tilt", "slant"), draw=inwards, paint=tilt, worlds=OBJECTS),
    proxy(
        "barrel", "test", "geometry", ("barrel distortion", "object size"), draw=inwards, paint=barrel, worlds=OBJECTS
    ),
    proxy("aspect", "test", "geometry", ("aspect ratio",), draw=inwards, paint=aspect, worlds=OBJECTS),
)
