"""Read a TensorFlow MetaGraphDef without TensorFlow: a graph, and the names of its entry points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from picasso.models.scan.graph_reading import Budget, Graph, Reader
from picasso.models.scan.wire import BYTES, VARINT, Broken, Data, fields, message, text, varint

META_GRAPH = dict.fromkeys(range(1, 8), BYTES)
# The fields of a SavedObject.
CHILDREN, FUNCTION, BARE_FUNCTION, CONSTANT = (1, 15), 6, 8, 9
# The names of a resource's functions, for example a table's, that are called when it is loaded.
RESOURCE_FUNCTIONS = frozenset({"_create_resource", "_initialize", "_destroy_resource", "initializer"})


@dataclass
class MetaGraph:
    """The content of a MetaGraphDef.

    Attributes:
        graph: its operations and functions.
        filename: the name of the tensor for the prefix of a checkpoint, or "".
        restore: the name of the operation that restores the variables, or "".
        collections: the names of nodes in each collection.
        signatures: the names of the input and the output tensors of each signature.
        assets: the name of the tensor and of the file of each asset.
        loading: the names of functions that are called when a TensorFlow 2 model is loaded.
        bound: the names of constants that are bound to those functions.
        modern: True if there is an object graph, as in TensorFlow 2.
    """

    graph: Graph = field(default_factory=Graph)
    filename: str = ""
    restore: str = ""
    collections: dict[str, list[str]] = field(default_factory=dict)
    signatures: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    assets: list[tuple[str, str]] = field(default_factory=list)
    loading: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    modern: bool = False


def read(data: Data, at: int, end: int, members: int) -> MetaGraph:
    """Return the MetaGraphDef between two positions of a file.

    Args:
        data: the file.
        at: the position of its beginning.
        end: the position of its end.
        members: the maximum number of operations, functions and objects.

    Raises:
        Broken: it is no valid MetaGraphDef.
        TooLarge: it has too many elements.
    """
    found, budget = MetaGraph(), Budget(members)
    for number, start, stop in message(data, at, end, META_GRAPH, frozenset({4, 5, 6})):
        if number == 2:
            found.graph = Reader(data, budget).graph(start, stop)
        elif number == 3:
            saver = dict(texts(data, start, stop, (1, 3)))
            found.filename, found.restore = saver.get(1, ""), saver.get(3, "")
        elif number == 4:
            budget.entry()
            name, inner = entry(data, start, stop)
            found.collections[name] = list(listed(data, *inner, budget))
        elif number == 5:
            budget.entry()
            name, inner = entry(data, start, stop)
            found.signatures[name] = signature(data, *inner, budget)
        elif number == 6:
            budget.member()
            found.assets.append(asset(data, start, stop))
        elif number == 7:
            found.modern = True
            objects(data, start, stop, budget, found)
    return found


def texts(data: Data, at: int, end: int, numbers: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """Yield the text fields of a message with some numbers, each at most once.

    Raises:
        Broken: a field is repeated.
    """
    seen = set()
    for number, kind, start, stop in fields(data, at, end):
        if number in numbers and kind == BYTES:
            if number in seen:
                raise Broken(f"it contains field number {number} twice")
            seen.add(number)
            yield number, text(data, start, stop)


def entry(data: Data, at: int, end: int) -> tuple[str, tuple[int, int]]:
    """Return the key of one entry of a map, and the positions of the beginning and the end of its value."""
    key, value = "", (at, at)
    for number, start, stop in message(data, at, end, {1: BYTES, 2: BYTES}):
        if number == 1:
            key = text(data, start, stop)
        else:
            value = (start, stop)
    return key, value


def listed(data: Data, at: int, end: int, budget: Budget) -> Iterator[str]:
    """Yield the names in a CollectionDef with a list of nodes."""
    for number, kind, start, stop in fields(data, at, end):
        if number == 1 and kind == BYTES:
            for inner, wire, first, last in fields(data, start, stop):
                budget.entry()
                if inner == 1 and wire == BYTES:
                    yield text(data, first, last)


def signature(data: Data, at: int, end: int, budget: Budget) -> tuple[list[str], list[str]]:
    """Return the names of the input and of the output tensors of a SignatureDef."""
    lists: dict[int, list[str]] = {1: [], 2: []}
    for number, kind, start, stop in fields(data, at, end):
        if number in lists and kind == BYTES:
            budget.entry()
            lists[number] += tensors(data, *entry(data, start, stop)[1])
    return lists[1], lists[2]


def tensors(data: Data, at: int, end: int) -> Iterator[str]:
    """Yield the names of the tensors in a TensorInfo, including sparse and composite tensors."""
    for number, kind, start, stop in fields(data, at, end):
        if number == 1 and kind == BYTES:
            yield text(data, start, stop)
        elif number == 4 and kind == BYTES:
            yield from (value for _, value in texts(data, start, stop, (1, 2, 3)))
        elif number == 5 and kind == BYTES:
            for inner, wire, first, last in fields(data, start, stop):
                if inner == 2 and wire == BYTES:
                    yield from (value for _, value in texts(data, first, last, (1,)))


def asset(data: Data, at: int, end: int) -> tuple[str, str]:
    """Return the name of the tensor and of the file in an AssetFileDef."""
    tensor = name = ""
    for number, start, stop in message(data, at, end, {1: BYTES, 2: BYTES}):
        if number == 2:
            name = text(data, start, stop)
        else:
            tensor = next((value for _, value in texts(data, start, stop, (1,))), "")
    return tensor, name


def objects(data: Data, at: int, end: int, budget: Budget, found: MetaGraph) -> None:
    """Set ``loading`` and ``bound`` of ``found`` from a SavedObjectGraph."""
    nodes: list[Object] = []
    bound: dict[str, list[int]] = {}
    for number, kind, start, stop in fields(data, at, end):
        if number == 1 and kind == BYTES:
            budget.member()
            nodes.append(read_object(data, start, stop))
        elif number == 2 and kind == BYTES:
            name, inner = entry(data, start, stop)
            bound[name] = []
            for one in numbers(data, *inner):
                budget.entry()
                bound[name].append(one)
    called = {child for node in nodes for child in node.called if child < len(nodes)}
    found.loading = {name for child in called for name in nodes[child].functions}
    given = {one for name in found.loading for one in bound.get(name, ()) if one < len(nodes)}
    found.bound = {nodes[one].constant for one in given if nodes[one].constant}


class Object(NamedTuple):
    """An object of a TensorFlow 2 model.

    Attributes:
        functions: the names of its functions.
        called: the indices of child objects whose functions are called when it is loaded.
        constant: the name of its operation if it is a constant, or "".
    """

    functions: tuple[str, ...]
    called: tuple[int, ...]
    constant: str


def read_object(data: Data, at: int, end: int) -> Object:
    """Parse a SavedObject."""
    functions: list[str] = []
    called: list[int] = []
    constant = ""
    for number, kind, start, stop in fields(data, at, end):
        if kind != BYTES:
            continue
        if number in CHILDREN:
            child, name = reference(data, start, stop)
            called += [child] if name in RESOURCE_FUNCTIONS else []
        elif number in (FUNCTION, BARE_FUNCTION):
            inner = fields(data, start, stop)
            functions += [text(data, first, last) for one, wire, first, last in inner if one == 1 and wire == BYTES]
        elif number == CONSTANT:
            constant = next((value for _, value in texts(data, start, stop, (1,))), "")
    return Object(tuple(functions), tuple(called), constant)


def reference(data: Data, at: int, end: int) -> tuple[int, str]:
    """Return the index of a child object and its name in the parent, from an ObjectReference."""
    child, name = 0, ""
    for number, kind, start, stop in fields(data, at, end):
        if number == 1 and kind == VARINT:
            child = start
        elif number == 2 and kind == BYTES:
            name = text(data, start, stop)
    return child, name


def numbers(data: Data, at: int, end: int) -> Iterator[int]:
    """Yield the indices of the objects that are bound to a SavedConcreteFunction."""
    for number, kind, start, stop in fields(data, at, end):
        if number == 2 and kind == VARINT:
            yield start
        elif number == 2 and kind == BYTES:
            while start < stop:
                value, start = varint(data, start, stop)
                yield value
