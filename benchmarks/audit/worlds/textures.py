"""The world *textures*: surfaces that fill the image, so that there is no compact object.

Seven classes are computed, and three are crops of photographs of surfaces, of which training uses the left 62%. The
contrast, the mean brightness and the two colours of a texture don't depend on its class.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmarks.audit.worlds.base import CUT, SIDE, Drawing, Generator, Pixels, Split, World, exposed, photograph

Field = NDArray[np.float64]
# The standard deviation of all textures, before the contrast of the drawing.
DEVIATION = 0.16
# The share of the texture; the rest is noise of about the same scale.
FAINTEST, CLEAREST = 0.25, 0.75


def plane(drawing: Drawing, generator: Generator) -> tuple[Field, Field]:
    """Return rotated coordinates of the pixels in periods of 5 to 8 pixels, from a random origin."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / (drawing.side / 4)
    angle = np.radians(drawing.angle)
    across = columns * np.cos(angle) + rows * np.sin(angle) + generator.uniform(0, 9)
    return across, rows * np.cos(angle) - columns * np.sin(angle) + generator.uniform(0, 9)


def grating(drawing: Drawing, generator: Generator) -> Field:
    """Return parallel stripes."""
    across, _ = plane(drawing, generator)
    return np.asarray(np.sin(2 * np.pi * across))


def checks(drawing: Drawing, generator: Generator) -> Field:
    """Return a chessboard."""
    across, down = plane(drawing, generator)
    return np.asarray(np.tanh(3 * np.sin(np.pi * across) * np.sin(np.pi * down)))


def waves(drawing: Drawing, generator: Generator) -> Field:
    """Return stripes that are bent, as the grain of wood."""
    across, down = plane(drawing, generator)
    return np.asarray(np.sin(2 * np.pi * (across + 0.45 * np.sin(1.6 * down + generator.uniform(0, 6)))))


def rings(drawing: Drawing, generator: Generator) -> Field:
    """Return concentric circles around a point near the middle."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / (drawing.side / 4)
    y, x = generator.uniform(1, SIDE / (drawing.side / 4) - 1, 2)
    return np.asarray(np.sin(2 * np.pi * np.hypot(rows - y, columns - x)))


def blobs(drawing: Drawing, generator: Generator) -> Field:
    """Return spots without edges: noise of one scale."""
    noise = generator.normal(size=(SIDE, SIDE))
    fine, coarse = (ndimage.gaussian_filter(noise, drawing.side / by, mode="wrap") for by in (16, 8))
    return np.asarray(fine - coarse)


def cells(drawing: Drawing, generator: Generator) -> Field:
    """Return the borders of cells around random points (cellular noise, Worley, 1996)."""
    near = distances(drawing, generator)
    return np.minimum(near[..., 1] - near[..., 0], 0.3)


def dots(drawing: Drawing, generator: Generator) -> Field:
    """Return discs around random points."""
    return -np.tanh(6 * (distances(drawing, generator)[..., 0] - 0.28))


def normal(field: Field) -> Field:
    """Return a field of mean 0 and standard deviation 1."""
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6))


def distances(drawing: Drawing, generator: Generator) -> Field:
    """Return the distances of each pixel to the two nearest random points, in spacings, ``(SIDE, SIDE, 2)``."""
    spacing = drawing.side / 3.2
    grid = np.mgrid[-1 : SIDE / spacing + 1, -1 : SIDE / spacing + 1].reshape(2, -1).T
    points = (grid + generator.uniform(0, 0.8, grid.shape)) * spacing
    pixels = np.mgrid[:SIDE, :SIDE].reshape(2, -1).T
    return np.asarray(cKDTree(points).query(pixels, 2)[0].reshape(SIDE, SIDE, 2) / spacing)


def surface(name: str) -> Callable[[Drawing, Generator, Split], Field]:
    """Return a function that crops a photograph of a surface."""

    def field(drawing: Drawing, generator: Generator, split: Split) -> Field:
        whole = surfaces(name)
        left, right = (0, int(CUT * whole.width)) if split == "train" else (int(CUT * whole.width), whole.width)
        size = int(90 + 3 * (drawing.side - 20))
        x, y = int(generator.integers(left, right - size)), int(generator.integers(0, whole.height - size))
        box = (x, y, x + size, y + size)
        return np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box), np.float64)

    return field


@functools.cache
def surfaces(name: str) -> Image.Image:
    """Return a photograph of a surface in grey."""
    return photograph(name).convert("L")


COMPUTED: dict[str, Callable[[Drawing, Generator], Field]] = {
    "grating": grating, "cells": cells, "blobs": blobs, "checks": checks, "dots": dots, "waves": waves, "rings": rings,
}  # fmt: skip
CROPPED = {name: surface(f"{name}.png") for name in ("brick", "grass", "gravel")}
MEMBERS = ("grating", "cells", "brick", "blobs", "checks", "grass", "dots", "waves", "gravel", "rings")


def render(drawing: Drawing, split: Split) -> Pixels:
    """Return the image of a drawing, ``(SIDE, SIDE, 3)``, from 0 to 1."""
    name = MEMBERS[drawing.member]
    # The drawing has no room for all numbers of a texture; these follow from it.
    generator = np.random.default_rng(zlib.crc32(f"{drawing.item} {drawing.smooth}".encode()))
    field = CROPPED[name](drawing, generator, split) if name in CROPPED else COMPUTED[name](drawing, generator)
    field = normal(field)
    noise = normal(ndimage.gaussian_filter(generator.normal(size=(SIDE, SIDE)), 1.2, mode="wrap"))
    clear = FAINTEST + (CLEAREST - FAINTEST) * drawing.clear
    field = normal(clear * field + (1 - clear) * noise) * DEVIATION
    if generator.random() < 0.5:
        field = -field
    bright, dark = np.asarray(drawing.colour), np.roll(drawing.colour, 1)
    # Bright parts are tinted with one colour, dark parts with another; the mean stays grey.
    tint = np.where(field[..., None] > 0, bright - bright.mean(), dark - dark.mean())
    image = 0.47 + field[..., None] * (1 + 1.5 * tint) + 0.12 * tint
    return exposed(np.asarray(image, np.float32), drawing)


# The classes differ in their fine structure, as they should: what changes it says nothing about a shortcut.
OWN = frozenset({"texture", "sharpness", "resolution", "frequency band", "object size", "the background"})
TEXTURE_WORLD = World("textures", MEMBERS, render, turned=90, located=False, own=OWN)
