"""Detect labels in another order than a model's outputs, from its predictions for a labelled folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The significance level: the maximum probability that a model that guesses is reported as having reordered labels.
BY_CHANCE = 1e-3
# The maximum number of entries of the confusion matrix, to bound memory.
MAX_COUNTS = 16_000_000
# The maximum number of names in a sentence.
LISTED = 40
AS_TEXT = (
    "That is their order as text, in which Keras (image_dataset_from_directory) and most others sort folders: 10 comes "
    "before 2, and capital letters before small ones."
)

Answered = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Reordering:
    """The order of labels that explains a model's predictions best.

    Attributes:
        names: the labels in that order, one for each output; empty if classes without images leave it undetermined.
        moved: the index, the new label and the present label of each output whose label changes.
        right: the number of correct predictions under that order.
        before: the number of correct predictions under the present order.
        images: the number of images.
        as_text: True if it is the lexicographic order of the names.
    """

    names: tuple[str, ...]
    moved: tuple[tuple[int, str, str], ...]
    right: int
    before: int
    images: int
    as_text: bool = False

    @property
    def fraction(self) -> float:
        """The accuracy under that order, 0..1."""
        return self.right / max(1, self.images)

    def sentence(self) -> str:
        """Return a message that states which label belongs to which output, and how to correct the file of labels."""
        moves = [f"output {output} is {new} (labelled {old})" for output, new, old in self.moved]
        listed = ", ".join(moves[:8]) + (f", and {len(moves) - 8} more" if len(moves) > 8 else "")
        if not self.names:
            order = "The order of the other labels needs images of their classes."
        elif len(self.names) <= LISTED:
            order = f"Write them into the file of labels in this order: {', '.join(self.names)}."
        else:
            beginning = ", ".join(self.names[:8])
            order = f"Write them into the file of labels in the order that begins {beginning}; check --json lists all."
        text = f" {AS_TEXT}" if self.as_text else ""
        return (
            f"The labels are in another order than the model's outputs: {listed}. With the right order "
            f"{self.right} of {self.images} images are answered right, instead of {self.before}.{text} {order}"
        )


def find(names: Sequence[str], answered: Answered) -> Reordering | None:
    """Return the order of labels that explains the predictions significantly better than the present one, or None.

    The usual orders of folders are tried first, then the optimal assignment of classes to outputs. The latter must
    also be better on images that it was not fitted to (cross-validation with two halves), because the best of many
    orders always fits some images by chance.

    Args:
        names: the labels in their present order.
        answered: for each image, the index of its class and the index of the largest output.
    """
    from scipy.optimize import linear_sum_assignment

    classes, targets = len(names), sorted({target for target, _ in answered})
    if len(targets) < 2 or len(targets) * classes > MAX_COUNTS:
        return None
    halves = np.zeros((2, len(targets), classes))
    rows, seen = {target: row for row, target in enumerate(targets)}, dict.fromkeys(targets, 0)
    for target, answer in answered:
        halves[seen[target] % 2, rows[target], answer] += 1
        seen[target] += 1
    own = np.asarray(targets)
    stay = np.zeros(halves.shape[1:])
    # Ties are resolved in favour of the present order.
    stay[np.arange(len(targets)), own] = 1e-3

    def fit(counts: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.asarray(linear_sum_assignment(counts + stay, maximize=True)[1], np.int64)

    counts = halves.sum(axis=0)
    fitted = fit(counts)
    crossed = [fit(halves[1 - half]) for half in (0, 1)]
    enough = min(0.95 * score(counts, fitted), sum(map(score, halves, crossed)))
    for as_text, order in usual_orders(names):
        places = np.argsort(order)
        if score(counts, places[own]) >= enough and convincing(counts, places[own], own, classes):
            return reordering(names, places, counts, own, as_text=as_text)
    moves = fitted != own
    # If a class takes the output of a class without images, a few moves may be ordinary misclassifications.
    closed = set(fitted[moves].tolist()) == set(own[moves].tolist())
    if not closed and (2 * len(own) < classes or 2 * moves.sum() < len(own)):
        return None
    right = sum(score(half, other, moves) for half, other in zip(halves, crossed, strict=True))
    if not convincing(counts, fitted, own, classes, right):
        return None
    return reordering(names, completed(fitted, own, classes), counts, own)


def usual_orders(names: Sequence[str]) -> list[tuple[bool, NDArray[np.int64]]]:
    """Return the usual orders of folders, as present indices of the labels, each with whether it is lexicographic."""

    def natural(index: int) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d{1,9})", names[index])]

    numbers = range(len(names))
    orders = [
        (True, sorted(numbers, key=lambda index: names[index])),
        # Folders that are named after the indices of the classes.
        (True, sorted(numbers, key=str)),
        (False, sorted(numbers, key=lambda index: names[index].casefold())),
        (False, sorted(numbers, key=natural)),
    ]
    return [(as_text, np.asarray(order, np.int64)) for as_text, order in orders]


def score(counts: NDArray[np.float64], places: NDArray[np.int64], rows: NDArray[np.bool_] | None = None) -> int:
    """Return the number of images, optionally of some rows, whose largest output is the place of their class."""
    hits = counts[np.arange(len(counts)), places]
    return int(hits.sum() if rows is None else hits[rows].sum())


def convincing(
    counts: NDArray[np.float64],
    places: NDArray[np.int64],
    own: NDArray[np.int64],
    classes: int,
    right: int | None = None,
) -> bool:
    """Tell whether the accuracy of the moved classes is significantly above both chance and their present accuracy.

    Args:
        counts: the confusion matrix, one row for each class with images and one column for each output.
        places: the output of each row under the new order.
        own: the output of each row under the present order.
        classes: the number of outputs.
        right: the number of correct predictions of the moved classes, if it was cross-validated.
    """
    from scipy.stats import binom

    moved = places != own
    images, now = int(counts[moved].sum()), score(counts, own, moved)
    right = score(counts, places, moved) if right is None else right
    if not images or right <= now:
        return False
    return bool(binom.sf(right - 1, images, max(1 / classes, now / images)) < BY_CHANCE)


def completed(fitted: NDArray[np.int64], own: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return an output for every class; a class without images keeps its output if it is free, else -1 (unknown)."""
    places = np.full(classes, -1, np.int64)
    places[own] = fitted
    free = set(range(classes)) - set(fitted.tolist())
    for index in np.flatnonzero(places < 0).tolist():
        if index in free:
            places[index] = index
            free.remove(index)
    if len(free) == 1:
        places[places < 0] = free.pop()
    return places


def reordering(
    names: Sequence[str],
    places: NDArray[np.int64],
    counts: NDArray[np.float64],
    own: NDArray[np.int64],
    *,
    as_text: bool = False,
) -> Reordering:
    """Return the :class:`Reordering` of the places of all classes."""
    known = {int(place): names[index] for index, place in enumerate(places) if place >= 0}
    moved = tuple((output, name, names[output]) for output, name in sorted(known.items()) if name != names[output])
    ordered = tuple(known[output] for output in sorted(known)) if len(known) == len(names) else ()
    return Reordering(ordered, moved, score(counts, places[own]), score(counts, own), int(counts.sum()), as_text)
