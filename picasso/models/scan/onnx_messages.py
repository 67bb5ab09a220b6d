"""Read the messages of an ONNX file one at a time; the contents of tensors are skipped.

All fields of the format (IR version 14) are listed. Any other field is rejected, because a runtime may interpret it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from picasso.models.scan.shapes import product
from picasso.models.scan.wire import BYTES, FIXED32, FIXED64, VARINT, Broken, Data, fields, signed, text, varint

Span = tuple[int, int]
Kinds = dict[int, tuple[int, ...]]

NEWEST_IR = 14

MODEL: Kinds = {
    **dict.fromkeys((1, 5), (VARINT,)),
    **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), (BYTES,)),
}
GRAPH: Kinds = dict.fromkeys((1, 2, 5, 10, 11, 12, 13, 14, 15, 16), (BYTES,))
NODE: Kinds = dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 9, 10), (BYTES,))
FUNCTION: Kinds = dict.fromkeys((1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14), (BYTES,))
ATTRIBUTE: Kinds = {
    **dict.fromkeys((1, 4, 5, 6, 9, 10, 11, 13, 14, 15, 21, 22, 23), (BYTES,)),
    2: (FIXED32,), 3: (VARINT,), 7: (FIXED32, BYTES), 8: (VARINT, BYTES), 20: (VARINT,),
}  # fmt: skip
TENSOR: Kinds = {
    **dict.fromkeys((3, 6, 8, 9, 12, 13, 16), (BYTES,)),
    1: (VARINT, BYTES), 2: (VARINT,), 4: (FIXED32, BYTES), 5: (VARINT, BYTES), 7: (VARINT, BYTES),
    10: (FIXED64, BYTES), 11: (VARINT, BYTES), 14: (VARINT,),
}  # fmt: skip
SPARSE: Kinds = {1: (BYTES,), 2: (BYTES,), 3: (VARINT, BYTES)}
VALUE: Kinds = dict.fromkeys((1, 2, 3, 4), (BYTES,))
TYPE: Kinds = dict.fromkeys((1, 4, 5, 6, 7, 8, 9), (BYTES,))
TENSOR_TYPE: Kinds = {1: (VARINT,), 2: (BYTES,)}
SHAPE: Kinds = {1: (BYTES,)}
DIMENSION: Kinds = {1: (VARINT,), 2: (BYTES,), 3: (BYTES,)}
PAIR: Kinds = {1: (BYTES,), 2: (BYTES,)}
OPSET: Kinds = {1: (BYTES,), 2: (VARINT,)}
# The fields of each message that may be repeated.
REPEATED = {
    id(MODEL): {8, 14, 20, 25, 26}, id(GRAPH): {1, 5, 11, 12, 13, 14, 15, 16}, id(NODE): {1, 2, 5, 9, 10},
    id(FUNCTION): {4, 5, 6, 7, 9, 11, 12, 14}, id(ATTRIBUTE): {7, 8, 9, 10, 11, 15, 23},
    id(TENSOR): {1, 4, 5, 6, 7, 10, 11, 13, 16}, id(SPARSE): {3}, id(VALUE): {4}, id(SHAPE): {1},
}  # fmt: skip

STRING = 8
# The size of a value of each type, in bits.
BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2, 27: 6, 28: 6,
}  # fmt: skip
# The memory of a string, in bytes, which exceeds that of its characters.
STRING_BYTES = 40
# The field of a type's values if they are not raw bytes; field 5 (integers) for all other types.
FIELD = {1: 4, 14: 4, 11: 10, 15: 10, 7: 7, 12: 11, 13: 11, STRING: 6}
SIZES = {4: 4, 10: 8}
VALUES = (4, 5, 6, 7, 10, 11)
# The types of small tensors whose values are kept: floats and integers.
KEPT = {1: "<f", 6: "<i", 7: "<q"}
FEW = 64
# The maximum length of a text that is kept.
SHORT = 1000
MAX_SIDES = 32


class Tensor(NamedTuple):
    """The description of a tensor, with its values if they are few integers or floats."""

    name: str
    type: int
    shape: tuple[int, ...]
    external: dict[str, str] | None = None
    # The values, if they are few integers or few floats.
    values: tuple[int, ...] | None = None
    decimals: tuple[float, ...] | None = None

    @property
    def bytes(self) -> int:
        """The size of the values in memory, in bytes."""
        count = product(self.shape)
        return count * STRING_BYTES if self.type == STRING else -(-count * BITS.get(self.type, 8) // 8)


@dataclass
class Attribute:
    """An attribute of a node: a short text, numbers, graphs, tensors and types; other values are skipped."""

    name: str = ""
    refers: str = ""
    text: str = ""
    number: int | None = None
    integers: list[int] = field(default_factory=list)
    decimals: list[float] = field(default_factory=list)
    graphs: list[Span] = field(default_factory=list)
    tensors: list[Span] = field(default_factory=list)
    sparse: list[Span] = field(default_factory=list)
    types: list[Span] = field(default_factory=list)


@dataclass
class Node:
    """An operation."""

    name: str = ""
    operation: str = ""
    domain: str = ""
    overload: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)


class Reader:
    """A reader of messages between positions of a file.

    Args:
        data: the file.
        count: called for each field; it may raise an exception to stop.
    """

    def __init__(self, data: Data, count: Callable[[], None]) -> None:
        self._data, self._count = data, count

    def fields(self, span: Span, known: Kinds) -> Iterator[tuple[int, int, int, int]]:
        """Yield the fields of a message, as :func:`picasso.models.scan.wire.fields` does.

        Raises:
            Broken: it contains an unknown field, or a field twice, which libraries interpret differently.
        """
        seen: set[int] = set()
        repeated = REPEATED.get(id(known), ())
        for number, kind, start, end in fields(self._data, *span):
            self._count()
            if kind not in known.get(number, ()):
                raise Broken(f"it contains field number {number}, which the format does not allow there")
            if number not in repeated:
                if number in seen:
                    raise Broken(f"it contains field number {number} twice")
                seen.add(number)
            yield number, kind, start, end

    def text(self, start: int, end: int) -> str:
        """Return the text between two positions."""
        return text(self._data, start, end)

    def integers(self, kind: int, start: int, end: int) -> Iterator[int]:
        """Yield the integers of a repeated field, which may be packed."""
        if kind == VARINT:
            yield signed(start)
            return
        while start < end:
            self._count()
            value, start = varint(self._data, start, end)
            yield signed(value)

    def node(self, span: Span) -> Node:
        """Parse a NodeProto."""
        node = Node()
        for number, _, start, end in self.fields(span, NODE):
            if number == 1:
                node.inputs.append(self.text(start, end))
            elif number == 2:
                node.outputs.append(self.text(start, end))
            elif number == 3:
                node.name = self.text(start, end)
            elif number == 4:
                node.operation = self.text(start, end)
            elif number == 7:
                node.domain = self.text(start, end)
            elif number == 8:
                node.overload = self.text(start, end)
            elif number == 5:
                one = self.attribute((start, end))
                if one.name in node.attributes:
                    raise Broken("an operation has duplicate attributes")
                node.attributes[one.name] = one
        return node

    def attribute(self, span: Span) -> Attribute:
        """Parse an AttributeProto."""
        one = Attribute()
        spans = {5: one.tensors, 10: one.tensors, 6: one.graphs, 11: one.graphs}
        spans |= {22: one.sparse, 23: one.sparse, 14: one.types, 15: one.types}
        for number, kind, start, end in self.fields(span, ATTRIBUTE):
            if number == 1:
                one.name = self.text(start, end)
            elif number == 21:
                one.refers = self.text(start, end)
            elif number == 3:
                one.number = signed(start)
            elif number == 4 and end - start <= SHORT:
                one.text = str(self._data[start:end], "utf-8", "replace")
            elif number == 8:
                one.integers.extend(self.integers(kind, start, end))
            elif number == 7 and len(one.decimals) < FEW:
                whole = start + (end - start) // 4 * 4
                one.decimals += self._unpacked("<f", (start, min(whole, start + 4 * FEW)))
            elif number in spans:
                spans[number].append((start, end))
        return one

    def tensor(self, span: Span) -> Tensor:
        """Parse a TensorProto without its values, unless they are few integers or floats.

        Raises:
            Broken: it is invalid, for example because its shape does not fit its values.
        """
        said: dict[int, list[tuple[int, int, int]]] = {}
        lengths: dict[int, int] = {}
        for number, wire, start, end in self.fields(span, TENSOR):
            parts = said.setdefault(number, [])
            if number in VALUES:
                size = 1 if number == 6 or wire == VARINT else (end - start) // SIZES.get(number, 1)
                lengths[number] = lengths.get(number, 0) + size
            elif len(parts) >= FEW:
                raise Broken("a tensor has too many dimensions or properties")
            if len(parts) < FEW:
                parts.append((wire, start, end))
        shape = [side for part in said.get(1, ()) for side in self.integers(*part)]
        check_sides(shape)
        (_, kind, _), (_, *name), (_, outside, _) = (said.get(n, [(0, 0, 0)])[0] for n in (2, 8, 14))
        if outside not in (0, 1):
            raise Broken(f"the location of a tensor's values has the unknown number {outside}")
        if kind != STRING and kind not in BITS:
            raise Broken(f"a tensor has the unknown type {kind}")
        if 3 in said:
            raise Broken("a tensor is stored in segments, which no runtime supports")
        found = Tensor(self.text(*name), kind, tuple(shape))
        if outside == 1:
            return found._replace(external=self._external([(start, end) for _, start, end in said.get(13, ())]))
        raw = said[9][0][1:] if 9 in said else None
        check(found, raw, lengths)
        if kind not in KEPT or product(found.shape) > FEW:
            return found
        return self._with_values(found, raw, said.get(FIELD.get(kind, 5), []))

    def _external(self, spans: list[Span]) -> dict[str, str]:
        """Return the properties of the external data of a tensor."""
        pairs = [self.pair(span) for span in spans]
        if len(dict(pairs)) < len(pairs):
            raise Broken("a tensor specifies the location of its values twice")
        return dict(pairs)

    def _with_values(self, tensor: Tensor, raw: Span | None, parts: list[tuple[int, int, int]]) -> Tensor:
        """Return a small tensor of integers or floats with its values."""
        if raw is None and tensor.type != 1:
            return tensor._replace(values=tuple(value for part in parts for value in self.integers(*part)))
        spans = [raw] if raw else [(start, end) for _, start, end in parts]
        values = tuple(value for span in spans for value in self._unpacked(KEPT[tensor.type], span))
        return tensor._replace(decimals=values) if tensor.type == 1 else tensor._replace(values=values)

    def _unpacked(self, code: str, span: Span) -> tuple[Any, ...]:
        """Return the values between two positions, in a type code of :mod:`struct`."""
        return tuple(value for (value,) in struct.iter_unpack(code, self._data[slice(*span)]))

    def sparse(self, span: Span) -> tuple[list[Span], tuple[int, ...]]:
        """Return the positions of the tensors of a sparse tensor, and its dense shape."""
        tensors, shape = list[Span](), list[int]()
        for number, kind, start, end in self.fields(span, SPARSE):
            if number == 3:
                shape.extend(self.integers(kind, start, end))
            else:
                tensors.append((start, end))
        check_sides(shape)
        return tensors, tuple(shape)

    def pair(self, span: Span) -> tuple[str, str]:
        """Return the key and the value of a StringStringEntryProto."""
        found = {number: self.text(start, end) for number, _, start, end in self.fields(span, PAIR)}
        return found.get(1, ""), found.get(2, "")

    def value(self, span: Span) -> tuple[str, Span | None]:
        """Return the name of an input or output, and the positions of its type, if any."""
        name, kind = "", None
        for number, _, start, end in self.fields(span, VALUE):
            if number == 1:
                name = self.text(start, end)
            elif number == 2:
                kind = (start, end)
        return name, kind

    def shape(self, span: Span) -> tuple[int, ...]:
        """Return the shape in a tensor type; unknown lengths count as 1."""
        sides = []
        for number, _, start, end in self.fields(span, TENSOR_TYPE):
            if number == 2:
                for _, _, first, last in self.fields((start, end), SHAPE):
                    said = [signed(at) for number, _, at, _ in self.fields((first, last), DIMENSION) if number == 1]
                    sides.append(max(1, *said) if said else 1)
        check_sides(sides)
        return tuple(sides)


def check_sides(shape: list[int]) -> None:
    """Raise Broken for an invalid shape."""
    if len(shape) > MAX_SIDES:
        raise Broken("a tensor has too many dimensions")
    if any(side < 0 for side in shape):
        raise Broken("a tensor has a negative dimension")


def check(tensor: Tensor, raw: Span | None, lengths: dict[int, int]) -> None:
    """Raise Broken if the number of values does not fit the shape of a tensor."""
    count = product(tensor.shape)
    if raw is not None:
        if lengths or tensor.type == STRING or raw[1] - raw[0] != tensor.bytes:
            raise Broken("the size of a tensor does not match its shape")
        return
    number = FIELD.get(tensor.type, 5)
    if set(lengths) - {number}:
        raise Broken("a tensor has values of another type")
    stored = lengths.get(number, 0)
    if number == 6:
        fits = stored == count
    elif number in SIZES:
        fits = stored == count * (2 if tensor.type in (14, 15) else 1)
    else:
        # Small types are packed. An integer takes one to ten bytes in the file.
        packed = max(1, 8 // BITS[tensor.type])
        fits = -(-count // packed) <= stored <= 10 * count
    if not fits:
        raise Broken("the size of a tensor does not match its shape")
