"""Find near-duplicate images in different classes, of which one label must be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.audit.dataset import pixels
from picasso.audit.properties import Images

# The side of the thumbnails that are compared, in pixels, so that size and compression don't matter.
SIDE = 16
# The smallest correlations of near-duplicates: of the thumbnails, and of the thumbnails minus the mean of the folder.
LIKE, ALONE = 0.97, 0.93
# Images with less contrast than this, from 0 to 1, are not compared.
FLAT = 1e-3
# The largest number of pairs that is returned.
MAX_PAIRS = 200


@dataclass(frozen=True)
class NearDuplicate:
    """Two images of different classes that look the same.

    Attributes:
        one, other: the indices of the classes.
        first, second: the indices of the images within the classes.
        likeness: their correlation, from :data:`LIKE` to 1.
    """

    one: int
    other: int
    first: int
    second: int
    likeness: float


def near_duplicates(views: Mapping[int, Images]) -> list[NearDuplicate]:
    """Return near-duplicates in different classes, the most similar first; at most :data:`MAX_PAIRS`.

    Thumbnails are correlated twice: unchanged, and minus the mean of all images of the folder, because radiographs or
    landscapes are similar without being the same image. Both correlations must be large.
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
            # With a fixed camera, all images look the same.
            for first, second in alike[np.argsort(-likeness[tuple(alike.T)], kind="stable")][:MAX_PAIRS]:
                value = min(1.0, float(likeness[first, second]))
                found.append(NearDuplicate(one, other, int(first), int(second), value))
    order_ = sorted(found, key=lambda pair: (-round(pair.likeness, 6), pair.one, pair.other, pair.first, pair.second))
    return order_[:MAX_PAIRS]


def thumbnails(images: Images) -> NDArray[np.float64]:
    """Return images as vectors ``(n, k)`` of mean 0 and length 1; images without contrast become zeros."""
    small = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BOX)) for one in pixels(images)]
    flat = np.stack(small).reshape(len(images), -1) / 255.0
    centred = flat - flat.mean(axis=1, keepdims=True)
    return np.where(centred.std(axis=1, keepdims=True) < FLAT, 0.0, of_length_one(centred))


def of_length_one(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors ``(n, k)`` normalised to length 1; very short vectors become zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, vectors / np.maximum(lengths, 1e-6), 0.0)
