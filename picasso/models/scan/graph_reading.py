"""Read the operations and functions of a TensorFlow graph (GraphDef) without TensorFlow.

Only the parts that a scan needs are kept: names, connections, and from attributes the names of functions, shapes and
small constants. The contents of tensors are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from picasso.models.scan.wire import BYTES, FIXED32, VARINT, Broken, Data, choice, fields, message, signed, text, varint

# The maximum nesting depth of attributes; graphs of TensorFlow need no more than two levels.
DEEPEST = 8
# The maximum size in bytes of attributes that are cached; most nodes differ only in their names.
SHORT = 200
# The maximum number of names and values, per allowed operation.
ENTRIES = 5
# TensorFlow's maximum number of axes.
MAX_AXES = 254
# The maximum number of values of a tensor that are kept.
FEW = 64

INT32, STRING, INT64, RESOURCE, VARIANT = 3, 7, 9, 20, 21
# The fields of an AttrValue.
VALUES = {1: BYTES, 2: BYTES, 3: VARINT, 4: FIXED32, 5: VARINT, 6: VARINT, 7: BYTES, 8: BYTES, 9: BYTES, 10: BYTES}
# The fields of a TensorProto: its type, its shape and its content; and its lists of integers.
TENSOR = {1: VARINT, 2: BYTES, 4: BYTES}
INTEGERS = (7, 10, 11)

GRAPH = {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES, 5: BYTES}
LIBRARY = {1: BYTES, 2: BYTES, 3: BYTES}
FUNCTION = {1: BYTES, 3: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES, 8: BYTES}
GRADIENT = {1: BYTES, 2: BYTES}


class Tensor(NamedTuple):
    """A constant: its type as a number of TensorFlow, its shape, and its values if they are few integers or texts."""

    type: int
    shape: tuple[int, ...] | None
    values: tuple[int, ...] = ()
    strings: tuple[bytes, ...] = ()


class Attribute(NamedTuple):
    """One attribute of an operation; only one of its fields is set, except for lists."""

    number: int = 0
    text: bytes = b""
    shape: tuple[int, ...] | None = None
    tensors: tuple[Tensor, ...] = ()
    functions: tuple[str, ...] = ()


class Node(NamedTuple):
    """One operation, with the functions and the constants of all its attributes."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    attributes: dict[str, Attribute]
    functions: tuple[str, ...] = ()
    tensors: tuple[Tensor, ...] = ()


class Function(NamedTuple):
    """A function of the library: its arguments, outputs and operations, and the tensor that each output returns."""

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    returns: dict[str, str]
    # The functions that attributes of the function refer to.
    functions: tuple[str, ...]


@dataclass
class Graph:
    """A graph with its library of functions.

    Attributes:
        nodes: the operations outside of functions, in the order of the file.
        functions: the functions by name.
        gradients: the names of functions that compute gradients of others.
        size: its size in the file, in bytes.
    """

    nodes: list[Node] = field(default_factory=list)
    functions: dict[str, Function] = field(default_factory=dict)
    gradients: set[str] = field(default_factory=set)
    size: int = 0


class TooLarge(Exception):
    """A limit is exceeded; the message is one clause."""


class Budget:
    """The remaining number of elements of a file that may be kept in memory.

    Args:
        members: the maximum number of operations, functions and objects; the maximum number of inputs, names and values
            is a multiple of it.
    """

    def __init__(self, members: int) -> None:
        self._members = self._left = members
        self._entries = ENTRIES * members

    def member(self) -> None:
        """Count an operation, a function or an object.

        Raises:
            TooLarge: the limit is exceeded.
        """
        self._left -= 1
        if self._left < 0:
            raise TooLarge(f"it contains more than {self._members:,} operations, functions or objects")

    def entry(self) -> None:
        """Count another element, such as an input or a value.

        Raises:
            TooLarge: the limit is exceeded.
        """
        self._entries -= 1
        if self._entries < 0:
            raise TooLarge(f"it contains more than {ENTRIES * self._members:,} names and values")


