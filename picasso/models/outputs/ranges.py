"""The range of an output's values, by interval arithmetic over the operations of any framework's graph.

A :class:`Reader` translates each operation to a name of this module, or ``"unknown"``. The analysis is recursive from
the output, so that a clip, a mean or ``1 - p`` after a sigmoid is no special case: the bounds of 0..1 are propagated
through them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

INFINITY = math.inf
# The maximum depth of the recursion, in operations; an output's range is determined by operations close to it.
MAX_DEPTH = 60
# The depth that a layer with weights counts for.
LAYER_DEPTH = 20


class Operation(NamedTuple):
    """An operation, by the names of this module.

    Attributes:
        name: the name, such as ``"softmax"``, ``"add"`` or ``"linear"``; ``"unknown"`` for anything else.
        inputs: its input tensors.
        numbers: its parameters, such as the two bounds of ``"clip"``.
    """

    name: str
    inputs: Sequence[Any] = ()
    numbers: Sequence[float] = ()


class Reader(Protocol):
    """An interface to a framework's graph; tensors are represented by hashable values."""

    def operation(self, tensor: Any) -> Operation:
        """Return the operation that computes a tensor."""

    def is_constant(self, tensor: Any) -> bool:
        """Tell whether a tensor does not depend on the image, in negligible time."""

    def constant(self, tensor: Any) -> NDArray[Any] | None:
        """Return the values of a constant tensor, or None if they can't be read."""


@dataclass(frozen=True)
class Range:
    """Bounds on the values of a tensor, and their origin.

    Attributes:
        low: the lower bound.
        high: the upper bound.
        link: the function that computed the values, if they were only reordered, reshaped, scaled, shifted or clipped
            afterwards: ``"softmax"``, ``"sigmoid"``, ``"tanh"``, ``"log softmax"``, ``"log sigmoid"``,
            ``"softplus"``; otherwise "".
        source: the origin of the values: ``"constant"``, ``"linear"`` (a dense or convolutional layer),
            ``"rectified"`` (ReLU, softplus or exponential), ``"normalized"`` (divided by their norm or deviation),
            ``"features"`` (pooled values of a nonlinearity), ``"deviation"`` (a square root), ``"inverse deviation"``
            (an inverse square root), ``"nonlinear"`` (any other) or ``"unknown"``.
    """

    low: float = -INFINITY
    high: float = INFINITY
    link: str = ""
    source: str = "unknown"

    def within(self, low: float, high: float) -> bool:
        """Tell whether all values are between two bounds, up to rounding."""
        tolerance = 1e-3 * max(1.0, *(abs(end) for end in (low, high) if math.isfinite(end)))
        return self.low >= low - tolerance and self.high <= high + tolerance


UNKNOWN = Range()
# Functions whose bounds do not depend on their input: their minimum and maximum.
BOUNDED: dict[str, tuple[float, float]] = {
    "sigmoid": (0, 1),
    "hard sigmoid": (0, 1),
    "softmax": (0, 1),
    "truth": (0, 1),
    "tanh": (-1, 1),
    "softsign": (-1, 1),
    "erf": (-1, 1),
    "sine": (-1, 1),
    "arctan": (-math.pi / 2, math.pi / 2),
    "log softmax": (-INFINITY, 0),
    "softplus": (0, INFINITY),
    "elu": (-2, INFINITY),
    "gelu": (-1, INFINITY),
    "not negative": (0, INFINITY),
    "activation": (-INFINITY, INFINITY),
}
# Operations whose constants matter only if the other input has bounds.
ARITHMETIC = {"add", "subtract", "multiply", "divide"}
LINKS = {"softmax", "sigmoid", "tanh", "log softmax", "softplus"}
# The precedence of the sources if a tensor is computed from several.
SOURCES = (
    "linear", "normalized", "features", "rectified", "nonlinear", "deviation", "inverse deviation", "constant",
)  # fmt: skip


