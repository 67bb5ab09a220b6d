"""Regions of an image: segmentation, predictions for coalitions of regions, ranking, and maps of values.

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
from picasso.targets import Target

__all__ = ["answers", "greedy_density", "painted", "region_means", "segments", "superpixels"]

#: The index of the region that each pixel belongs to, ``(H, W)``: 0 to R - 1, without gaps.
Labels = NDArray[np.int64]
#: The visible regions, ``(n, R)``: one coalition per row, True for a visible region.
Coalitions = NDArray[np.bool_]
Progress = Callable[[int, int], None]

# XRAI's parameters, with lengths and areas for an image of 224 x 224 pixels.
SIDE = 224
SCALES = (50, 100, 150, 250, 500, 1200)
SIGMA, SMALLEST, RADIUS, MIN_REGIONS = 0.8, 150, 5, 50


def superpixels(view: Image.Image, count: int) -> Labels:
    """Return about ``count`` superpixels of an image, by SLIC.

    There may be fewer or more: SLIC starts from a grid and merges small regions, and an image of noise may end up as
    one region.

    Args:
        view: the image as the model sees it, grey or colour.
        count: the approximate number of superpixels.

    Returns:
        the index of each pixel's region, ``(H, W)``.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from picasso.attribution.regions import superpixels
        >>> halves = np.repeat([[0, 255]], 16, axis=0).repeat(8, axis=1).astype(np.uint8)
        >>> labels = superpixels(Image.fromarray(halves), 4)
        >>> labels.shape, len(set(labels[:, :8].ravel().tolist()) & set(labels[:, 8:].ravel().tolist()))
        ((16, 16), 0)
    """
    from skimage.segmentation import slic

    # The smoothing width is one pixel at 224 x 224 and proportional to the size of the image.
    found = slic(pixels(view), n_segments=count, sigma=max(view.size) / SIDE, start_label=0, channel_axis=-1)
    return renumbered(found)


def segments(view: Image.Image) -> NDArray[np.bool_]:
    """Return the segments of an image at six scales as masks ``(n, H, W)``, each dilated by a few pixels.

    The segments of one scale cover the image. After the dilation they overlap, so that each contains its own edges.
    Lengths and areas in pixels are scaled with the image, so that an enlarged image has the same segments.

    Args:
        view: the image as the model sees it, grey or colour.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from picasso.attribution.regions import segments
        >>> halves = np.repeat([[0, 255]], 16, axis=0).repeat(8, axis=1).astype(np.uint8)
        >>> masks = segments(Image.fromarray(halves))
        >>> masks.shape[1:], bool(masks.any(axis=0).all())
        ((16, 16), True)
    """
    from skimage.morphology import isotropic_dilation
    from skimage.segmentation import felzenszwalb

    values = pixels(view).astype(np.float64)
    values = (values - values.min()) / (np.ptp(values) or 1.0) * 2 - 1
    share = relative_area(view.size)
    least, radius = max(1, round(SMALLEST * share)), round(RADIUS * share**0.5)
    # scikit-image's function has no annotations, so the type is stated here.
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
    """Return an image's pixels ``(H, W, 3)``, uint8; a grey image gets three equal channels."""
    return np.asarray(view.convert("RGB"))


def renumbered(labels: NDArray[np.integer]) -> Labels:
    """Return labels ``(H, W)`` renumbered as 0 to R - 1 in the same order, without gaps."""
    _, numbers = np.unique(labels, return_inverse=True)
    return np.asarray(numbers, np.int64).reshape(labels.shape)


def region_means(array: Array, labels: Labels) -> Array:
    """Return an input ``(H, W, C)``, float32, in which each value is the mean of its region and channel.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.regions import region_means
        >>> region_means(np.array([[[1], [3], [7]]], np.float32), np.array([[0, 0, 1]]))[..., 0].tolist()
        [[2.0, 2.0, 7.0]]
    """
    sizes = np.bincount(labels.ravel())
    sums = [np.bincount(labels.ravel(), weights=channel.ravel()) for channel in np.moveaxis(array, -1, 0)]
    return np.asarray(np.stack([total / sizes for total in sums], axis=-1)[labels], np.float32)


