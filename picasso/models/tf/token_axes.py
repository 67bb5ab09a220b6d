"""Check that tokens may leave the sequence of a transformer, and find the operations that know how many there are.

A token may leave if all others are computed alike without it. Operations on single tokens allow that, and so do matrix
products over all tokens whose other factor has a value for each of them, such as the softmax of attention. What knows
the positions of tokens does not: windows, convolutions, relative positions, products with weights along the sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from picasso.models.tf.place_operations import POINTWISE, PRODUCTS, REDUCING, RESHAPING, sizes, static, to_product

#: Operations whose results depend on the shapes of their operands only.
OF_SHAPES = {"Rank", "Shape", "ShapeN", "Size"}
# Comparisons, and what is computed from their results, one value at a time.
LOGICAL = {
    "Equal", "Greater", "GreaterEqual", "IsFinite", "IsInf", "IsNan", "Less", "LessEqual", "LogicalAnd", "LogicalNot",
    "LogicalOr", "NotEqual",
}  # fmt: skip
# Reductions over tokens that make sense for any number of them.
POOLING = {"Max", "Mean", "Min"}
# The maximum number of characters of an operation's name in a message.
LONGEST = 80
MIXES = "has a weight or a value of its own for each token"
SOME = "takes some of the tokens"
COMBINES = "combines all tokens"
UNKNOWN = "is not followed"


class Fixed(ValueError):
    """Tokens can't leave the sequence; the message says why, as the end of a sentence."""


class Factor(NamedTuple):
    """A factor of an axis.

    Attributes:
        size: the number of values; None for the batch.
        extra: for tokens, the number of those that are not of the image, which come first; None for other values.
    """

    size: int | None
    extra: int | None = None


#: The axes of a tensor that have tokens, each with its factors: the tokens alone, or with the batch.
TokenAxes = dict[int, tuple[Factor, ...]]


class Rewrite(NamedTuple):
    """The change of an operation that knows how many tokens there are.

    Attributes:
        operands: the new values of operands, by position; for a Factor, the number of its tokens that are left.
        end_mask: the new attribute of a StridedSlice; None for other operations.
    """

    operands: dict[int, tuple[int | Factor, ...]]
    end_mask: int | None = None


class Pooled(NamedTuple):
    """A mean, or an extreme, over tokens.

    Attributes:
        tokens: the tensor with the tokens.
        axis: the axis of the tokens.
        result: the mean.
    """

    tokens: Any
    axis: int
    result: Any


class Examined(NamedTuple):
    """What is needed to compute a transformer with fewer tokens.

    Attributes:
        rewrites: the operations to change, by name.
        softmaxes: the operations that turn products with the keys of tokens into weights, by name, with the tokens.
        pooled: the means over tokens.
        halves: whether numbers of 16 bits are computed.
    """

    rewrites: dict[str, Rewrite]
    softmaxes: dict[str, Factor]
    pooled: list[Pooled]
    halves: bool = False