@dataclass
class Analysis:
    """The ranges of the tensors of one graph."""

    reader: Reader
    _known: dict[Hashable, Range] = field(default_factory=dict)

    def of(self, tensor: Any, depth: int = 0) -> Range:
        """Return the range of a tensor; ``depth`` is its distance from the output."""
        key: Hashable = tensor.ref() if hasattr(tensor, "ref") else tensor
        if key not in self._known:
            # In a loop, a tensor that depends on itself stays unknown.
            self._known[key] = UNKNOWN
            self._known[key] = self._find(tensor, depth + 1) if depth < MAX_DEPTH else UNKNOWN
        return self._known[key]

    def _find(self, tensor: Any, depth: int) -> Range:
        if self.reader.is_constant(tensor):
            values = self.reader.constant(tensor)
            if values is not None and values.size and np.isfinite(values).all():
                return Range(float(values.min()), float(values.max()), source="constant")
            return Range(source="constant")
        name, inputs, numbers = self.reader.operation(tensor)
        if name == "linear":
            return self._linear(inputs, numbers, depth)
        if name in BOUNDED:
            low, high = BOUNDED[name]
            source = "rectified" if name == "softplus" else "nonlinear"
            return Range(low, high, name if name in LINKS else "", source)
        if name not in RULES or not inputs:
            return UNKNOWN
        given = {index: self.of(one, depth) for index, one in enumerate(inputs) if not self.reader.is_constant(one)}
        endless = all((one.low, one.high) == (-INFINITY, INFINITY) for one in given.values())
        for index, one in enumerate(inputs):
            if index not in given:
                # Reading a constant takes time, and it gives no bounds if the other inputs have none.
                given[index] = Range(source="constant") if endless and name in ARITHMETIC else self.of(one, depth)
        return RULES[name]([given[index] for index in range(len(inputs))], numbers)

    def _linear(self, inputs: Sequence[Any], numbers: Sequence[float], depth: int) -> Range:
        """Return the range of a product with a matrix or a kernel; it is bounded if the inputs are.

        If both factors depend on the image and are nonnegative, the product is a mixture, not a layer of scores.

        Args:
            inputs: the values, the weights and optionally the bias.
            numbers: 0 if the results are along the last axis of the weights, 1 if they are along the first; empty if
                that is not known.
            depth: the distance from the output.
        """
        values, weights, *bias = inputs
        given = self.of(values, depth + LAYER_DEPTH)
        answer = Range(source="linear")
        if not self.reader.is_constant(weights):
            mixed = given.low >= 0 and self.of(weights, depth + LAYER_DEPTH).low >= 0
            answer = Range(0, INFINITY, source="nonlinear") if mixed else answer
        elif numbers and math.isfinite(given.low) and math.isfinite(given.high):
            kernel = self.reader.constant(weights)
            if kernel is not None and kernel.ndim > 1:
                answer = weighted(given, kernel.astype(np.float64), int(numbers[0]))
        return add([answer, *(self.of(one, depth) for one in bias)], ())


def weighted(given: Range, kernel: NDArray[np.float64], axis: int) -> Range:
    """Return the range of products of values with a kernel, summed over all axes but that of the results."""
    # A convolution may be padded with zeros.
    low, high = (given.low, given.high) if kernel.ndim == 2 else (min(given.low, 0), max(given.high, 0))
    matrix = kernel.reshape(-1, kernel.shape[-1]) if axis == 0 else kernel.reshape(kernel.shape[0], -1)
    lowest = np.minimum(matrix * low, matrix * high).sum(axis)
    highest = np.maximum(matrix * low, matrix * high).sum(axis)
    return Range(float(lowest.min()), float(highest.max()), source="linear")


def joined(ranges: Sequence[Range]) -> Range:
    """Return the union of ranges, for values that come from one of several tensors."""
    return Range(
        min(one.low for one in ranges), max(one.high for one in ranges), same_link(ranges), main_source(ranges)
    )


def same_link(ranges: Sequence[Range]) -> str:
    """Return the common link of all tensors that are not constant, or ""."""
    links = {one.link for one in ranges if one.source != "constant"}
    return links.pop() if len(links) == 1 else ""


def main_source(ranges: Sequence[Range]) -> str:
    """Return the source of a result of several tensors; see :data:`SOURCES`."""
    sources = {one.source for one in ranges}
    known = "unknown" not in sources
    return next(source for source in SOURCES if source in sources) if known else "unknown"


def product(one: float, other: float) -> float:
    """Return the product of two bounds, with ``0 * infinity = 0``, because infinite bounds are never reached."""
    return 0.0 if one == 0 or other == 0 else one * other


