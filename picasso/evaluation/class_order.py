"""Labels in another order than a model's outputs: recognized by its answers to a labelled folder, and named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The chance of a model without any idea to look as if its labels were in another order.
BY_CHANCE = 1e-3
# Rows and columns of counts beyond this would take too much memory.
MAX_COUNTS = 16_000_000
# How many names a sentence lists.
LISTED = 40
AS_TEXT = (
    "That is their order as text, in which Keras (image_dataset_from_directory) and most others sort folders: 10 comes "
    "before 2, and capital letters before small ones."
)

Answered = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Reordering:
    """The order of labels under which a model's answers make sense.

    Attributes:
        names: the labels in that order, one for each output; empty where classes without images leave it open.
        moved: for outputs whose label changes: the output, its new label and its present one.
        right: how many images are answered right under that order.
        before: how many are under the present one.
        images: how many there are.
        as_text: whether it is the order of the names as text.
    """

    names: tuple[str, ...]
    moved: tuple[tuple[int, str, str], ...]
    right: int
    before: int
    images: int
    as_text: bool = False

    @property
    def fraction(self) -> float:
        """Return the accuracy under that order, 0..1."""
        return self.right / max(1, self.images)

    def sentence(self) -> str:
        """Say which label belongs to which output, and what to write."""
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
    """Return the order of labels that explains the answers to a labelled folder clearly better than the present one.

    The usual orders of folders are tried, and the best assignment of classes to outputs. That one must also do better
    on images that it was not found with: of many orders, one always fits some images by chance.

    Args:
        names: the labels in their present order.
        answered: the class of each image, and the output with the largest score.
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
    # Where images do not decide, a label stays where it is.
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
    # Where a class takes the place of one without images, few moves look like mere mistakes.
    closed = set(fitted[moves].tolist()) == set(own[moves].tolist())
    if not closed and (2 * len(own) < classes or 2 * moves.sum() < len(own)):
        return None
    right = sum(score(half, other, moves) for half, other in zip(halves, crossed, strict=True))
    if not convincing(counts, fitted, own, classes, right):
        return None
    return reordering(names, completed(fitted, own, classes), counts, own)


def usual_orders(names: Sequence[str]) -> list[tuple[bool, NDArray[np.int64]]]:
    """Return the orders that folders are listed in, as the present numbers of the labels; and whether it is as text."""

    def natural(index: int) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d{1,9})", names[index])]

    numbers = range(len(names))
    orders = [
        (True, sorted(numbers, key=lambda index: names[index])),
        # Folders that are called by the numbers of the classes.
        (True, sorted(numbers, key=str)),
        (False, sorted(numbers, key=lambda index: names[index].casefold())),
        (False, sorted(numbers, key=natural)),
    ]
    return [(as_text, np.asarray(order, np.int64)) for as_text, order in orders]


def score(counts: NDArray[np.float64], places: NDArray[np.int64], rows: NDArray[np.bool_] | None = None) -> int:
    """Return how many images are answered with the output that is their class's place."""
    hits = counts[np.arange(len(counts)), places]
    return int(hits.sum() if rows is None else hits[rows].sum())


def convincing(
    counts: NDArray[np.float64],
    places: NDArray[np.int64],
    own: NDArray[np.int64],
    classes: int,
    right: int | None = None,
) -> bool:
    """Tell whether the classes that move are answered better than chance and their present places allow."""
    from scipy.stats import binom

    moved = places != own
    images, now = int(counts[moved].sum()), score(counts, own, moved)
    right = score(counts, places, moved) if right is None else right
    if not images or right <= now:
        return False
    return bool(binom.sf(right - 1, images, max(1 / classes, now / images)) < BY_CHANCE)


def completed(fitted: NDArray[np.int64], own: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return a place for every class: those without images stay where they can; -1 where a place is not known."""
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
    """Return what an order means in words and numbers."""
    known = {int(place): names[index] for index, place in enumerate(places) if place >= 0}
    moved = tuple((output, name, names[output]) for output, name in sorted(known.items()) if name != names[output])
    ordered = tuple(known[output] for output in sorted(known)) if len(known) == len(names) else ()
    return Reordering(ordered, moved, score(counts, places[own]), score(counts, own), int(counts.sum()), as_text)
