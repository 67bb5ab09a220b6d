"""Track which axes of a tensor correspond to rows and columns of the image, even after reshapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain

from picasso.models.info import Place

ROWS, COLUMNS = 0, 1


@dataclass(frozen=True)
class Factor:
    """A factor of an axis: ``size`` values at a distance of ``step`` pixels along one side of the image.

    The position of a value along a side is the sum over all factors of that side. For example, if rows are split into
    windows, the outer factor gives the centre of a window, and the inner one the offset of a row from the centre.

    Attributes:
        size: the number of values; None for the batch.
        side: ROWS, COLUMNS, or None for channels and other axes.
        start: the position of the first value, in pixels.
        step: the distance between neighbouring values, in pixels.
        grid: for the tokens of a transformer, if others were added, such as a class token: the factors of the tokens of
            the image, which are consecutive.
        first: the index of the first token of the image.
    """

    size: int | None
    side: int | None = None
    start: float = 0.0
    step: float = 0.0
    grid: tuple[Factor, ...] = ()
    first: int = 0

    def moved(self, cells: float, scale: float, size: int) -> Factor:
        """Return the factor whose value i has the position of this one's (fractional) value ``cells + i * scale``."""
        return Factor(size, self.side, self.start + cells * self.step, self.step * scale)


#: The factors of one axis, the outermost first; an axis of length 1 has none.
Axis = tuple[Factor, ...]
Layout = tuple[Axis, ...]


def plain(size: int | None) -> Axis:
    """Return an axis of this length that corresponds to no side of the image."""
    return () if size == 1 else (Factor(size),)


def single(axis: Axis, size: int | None) -> Factor:
    """Return an axis as one factor; without a side if its values are not evenly spaced."""
    return reduce(merged, axis) if axis else Factor(size)


def merged(outer: Factor, inner: Factor) -> Factor:
    """Return the factor of a product of two; without a side if the values are not evenly spaced."""
    if outer.size is None or inner.size is None:
        return Factor(None)
    size = outer.size * inner.size
    if outer.side is not None and inner.side is None:
        # Each value was repeated or expanded to several neighbouring values, which share its cell.
        step = outer.step / inner.size
        return Factor(size, outer.side, outer.start - outer.step / 2 + step / 2, step)
    if outer.side == inner.side is not None and math.isclose(outer.step, inner.step * inner.size):
        return Factor(size, outer.side, outer.start + inner.start, inner.step)
    return Factor(size)


def split(factor: Factor, inner: int) -> tuple[Factor, Factor]:
    """Split a factor into an outer one of the centres and an inner one of ``inner`` values around each centre."""
    centre = (inner - 1) / 2 * factor.step
    outer = Factor((factor.size or 1) // inner, factor.side, factor.start + centre, factor.step * inner)
    return outer, Factor(inner, factor.side, -centre, factor.step)


def tokens_of(axis: Axis) -> tuple[int, Axis] | None:
    """Return the index of the first token of the image on an axis and the factors of all of them, or None."""
    if len(axis) == 1 and axis[0].grid:
        return axis[0].first, axis[0].grid
    return (0, axis) if {factor.side for factor in axis} == {ROWS, COLUMNS} else None


def cropped(axis: Axis, before: int | None, first: int, size: int | None) -> Axis:
    """Return an axis of length ``before`` from value ``first`` on; a negative index stands for values in front of it.

    The tokens of an image are kept as a grid if all of them are.
    """
    tokens = tokens_of(axis)
    if tokens is None or size is None:
        return plain(size) if size is None else (single(axis, before).moved(first, 1, size),)
    start, factors = tokens[0] - first, tokens[1]
    count = values(factors)
    if start < 0 or start + count > size:
        return plain(size)
    return factors if count == size else (Factor(size, grid=factors, first=start),)


def reshaped(layout: Layout, shape: Sequence[int | None]) -> Layout | None:
    """Return the layout of the same values in another shape, or None if it can't be determined."""
    factors = [factor for factor in chain.from_iterable(layout) if factor.size != 1]
    after: list[Axis] = []
    sizes = list(shape)
    # The batch axis is first and may contain other factors. The other axes are matched from the end.
    front = sizes.index(None) if None in sizes else -1
    if sizes.count(None) > 1 or front > 0:
        return None
    for size in reversed(sizes[front + 1 :]):
        taken = take(factors, size or 1)
        if taken is None:
            return None
        after.insert(0, taken)
    if front == 0:
        after.insert(0, tuple(factors))
        factors = []
    return None if factors else tuple(after)


def take(factors: list[Factor], size: int) -> Axis | None:
    """Remove factors of ``size`` values in total from the end of a list and return them, or None if impossible."""
    found: list[Factor] = []
    while size > 1:
        if not factors or factors[-1].size is None:
            return None
        factor = factors.pop()
        count = factor.size or 1
        if size % count == 0:
            found.insert(0, factor)
            size //= count
        elif count % size == 0:
            outer, inner = split(factor, size)
            factors.append(outer)
            found.insert(0, inner)
            size = 1
        else:
            return None
    return tuple(found)


def joined(layouts: Sequence[Layout], rank: int) -> Layout | None:
    """Return the layout of an elementwise operation on tensors with broadcasting."""
    return tuple(
        common([layout[axis - rank] for layout in layouts if len(layout) >= rank - axis]) for axis in range(rank)
    )


def common(axes: Sequence[Axis]) -> Axis:
    """Return the common factors of an axis of several tensors: the mean if they are within a cell of each other."""
    largest = max(map(values, axes))
    known = [
        axis
        for axis in axes
        if values(axis) == largest and any(factor.side is not None or factor.grid for factor in axis)
    ]
    if not known:
        return max(axes, key=values)
    if any(len(axis) != len(known[0]) for axis in known):
        return plain(largest)
    return tuple(mean(factors) for factors in zip(*known, strict=True))


def values(axis: Axis) -> int:
    """Return the number of values of an axis; the batch counts as one."""
    return math.prod(factor.size or 1 for factor in axis)


def mean(factors: Sequence[Factor]) -> Factor:
    """Return the mean of similar factors, or a factor without a side if they are not similar."""
    first = factors[0]
    starts = [factor.start for factor in factors]
    alike = all(
        (one.size, one.side, one.grid, one.first) == (first.size, first.side, first.grid, first.first)
        and math.isclose(one.step, first.step)
        for one in factors
    )
    if not alike or max(starts) - min(starts) > abs(first.step) + 1e-6:
        return Factor(first.size)
    return replace(first, start=sum(starts) / len(starts))


def place_of(layout: Layout | None, shape: Sequence[int | None]) -> Place | None:
    """Return the position in the image of the cells of feature maps ``(N, h, w, c)``, or None if it is unknown."""
    if layout is None or len(layout) != 4:
        return None
    return place_in(*(single(axis, size) for axis, size in zip(layout[1:3], shape[1:3], strict=True)))


def place_in(down: Factor, right: Factor) -> Place | None:
    """Return the position in the image of cells with these factors down and to the right, or None if it is unknown."""
    if {down.side, right.side} != {ROWS, COLUMNS} or not (down.step and right.step):
        return None
    if down.side == COLUMNS:
        return Place((right.start, down.start), (right.step, down.step), transposed=True)
    return Place((down.start, right.start), (down.step, right.step))
