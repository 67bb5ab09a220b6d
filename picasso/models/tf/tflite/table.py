"""The table of operations: a small function for each kind, which gets a :class:`Node` and its inputs.

An input is a NumPy array if its value is known while the graph is translated, such as that of a weight or a shape, and
a tensor if it depends on the image. Integers that stand for other numbers are given as those numbers. Functions return
a tensor, or a list of tensors if an operation has several outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from picasso.models.tf.runtime import tf
from picasso.models.tf.translation import Operation, Untranslatable, constant, known, registering

# The lengths of the axes of a value for one image; None for one that is not known.
Sides = tuple[int | None, ...]
OPERATIONS: dict[str, Operation] = {}
operation = registering(OPERATIONS)


class Node(NamedTuple):
    """What an operation may need besides its inputs.

    Attributes:
        name: the name of its kind.
        options: its options, with the names of the schema.
        kind: the NumPy type of its first output.
        given: the lengths of each input for one image.
        made: the lengths of each output for one image; empty while these are found out, and then there is no axis of
            unknown length.
    """

    name: str
    options: Any
    kind: str
    given: Sequence[Sides]
    made: Sequence[Sides] = ()

    def get(self, name: str, default: Any = 0) -> Any:
        """Return an option."""
        return getattr(self.options, name, default)


def tensor(value: Any) -> Any:
    """Return a value as a tensor."""
    return constant(np.asarray(value)) if known(value) else value


def integers(value: Any) -> list[int]:
    """Return a known value as a list of integers.

    Raises:
        Untranslatable: it depends on the image.
    """
    if value is None or not known(value):
        raise Untranslatable("its parameters depend on the image")
    return [int(one) for one in np.ravel(value)]


def batch_axis(x: Any) -> int | None:
    """Return the axis of unknown length of a tensor, which is that of the images, or None."""
    sides = [] if known(x) else x.shape.as_list()
    return sides.index(None) if None in sides else None


def for_batch(node: Node, x: Any, wanted: Sequence[int]) -> list[int]:
    """Return the lengths into which a value is reshaped, with -1 for the axis of the images.

    Args:
        node: the operation.
        x: its first input.
        wanted: the lengths for one image.

    Raises:
        Untranslatable: the images are not on one axis then.
    """
    axis = batch_axis(x)
    if axis is None:
        return list(wanted)
    made, before = node.made[0], prod(known_sides(node.given[0][:axis]))
    for place in range(len(made)):
        if prod(known_sides(made[:place])) == before:
            return [-1 if one == place else side for one, side in enumerate(known_sides(made))]
    raise Untranslatable("it has no axis for several images")


def known_sides(sides: Sequence[int | None]) -> list[int]:
    """Return lengths that must be known.

    Raises:
        Untranslatable: one is not.
    """
    if None in sides:
        raise Untranslatable("the size of a value depends on the image")
    return [side for side in sides if side is not None]


def repeated(parts: Sequence[Any], axis: int) -> list[Any]:
    """Return values to join along an axis, those for one image repeated for all of a batch."""
    live = next((one for one in parts if batch_axis(one) is not None), None)
    place = None if live is None else batch_axis(live)
    if live is None or place is None or place == axis % live.shape.rank:
        return [tensor(one) for one in parts]
    size = tf.shape(live)[place]
    return [
        tf.repeat(tensor(one), size, place) if batch_axis(one) is None and one.shape[place] == 1 else tensor(one)
        for one in parts
    ]
