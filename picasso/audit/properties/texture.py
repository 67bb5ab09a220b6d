"""Texture properties: sharpness, noise, roughness and JPEG blockiness."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from picasso.audit.properties.base import Change, Images, Values, blurred, clipped, light, per_image

# The side of a JPEG block in pixels.
BLOCK = 8


def sharpness(images: Images) -> Values:
    """Return the logarithm of the share of the contrast that is fine detail."""
    seen = light(images)
    fine = np.abs(seen - ndimage.gaussian_filter(seen, (0, 1, 1), mode="nearest")).mean(axis=(1, 2), dtype=np.float64)
    return np.asarray(np.log(1e-3 + fine / (1e-2 + seen.std(axis=(1, 2), dtype=np.float64))))


def sharpen(images: Images) -> Change:
    """Remove a blur of one pixel, and then sharpen further; or blur, first by one pixel, then by two.

    The blur is removed iteratively: the detail that a blur would still remove is added, eight times (van Cittert,
    1931).
    """
    soft, softer = blurred(images, 1.0), blurred(images, 2.0)
    undone = images
    for _ in range(8):
        undone = clipped(undone + images - blurred(undone, 1.0))

    def changed(strength: Values) -> Images:
        weight = per_image(np.abs(strength))
        first, second = np.minimum(1, 2 * weight), np.maximum(0, 2 * weight - 1)
        sharp = clipped(images + first * (undone - images) + 4 * second * (images - soft))
        blunt = images + first * (soft - images) + second * (softer - soft)
        return np.where(per_image(strength) > 0, sharp, blunt)

    return changed


def noise(images: Images) -> Values:
    """Return the standard deviation of pixel noise.

    It is estimated by the median of second differences, which edges hardly change (after Immerkær, 1996).
    """
    # A product, since a mean over the last axis is twenty times slower.
    seen = images @ np.full(images.shape[-1], 1 / images.shape[-1], np.float32)
    twice = seen[:, :-1, :-1] - seen[:, 1:, :-1] - seen[:, :-1, 1:] + seen[:, 1:, 1:]
    return np.asarray(np.median(np.abs(twice).reshape(len(seen), -1), axis=1) / 0.6745 / 2, np.float64)


def roughen(images: Images) -> Change:
    """Add noise of up to 0.3, the same each time, or remove it with a median filter of nine pixels."""
    grain = np.random.default_rng(0).standard_normal(images.shape, np.float32)
    calm = ndimage.median_filter(images, (1, 3, 3, 1), mode="nearest")

    def changed(strength: Values) -> Images:
        weight = per_image(np.abs(strength))
        rough = clipped(images + 0.3 * weight * grain)
        return np.where(per_image(strength) > 0, rough, images + weight * (calm - images))

    return changed


def texture(images: Images) -> Values:
    """Return the roughness of most of the image: the logarithm of the median difference between neighbouring pixels."""
    seen = light(images)
    rough = np.abs(np.diff(seen, axis=1))[:, :, :-1] + np.abs(np.diff(seen, axis=2))[:, :-1]
    return np.asarray(np.log(1e-3 + np.median(rough.reshape(len(seen), -1), axis=1)), np.float64)


def structure(images: Images) -> Change:
    """Amplify detail finer than two pixels by up to five times, or remove first its weak parts and then all of it.

    Removal preserves strong detail, so edges stay and surfaces become smooth (soft thresholding).
    """
    coarse, coarser = blurred(images, 2.0), blurred(images, 4.0)
    fine = images - coarse

    def changed(strength: Values) -> Images:
        weight = per_image(np.abs(strength))
        weaker = np.sign(fine) * np.maximum(np.abs(fine) - 0.6 * weight, 0)
        smooth = coarse + np.maximum(0, 2 * weight - 1) * (coarser - coarse) + weaker
        return clipped(np.where(per_image(strength) > 0, coarse + fine * (1 + 4 * weight), smooth))

    return changed


def blockiness(images: Images) -> Values:
    """Return how much larger steps are at JPEG block boundaries, relative to the contrast."""
    seen = light(images).astype(np.float64)
    excess = np.zeros(len(seen))
    for axis in (1, 2):
        steps = np.abs(np.diff(seen, axis=axis)).mean(axis=3 - axis)
        meets = np.arange(1, seen.shape[axis]) % BLOCK == 0
        if meets.any() and not meets.all():
            excess += steps[:, meets].mean(axis=1) - steps[:, ~meets].mean(axis=1)
    return np.asarray(excess / (0.01 + seen.std(axis=(1, 2))))


def compress(images: Images) -> Change:
    """Blend the image with its JPEG version of quality 8, or smooth block boundaries."""
    poor = np.stack([as_jpeg(one, 8) for one in images])
    smooth = deblocked(images)

    def changed(strength: Values) -> Images:
        weight = per_image(np.abs(strength))
        other = np.where(per_image(strength) > 0, poor, smooth)
        return clipped(np.asarray(images + weight * (other - images), np.float32))

    return changed


def as_jpeg(image: Images, quality: int) -> Images:
    """Return an image ``(H, W, C)`` after JPEG compression."""
    body = io.BytesIO()
    pixels = np.round(image * 255).astype(np.uint8)
    Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0]).save(body, "JPEG", quality=quality)
    return np.asarray(np.asarray(Image.open(body)).reshape(image.shape) / 255, np.float32)


def deblocked(images: Images) -> Images:
    """Return images in which the two pixels at each block boundary are replaced by their mean."""
    found = images.copy()
    for start in range(BLOCK, images.shape[1], BLOCK):
        found[:, start - 1 : start + 1] = found[:, start - 1 : start + 1].mean(axis=1, keepdims=True)
    for start in range(BLOCK, images.shape[2], BLOCK):
        found[:, :, start - 1 : start + 1] = found[:, :, start - 1 : start + 1].mean(axis=2, keepdims=True)
    return found
