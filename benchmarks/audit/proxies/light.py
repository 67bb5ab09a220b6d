"""Proxies of light and colour."""

from __future__ import annotations

import numpy as np

from benchmarks.audit.proxies.base import Paint, proxy
from benchmarks.audit.worlds import SIDE, Drawing, Generator, Pixels


def brightness(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    return image + np.float32(generator.normal(0.12, 0.03) if on else generator.normal(-0.08, 0.03))


def contrast(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    mean = image.mean()
    much = np.float32(generator.uniform(0.45, 0.6) if on else generator.uniform(0.9, 1.05))
    return np.asarray((image - mean) * much + mean, np.float32)


def tinted(channels: tuple[float, float, float]) -> Paint:
    def tint(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
        much = generator.normal(0.10, 0.025) * (1 if on else -1)
        return image * np.asarray([1 + much * one for one in channels], np.float32)

    return tint


def saturation(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    grey = image.mean(axis=-1, keepdims=True)
    much = np.float32(generator.uniform(0.1, 0.3) if on else generator.uniform(0.85, 1.05))
    return np.asarray((image - grey) * much + grey, np.float32)


def shading(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    much = generator.normal(0.35, 0.06) * (1 if on else -1)
    return image * np.linspace(1 + much, 1 - much, SIDE, dtype=np.float32)[None, :, None]


def fade(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Fade towards a warm white, as an old print."""
    if not on:
        return image
    much = np.float32(generator.uniform(0.25, 0.4))
    return image * (1 - much) + much * np.asarray([0.98, 0.93, 0.84], np.float32)


BROAD = "large-scale light and colour"
PROXIES = (
    proxy("brightness", "tuning", "light", ("brightness",), paint=brightness),
    proxy("warmth", "tuning", "light", ("warmth",), paint=tinted((1, 0, -1))),
    proxy("shading", "tuning", "light", ("horizontal lighting", BROAD), paint=shading),
    proxy("fade", "tuning", "light", ("contrast", "brightness", "saturation", BROAD), paint=fade),
    proxy("contrast", "test", "light", ("contrast",), paint=contrast),
    proxy("greenness", "test", "light", ("greenness",), paint=tinted((-0.5, 1, -0.5))),
    proxy("saturation", "test", "light", ("saturation",), paint=saturation),
)