class Examination:
    """Follows the axes of tokens from operation to operation.

    Args:
        first: the tokens ``(N, T, D)``.
        extra: the number of tokens that are not of the image, which come first.
    """

    def __init__(self, first: Any, extra: int) -> None:
        self._result = Examined({}, {}, [])
        self._live: dict[str, TokenAxes] = {first.name: {1: (Factor(sizes(first)[1], extra),)}}
        self._tainted: set[Any] = set()

    def of(self, operations: Iterable[Any]) -> Examined:
        """Return what is needed to compute some operations, given in topological order, with fewer tokens.

        Raises:
            Fixed: an operation needs all tokens, or is not known.
        """
        halves = False
        for operation in operations:
            halves |= any(tensor.dtype.is_floating and tensor.dtype.size < 4 for tensor in operation.outputs)
            before = [self._live.get(tensor.name, {}) for tensor in operation.inputs]
            if any(tensor.op in self._tainted for tensor in operation.inputs):
                self._require(not any(before), operation, "gives tokens what was computed from all of them")
                self._tainted.add(operation)
            if any(before) and operation.type not in OF_SHAPES:
                rule = RULES.get(operation.type)
                after = rule(self, operation, before) if rule else None
                if after is None:
                    raise Fixed(f"{named(operation)} may depend on the number of tokens")
                after = after if isinstance(after, list) else [after] * len(operation.outputs)
                self._live |= {tensor.name: axes for tensor, axes in zip(operation.outputs, after, strict=True)}
        return self._result._replace(halves=halves)

    @staticmethod
    def _require(condition: bool, operation: Any, what: str) -> None:
        """Raise Fixed with the name of an operation and what it does, unless a condition holds."""
        if not condition:
            raise Fixed(f"{named(operation)} {what}")

    # ---- rules: each returns the axes of the result, or of all results; None if the operation is not followed ------

    def pointwise(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes:
        """Require that what meets tokens is alike for all of them, or other tokens."""
        rank = operation.outputs[0].shape.rank
        if operation.type in ("Softmax", "LogSoftmax") and (keys := before[0].get(rank - 1)):
            self._require(len(keys) == 1 and operation.type == "Softmax", operation, COMBINES)
            self._result.softmaxes[operation.name] = keys[0]
        if operation.type == "BiasAdd" or operation.type.startswith("FusedBatchNorm"):
            self._require(rank - 1 not in before[0] and not any(before[1:]), operation, MIXES)
            return before[0]
        return self._broadcast(operation, before, rank)

    def _broadcast(self, operation: Any, before: Sequence[TokenAxes], end: int) -> TokenAxes:
        """Return the axes of operands that are broadcast; on each, all have the same tokens or one value for all.

        Args:
            operation: the operation.
            before: the axes of its operands.
            end: the end of the axes of the result that are broadcast.
        """
        rank, found = operation.outputs[0].shape.rank, TokenAxes()
        for axes, tensor in zip(before, operation.inputs, strict=True):
            moved = {axis + rank - tensor.shape.rank: factors for axis, factors in axes.items()}
            for axis, factors in moved.items():
                if axis < end:
                    self._require(found.setdefault(axis, factors) == factors, operation, MIXES)
        for axes, tensor in zip(before, operation.inputs, strict=True):
            sides = sizes(tensor)
            for axis in found:
                here = axis - rank + len(sides)
                self._require(here < 0 or here in axes or sides[here] == 1, operation, MIXES)
        return found

    def product(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes:
        """Allow sums over tokens if both operands have a value for each of them."""
        names = ("adj_x", "adj_y") if operation.type.startswith("Batch") else ("transpose_a", "transpose_b")
        first, second = (operation.get_attr(name) for name in names)
        ends = [tensor.shape.rank for tensor in operation.inputs]
        inner = ends[0] - (2 if first else 1), ends[1] - (1 if second else 2)
        outer = ends[0] - (1 if first else 2), ends[1] - (2 if second else 1)
        summed = [axes.get(axis, ()) for axes, axis in zip(before, inner, strict=True)]
        self._require(summed[0] == summed[1] and len(summed[0]) < 2, operation, MIXES)
        rank = operation.outputs[0].shape.rank
        found = self._broadcast(operation, before, rank - 2)
        kept = zip((rank - 2, rank - 1), before, outer, strict=True)
        return found | {axis: axes[one] for axis, axes, one in kept if one in axes}

    def einsum(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes | None:
        """Allow letters for tokens if all operands with such a letter have tokens there."""
        equation = operation.get_attr("equation").decode().replace(" ", "")
        if "." in equation:
            return None
        operands, result = equation.split("->")
        found: dict[str, tuple[Factor, ...]] = {}
        for letters, axes in zip(operands.split(","), before, strict=True):
            for axis, letter in enumerate(letters):
                factors = axes.get(axis, ())
                self._require(found.setdefault(letter, factors) == factors, operation, MIXES)
        summed = [letter for letter, factors in found.items() if factors and letter not in result]
        both = all(letters.count(letter) == 1 for letter in summed for letters in operands.split(","))
        self._require(both and len(before) > 1 if summed else True, operation, COMBINES)
        return {axis: found[letter] for axis, letter in enumerate(result) if found.get(letter)}

    def reduced(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes | None:
        """Allow means and extremes over tokens."""
        rank, axes = operation.inputs[0].shape.rank, static(operation.inputs[1])
        if axes is None:
            return None
        gone = {axis % rank for axis in axes}
        if over := sorted(before[0].keys() & gone):
            alone = len(over) == 1 and len(before[0][over[0]]) == 1
            self._require(operation.type in POOLING and alone, operation, COMBINES)
            self._result.pooled.append(Pooled(operation.inputs[0], over[0], operation.outputs[0]))
            self._tainted.add(operation)
        kept = [axis for axis in range(rank) if axis not in gone or operation.get_attr("keep_dims")]
        return {kept.index(axis): factors for axis, factors in before[0].items() if axis not in gone}

    def reshaped(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes:
        """Follow tokens to another shape, and replace their number there."""
        tensor, shape = operation.inputs[0], sizes(operation.outputs[0])
        if shape == [None, None] and (columns := to_product(operation)):
            # tf.tensordot computes the shapes for its matrix product when it is called.
            shape = [None, columns]
        given = [before[0].get(axis, (Factor(size),)) for axis, size in enumerate(sizes(tensor))]
        after = regrouped([factor for factors in given for factor in factors if factor.size != 1], shape)
        found = {
            axis: factors
            for axis, factors in enumerate(after or ())
            if any(factor.extra is not None for factor in factors)
        }
        whole = all(len(factors) == 1 or shape[axis] is None for axis, factors in found.items())
        self._require(after is not None and whole, operation, "mixes tokens with other values or cuts them into parts")
        if operation.type == "Reshape" and sizes(operation.outputs[0]).count(None) < 2:
            numbers = (found[axis][0] if axis in found and size else size for axis, size in enumerate(shape))
            known = tuple(-1 if one is None else one for one in numbers)
            self._result.rewrites[operation.name] = Rewrite({1: known})
        return found

    def transposed(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes | None:
        """Follow tokens through a permutation of the axes."""
        order = static(operation.inputs[1])
        return None if order is None else {order.index(axis): factors for axis, factors in before[0].items()}

    def cut(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes | None:
        """Allow a Slice of extra tokens, or of all tokens of the image."""
        starts, lengths = static(operation.inputs[1]), static(operation.inputs[2])
        if starts is None or lengths is None:
            return None
        found = TokenAxes()
        for axis, factors in before[0].items():
            size = sizes(operation.inputs[0])[axis]
            stop = size if lengths[axis] == -1 or size is None else starts[axis] + lengths[axis]
            if left := self._between(operation, factors, starts[axis], stop):
                found[axis], lengths[axis] = left, -1
        self._result.rewrites[operation.name] = Rewrite({2: tuple(lengths)})
        return found

    def strided(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes | None:
        """Allow ``x[:, 0]``, ``x[:, :1]`` for an extra token, ``x[:, 1:]`` for the others, and slices of other axes."""
        starts, stops, steps = (static(tensor) for tensor in operation.inputs[1:])
        if starts is None or stops is None or steps is None:
            return None
        names = "begin", "end", "ellipsis", "new_axis", "shrink_axis"
        masks = {name: int(operation.get_attr(f"{name}_mask")) for name in names}
        entries, sides, found = len(starts), sizes(operation.inputs[0]), TokenAxes()
        opened, axis, after = masks["end"], 0, 0
        for place in range(entries):
            bit = 1 << place
            if masks["ellipsis"] & bit:
                rest = sum(not masks["new_axis"] & (1 << other) for other in range(place + 1, entries))
                covered = range(axis, len(sides) - rest)
                found |= {after + one - axis: before[0][one] for one in covered if one in before[0]}
                axis, after = covered.stop, after + len(covered)
                continue
            if masks["new_axis"] & bit:
                after += 1
                continue
            size, shrinks = sides[axis], bool(masks["shrink_axis"] & bit)
            if axis in before[0]:
                start = 0 if masks["begin"] & bit else starts[place] + (size or 0) * (starts[place] < 0)
                stop = size if masks["end"] & bit else stops[place] + (size or 0) * (stops[place] < 0)
                stop = start + 1 if shrinks else stop if size is None else min(size, stop or 0)
                self._require(steps[place] == 1, operation, SOME)
                starts[place], stops[place] = start, stop if stop is not None else stops[place]
                if left := self._between(operation, before[0][axis], start, stop):
                    found[after], opened = left, opened | bit
            axis, after = axis + 1, after + (not shrinks)
        found |= {after + one - axis: factors for one, factors in before[0].items() if one >= axis}
        self._result.rewrites[operation.name] = Rewrite({1: tuple(starts), 2: tuple(stops)}, opened)
        return found

    def _between(
        self, operation: Any, factors: tuple[Factor, ...], start: int, stop: int | None
    ) -> tuple[Factor, ...] | None:
        """Return what a range of an axis has of the tokens: all tokens of the image, or None if only extra ones."""
        size, extra = factors[0]
        if len(factors) > 1 or size is None or extra is None or stop is None:
            self._require(start == 0 and stop is None, operation, SOME)
            return factors
        if stop <= extra:
            return None
        self._require(start <= extra and stop == size, operation, SOME)
        return (Factor(size - start, extra - start),)

    def gathered(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes | None:
        """Allow the choice of extra tokens, and choices along other axes."""
        axis, indices = static(operation.inputs[2]), static(operation.inputs[1])
        if axis is None or indices is None or operation.get_attr("batch_dims"):
            return None
        added = operation.inputs[1].shape.rank - 1
        chosen = axis[0] % operation.inputs[0].shape.rank
        for size, extra in before[0].get(chosen, ()):
            inside = size is not None and all(0 <= one + size * (one < 0) < (extra or 0) for one in indices)
            self._require(inside and min(indices) >= 0, operation, SOME)
        return {one + added * (one > chosen): factors for one, factors in before[0].items() if one != chosen}

    def parted(self, operation: Any, before: Sequence[TokenAxes]) -> list[TokenAxes] | None:
        """Allow parts of other axes, and the separation of the extra tokens."""
        where, what = (0, 1) if operation.type == "Split" else (2, 0)
        axis = static(operation.inputs[where])
        if axis is None:
            return None
        chosen, given = axis[0] % operation.inputs[what].shape.rank, before[what]
        rest = {one: factors for one, factors in given.items() if one != chosen}
        if chosen not in given:
            return [rest] * len(operation.outputs)
        (size, extra), lengths = given[chosen][0], [sizes(tensor)[chosen] or 0 for tensor in operation.outputs]
        apart = sum(lengths[:-1])
        fits = operation.type == "SplitV" and len(given[chosen]) == 1 and size and apart <= (extra or 0)
        self._require(bool(fits), operation, SOME)
        self._result.rewrites[operation.name] = Rewrite({1: (*lengths[:-1], -1)})
        tokens = {chosen: (Factor((size or 0) - apart, (extra or 0) - apart),)}
        return [*[rest] * (len(lengths) - 1), rest | tokens]

    def unpacked(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes:
        """Allow the separation of values along other axes."""
        chosen = int(operation.get_attr("axis")) % operation.inputs[0].shape.rank
        self._require(chosen not in before[0], operation, SOME)
        return {one - (one > chosen): factors for one, factors in before[0].items()}

    def packed(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes:
        """Allow stacks of values of the same tokens."""
        self._require(all(axes == before[0] for axes in before), operation, MIXES)
        chosen = int(operation.get_attr("axis")) % operation.outputs[0].shape.rank
        return {one + (one >= chosen): factors for one, factors in before[0].items()}

    def concatenated(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes | None:
        """Allow values of the same tokens side by side, and extra tokens in front of the others."""
        axis = static(operation.inputs[-1])
        if axis is None:
            return None
        chosen, operands = axis[0] % operation.outputs[0].shape.rank, before[:-1]
        rest = [{one: factors for one, factors in axes.items() if one != chosen} for axes in operands]
        apart = not any(chosen in axes for axes in operands[:-1])
        self._require(all(axes == rest[0] for axes in rest) and apart, operation, MIXES)
        if chosen not in operands[-1]:
            return rest[0]
        (size, extra), added = operands[-1][chosen][0], [sizes(tensor)[chosen] for tensor in operation.inputs[:-2]]
        if len(operands[-1][chosen]) > 1 or size is None or extra is None or None in added:
            return None
        more = sum(one or 0 for one in added)
        return rest[0] | {chosen: (Factor(size + more, extra + more),)}

    def convolved(self, operation: Any, before: Sequence[TokenAxes]) -> TokenAxes | None:
        """Allow convolutions that see one token at a time."""
        kernel, strides = sizes(operation.inputs[1]), operation.get_attr("strides")
        if operation.get_attr("data_format") != b"NHWC" or 3 in before[0]:
            return None
        alone = all(kernel[axis - 1] == strides[axis] == 1 for axis in before[0] if axis)
        self._require(alone, operation, "combines neighbouring tokens")
        return before[0]

    def copied(self, operation: Any, before: Sequence[TokenAxes]) -> list[TokenAxes]:
        """Follow tokens through an operation that copies its inputs."""
        return list(before)


def regrouped(factors: Sequence[Factor], shape: Sequence[int | None]) -> list[tuple[Factor, ...]] | None:
    """Return the factors of each axis of values in another shape; None if tokens are divided or it is not known.

    Args:
        factors: the factors of all axes before, none of size 1.
        shape: the lengths of the axes; one of them, which has the batch, may be unknown.
    """
    left, known = list(factors), [size for size in shape if size is not None]
    unknown = shape.index(None) if None in shape else len(shape)
    front = [take(left, size or 1, 0) for size in shape[:unknown]]
    back = [take(left, size or 1, -1) for size in reversed(shape[unknown + 1 :])]
    if len(known) < len(shape) - 1 or None in front or None in back or (left and unknown == len(shape)):
        return None
    middle = [tuple(left)] if unknown < len(shape) else []
    return [one or () for one in [*front, *middle, *reversed(back)]]


def take(factors: list[Factor], size: int, end: int) -> tuple[Factor, ...] | None:
    """Remove factors of ``size`` values in total from an end of a list, 0 or -1, and return them; None if impossible.

    Tokens are not divided.
    """
    found: list[Factor] = []
    while size > 1:
        if not factors:
            return None
        if (count := factors[end].size) is None:
            # Other values, such as the heads of attention, were merged with the batch.
            found.insert(len(found) if end == 0 else 0, Factor(size))
            break
        factor = factors.pop(end)
        if size % count and (count % size or factor.extra is not None):
            return None
        if size % count:
            factors.insert(0 if end == 0 else len(factors), Factor(count // size))
            factor = Factor(size)
        size //= factor.size or 1
        found.insert(len(found) if end == 0 else 0, factor)
    return tuple(found)


def named(operation: Any) -> str:
    """Return the name and the type of an operation for a message."""
    name = operation.name if len(operation.name) <= LONGEST else f"...{operation.name[-LONGEST:]}"
    return f"{name} ({operation.type})"


Rule = Callable[[Examination, Any, Sequence[TokenAxes]], TokenAxes | list[TokenAxes] | None]
RULES: Mapping[str, Rule] = {
    **dict.fromkeys((POINTWISE | LOGICAL) - {"BroadcastTo", "EnsureShape", "LRN"}, Examination.pointwise),
    **dict.fromkeys(PRODUCTS, Examination.product),
    **dict.fromkeys(REDUCING, Examination.reduced),
    **dict.fromkeys(RESHAPING, Examination.reshaped),
    **dict.fromkeys(("Split", "SplitV"), Examination.parted),
    "ConcatV2": Examination.concatenated,
    "Conv2D": Examination.convolved,
    "Einsum": Examination.einsum,
    "GatherV2": Examination.gathered,
    "IdentityN": Examination.copied,
    "Pack": Examination.packed,
    "Slice": Examination.cut,
    "StridedSlice": Examination.strided,
    "Transpose": Examination.transposed,
    "Unpack": Examination.unpacked,
}