class Reader:
    """A reader of the graphs in one file.

    Args:
        data: the file.
        budget: the limits on the elements that are kept.
    """

    def __init__(self, data: Data, budget: Budget) -> None:
        self._data, self._budget = data, budget
        self._entries: dict[bytes, tuple[str, Attribute]] = {}
        self._operations: dict[str, str] = {}

    def graph(self, at: int, end: int) -> Graph:
        """Return the GraphDef between two positions.

        Raises:
            Broken: it is no valid GraphDef.
            TooLarge: it has too many elements.
        """
        graph = Graph(size=end - at)
        names = set()
        for number, start, stop in message(self._data, at, end, GRAPH, frozenset({1})):
            if number == 1:
                node = self.node(start, stop)
                if node.name in names:
                    raise Broken(f"two operations have the name {node.name[:80]}")
                names.add(node.name)
                graph.nodes.append(node)
            elif number == 2:
                self._library(graph, start, stop)
        return graph

    def _library(self, graph: Graph, at: int, end: int) -> None:
        for number, start, stop in message(self._data, at, end, LIBRARY, frozenset({1, 2, 3})):
            self._budget.member()
            if number == 1:
                function = self._function(start, stop)
                if function.name in graph.functions:
                    raise Broken(f"two functions have the name {function.name[:80]}")
                graph.functions[function.name] = function
            else:
                named = dict(self._texts(start, stop, GRADIENT))
                graph.gradients.add(named.get(2 if number == 2 else 1, ""))

    def _function(self, at: int, end: int) -> Function:
        name, nodes, returns = "", list[Node](), dict[str, str]()
        functions: list[str] = []
        arguments: tuple[str, ...] = ()
        outputs: tuple[str, ...] = ()
        for number, start, stop in message(self._data, at, end, FUNCTION, frozenset({3, 4, 5, 6, 7, 8})):
            if number == 1:
                name, arguments, outputs = self._signature(start, stop)
            elif number == 3:
                nodes.append(self.node(start, stop))
            elif number == 4:
                self._budget.entry()
                named = dict(self._texts(start, stop, GRADIENT))
                returns[named.get(1, "")] = named.get(2, "")
            elif number == 5:
                functions += self._entry(start, stop)[1].functions
        return Function(name, arguments, outputs, tuple(nodes), returns, tuple(functions))

    def _signature(self, at: int, end: int) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Return the name, the arguments and the outputs in an OpDef."""
        name, lists = "", {2: list[str](), 3: list[str]()}
        for number, _, start, stop in fields(self._data, at, end):
            self._budget.entry()
            if number == 1:
                name = text(self._data, start, stop)
            elif number in lists:
                first = list(self._texts(start, stop, {1: BYTES}, strict=False))
                lists[number].append(first[0][1] if first else "")
        return name, tuple(lists[2]), tuple(lists[3])

    def _texts(self, at: int, end: int, known: dict[int, int], strict: bool = True) -> Iterator[tuple[int, str]]:
        """Yield the text fields of a message, with their numbers."""
        for number, kind, start, stop in fields(self._data, at, end):
            if known.get(number) == kind == BYTES:
                yield number, text(self._data, start, stop)
            elif strict:
                raise Broken(f"it contains the unknown field number {number}")

    def node(self, at: int, end: int) -> Node:
        """Return the NodeDef between two positions."""
        self._budget.member()
        data = self._data
        named: dict[int, str] = {}
        inputs: list[str] = []
        attributes: dict[str, Attribute] = {}
        for number, kind, start, stop in fields(data, at, end):
            if kind != BYTES or number > 7:
                raise Broken(f"an operation contains the unknown field number {number}")
            if number == 5:
                key, value = self._entry(start, stop)
                if key in attributes:
                    raise Broken("an operation has duplicate attributes")
                attributes[key] = value
            elif number == 3:
                self._budget.entry()
                inputs.append(text(data, start, stop))
            elif number <= 2:
                if number in named:
                    raise Broken("an operation has two names or two types")
                named[number] = text(data, start, stop)
        operation = named.get(2, "")
        # All operations of a type share one string.
        operation = self._operations.setdefault(operation, operation)
        functions = tuple(name for value in attributes.values() if value.functions for name in value.functions)
        tensors = tuple(tensor for value in attributes.values() if value.tensors for tensor in value.tensors)
        return Node(named.get(1, ""), operation, tuple(inputs), attributes, functions, tensors)

    # ---- attributes -----------------------------------------------------------------------------------------

    def _entry(self, at: int, end: int, depth: int = 0) -> tuple[str, Attribute]:
        """Return the key and the value of one entry of a map of attributes."""
        if end - at > SHORT:
            self._budget.entry()
            return self._read_entry(at, end, depth)
        raw = self._data[at:end]
        found = self._entries.get(raw)
        if found is None:
            self._budget.entry()
            found = self._read_entry(at, end, depth)
            if len(self._entries) < 10_000:
                self._entries[raw] = found
        return found

    def _read_entry(self, at: int, end: int, depth: int) -> tuple[str, Attribute]:
        key, value = "", Attribute()
        for number, start, stop in message(self._data, at, end, {1: BYTES, 2: BYTES}):
            if number == 1:
                key = text(self._data, start, stop)
            else:
                value = self._attribute(start, stop, depth)
        return key, value

    def _attribute(self, at: int, end: int, depth: int) -> Attribute:
        """Return an AttrValue, of which one field is set."""
        if depth > DEEPEST:
            raise Broken("attributes are nested too deeply")
        found: Attribute | None = None
        for number, start, stop in message(self._data, at, end, VALUES):
            if found is not None:
                raise Broken("an attribute has two values")
            found = self._value(number, start, stop, depth)
        return found or Attribute()

    def _value(self, number: int, start: int, stop: int, depth: int) -> Attribute:
        """Return the value of one field of an AttrValue."""
        if number == 6:
            return Attribute(number=choice(start))
        if number in (3, 5):
            return Attribute(number=signed(start))
        if number == 1:
            return self._list(start, stop, depth)
        if number in (2, 9):
            # A text, or the name of an attribute of the enclosing function.
            return Attribute(text=self._data[start : min(stop, start + 1000)])
        if number == 7:
            return Attribute(shape=self._shape(start, stop))
        if number == 8:
            return Attribute(tensors=(self._tensor(start, stop),))
        if number == 10:
            return Attribute(functions=tuple(self._named(start, stop, depth)))
        return Attribute()

    def _list(self, at: int, end: int, depth: int) -> Attribute:
        tensors: list[Tensor] = []
        functions: list[str] = []
        for number, kind, start, stop in fields(self._data, at, end):
            self._budget.entry()
            if number == 8 and kind == BYTES:
                tensors.append(self._tensor(start, stop))
            elif number == 9 and kind == BYTES:
                functions += self._named(start, stop, depth)
            elif not 2 <= number <= 7:
                raise Broken(f"a list of attributes contains the unknown field number {number}")
        return Attribute(tensors=tuple(tensors), functions=tuple(functions))

    def _named(self, at: int, end: int, depth: int) -> Iterator[str]:
        """Yield the name of the function in a NameAttrList, and the functions that its attributes refer to."""
        for number, start, stop in message(self._data, at, end, {1: BYTES, 2: BYTES}, frozenset({2})):
            if number == 1:
                yield text(self._data, start, stop)
            else:
                yield from self._entry(start, stop, depth + 1)[1].functions

    def _shape(self, at: int, end: int) -> tuple[int, ...] | None:
        """Return the shape in a TensorShapeProto, with -1 for unknown lengths; None for an unknown rank."""
        sizes: list[int] = []
        for number, start, stop in message(self._data, at, end, {2: BYTES, 3: VARINT}, frozenset({2})):
            if number == 3:
                if start:
                    return None
                continue
            size = 0
            for inner, _, value, _ in fields(self._data, start, stop):
                size = signed(value) if inner == 1 else size
            sizes.append(size)
            if len(sizes) > MAX_AXES:
                raise Broken("a shape has too many axes")
        return tuple(sizes)

    def _tensor(self, at: int, end: int) -> Tensor:
        """Return a TensorProto, with its values if they are few integers or texts."""
        data = self._data
        single: dict[int, tuple[int, int]] = {}
        values: list[int] = []
        strings: list[bytes] = []
        is_object = False
        for number, kind, start, stop in fields(data, at, end):
            self._budget.entry()
            if number in TENSOR:
                if number in single or TENSOR[number] != kind:
                    raise Broken(f"a constant contains field number {number} twice, or with the wrong type")
                single[number] = (start, stop)
            elif number in INTEGERS and len(values) < FEW:
                values += [signed(start)] if kind == VARINT else self._packed(start, stop)
            elif number == 8 and len(strings) < FEW:
                strings.append(data[start : min(stop, start + 1000)])
            # A resource handle, or an object that TensorFlow decodes by a registered function.
            is_object = is_object or number in (14, 15)
        kind = choice(single.get(1, (0, 0))[0])
        start, stop = single.get(4, (0, 0))
        size = {INT32: 4, INT64: 8}.get(kind, 0)
        if size and 0 < stop - start <= FEW * size:
            raw = data[start:stop]
            values = [int.from_bytes(raw[i : i + size], "little", signed=True) for i in range(0, len(raw), size)]
        shape = self._shape(*single[2]) if 2 in single else ()
        return Tensor(VARIANT if is_object and kind != RESOURCE else kind, shape, tuple(values), tuple(strings))

    def _packed(self, at: int, end: int) -> Iterator[int]:
        """Yield the first :data:`FEW` integers of a packed field."""
        for _ in range(FEW):
            if at >= end:
                return
            value, at = varint(self._data, at, end)
            yield signed(value)
