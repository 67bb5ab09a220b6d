"""Lower bounds of the output sizes of TFLite operations, from shapes and constants in the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from picasso.models.scan.flatbuffer import Table
from picasso.models.scan.shapes import Shape, cut, multiplied, product, stretched
from picasso.models.scan.tflite_operations import ELEMENTWISE, SHAPED


class Tensor(NamedTuple):
    """A tensor: its shape, its values if it is a constant of few integers, and whether it is a constant."""

    shape: Shape
    values: tuple[int, ...] | None
    constant: bool


def made(name: str, inputs: Sequence[Tensor | None], options: Table | None) -> int:
    """Return a lower bound of the number of values in the output of an operation, or 0 if it is unknown."""
    given = [one for one in inputs if one is not None]
    if not given or len(given) < len(inputs):
        return 0
    if name in ELEMENTWISE:
        return product(stretched([one.shape for one in given]))
    if name in SHAPED:
        at = SHAPED[name]
        said = given[at].values if at < len(given) else None
        return product(cut(said)) if said is not None else 0
    if len(given) < 2:
        return 0
    return two(name, given, options)


def two(name: str, given: Sequence[Tensor], options: Table | None) -> int:
    """Return the same for an operation with two or more inputs."""
    first, second = given[0].shape, given[1].shape
    said = given[1].values
    if name == "TILE" and said is not None:
        return product(multiplied(first, said))
    if name in ("PAD", "PADV2", "MIRROR_PAD") and said is not None and len(said) == 2 * len(first):
        return product(tuple(max(0, side + sum(said[2 * at : 2 * at + 2])) for at, side in enumerate(first)))
    if name == "ONE_HOT" and said is not None and len(said) == 1:
        return product(first) * max(1, said[0])
    if name == "RANGE":
        ends = [one.values[0] for one in given if one.values is not None and len(one.values) == 1]
        return max(0, (ends[1] - ends[0]) // ends[2]) if len(ends) == 3 and ends[2] else 0
    if name == "FULLY_CONNECTED" and len(second) == 2:
        return product(first) // max(1, second[1]) * second[0]
    if name == "BATCH_MATMUL" and min(len(first), len(second)) >= 2:
        turned = [bool(options.number(slot, "<B")) if options else False for slot in (4, 6)]
        rows, columns = first[-1 if turned[0] else -2], second[-2 if turned[1] else -1]
        return product(stretched([first[:-2], second[:-2]])) * rows * columns
    if name == "CONV_2D" and len(first) == len(second) == 4 and options is not None:
        across, down = (max(1, options.number(slot, "<i", 1)) for slot in (6, 8))
        height, width = ((first[at] - second[at] + 1) // step for at, step in ((1, down), (2, across)))
        return first[0] * max(1, height) * max(1, width) * second[0]
    return 0
