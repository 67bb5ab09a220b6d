"""Arithmetic with the shapes of tensors."""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple[int, ...]


def product(shape: tuple[int, ...]) -> int:
    """Return how many values a tensor has."""
    count = 1
    for side in shape:
        count *= side
    return count


def cut(sides: Sequence[int]) -> Shape:
    """Return sides as a shape, where 0 and -1 stand for what the input has."""
    return tuple(max(1, side) for side in sides)


def multiplied(shape: Shape | None, factors: Sequence[int]) -> Shape:
    """Return a shape times factors; without a shape, what they make of a single value."""
    sides = shape if shape is not None and len(shape) == len(factors) else (1,) * len(factors)
    return tuple(side * max(1, factor) for side, factor in zip(sides, factors, strict=True))


def stretched(shapes: Sequence[Shape]) -> Shape:
    """Return the shape that shapes are stretched to, where they stand for elementwise operations."""
    longest = max(map(len, shapes), default=0)
    padded = [(1,) * (longest - len(shape)) + shape for shape in shapes]
    return tuple(max(sides) for sides in zip(*padded, strict=True))
