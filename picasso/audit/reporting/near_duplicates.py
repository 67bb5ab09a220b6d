"""Nearly the same image in two classes: one of the labels is wrong, and what is learned from both is noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.audit.dataset import pixels
from picasso.audit.properties import Images

# Images are compared at so many pixels a side; a thumbnail of each, so that size and compression do not matter.
SIDE = 16
# From these correlations on two images are called the same: as they are, and less what all images share.
LIKE, ALONE = 0.97, 0.93
# Images with less contrast than this, from 0 to 1, have nothing that could be compared.
FLAT = 1e-3
# More pairs than this are not told.
MAX_PAIRS = 200


@dataclass(frozen=True)
class NearDuplicate:
    """Two images of different classes that look the same.

    Attributes:
        one, other: the numbers of the classes.
        first, second: the numbers of the images in them.
        likeness: their correlation, from :data:`LIKE` to 1.
    """

    one: int
    other: int
    first: int
    second: int
    likeness: float


def twins(views: Mapping[int, Images]) -> list[NearDuplicate]:
    """Return the images that look the same and are in two classes, the most alike first; at most :data:`MAX_PAIRS`.

    Thumbnails are correlated, twice: as they are, and less what is common to all images of the folder, since
    radiographs and landscapes are alike without being the same. Both must be large.
    """
    small = {target: thumbnails(some) for target, some in views.items()}
    common = np.concatenate(list(small.values())).mean(axis=0)
    own = {target: of_length_one(some - common) for target, some in small.items()}
    found: list[NearDuplicate] = []
    order = sorted(views)
    for place, one in enumerate(order):
        for other in order[place + 1 :]:
            likeness = small[one] @ small[other].T
            alike = np.argwhere((likeness >= LIKE) & (own[one] @ own[other].T >= ALONE))
            # Of a fixed camera everything looks the same.
            for first, second in alike[np.argsort(-likeness[tuple(alike.T)], kind="stable")][:MAX_PAIRS]:
                value = min(1.0, float(likeness[first, second]))
                found.append(NearDuplicate(one, other, int(first), int(second), value))
    order_ = sorted(found, key=lambda pair: (-round(pair.likeness, 6), pair.one, pair.other, pair.first, pair.second))
    return order_[:MAX_PAIRS]


def thumbnails(images: Images) -> NDArray[np.float64]:
    """Return images as vectors ``(n, k)`` of mean 0 and length 1; those without contrast as zeros."""
    small = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BOX)) for one in pixels(images)]
    flat = np.stack(small).reshape(len(images), -1) / 255.0
    centred = flat - flat.mean(axis=1, keepdims=True)
    return np.where(centred.std(axis=1, keepdims=True) < FLAT, 0.0, of_length_one(centred))


def of_length_one(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors ``(n, k)`` brought to length 1; those of next to no length as zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, vectors / np.maximum(lengths, 1e-6), 0.0)
