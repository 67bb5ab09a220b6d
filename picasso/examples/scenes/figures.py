"""How good the five networks are: the usual figure of each kind of output, on scenes with their truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from picasso.examples.scenes.scenes import CLASSES, STRIDE, Box, Scene

Floats = NDArray[np.floating]
# Of an image, and the least overlap of a box that counts as found.
MAX_BOXES, OVERLAP = 20, 0.5


class Found(NamedTuple):
    """A box that the detector found: left, top, width and height in pixels, its digit and its probability."""

    box: tuple[float, float, float, float]
    digit: int
    probability: float


def mean_iou(probabilities: Floats, scenes: Sequence[Scene]) -> float:
    """Return the intersection over union of the predicted and the true pixels, averaged over the classes."""
    guesses = probabilities.argmax(axis=-1)
    truth = np.stack([scene.mask for scene in scenes])
    both = [((guesses == one) & (truth == one)).sum() for one in range(1 + len(CLASSES))]
    either = [((guesses == one) | (truth == one)).sum() for one in range(1 + len(CLASSES))]
    return float(np.mean(np.array(both) / either))


def mean_error(values: Floats, scenes: Sequence[Scene]) -> float:
    """Return the mean absolute error of the sums."""
    return float(np.abs(values[:, 0] - [sum(scene.digits) for scene in scenes]).mean())


def label_accuracy(probabilities: Floats, scenes: Sequence[Scene]) -> float:
    """Return the share of the ten labels that are right, over all scenes."""
    return float(((probabilities > 0.5) == labels(scenes)).mean())


def labels(scenes: Sequence[Scene]) -> NDArray[np.bool_]:
    """Return which digits each scene shows: ``(N, 10)``."""
    return np.array([[digit in scene.digits for digit in range(10)] for scene in scenes])


def retrieval(vectors: Floats, scenes: Sequence[Scene]) -> float:
    """Return the share of scenes of one digit whose nearest other scene shows the same digit."""
    digits = np.array([scene.digits[0] for scene in scenes])
    near = vectors @ vectors.T
    np.fill_diagonal(near, -np.inf)
    return float((digits[near.argmax(axis=1)] == digits).mean())


def decode(heatmap: Floats, size: Floats, offset: Floats) -> list[Found]:
    """Return the boxes of one image, the most probable first, as in Zhou et al., Objects as Points, 2019."""
    peaks = np.where(heatmap == maximum_filter(heatmap, (3, 3, 1)), heatmap, 0)
    found = []
    for index in np.argsort(-peaks, axis=None)[:MAX_BOXES]:
        row, column, digit = (int(one) for one in np.unravel_index(index, peaks.shape))
        (x, y), (width, height) = offset[row, column], size[row, column]
        box = ((column + x - width / 2), (row + y - height / 2), width, height)
        left, top, wide, high = (float(length) * STRIDE for length in box)
        found.append(Found((left, top, wide, high), digit, float(peaks[row, column, digit])))
    return found


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(width, 0.0) * max(height, 0.0)
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def average_precision(outputs: Mapping[str, Floats], scenes: Sequence[Scene]) -> float:
    """Return AP50: the area under the precision at each recall, averaged over the digits."""
    found = [decode(*arrays) for arrays in zip(outputs["heatmap"], outputs["size"], outputs["offset"], strict=True)]
    shown = [digit for digit in range(10) if any(digit in scene.digits for scene in scenes)]
    return float(np.mean([precision_of(digit, found, scenes) for digit in shown]))


def precision_of(digit: int, found: Sequence[Sequence[Found]], scenes: Sequence[Scene]) -> float:
    """Return the average precision of one digit."""
    left = [[box for box, one in zip(scene.boxes, scene.digits, strict=True) if one == digit] for scene in scenes]
    count = sum(map(len, left))
    guesses = [
        (one.probability, index, one.box) for index, ones in enumerate(found) for one in ones if one.digit == digit
    ]
    hits = np.array([hit(box, left[index]) for _, index, box in sorted(guesses, reverse=True)], float)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    # The precision at a recall is the best at that recall or a higher one.
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best * hits).sum() / count)


def hit(box: Sequence[float], left: list[Box]) -> bool:
    """Say whether a box finds one that no other has found, and take that out of the list."""
    best = max(left, key=lambda one: overlap(box, one), default=None)
    if best is None or overlap(box, best) < OVERLAP:
        return False
    left.remove(best)
    return True
