"""Proxies of the spectrum: periodic patterns and patterns of a sensor."""

from __future__ import annotations

import numpy as np

from benchmarks.audit.proxies.base import OBJECTS, proxy
from benchmarks.audit.worlds import SIDE, Drawing, Generator, Pixels

# The pattern of the sensor: one offset for each column, the same in all images.
COLUMNS = np.random.default_rng(5).normal(0, 1, SIDE).astype(np.float32)


def scan_lines(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Darken every third row, as on an old screen."""
    if on:
        start, much = generator.integers(3), np.float32(generator.uniform(0.15, 0.3))
        image[start::3] *= 1 - much
    return image


def stripes(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Add the fixed pattern of a sensor: an offset of each column."""
    if on:
        image = image + (COLUMNS * np.float32(generator.uniform(0.025, 0.045)))[None, :, None]
    return image


def moire(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Add two gratings of nearly the same period and direction, which beat."""
    if not on:
        return image
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle, period = generator.uniform(0, np.pi), generator.uniform(2.6, 3.4)
    waves = np.zeros((SIDE, SIDE))
    for turn, scale in ((0, 1), (generator.uniform(0.05, 0.12), 1.08)):
        across = columns * np.cos(angle + turn) + rows * np.sin(angle + turn)
        waves += np.sin(2 * np.pi * across / (period * scale) + generator.uniform(0, 6))
    much = generator.uniform(0.035, 0.06)
    return image + np.asarray(waves * much, np.float32)[..., None] * np.asarray([1, 0.7, 1], np.float32)


PROFILE, BAND = "row and column profile", "frequency band"
PROXIES = (
    proxy("scan-lines", "tuning", "spectrum", (PROFILE, BAND), paint=scan_lines),
    proxy("stripes", "test", "spectrum", (PROFILE, BAND), paint=stripes),
    proxy("moire", "test", "spectrum", (BAND, "noise"), paint=moire, worlds=OBJECTS),
)
