"""Lower bounds of the sizes of an ONNX graph's tensors, from its constants.

Sizes that depend on the image are unknown and count as 1 or 0, so a tensor that is found too large is really too large.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Sequence

from picasso.models.scan.onnx_messages import FEW, Node, Tensor
from picasso.models.scan.onnx_shapes import OF_ALL
from picasso.models.scan.shapes import Shape, cut, multiplied, product, stretched

# Elementwise operations with broadcasting.
ELEMENTWISE = {
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
}  # fmt: skip
KEEPING = {
    "Abs", "Cast", "CastLike", "Ceil", "Clip", "Dropout", "Erf", "Exp", "EyeLike", "Floor", "Identity", "Log", "Neg",
    "Not", "RandomNormalLike", "RandomUniformLike", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Softmax", "Sqrt",
    "Tanh",
}  # fmt: skip
SAME_VALUES = {"Cast", "CastLike", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}
WINDOWS = {"BlackmanWindow", "HammingWindow", "HannWindow"}
ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "Add": lambda a, b: a + b,
    "Mul": lambda a, b: a * b,
    "Sub": lambda a, b: a - b,
    "Max": max,
    "Min": min,
}
PADDING = {"AveragePool", "Conv", "ConvInteger", "FusedConv", "LpPool", "MaxPool", "Pad", "QLinearConv"}
# Operations of ONNX Runtime's own domain have the shapes of the standard operations of the same name.
DOMAINS = ("", "ai.onnx", "com.microsoft")
# The maximum size of a window. Smaller padding is ignored, because the window may remove it again.
PADDED = 10_000
# The bound of 64-bit integers.
MAX_INTEGER = 1 << 63


class Sizes:
    """Propagates shapes and small constants through the nodes of a graph, in the order of the file."""

    def __init__(self, outer: Sizes | None = None) -> None:
        self._shapes: ChainMap[str, Shape] = outer._shapes.new_child() if outer else ChainMap()
        self._values: ChainMap[str, tuple[int, ...]] = outer._values.new_child() if outer else ChainMap()
        self._scales: ChainMap[str, tuple[float, ...]] = outer._scales.new_child() if outer else ChainMap()

    def store(self, name: str, tensor: Tensor) -> None:
        """Store a constant."""
        self._shapes[name] = tensor.shape
        if tensor.values is not None:
            self._values[name] = tensor.values
        if tensor.decimals is not None:
            self._scales[name] = tensor.decimals

    def takes(self, name: str, shape: Shape) -> None:
        """Store the shape of an input."""
        self._shapes[name] = shape

    def values(self, name: str) -> tuple[int, ...] | None:
        """Return the integers of a tensor if they are known, or None."""
        return self._values.get(name)

    def follow(self, node: Node) -> int:
        """Store the shape and the values of a node's output, and return a lower bound of the number of values."""
        if node.domain not in DOMAINS or not node.outputs:
            return 0
        values = self._computed(node)
        if values is not None and len(values) <= FEW and all(-MAX_INTEGER <= value < MAX_INTEGER for value in values):
            self._values[node.outputs[0]] = values
        shape = self._shape(node)
        if shape is None:
            return 0
        self._shapes[node.outputs[0]] = shape
        return product(shape)

    def _computed(self, node: Node) -> tuple[int, ...] | None:
        """Return the integers in a node's output if its inputs are known, or None."""
        kind = node.operation
        if kind == "Constant":
            given = node.attributes.get("value_int")
            if given is not None and given.number is not None:
                return (given.number,)
            return tuple(node.attributes["value_ints"].integers) if "value_ints" in node.attributes else None
        known = [one for one in map(self._values.get, node.inputs) if one is not None]
        if kind in SAME_VALUES:
            return self._values.get(node.inputs[0]) if node.inputs else None
        if not known or len(known) < len(node.inputs):
            return None
        if kind == "Concat":
            return tuple(value for one in known for value in one)
        if kind == "ReduceProd":
            return (product(known[0]),)
        return calculated(kind, *known) if kind in ARITHMETIC and len(known) == 2 else None

    def _shape(self, node: Node) -> Shape | None:
        """Return a lower bound of the shape of a node's output, or None if it is unknown."""
        kind, given = node.operation, [self._shapes.get(name) for name in node.inputs]
        first = given[0] if given else None
        if kind in KEEPING:
            return first
        if kind in ELEMENTWISE:
            return stretched([one for one in given if one is not None])
        if kind in PADDING:
            return self._padded(node, first)
        if kind in OF_ALL:
            return OF_ALL[kind](node, given)
        if kind in ("Resize", "Upsample"):
            return self._resized(node, first)
        made = self._made(node, first)
        return made if made is not None or first is None else self._moved(node, first)

    def _made(self, node: Node, first: Shape | None) -> Shape | None:
        """Return the shape of the output of an operation whose output shape is a constant input, or None."""
        kind, said = node.operation, [self._values.get(name) for name in node.inputs]
        if kind in ("RandomNormal", "RandomUniform") and "shape" in node.attributes:
            return cut(node.attributes["shape"].integers)
        if kind == "Range":
            return counted(said)
        constant = said[0] if kind in ("ConstantOfShape", *WINDOWS) and said else said[1] if len(said) > 1 else None
        if constant is None:
            return None
        if kind == "Expand":
            return stretched([first or (), cut(constant)])
        if kind == "Tile":
            return multiplied(first, constant)
        if kind == "OneHot":
            return (*(first or ()), *cut(constant[:1]))
        # For Reshape, the lengths 0 and -1, which depend on the input, count as 1.
        given = ("AffineGrid", "CenterCropPad", "Col2Im", "ConstantOfShape", "Reshape", *WINDOWS)
        return cut(constant) if kind in given else None

    def _moved(self, node: Node, first: Shape) -> Shape | None:
        """Return the shape after an operation that only moves values, or None."""
        kind, given = node.operation, node.attributes
        if kind == "Transpose":
            order = given["perm"].integers if "perm" in given else list(reversed(range(len(first))))
            return tuple(first[at] for at in order) if sorted(order) == list(range(len(first))) else None
        if kind == "Flatten":
            axis = given["axis"].number if "axis" in given else 1
            return (product(first[:axis]), product(first[axis:]))
        if kind == "Unsqueeze":
            said = self._values.get(node.inputs[1]) if len(node.inputs) > 1 else None
            axes = given["axes"].integers if "axes" in given else said
            rank = len(first) + len(axes or ())
            places = {axis % rank for axis in axes or ()} if rank else set()
            if axes is None or len(places) < len(axes):
                return None
            rest = iter(first)
            return tuple(1 if at in places else next(rest) for at in range(rank))
        return None

    def _padded(self, node: Node, first: Shape | None) -> Shape | None:
        """Return a lower bound of the shape after an operation with padding, or None."""
        said = self._values.get(node.inputs[1]) if node.operation == "Pad" and len(node.inputs) > 1 else None
        pads = said or (node.attributes["pads"].integers if "pads" in node.attributes else ())
        half = len(pads) // 2
        added = [pads[index] + pads[index + half] for index in range(half)]
        if node.operation == "Pad":
            sides = first if first is not None and len(first) == half else (0,) * half
            return tuple(max(0, side + more) for side, more in zip(sides, added, strict=True)) if half else first
        # A window and its stride reduce the size again.
        strides = node.attributes["strides"].integers if "strides" in node.attributes else []
        steps = [max(1, step) for step in strides] if len(strides) == half else [1] * half
        if max(added, default=0) <= PADDED:
            return None
        return tuple(max(1, more // step) for more, step in zip(added, steps, strict=True))

    def _resized(self, node: Node, first: Shape | None) -> Shape | None:
        """Return the shape of a resized image, or None."""
        sizes = self._values.get(node.inputs[3]) if len(node.inputs) > 3 else None
        if sizes is not None:
            return cut(sizes)
        scales: Sequence[float] = node.attributes["scales"].decimals if "scales" in node.attributes else ()
        for name in node.inputs[1:3]:
            scales = scales or self._scales.get(name, ())
        # The comparison is false for NaN.
        factors = [int(min(scale, 1e12)) if scale >= 1 else 1 for scale in scales]
        if first is None or len(first) != len(factors):
            return multiplied(None, factors) if factors else None
        smaller = [side * min(scale, 1e12) if scale > 0 else 1 for side, scale in zip(first, scales, strict=True)]
        return cut([int(side) for side in smaller])


def calculated(kind: str, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the result of elementwise arithmetic on integers, or None if their lengths do not match."""
    size = max(len(a), len(b))
    if not {len(a), len(b)} <= {1, size} or not a or not b:
        return None
    return tuple(map(ARITHMETIC[kind], a * (size // len(a)), b * (size // len(b))))


def counted(said: Sequence[tuple[int, ...] | None]) -> Shape | None:
    """Return the shape of a range of a start, an end and a step, or None if they are unknown."""
    known = [one[0] for one in said if one is not None and len(one) == 1]
    if len(known) < 3 or not known[2]:
        return None
    start, end, step = known
    return (max(0, -(-(end - start) // step)),)