def add(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Add tensors."""
    low, high = sum(one.low for one in ranges), sum(one.high for one in ranges)
    return Range(low, high, same_link(ranges), main_source(ranges))


def negate(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Change the sign."""
    given = ranges[0]
    # log(sigmoid(x)) is computed as -softplus(-x).
    link = "log sigmoid" if given.link == "softplus" else given.link
    source = "nonlinear" if given.source == "rectified" else given.source
    return Range(-given.high, -given.low, link, source)


def subtract(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Subtract the second tensor from the first."""
    first, second = ranges
    answer = add([first, Range(-second.high, -second.low, second.link, second.source)], numbers)
    return answer if "constant" in (first.source, second.source) else replace(answer, link="")


def multiply(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Multiply two tensors."""
    first, second = ranges
    ends = [product(one, other) for one in (first.low, first.high) for other in (second.low, second.high)]
    if "constant" in (first.source, second.source):
        return Range(min(ends), max(ends), same_link(ranges), main_source(ranges))
    source = main_source(ranges)
    if "inverse deviation" in (first.source, second.source):
        source = "normalized"
    elif source == "linear" and "softmax" not in (first.link, second.link):
        # x * sigmoid(x) is an activation, but scores weighted by a softmax are still scores.
        source = "nonlinear"
    return Range(min(ends), max(ends), "", source)


def divide(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Divide the first tensor by the second."""
    first, second = ranges
    if second.low < 0 < second.high or second.high < 0 or (second.low, second.high) == (0, 0):
        return replace(UNKNOWN, source="unknown" if "unknown" in (first.source, second.source) else "nonlinear")
    inverse = Range(
        1 / second.high if second.high > 0 else -INFINITY,
        1 / second.low if second.low else INFINITY,
        source="inverse deviation" if second.source == "deviation" else second.source,
    )
    answer = multiply([first, inverse], numbers)
    if second.source == "constant" or answer.source == "normalized":
        return answer
    return replace(answer, source="nonlinear" if answer.source != "unknown" else "unknown")


def clip(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Clip values to two numbers."""
    given, (low, high) = ranges[0], numbers
    inside = [min(max(end, low), high) for end in (given.low, given.high)]
    source = "rectified" if (low, high) == (0, INFINITY) or (low == 0 and high == 6) else given.source
    return Range(inside[0], inside[1], given.link, "nonlinear" if source == "linear" else source)


def bound(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Clip the first tensor, with the second as the lower and the third as the upper bound."""
    return minimum([maximum(ranges[:2], numbers), ranges[2]], numbers)


def minimum(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Take the elementwise minimum of tensors."""
    low, high = min(one.low for one in ranges), min(one.high for one in ranges)
    return Range(low, high, same_link(ranges), main_source(ranges))


def maximum(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Take the elementwise maximum of tensors."""
    low, high = max(one.low for one in ranges), max(one.high for one in ranges)
    zero = any(one.source == "constant" and one.low == one.high == 0 for one in ranges)
    return Range(low, high, same_link(ranges), "rectified" if zero and high == INFINITY else main_source(ranges))


def pooled(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Take the mean, the maximum or the minimum of values."""
    given = ranges[0]
    features = given.source in ("rectified", "nonlinear") and not given.within(-100, 100)
    features = features or (given.source == "rectified" and not given.within(0, 1))
    return replace(given, source="features") if features else given


def total(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Sum an unknown number of values."""
    given = ranges[0]
    low, high = 0.0 if given.low >= 0 else -INFINITY, 0.0 if given.high <= 0 else INFINITY
    return Range(low, high, "", given.source if given.source in ("linear", "unknown") else "nonlinear")


def exponential(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Take the exponential."""
    given = ranges[0]
    low, high = (math.exp(min(end, 700)) if math.isfinite(end) else max(end, 0.0) for end in (given.low, given.high))
    link = given.link.removeprefix("log ") if given.link.startswith("log ") else ""
    return Range(low, high, link, "rectified" if high == INFINITY else "nonlinear")


def logarithm(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Take the natural logarithm."""
    given = ranges[0]
    low = math.log(given.low) if 0 < given.low < INFINITY else -INFINITY
    high = math.log(given.high) if 0 < given.high < INFINITY else INFINITY
    return Range(low, high, f"log {given.link}" if given.link in ("softmax", "sigmoid") else "", "nonlinear")


def square(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Square values."""
    given = ranges[0]
    ends = [product(end, end) for end in (given.low, given.high)]
    return Range(0.0 if given.low < 0 < given.high else min(ends), max(ends), "", "nonlinear")


def root(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Take the square root."""
    low, high = (math.sqrt(max(end, 0.0)) for end in (ranges[0].low, ranges[0].high))
    return Range(low, high, "", "constant" if ranges[0].source == "constant" else "deviation")


def inverse_root(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Take the inverse square root."""
    given = ranges[0]
    high = given.low**-0.5 if given.low > 0 else INFINITY
    return Range(0.0, high, "", "constant" if given.source == "constant" else "inverse deviation")


def absolute(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Take the absolute value."""
    given = ranges[0]
    ends = sorted((abs(given.low), abs(given.high)))
    return Range(0.0 if given.low < 0 < given.high else ends[0], ends[1], "", "nonlinear")


def affine(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Apply a batch normalization, whose statistics are ignored, so that the result has no bounds."""
    return Range(source=ranges[0].source)


def normalized(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Divide values by their norm."""
    return Range(-1, 1, "", "normalized")


def zero_or(ranges: Sequence[Range], numbers: Sequence[float]) -> Range:
    """Pad values with zeros."""
    return replace(ranges[0], low=min(0.0, ranges[0].low), high=max(0.0, ranges[0].high))


Rule = Callable[[Sequence[Range], Sequence[float]], Range]
RULES: dict[str, Rule] = {
    "keep": lambda ranges, numbers: ranges[0],
    "join": lambda ranges, numbers: joined(ranges),
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "negate": negate,
    "minimum": minimum,
    "maximum": maximum,
    "clip": clip,
    "bound": bound,
    "pool": pooled,
    "sum": total,
    "exp": exponential,
    "log": logarithm,
    "square": square,
    "root": root,
    "inverse root": inverse_root,
    "absolute": absolute,
    "affine": affine,
    "normalize": normalized,
    "pad": zero_or,
}
