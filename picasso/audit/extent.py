"""Tell whether the object reaches into a part of the images, from where the model looks or from masks of the object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.properties import Images, Maps, blurred

# The width of the surroundings of a part, as a fraction of the shorter side of the image.
SURROUNDINGS = 1 / 8
# A part that receives this many times the attention of its surroundings stands alone: an object that reaches into it
# would be attended to in its surroundings, too.
ALONE = 1.5
# A part is drawn onto images if it varies at most this much of what its surroundings do: a typical pixel, from image to
# image.
SAME = 0.25
# The largest number of pixels that are compared for this.
SAMPLED = 1000
# The most attended share of an image, which should contain nothing but the object.
CORE = 0.25
# The most attended share of an image is taken for the object. It is generous, so that the rest is background: of a cup
# that fills the image, much lies outside the most attended quarter.
ATTENDED_SHARE = 0.6
# The object fills the images if the rest of the image still receives more than this share of the attention, in both
# classes. A model that looks at the background of one class has an object to look for in the other.
ELSEWHERE = 0.15
# The object fills the images if masks show it on more than this share of the pixels, on average.
FILLED = 0.8
# The object reaches into a part if masks show it on more than this share of its pixels, on average.
COVERED = 0.05


def stands_alone(part: NDArray[np.bool_], maps: Sequence[Maps]) -> bool:
    """Tell whether a model looks at a part of the images, but not at its surroundings, in one of two classes.

    A tag in a corner attracts attention there only. The tail of a digit continues outside of the part.

    Args:
        part: its pixels, ``(H, W)``.
        maps: the attribution maps of the images of each class, ``(n, H, W)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.extent import stands_alone
        >>> part = np.zeros((16, 16), bool)
        >>> part[:4, :4] = True
        >>> even, tag = np.ones((3, 16, 16)), np.ones((3, 16, 16))
        >>> tag[:, :3, :3] = 9
        >>> stands_alone(part, [even, even]), stands_alone(part, [tag, even])
        (False, True)
    """
    around = surroundings(part)
    if not around.any():
        return False
    means = [some.mean(axis=0, dtype=np.float64) for some in maps]
    return any(float(mean[part].mean()) >= ALONE * float(mean[around].mean()) for mean in means)


def is_drawn(part: NDArray[np.bool_], images: Sequence[Images]) -> bool:
    """Tell whether a part is drawn onto the images of one of two classes, as a frame or a tag is.

    It is the same in most images of this class, and differs from what is around it and from the part in the other
    class. An object varies, and the ground of images continues in the surroundings.

    Args:
        part: its pixels, ``(H, W)``.
        images: of each class, ``(n, H, W, C)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.extent import is_drawn
        >>> frame = np.ones((16, 16), bool)
        >>> frame[2:-2, 2:-2] = False
        >>> scenes = np.random.default_rng(0).uniform(0.4, 1, (2, 9, 16, 16, 1)).astype(np.float32)
        >>> framed = np.where(frame[..., None], np.float32(0.1), scenes[1])
        >>> is_drawn(frame, scenes), is_drawn(frame, [scenes[0], framed])
        (False, True)
    """
    around = surroundings(part)
    if not around.any():
        return False
    inside, outside = ([typical(some[:, sample(where)]) for some in images] for where in (part, around))
    apart = float(np.median(np.abs(inside[0][0] - inside[1][0]).mean(axis=-1)))
    for (level, varies), (near, usual) in zip(inside, outside, strict=True):
        edge = float(np.abs(np.median(level, axis=0) - np.median(near, axis=0)).mean())
        if varies <= SAME * usual and min(edge, apart) > usual:
            return True
    return False


def sample(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return some pixels of a part, ``(H, W)``, evenly spread, to bound the time for large images."""
    places = np.flatnonzero(part)
    found = np.zeros(part.size, np.bool_)
    found[places[np.linspace(0, len(places) - 1, min(len(places), SAMPLED)).astype(np.intp)]] = True
    return found.reshape(part.shape)


def typical(pixels: Images) -> tuple[Images, float]:
    """Return the median of each pixel, ``(p, C)``, of images ``(n, p, C)``, and how far a typical pixel is from it."""
    level = np.median(pixels, axis=0)
    return level, float(np.median(np.median(np.abs(pixels - level), axis=0).mean(axis=-1)))


def surroundings(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels around a part, ``(H, W)``; none if it is the whole image."""
    width = max(1, round(min(part.shape) * SURROUNDINGS))
    return np.asarray(ndimage.binary_dilation(part, np.ones((3, 3)), iterations=width) & ~part)


def fills_images(maps: Sequence[Maps]) -> bool:
    """Tell whether a model looks everywhere in the images of both classes, so that no part is known as background.

    Args:
        maps: the attribution maps of the images of each class, ``(n, H, W)``.
    """
    return all(elsewhere(some) > ELSEWHERE for some in maps)


def elsewhere(maps: Maps) -> float:
    """Return the share of the attention on the less attended pixels of each image, on average, 0..1."""
    ordered = np.sort(maps.reshape(len(maps), -1), axis=1).astype(np.float64)
    less = ordered[:, : round((1 - ATTENDED_SHARE) * ordered.shape[1])]
    return float((less.sum(axis=1) / ordered.sum(axis=1)).mean())


def is_covered(part: NDArray[np.bool_], masks: Sequence[NDArray[np.bool_]]) -> bool:
    """Tell whether the object reaches into a part, ``(H, W)``, in one of two classes, by its masks, ``(n, H, W)``."""
    return any(float(some[:, part].mean()) > COVERED for some in masks)


def covers(maps: Maps, share: float) -> Images:
    """Return soft masks ``(n, H, W, 1)``, from 0 to 1, of the most attended share of each image."""
    least = np.quantile(maps, 1 - share, axis=(1, 2), keepdims=True)
    return softened(maps >= least)


def softened(masks: NDArray[np.bool_]) -> Images:
    """Return soft masks ``(n, H, W, 1)``, from 0 to 1, of masks ``(n, H, W)``."""
    wide = blurred(masks.astype(np.float32)[..., None], min(masks.shape[1:]) / 32)
    return np.clip(wide, 0, 1)
