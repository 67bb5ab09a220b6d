"""Lower bounds of the shape of the output of an ONNX operation, from the shapes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from picasso.models.scan.onnx_messages import Node
from picasso.models.scan.shapes import Shape, cut, stretched


def axis_of(node: Node, default: int) -> int:
    """Return the axis along which an operation works."""
    said = node.attributes["axis"].number if "axis" in node.attributes else None
    return default if said is None else said


def joined(node: Node, given: Sequence[Shape | None]) -> Shape | None:
    """Return a lower bound of the shape of several tensors side by side, or None if no shape is known."""
    axis = axis_of(node, 1)
    known = [one for one in given if one]
    if not known or any(len(one) != len(known[0]) for one in known) or not -len(known[0]) <= axis < len(known[0]):
        return None
    sides = list(stretched(known))
    sides[axis] = sum(one[axis] for one in known)
    return tuple(sides)


def spread(node: Node, given: Sequence[Shape | None]) -> Shape | None:
    """Return a lower bound of the shape after a transposed convolution, or None if it is unknown."""
    first, filters = given[0] if given else None, given[1] if len(given) > 1 else None
    if not first or not filters or len(first) != len(filters) or len(first) < 3:
        return None
    axes = len(first) - 2
    at = node.attributes
    wanted = at["output_shape"].integers if "output_shape" in at else []
    if len(wanted) == axes:
        return (first[0], filters[1], *cut(wanted))
    strides, pads, gaps, more = (
        list(at[name].integers) if name in at and len(at[name].integers) == count else [default] * count
        for name, count, default in (
            ("strides", axes, 1), ("pads", 2 * axes, 0), ("dilations", axes, 1), ("output_padding", axes, 0)
        )
    )  # fmt: skip
    sides = [
        (first[2 + one] - 1) * strides[one]
        + (filters[2 + one] - 1) * gaps[one]
        + 1
        + more[one]
        - pads[one]
        - pads[axes + one]
        for one in range(axes)
    ]
    return (first[0], filters[1], *cut(sides))


def summed(node: Node, given: Sequence[Shape | None]) -> Shape | None:
    """Return a lower bound of the shape of a sum of products, or None if it is unknown."""
    equation = node.attributes["equation"].text if "equation" in node.attributes else ""
    before, arrow, after = equation.replace(" ", "").partition("->")
    lengths: dict[str, int] = {}
    for letters, shape in zip(before.split(","), given, strict=False):
        if shape is not None and len(shape) == len(letters) and "." not in letters:
            for letter, side in zip(letters, shape, strict=True):
                lengths[letter] = max(side, lengths.get(letter, 1))
    if not arrow:
        after = "".join(one for one in lengths if before.count(one) == 1)
    return tuple(lengths.get(letter, 1) for letter in after if letter != ".") if lengths else None


def gathered(node: Node, given: Sequence[Shape | None]) -> Shape | None:
    """Return the shape of what lies at some places of an axis, or None if it is unknown."""
    first, places = (*given, None, None)[:2]
    if not first or places is None:
        return None
    axis = axis_of(node, 0) % len(first)
    return (*first[:axis], *places, *first[axis + 1 :])


def sampled(node: Node, given: Sequence[Shape | None]) -> Shape | None:
    """Return the shape of an image that is sampled at the places of a grid, or None if it is unknown."""
    first, grid = (*given, None, None)[:2]
    return (*(first or ())[:2], *grid[1:-1]) if grid else None


def multiplied_matrices(node: Node, given: Sequence[Shape | None]) -> Shape | None:
    """Return the shape of a product of matrices or batches of matrices, or None if it is unknown."""
    one, other = (*given, None, None)[:2]
    if one is None or other is None or len(one) < 2 or len(other) < 2:
        return None
    return (*stretched([one[:-2], other[:-2]]), one[-2], other[-1])


def general_product(node: Node, given: Sequence[Shape | None]) -> Shape | None:
    """Return the shape of a product of two matrices, of which some are transposed, or None if it is unknown."""
    one, other = (*given, None, None)[:2]
    if not one or not other or len(one) != 2:
        return None
    turned = [bool(at.number) if (at := node.attributes.get(name)) else False for name in ("transA", "transB")]
    return (one[1 if turned[0] else 0], other[0 if turned[1] else -1])


#: Operations whose output has a shape that depends on the shapes of all inputs.
OF_ALL: dict[str, Callable[[Node, Sequence[Shape | None]], Shape | None]] = {
    "Concat": joined,
    "ConvTranspose": spread,
    "Einsum": summed,
    "Gather": gathered,
    "Gemm": general_product,
    "GridSample": sampled,
    "MatMul": multiplied_matrices,
}
