"""Select the images of an audit: enough of each class for a test, and no more at a time than memory holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from picasso.errors import BadRequest

# Fewer images of a class are not enough for a test. Of more, a block is read at a time.
MIN_PER_CLASS, MAX_PER_CLASS = 8, 200
# The default number of pairs; two classes have one pair, five have ten, ten have 45.
PAIRS = 10
# All images are held in memory, as the model sees them.
MAX_IMAGES = 4_000
# The largest number of left-out classes in a message.
NAMED = 20

T = TypeVar("T")


def taken(counts: Mapping[int, int], names: Sequence[str] = ()) -> dict[int, int]:
    """Return the number of images of each class that an audit reads at once, or 0 if a class has too few.

    Args:
        counts: the number of available images by class.
        names: the names of all classes, for the error message.

    Raises:
        BadRequest: fewer than two classes have enough images, or there are too many classes.
    """
    enough = [target for target, count in counts.items() if count >= MIN_PER_CLASS]
    if len(enough) < 2:
        raise BadRequest(
            f"An audit needs at least two classes with {MIN_PER_CLASS} images each, in folders named after them. "
            f"{'Only one class has' if enough else 'No class has'} enough images. {left_out(counts, names)}".rstrip(),
            field="images",
        )
    most = min(MAX_PER_CLASS, MAX_IMAGES // len(enough))
    if most < MIN_PER_CLASS:
        raise BadRequest(
            f"An audit accepts at most {MAX_IMAGES // MIN_PER_CLASS} classes; leave some out.", field="images"
        )
    return {target: min(count, most) if target in enough else 0 for target, count in counts.items()}


def left_out(counts: Mapping[int, int], names: Sequence[str]) -> str:
    """Return a sentence that names the classes with too few images, or ""."""
    few = [(names[target], count) for target, count in counts.items() if count < MIN_PER_CLASS and target < len(names)]
    if not few:
        return ""
    listed = ", ".join(f"{name} ({count})" for name, count in few[:NAMED])
    more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
    return f"Left out, with fewer than {MIN_PER_CLASS} images: {listed}{more}."


def spread(found: Sequence[T], count: int) -> list[T]:
    """Return ``count`` evenly spaced items."""
    return [found[index * len(found) // count] for index in range(count)]


def blocks_of(found: Sequence[T], most: int, seed: Sequence[int]) -> list[list[T]]:
    """Return items in random blocks of about the same size, at most ``most``; all in their order if they fit into one.

    Examples:
        >>> from picasso.audit.selection import blocks_of
        >>> blocks_of("abc", 3, [0])
        [['a', 'b', 'c']]
        >>> [len(block) for block in blocks_of(range(11), 4, [0])]
        [4, 4, 3]
    """
    if len(found) <= most:
        return [list(found)]
    order = np.random.default_rng(seed).permutation(len(found))
    return [[found[index] for index in sorted(some)] for some in np.array_split(order, -(-len(found) // most))]
