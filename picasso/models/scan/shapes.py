"""Arithmetic on tensor shapes."""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple[int, ...]


def product(shape: tuple[int, ...]) -> int:
    """Return the number of values of a tensor."""
    count = 1
    for side in shape:
        count *= side
    return count


def cut(sides: Sequence[int]) -> Shape:
    """Return lengths as a shape, with 0 and -1, which refer to the input, replaced by 1."""
    return tuple(max(1, side) for side in sides)


def multiplied(shape: Shape | None, factors: Sequence[int]) -> Shape:
    """Return a shape times factors; without a shape of that rank, the factors."""
    sides = shape if shape is not None and len(shape) == len(factors) else (1,) * len(factors)
    return tuple(side * max(1, factor) for side, factor in zip(sides, factors, strict=True))


def stretched(shapes: Sequence[Shape]) -> Shape:
    """Return the broadcast shape of several shapes."""
    longest = max(map(len, shapes), default=0)
    padded = [(1,) * (longest - len(shape)) + shape for shape in shapes]
    return tuple(max(sides) for sides in zip(*padded, strict=True))
