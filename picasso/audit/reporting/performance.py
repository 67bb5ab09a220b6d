"""The performance of a model on the images of an audit: accuracy, confusion matrix and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.audit.dataset import Folder, answers, encoded
from picasso.evaluation.intervals import interval
from picasso.evaluation.labeled_folder import by_class
from picasso.models.arrays import Array
from picasso.models.base import Model

# The largest number of classes in a confusion matrix.
TABLE = 12
# The number of bins of equal width, and the tolerance of the sum of the probabilities of an image.
BINS, EXACT = 10, 1e-3

Probabilities = Mapping[int, Array]


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix.

    Attributes:
        classes: the indices of the classes shown: all classes of the folder, or those that are confused most often.
        counts: the number of images by true class (rows) and predicted class (columns), ``(k, k)``.
        elsewhere: the number of predictions of classes that are not shown, by true class, ``(k,)``.
        left_out: the number of classes of the folder that are not shown.
    """

    classes: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    elsewhere: tuple[int, ...]
    left_out: int


@dataclass(frozen=True)
class Bin:
    """A bin of images with similar confidence.

    Attributes:
        low, high: the range of confidence; the upper end is included.
        images: the number of images.
        confidence: their mean confidence.
        share: their accuracy, from 0 to 1.
        share_low, share_high: its 95% confidence interval (Wilson, 1927).
    """

    low: float
    high: float
    images: int
    confidence: float
    share: float
    share_low: float
    share_high: float


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model.

    Attributes:
        error: the expected calibration error, from 0 to 1: the difference between confidence and accuracy of each bin,
            weighted by its number of images.
        bins: the bins that contain images.
    """

    error: float
    bins: tuple[Bin, ...]


def probabilities(model: Model, folder: Folder) -> dict[int, Array]:
    """Return the predicted probabilities for each image, by class, ``(n, K)``.

    They are computed again, because only the model knows the activation of its logits (softmax, or sigmoid for two
    classes or for several labels).
    """
    found = {}
    for target, views in folder.views.items():
        starts = range(0, len(views), model.batch_size)
        parts = [model.predict(encoded(model, views[start : start + model.batch_size])) for start in starts]
        found[target] = np.concatenate(parts)
    return found


def accuracy(folder: Folder, names: Sequence[str]) -> dict[str, Any]:
    """Return the accuracy as JSON-ready values, in total and by class, with 95% confidence intervals (Wilson, 1927)."""
    rows = by_class({target: best.tolist() for target, best in answers(folder).items()}, names)
    images, right = sum(row.images for row in rows), sum(row.right for row in rows)
    classes = []
    for row in rows:
        low, high = interval(row.right, row.images)
        classes.append(
            {
                "name": row.name,
                "images": row.images,
                "right": row.right,
                "low": low,
                "high": high,
                "mistake": row.mistaken_for,
            }
        )
    low, high = interval(right, images)
    return {"images": images, "right": right, "low": low, "high": high, "classes": classes}


def confusion(folder: Folder, most: int = TABLE) -> Confusion:
    """Return the confusion matrix of at most ``most`` classes, those that are confused most often."""
    predicted = answers(folder)
    counts = {target: np.bincount(best, minlength=max(predicted) + 1) for target, best in predicted.items()}
    taken = {one: sum(int(some[one]) for some in counts.values()) for one in counts}
    mistakes = {one: int(counts[one].sum()) + taken[one] - 2 * int(counts[one][one]) for one in counts}
    shown = tuple(sorted(sorted(counts, key=lambda one: (-mistakes[one], one))[:most]))
    table = tuple(tuple(int(counts[one][other]) for other in shown) for one in shown)
    elsewhere = tuple(int(counts[one].sum()) - sum(row) for one, row in zip(shown, table, strict=True))
    return Confusion(shown, table, elsewhere, len(counts) - len(shown))


def calibration(folder: Folder, found: Probabilities) -> Calibration | None:
    """Compare the confidence of a model with its accuracy.

    The expected calibration error over ten bins of equal width (Guo et al., 2017, arXiv 1706.04599). It is None for
    multi-label models, whose probabilities of an image do not sum to 1.
    """
    every = np.concatenate([np.asarray(some, np.float64) for some in found.values()])
    if np.abs(every.sum(axis=1) - 1).max() > EXACT:
        return None
    best = {target: some.argmax(axis=1) for target, some in folder.logits.items()}
    confidence = np.concatenate([some[np.arange(len(some)), best[target]] for target, some in found.items()])
    right = np.concatenate([best[target] == target for target in found])
    return _binned(confidence.astype(np.float64), right)


def _binned(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    """Collect confidences and correct predictions, ``(n,)``, in bins; each bin includes its upper end."""
    # Probabilities are float32: a value just above the end of a bin belongs to that bin.
    places = np.clip(np.ceil(np.round(confidence * BINS, 6)).astype(int) - 1, 0, BINS - 1)
    bins, error = [], 0.0
    for place in range(BINS):
        inside = places == place
        count, hits = int(inside.sum()), int(right[inside].sum())
        if not count:
            continue
        mean, share = float(confidence[inside].mean()), hits / count
        bins.append(Bin(place / BINS, (place + 1) / BINS, count, mean, share, *interval(hits, count)))
        error += count / len(confidence) * abs(mean - share)
    return Calibration(error, tuple(bins))
