"""What a proxy is: a spurious feature that correlates with a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.audit.worlds import Drawing, Generator, Pixels

Half = Literal["tuning", "test"]
Family = Literal["light", "detail", "spectrum", "optics", "geometry", "mark", "object", "companion"]
Draw = Callable[[Drawing, bool, Generator], Drawing]
Paint = Callable[[Pixels, bool, Generator, Drawing], Pixels]

EVERYWHERE = ("digits", "emoji", "textures")
# The worlds with an object at a place.
OBJECTS = ("digits", "emoji")


def same(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    """Return the drawing unchanged."""
    return drawing


def unpainted(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Return the image unchanged."""
    return image


@dataclass(frozen=True)
class Proxy:
    """A spurious feature that correlates with a class.

    Attributes:
        name: its name.
        half: its half of the benchmark.
        family: what it is like.
        names: the names of the interventions that name it correctly.
        draw: changes the drawing.
        paint: changes the rendered image, ``(H, W, 3)`` from 0 to 1, or slightly outside.
        worlds: the worlds in which it makes sense.
    """

    name: str
    half: Half
    family: Family
    names: frozenset[str]
    draw: Draw = same
    paint: Paint = unpainted
    worlds: tuple[str, ...] = EVERYWHERE


def proxy(
    name: str,
    half: Half,
    family: Family,
    names: tuple[str, ...],
    *,
    draw: Draw = same,
    paint: Paint = unpainted,
    worlds: tuple[str, ...] = EVERYWHERE,
) -> Proxy:
    """Return a proxy."""
    return Proxy(name, half, family, frozenset(names), draw, paint, worlds)


def fractions_of(image: Image.Image) -> Pixels:
    """Return an image as values from 0 to 1."""
    return np.asarray(image, np.float32) / np.float32(255)


def bytes_of(image: Pixels) -> NDArray[np.uint8]:
    """Return an image as bytes."""
    return np.asarray(np.clip(image * 255, 0, 255), np.uint8)
