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
# What an audit holds is bounded by bytes. The images of a class in a block, as numbers (float32): the tests of a pair
# need about 15 times as much.
CLASS_BYTES = 256 * 2**20
# The images of all classes in a block, as bytes: the first block stays, and there is one further.
HELD_BYTES = 2**30
# Of more classes, or more images in their first blocks, only a sample of each class is read to choose the pairs.
EVERY_CLASSES, EVERY_IMAGES, SAMPLE = 100, 4_000, 16
# Of more classes, a pair is considered if one class is among so many of the other's most confused or most alike.
# So are those of the classes with the smallest and with the largest values of each of so many properties.
CLOSEST, PROPERTIES = 5, 11
# The largest number of uploaded images, and up to how many more than MIN_PER_CLASS of each class are asked for.
MAX_UPLOADED, ASKED = 10_000, 4_000
# The largest number of left-out classes in a message.
NAMED = 20

T = TypeVar("T")


def with_enough(counts: Mapping[int, int], names: Sequence[str] = ()) -> list[int]:
    """Return the classes that have enough images.

    Args:
        counts: the number of available images by class.
        names: the names of all classes, for the error message.

    Raises:
        BadRequest: fewer than two classes have enough images.
    """
    enough = [target for target, count in counts.items() if count >= MIN_PER_CLASS]
    if len(enough) < 2:
        raise BadRequest(
            f"An audit needs at least two classes with {MIN_PER_CLASS} images each, in folders named after them. "
            f"{'Only one class has' if enough else 'No class has'} enough images. {left_out(counts, names)}".rstrip(),
            field="images",
        )
    return enough


def taken(counts: Mapping[int, int], names: Sequence[str] = ()) -> dict[int, int]:
    """Return how many images of each class are uploaded to an audit, or 0 if a class has too few.

    Args:
        counts: the number of available images by class.
        names: the names of all classes, for the error message.

    Raises:
        BadRequest: fewer than two classes have enough images, or there are too many classes.
    """
    enough = set(with_enough(counts, names))
    if len(enough) * MIN_PER_CLASS > MAX_UPLOADED:
        raise BadRequest(
            f"An audit accepts at most {MAX_UPLOADED // MIN_PER_CLASS:,} classes; leave some out.", field="images"
        )
    most = max(MIN_PER_CLASS, min(MAX_PER_CLASS, ASKED // len(enough)))
    return {target: min(count, most) if target in enough else 0 for target, count in counts.items()}


def most_classes(values: int) -> int:
    """Return how many classes an audit can hold, with ``values`` numbers in an image as the model sees it."""
    return max(2, HELD_BYTES // (MIN_PER_CLASS * values))


def block_size(values: int, classes: int) -> int:
    """Return the largest number of images of a class in a block.

    Args:
        values: the number of values of an image as the model sees it.
        classes: the number of classes that are held.

    Examples:
        >>> from picasso.audit.selection import block_size
        >>> [block_size(side * side * 3, 20) for side in (28, 224, 299, 512, 1024)]
        [200, 200, 200, 68, 17]
        >>> block_size(512 * 512 * 3, 2)
        85
    """
    most = min(MAX_PER_CLASS, CLASS_BYTES // (4 * values), HELD_BYTES // (values * classes))
    return max(MIN_PER_CLASS, most)


def needs_look(counts: Sequence[int], values: int) -> bool:
    """Tell whether the pairs are chosen by a sample of each class, because all their first blocks are too much.

    Args:
        counts: the number of images of each class.
        values: the number of values of an image as the model sees it.
    """
    classes = len(counts)
    if classes > min(EVERY_CLASSES, most_classes(values)):
        return True
    return sum(min(count, block_size(values, classes)) for count in counts) > EVERY_IMAGES


def considered(classes: int) -> int:
    """Return the largest number of pairs that a first look at so many classes considers."""
    every = classes * (classes - 1) // 2
    return every if classes <= EVERY_CLASSES else min(every, 2 * CLOSEST * classes + PROPERTIES * CLOSEST**2)


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
