"""How a model does on the images of an audit: what is right, what is taken for what, and how well it knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.audit.dataset import Folder, encoded
from picasso.audit.statistics import interval
from picasso.models.arrays import Array
from picasso.models.base import Model

# A table of more classes than this is no longer looked at.
TABLE = 12
# Confidences are gathered in so many bins of equal width, and probabilities of one image sum to 1 so exactly.
BINS, EXACT = 10, 1e-3

Probabilities = Mapping[int, Array]


@dataclass(frozen=True)
class ClassRow:
    """How many images of one class are answered right.

    Attributes:
        target: the number of the class.
        images, right: how many there are, and are answered right.
        low, high: the 95% interval of the share that is right (Wilson, 1927).
        mistake: the class that its other images are mostly taken for, or None.
    """

    target: int
    images: int
    right: int
    low: float
    high: float
    mistake: int | None


@dataclass(frozen=True)
class Confusion:
    """How often each class is taken for which.

    Attributes:
        classes: the numbers of those shown: all of the folder, or the most confused of them.
        counts: images of the class of the row that are taken for that of the column, ``(k, k)``.
        elsewhere: how many of each are taken for a class that is not shown, ``(k,)``.
        left_out: how many classes of the folder are not shown.
    """

    classes: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    elsewhere: tuple[int, ...]
    left_out: int


@dataclass(frozen=True)
class Bin:
    """Images that are answered about as confidently.

    Attributes:
        low, high: the confidences of the bin; the upper one is included.
        images: how many there are.
        confidence: their mean confidence.
        share: how many of them are answered right, from 0 to 1.
        share_low, share_high: its 95% interval (Wilson, 1927).
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
    """Whether a model is right as often as its probabilities say.

    Attributes:
        error: the expected calibration error, from 0 to 1: the difference of confidence and accuracy of each bin,
            weighted by how many images are in it.
        bins: those that have images.
    """

    error: float
    bins: tuple[Bin, ...]


def probabilities(model: Model, folder: Folder) -> dict[int, Array]:
    """Return the model's own probabilities for each image, by class, ``(n, K)``.

    They are asked for anew: what becomes of logits (a softmax, a sigmoid for two classes, or one for each of several
    labels) is the model's to say.
    """
    found = {}
    for target, views in folder.views.items():
        starts = range(0, len(views), model.batch_size)
        parts = [model.predict(encoded(model, views[start : start + model.batch_size])) for start in starts]
        found[target] = np.concatenate(parts)
    return found


def by_class(folder: Folder) -> list[ClassRow]:
    """Return for each class of the folder how many of its images are answered right."""
    rows = []
    for target, best in answers(folder).items():
        right, wrong = int((best == target).sum()), best[best != target]
        low, high = interval(right, len(best))
        mistake = int(np.bincount(wrong).argmax()) if len(wrong) else None
        rows.append(ClassRow(target, len(best), right, low, high, mistake))
    return rows


def answers(folder: Folder) -> dict[int, NDArray[np.int64]]:
    """Return the number of the class that each image is taken for, by its own class, ``(n,)``."""
    return {target: np.asarray(some.argmax(axis=1), np.int64) for target, some in folder.logits.items()}


def confusion(folder: Folder, most: int = TABLE) -> Confusion:
    """Count what is taken for what; of many classes those that are most often part of a mistake."""
    counts = {target: np.bincount(best, minlength=max(folder.logits) + 1) for target, best in answers(folder).items()}
    taken = {one: sum(int(some[one]) for some in counts.values()) for one in counts}
    mistakes = {one: int(counts[one].sum()) + taken[one] - 2 * int(counts[one][one]) for one in counts}
    shown = tuple(sorted(sorted(counts, key=lambda one: (-mistakes[one], one))[:most]))
    table = tuple(tuple(int(counts[one][other]) for other in shown) for one in shown)
    elsewhere = tuple(int(counts[one].sum()) - sum(row) for one, row in zip(shown, table, strict=True))
    return Confusion(shown, table, elsewhere, len(counts) - len(shown))


def calibration(folder: Folder, found: Probabilities) -> Calibration | None:
    """Compare how probable a model calls its answers with how often they are right.

    The expected calibration error over ten bins of equal width (Guo et al., 2017, arXiv 1706.04599). It says nothing of
    labels that can hold together, for which the probabilities of an image do not sum to 1: then None.
    """
    every = np.concatenate([np.asarray(some, np.float64) for some in found.values()])
    if np.abs(every.sum(axis=1) - 1).max() > EXACT:
        return None
    best = answers(folder)
    confidence = np.concatenate([some[np.arange(len(some)), best[target]] for target, some in found.items()])
    right = np.concatenate([best[target] == target for target in found])
    return _binned(confidence.astype(np.float64), right)


def _binned(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    """Gather confidences, ``(n,)``, and what is right in bins; each bin has its upper end."""
    # Probabilities are float32: what is a hundred-millionth above an end belongs to it.
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


def share_right(rows: Sequence[ClassRow]) -> tuple[int, int, float, float]:
    """Return how many images there are, how many are answered right, and the 95% interval of the share."""
    images, right = sum(row.images for row in rows), sum(row.right for row in rows)
    return images, right, *interval(right, images)
