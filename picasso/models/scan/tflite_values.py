"""The values of small integer tensors that TFLite operations compute from constants, such as shapes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from picasso.models.scan.flatbuffer import Table
from picasso.models.scan.shapes import product
from picasso.models.scan.tflite_sizes import Tensor

Values = tuple[int, ...]
# The maximum size of tensors whose values are followed, and the bound of 64-bit integers, which wrap around beyond.
MAX_VALUES, MAX_INTEGER = 64, 1 << 63
SAME = frozenset(["CAST", "EXPAND_DIMS", "RESHAPE", "SQUEEZE"])
JOINED = frozenset(["CONCATENATION", "PACK"])
ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "ADD": operator.add, "SUB": operator.sub, "MUL": operator.mul, "MAXIMUM": max, "MINIMUM": min,
}  # fmt: skip
REDUCED: dict[str, Callable[[Values], int]] = {
    "REDUCE_PROD": product, "SUM": sum, "REDUCE_MAX": max, "REDUCE_MIN": min,
}  # fmt: skip


def computed(name: str, inputs: Sequence[Tensor | None], options: Table | None) -> Values | None:
    """Return the values of an operation's output, or None if they are unknown, many, or not from constants.

    Args:
        name: the operation, for example ``CONCATENATION``.
        inputs: its inputs, as many as it requires; None for those that are omitted.
        options: its options.
    """
    if name == "SHAPE":
        first = inputs[0]
        return first.shape if first is not None and first.constant else None
    ranks, given = [], list[Values]()
    for one in inputs:
        if one is None or one.values is None:
            return None
        ranks.append(len(one.shape))
        given.append(one.values)
    if not given or not all(given):
        return None
    found = followed(name, given, options) if max(ranks) < 2 else None
    kept = found is not None and 0 < len(found) <= MAX_VALUES and max(map(abs, found)) < MAX_INTEGER
    return found if kept else None


def followed(name: str, given: Sequence[Values], options: Table | None) -> Values | None:
    """Return the same for known inputs of at most one dimension."""
    first, second = given[0], given[-1]
    if name in SAME:
        return first
    if name in JOINED:
        return tuple(value for values in given[: MAX_VALUES + 1] for value in values)
    if name in ARITHMETIC and (len(first) == len(second) or 1 in (len(first), len(second))):
        count = max(len(first), len(second))
        pairs = zip(first * (count // len(first)), second * (count // len(second)), strict=True)
        return tuple(ARITHMETIC[name](*pair) for pair in pairs)
    if name in REDUCED:
        return (REDUCED[name](first),)
    if name == "GATHER" and all(0 <= at < len(first) for at in second):
        return tuple(first[at] for at in second)
    if name == "SLICE" and len(given[1]) == len(second) == 1 and given[1][0] >= 0:
        start, length = given[1][0], second[0]
        return first[start:] if length < 0 else first[start : start + length]
    if name == "STRIDED_SLICE" and len(given[1]) == len(given[2]) == len(second) == 1:
        begins, ends, shrinks = (options.number(slot, "<i") if options else 0 for slot in (4, 6, 12))
        start, end, step = given[1][0], given[2][0], second[0]
        if shrinks:
            return first[start : start + 1 or None]
        return first[None if begins else start : None if ends else end : step] if step > 0 else None
    if name == "FILL" and len(first) == len(second) == 1 and 0 < first[0] <= MAX_VALUES:
        return second * first[0]
    return None
