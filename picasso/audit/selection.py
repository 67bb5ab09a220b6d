"""Select the images of an audit: enough of each class for a test, and no more at a time than memory holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from picasso.errors import BadRequest

# Fewer images of a class are not enough for a test. Of more, a block is read at a time.
MIN_PER_CLASS, MAX_PER_CLASS = 8, 200
# The default number of pairs; two classes have one pair, five have ten, ten have 45.
PAIRS = 10
# The images of a block are held in memory, as the model sees them: of all classes in the first, which stays, and of
# those with undecided tests in one further.
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


def blocks_of(count: int, most: int, generator: np.random.Generator) -> list[NDArray[np.int32]]:
    """Return the indices of images in random blocks of ``most``, and the rest in the last; each block is sorted.

    A rest that is too small for a test (``MIN_PER_CLASS``) is added to the last block.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.selection import blocks_of
        >>> [block.tolist() for block in blocks_of(3, 3, np.random.default_rng(0))]
        [[0, 1, 2]]
        >>> [len(block) for block in blocks_of(59, 20, np.random.default_rng(0))]
        [20, 20, 19]
        >>> [len(block) for block in blocks_of(41, 20, np.random.default_rng(0))]
        [20, 21]
    """
    rest = count % most
    several = count // most + (rest >= MIN_PER_CLASS)
    if several <= 1:
        return [np.arange(count, dtype=np.int32)]
    order = generator.permutation(count).astype(np.int32)
    return [np.sort(some) for some in np.split(order, [most * number for number in range(1, several)])]
