"""Regions of an image: finding them, hiding some of them, ranking them, and drawing values on them.

Superpixels: Achanta et al., *SLIC superpixels compared to state-of-the-art superpixel methods*, IEEE TPAMI 2012, doi
10.1109/TPAMI.2012.120. Segments at several scales: Felzenszwalb & Huttenlocher, *Efficient graph-based image
segmentation*, IJCV 2004, with the numbers of XRAI: Kapishnikov et al., arXiv 1906.02825. scikit-image computes both;
it is imported only where it is used, so that Picasso runs without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.attribution.covering import Covering
from picasso.models.arrays import Array

#: The number of the region that each pixel belongs to, ``(H, W)``: 0 to R - 1, none left out.
Labels = NDArray[np.int64]
#: Which regions are seen, ``(n, R)``: one coalition per row, True for a region that is seen.
Coalitions = NDArray[np.bool_]
Progress = Callable[[int, int], None]

# XRAI's parameters; lengths and areas are those of an image of 224 x 224 pixels.
SIDE = 224
SCALES = (50, 100, 150, 250, 500, 1200)
SIGMA, SMALLEST, RADIUS, MIN_REGIONS = 0.8, 150, 5, 50


def superpixels(view: Image.Image, count: int) -> Labels:
    """Return about ``count`` superpixels of an image, by SLIC.

    There may be fewer or more: SLIC starts from a grid and merges what is too small, and an image of noise may end up
    as one region.

    Args:
        view: the image as the model sees it, grey or colour.
        count: how many are asked for.
    """
    from skimage.segmentation import slic

    # Smoothed by a pixel at 224 x 224, and less in smaller images, where a pixel shows more.
    found = slic(pixels(view), n_segments=count, sigma=max(view.size) / SIDE, start_label=0, channel_axis=-1)
    return renumbered(found)


def segments(view: Image.Image) -> NDArray[np.bool_]:
    """Return the segments of an image at six scales as masks ``(n, H, W)``, each grown by a few pixels.

    Those of one scale cover the image, and being grown they overlap, so that each holds its own edges. What is
    counted in pixels shrinks and grows with the image, so that a larger copy of an image has the same segments.

    Args:
        view: the image as the model sees it, grey or colour.
    """
    from skimage.morphology import isotropic_dilation
    from skimage.segmentation import felzenszwalb

    values = pixels(view).astype(np.float64)
    values = (values - values.min()) / (np.ptp(values) or 1.0) * 2 - 1
    share = relative_area(view.size)
    least, radius = max(1, round(SMALLEST * share)), round(RADIUS * share**0.5)
    # The annotation spares the type checker what scikit-image does not tell it.
    grown: Callable[..., NDArray[np.bool_]] = isotropic_dilation
    masks = []
    for scale in SCALES:
        labels = renumbered(felzenszwalb(values, scale=scale * share, sigma=SIGMA, min_size=least, channel_axis=-1))
        masks += [grown(labels == number, radius) for number in range(labels.max() + 1)]
    return np.array(masks, np.bool_)


def relative_area(size: tuple[int, int]) -> float:
    """Return the area of an image of ``size`` (W, H) as a multiple of 224 x 224 pixels."""
    return size[0] * size[1] / SIDE**2


def pixels(view: Image.Image) -> NDArray[np.uint8]:
    """Return an image's pixels ``(H, W, 3)``; a grey one has three equal channels."""
    return np.asarray(view.convert("RGB"))


def renumbered(labels: NDArray[np.integer]) -> Labels:
    """Return labels ``(H, W)`` as 0 to R - 1 in the same order, without gaps."""
    _, numbers = np.unique(labels, return_inverse=True)
    return np.asarray(numbers, np.int64).reshape(labels.shape)


def region_means(array: Array, labels: Labels) -> Array:
    """Return an input ``(H, W, C)`` in which each number is the mean of its region, channel by channel."""
    sizes = np.bincount(labels.ravel())
    sums = [np.bincount(labels.ravel(), weights=channel.ravel()) for channel in np.moveaxis(array, -1, 0)]
    return np.asarray(np.stack([total / sizes for total in sums], axis=-1)[labels], np.float32)


def answers(
    covering: Covering,
    labels: Labels,
    coalitions: Coalitions,
    classes: Sequence[int],
    progress: Progress = lambda done, total: None,
) -> NDArray[np.float64]:
    """Return the probabilities ``(n, k)`` of k classes where only the regions of each coalition are seen.

    The covered inputs are made and forgotten batch by batch.

    Args:
        covering: the image, and what is seen in place of the other regions.
        labels: the regions.
        coalitions: ``(n, R)``.
        classes: k classes.
        progress: called with how many coalitions are done.
    """
    parts, size = [], covering.model.batch_size
    for start in range(0, len(coalitions), size):
        some = coalitions[start : start + size]
        parts.append(covering.model.predict(covering.seen(some[:, labels]))[:, list(classes)])
        progress(start + len(some), len(coalitions))
    return np.concatenate(parts).astype(np.float64)


def painted(values: NDArray[np.float64], labels: Labels) -> Array:
    """Return maps ``(k, H, W)`` on which each pixel has the value of its region, from values ``(k, R)``."""
    return np.asarray(values[:, labels], np.float32)


def greedy_density(
    attribution: NDArray[np.float64], masks: NDArray[np.bool_], fewest: int = 1
) -> tuple[Array, NDArray[np.int64]]:
    """Add segments, always the one with the highest mean attribution over the pixels that are new, until none is left.

    Kapishnikov et al., *XRAI: better attributions through regions*, arXiv 1906.02825, algorithm 1; as in the authors'
    code, pixels that no segment adds are the last piece.

    Args:
        attribution: a value for each pixel, ``(H, W)``.
        masks: the segments ``(n, H, W)``, which may overlap.
        fewest: a segment with fewer new pixels than this is left out.

    Returns:
        the map ``(H, W)``: the mean attribution of the piece that each pixel came with, so that its sum is that of the
        attribution; and the indices of the segments that were added, first to last.
    """
    flat, count = attribution.ravel(), len(masks)
    densities, fresh = np.zeros(flat.size), np.ones(flat.size, np.bool_)
    # The segments as pairs of a segment and a pixel; pairs are dropped when they are out of the question.
    owners, places = np.nonzero(masks.reshape(count, -1))
    order: list[int] = []
    while True:
        sizes = np.bincount(owners, minlength=count)
        allowed = sizes >= max(1, fewest)
        if not allowed.any():
            break
        sums = np.bincount(owners, weights=flat[places], minlength=count)
        gains = np.where(allowed, sums / np.maximum(sizes, 1), -np.inf)
        best = int(gains.argmax())
        order.append(best)
        new = places[owners == best]
        densities[new], fresh[new] = gains[best], False
        # Pieces only shrink, so a segment that has become too small stays out.
        kept = fresh[places] & allowed[owners]
        owners, places = owners[kept], places[kept]
    if fresh.any():
        densities[fresh] = flat[fresh].mean()
    return densities.reshape(attribution.shape).astype(np.float32), np.array(order, np.int64)
