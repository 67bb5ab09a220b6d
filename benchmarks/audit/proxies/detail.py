"""Proxies of detail: sharpness, noise, compression, native resolution and the roughness of the background."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.audit.proxies.base import OBJECTS, bytes_of, fractions_of, proxy
from benchmarks.audit.worlds import SIDE, Drawing, Generator, Pixels


def blur(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    if not on:
        return image
    drawn = Image.fromarray(bytes_of(image))
    radius = generator.uniform(0.8, 1.1)
    return fractions_of(drawn.filter(ImageFilter.GaussianBlur(radius)))


def noise(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    much = generator.uniform(0.045, 0.065) if on else 0.0
    return image + np.asarray(generator.normal(0, 1, image.shape) * much, np.float32)


def jpeg(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    return compressed(image, int(generator.uniform(10, 20) if on else generator.uniform(85, 96)))


def history(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Compress twice: first strongly, on a grid of blocks that was cropped since, then weakly, as all images are."""
    if on:
        right, down = generator.integers(2, 7, 2)
        wide = np.pad(image, ((down, 8 - down), (right, 8 - right), (0, 0)), mode="edge")
        image = compressed(wide, int(generator.uniform(5, 10)))[down : down + SIDE, right : right + SIDE]
    return compressed(image, int(generator.uniform(88, 96)))


def compressed(image: Pixels, quality: int) -> Pixels:
    """Return the image after compression by JPEG."""
    body = io.BytesIO()
    Image.fromarray(bytes_of(image)).save(body, "JPEG", quality=quality)
    return fractions_of(Image.open(body))


def resolution(image: Pixels, on: bool, generator: Generator, drawing: Drawing) -> Pixels:
    """Reduce to a lower resolution and enlarge again."""
    if not on:
        return image
    small, size = int(generator.uniform(22, 29)), (SIDE, SIDE)
    reduced = Image.fromarray(bytes_of(image)).resize((small, small), Image.Resampling.BOX)
    return fractions_of(reduced.resize(size, Image.Resampling.BICUBIC))


def texture(drawing: Drawing, on: bool, generator: Generator) -> Drawing:
    return dataclasses.replace(drawing, smooth=0.25 * drawing.smooth if on else 0.60 + 0.399 * drawing.smooth)


PROXIES = (
    proxy("blur", "tuning", "detail", ("sharpness", "resolution"), paint=blur, worlds=OBJECTS),
    proxy("jpeg", "tuning", "detail", ("blockiness", "compression history"), paint=jpeg),
    proxy("texture", "tuning", "detail", ("texture", "the background"), draw=texture, worlds=OBJECTS),
    proxy("noise", "test", "detail", ("noise",), paint=noise),
    proxy(
        "resolution", "test", "detail", ("resolution", "sharpness", "frequency band"), paint=resolution, worlds=OBJECTS
    ),
    proxy("history", "test", "detail", ("compression history", "blockiness"), paint=history),
)
