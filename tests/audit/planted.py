"""Images with a planted feature, models that rely on nothing but it, and the effect of an intervention on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions import ImagePair, Intervention
from picasso.audit.properties import Images, Maps, blurred

HEIGHT, WIDTH, COUNT = 48, 56, 40

# A margin: larger for images of the other class.
Margin = Callable[[Images], NDArray[np.float64]]


def scenes(seed: int, count: int = COUNT, channels: int = 3) -> Images:
    """Return smooth surroundings with a bright bar near the middle, and a little noise; (count, HEIGHT, WIDTH, C)."""
    random = np.random.default_rng(seed)
    smooth = blurred(random.random((count, HEIGHT, WIDTH, channels), np.float32), 3)
    # The same for every seed, so that classes don't differ in contrast.
    smooth = np.clip(0.5 + 5 * (smooth - 0.5), 0.2, 0.8)
    for image in smooth:
        top, left = random.integers(12, 20), random.integers(14, 26)
        image[top : top + 16, left : left + 8] += np.float32(random.uniform(0.2, 0.3))
    grain = random.normal(0, 0.01, smooth.shape)
    return np.asarray(np.clip(smooth + grain, 0, 1), np.float32)


def even(images: Images) -> Maps:
    """Return maps with attention in the middle of the images."""
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]]
    off = (rows - images.shape[1] / 2) ** 2 + (columns - images.shape[2] / 2) ** 2
    one = np.exp(-off / (2 * (min(images.shape[1:3]) / 6) ** 2))
    return np.broadcast_to((one / one.sum()).astype(np.float32), images.shape[:3])


def pair(ours: Images, theirs: Images, looks: Callable[[Images], Maps] = even) -> ImagePair:
    """Return the images of two classes."""
    return ImagePair(ours, theirs, lambda: (looks(ours), looks(theirs)))


def effects(
    one: Intervention, first: Images, second: Images, margin: Margin, looks: Callable[[Images], Maps] = even
) -> tuple[float, float]:
    """Return the effects in both directions, as fractions of the way between the classes.

    The effect is the margin after the change, less that of the control or of the unchanged image, whichever is larger.
    """
    found = []
    for ours, theirs, sign in ((first, second, 1.0), (second, first, -1.0)):
        changed = one.change(pair(ours, theirs, looks), np.random.default_rng(5))
        assert changed is not None
        assert changed.towards.dtype == changed.control.dtype == np.float32
        assert changed.towards.min() >= 0
        assert changed.control.max() <= 1
        before, towards, control = (sign * margin(some) for some in (ours, changed.towards, changed.control))
        way = float((sign * margin(theirs)).mean() - before.mean())
        found.append(float((towards - np.maximum(control, before)).mean()) / way)
    return found[0], found[1]


def brightness_of_the_bar(images: Images) -> NDArray[np.float64]:
    """Return a margin that depends on the middle alone, coarsely."""
    return np.asarray(ndimage.uniform_filter(images.mean(axis=-1), (0, 9, 9))[:, 24, 28], np.float64)
