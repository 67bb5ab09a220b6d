"""Count the multiply-adds of operations other than 2D convolutions, such as dense layers and attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

Shape = Sequence[int]
#: Maps the shapes of the inputs that depend on the image, and that of the output, to a number of multiply-adds.
Count = Callable[[Sequence[Shape], Shape], int]


def counter(operation: Any, values: Mapping[str, Any]) -> Count | None:
    """Return a function that counts the multiply-adds of an operation, or None if it has none.

    Args:
        operation: an operation of any graph.
        values: the values of its inputs that do not depend on the image, by name.
    """
    rule = RULES.get(operation.type)
    if rule is None:
        return None
    names = [tensor.name for tensor in operation.inputs]
    known = {name: values[name].shape.as_list() for name in names if name in values}

    def count(dynamic: Sequence[Shape], output: Shape) -> int:
        given = iter(dynamic)
        return int(rule(operation, [known[name] if name in known else next(given) for name in names], output))

    return count


def matrices(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the multiply-adds of a matrix product: the size of the output times the common axis."""
    turned = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
    return prod(output) * inputs[0][-2 if turned else -1]


def einstein(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the multiply-adds of an Einsum: the size of the output times the axes that are summed over."""
    terms, result = operation.get_attr("equation").decode().split("->")
    summed: dict[str, int] = {}
    for term, shape in zip(terms.split(","), inputs, strict=True):
        before, dots, after = term.partition("...")
        sides = [*zip(before, shape, strict=False), *zip(after[::-1], shape[::-1], strict=False)] if dots else None
        summed.update((label, side) for label, side in sides or zip(term, shape, strict=True) if label not in result)
    return prod(output) * prod(summed.values())


def transposed(_: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the multiply-adds of a transposed convolution: each value of its input is multiplied with a filter."""
    height, width, filters, _ = inputs[1]
    return prod(inputs[2]) * height * width * filters


def convolution(_: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the multiply-adds of a convolution with any number of axes."""
    return prod(output) * prod(inputs[1][:-1])


RULES: dict[str, Callable[[Any, Sequence[Shape], Shape], int]] = {
    "MatMul": matrices,
    "BatchMatMul": matrices,
    "BatchMatMulV2": matrices,
    "BatchMatMulV3": matrices,
    "Einsum": einstein,
    "Conv2DBackpropInput": transposed,
    "Conv3D": convolution,
}