def answers(
    covering: Covering,
    labels: Labels,
    coalitions: Coalitions,
    targets: Sequence[Target | int],
    progress: Progress = lambda done, total: None,
    enough: Callable[[NDArray[np.float64]], bool] = lambda given: False,
) -> NDArray[np.float64]:
    """Return the values ``(n, k)`` of k targets if only the regions of each coalition are visible.

    Only one batch of covered inputs is in memory at a time.

    Args:
        covering: the image, and the paint of the hidden regions.
        labels: the regions, ``(H, W)``.
        coalitions: the visible regions, ``(n, R)``.
        targets: the k targets; an index stands for the logit of a class.
        progress: called with the number of finished coalitions and n.
        enough: called after each batch with the values so far; if it returns True, these are the result.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.covering import Covering
        >>> from picasso.attribution.regions import answers
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> white, black = np.ones((8, 8, 1), np.float32), np.zeros((8, 8, 1), np.float32)
        >>> labels = np.repeat([[0], [1]], 4, axis=0).repeat(8, axis=1)  # the upper and the lower half
        >>> coalitions = np.array([[True, True], [True, False], [False, False]])
        >>> answers(Covering(model, white, black), labels, coalitions, targets=[1]).round(2).tolist()
        [[0.98], [0.5], [0.02]]
    """
    parts, size = [], covering.model.batch_size
    for start in range(0, len(coalitions), size):
        some = coalitions[start : start + size]
        parts.append(covering.model.values(covering.seen(some[:, labels]), targets))
        stop = enough(np.concatenate(parts))
        progress(start + len(some), len(coalitions))
        if stop:
            break
    return np.concatenate(parts)


def painted(values: NDArray[np.float64], labels: Labels) -> Array:
    """Return maps ``(k, H, W)``, float32, in which each pixel has the value of its region, from values ``(k, R)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.regions import painted
        >>> painted(np.array([[0.5, -1.0]]), np.array([[0, 0, 1]])).tolist()
        [[[0.5, 0.5, -1.0]]]
    """
    return np.asarray(values[:, labels], np.float32)


def greedy_density(
    attribution: NDArray[np.float64], masks: NDArray[np.bool_], fewest: int = 1
) -> tuple[Array, NDArray[np.int64]]:
    """Add segments greedily, always the one with the highest mean attribution over the pixels not yet covered.

    Kapishnikov et al., *XRAI: better attributions through regions*, arXiv 1906.02825, algorithm 1. As in the authors'
    code, the pixels that no added segment covers form the last piece.

    Args:
        attribution: a value for each pixel, ``(H, W)``.
        masks: the segments ``(n, H, W)``, which may overlap.
        fewest: the minimum number of new pixels; a segment with fewer is left out.

    Returns:
        the map ``(H, W)``, float32: the mean attribution of the piece that each pixel was added with, so its sum is
        that of the attribution; and the indices of the segments in the order in which they were added.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.regions import greedy_density
        >>> masks = np.array([[[True, True, False]], [[False, True, True]]])
        >>> values, order = greedy_density(np.array([[1.0, 3.0, 5.0]]), masks)
        >>> values.tolist(), order.tolist()
        ([[1.0, 4.0, 4.0]], [1, 0])
    """
    flat, count = attribution.ravel(), len(masks)
    densities, fresh = np.zeros(flat.size), np.ones(flat.size, np.bool_)
    # The segments as pairs of a segment and a pixel; pairs that can't be added any more are dropped.
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
        # The new pixels of a segment only decrease, so a segment that became too small can be dropped.
        kept = fresh[places] & allowed[owners]
        owners, places = owners[kept], places[kept]
    if fresh.any():
        densities[fresh] = flat[fresh].mean()
    return densities.reshape(attribution.shape).astype(np.float32), np.array(order, np.int64)
